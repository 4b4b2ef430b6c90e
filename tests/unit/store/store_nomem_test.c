/* The store, its marks and its floors where the system denies them memory: what was asked for is
 * refused with its reason, nothing stays behind, and what was there goes on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "faulty.h"
#include "protect.h"
#include "store/floor.h"
#include "store/marks.h"
#include "store_world.h"

#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define SHARDS 4
#define MEMORY ((size_t)1 << 20)

/* Of a heap 4 GiB are reserved, and of a table 1 GiB: what stays of one is seen beside all that a
 * sanitizer takes. */
static size_t reserved_gib(void)
{
    unsigned long pages = 0;
    FILE *f = fopen("/proc/self/statm", "r");
    assert_non_null(f);
    assert_int_equal(fscanf(f, "%lu", &pages), 1);
    fclose(f);
    return (pages * (size_t)sysconf(_SC_PAGESIZE) + (1 << 29)) >> 30;
}

static int create(struct store **s, struct err *e)
{
    struct store_options o = {.memory_bytes = MEMORY, .shards = SHARDS, .seed = 5};
    return store_new(s, &o, e);
}

static void check_refused(int rc, const struct store *s, const struct err *e, const char *text)
{
    assert_int_equal(rc, ERR_NOMEM);
    assert_int_equal(e->code, ERR_NOMEM);
    assert_string_equal(e->text, text);
    assert_null(s);
}

static void a_store_that_gets_no_memory_leaves_nothing(void **state)
{
    (void)state;
    struct store *s = NULL;
    struct err e;
    int rc = 0;
    int64_t nth = 1, denied = 1;
    assert_int_equal(create(&s, &e), 0);
    store_free(s);
    const size_t before = reserved_gib();
    for (; FAULTY_WITHOUT(nth, 0, rc = create(&s, &e)); nth++) {
        check_refused(rc, s, &e,
                      nth == 2 ? "no address space for the store's 4 shards"
                               : "no memory for the store's 4 shards");
        assert_int_equal(reserved_gib(), before);
    }
    assert_int_equal(rc, 0);
    assert_true(nth > 2 + SHARDS);
    store_free(s);
    for (; protect_fails(denied, 0), rc = create(&s, &e), protect_calm(); denied++) {
        check_refused(rc, s, &e, "no memory for the store's 4 shards");
        assert_int_equal(reserved_gib(), before);
    }
    assert_int_equal(rc, 0);
    assert_true(denied > 2 * SHARDS);
    store_free(s);
    assert_int_equal(reserved_gib(), before);
}

static void key_of(char key[16], unsigned i)
{
    snprintf(key, 16, "key:%u", i);
}

/* Every call for memory is denied from some put on; what was stored before goes on being served. */
static void a_put_that_gets_no_memory_says_so_and_drops_the_old(void **state)
{
    (void)state;
    enum { FIRST = 1200, ALL = 60000 };
    struct store *s = new_store(64 << 20, 1, 0);
    struct store_stats stats;
    struct hit hit;
    struct err e;
    char key[16];
    unsigned stored = 0, refused = 0;
    for (unsigned i = 0; i < ALL && refused == 0; i++) {
        key_of(key, i);
        struct put p = put_of(s, key, "value");
        if (i == FIRST)
            protect_fails(1, INT64_MAX / 2);
        int rc = store_put(s, &p, 0, &e);
        stored += rc == 0;
        if (rc == 0)
            continue;
        refused++;
        char text[64];
        snprintf(text, sizeof text, "%s: no memory for an entry of %zu bytes", key,
                 store_size_of(&p));
        assert_int_equal(rc, ERR_NOMEM);
        assert_string_equal(e.text, text);
        assert_int_equal(get(s, key, 0, 0, NULL, &hit), LOOKUP_MISS);
    }
    assert_true(protect_calm());
    store_read_stats(s, &stats);
    assert_int_equal(stats.refused, refused);
    assert_int_equal(stats.entries + stats.evictions, stored);
    for (unsigned i = 0; i < FIRST; i++) {
        key_of(key, i);
        get(s, key, 0, WANT_PEEK, NULL, &hit);
        entry_unref(hit.entry);
    }
    struct put p = put_of(s, "again", "value");
    assert_int_equal(store_put(s, &p, 0, &e), 0);
    store_free(s);
}

static struct store_stats stats_of(struct store *s)
{
    struct store_stats stats;
    store_read_stats(s, &stats);
    return stats;
}

/* One call alone is denied, whichever it is: with the last entry all memory is free again. */
static void what_a_denied_put_had_taken_is_given_back(void **state)
{
    (void)state;
    enum { COUNT = 20000, AHEAD = 1000 };
    bool failed = true;
    char key[16];
    for (int64_t nth = 1; failed; nth++) {
        struct store *s = new_store(64 << 20, 1, 0);
        const size_t empty = stats_of(s).bytes;
        uint64_t stored = 0;
        protect_fails(nth, 0);
        for (unsigned i = 0; i < COUNT; i++) {
            key_of(key, i);
            struct put p = put_of(s, key, "value");
            stored += store_put(s, &p, 0, NULL) == 0;
        }
        failed = protect_calm();
        assert_in_range(stored, COUNT - 1, COUNT);
        assert_int_equal(stats_of(s).entries + stats_of(s).evictions, stored);
        for (unsigned i = 0; i < COUNT; i++) {
            key_of(key, i);
            drop(s, key, 0);
        }
        for (int64_t now = 0; now < AHEAD; now += STORE_TICK_MS)
            store_tick(s, now, SIZE_MAX, NULL);
        assert_int_equal(stats_of(s).entries, 0);
        assert_int_equal(stats_of(s).holes, 0);
        assert_in_range(stats_of(s).bytes, empty,
                        empty + (1 << 17)); /* a page here and there, and the ghost */
        store_free(s);
    }
}

static void values_outside_the_store_and_patterns_need_memory(void **state)
{
    (void)state;
    struct store *s = new_store(MEMORY, 2, 0);
    struct put p = put_of(s, "a", "alpha");
    struct entry *e = (struct entry *)&p;
    struct hit hit;
    struct glob g;
    char room[GLOB_MAX];
    int rc = 0;
    glob_compile(&g, slice_str("*"), room);
    assert_int_equal(store_put(s, &p, 0, NULL), 0);
    size_t outside = entry_outside_bytes();
    assert_true(FAULTY_WITHOUT(1, 0, e = entry_new_value(slice_str("v"))));
    assert_null(e);
    assert_int_equal(entry_outside_bytes(), outside);
    assert_true(FAULTY_WITHOUT(1, 0, rc = store_apply_glob(s, &g, false)));
    assert_int_equal(rc, ERR_NOMEM);
    assert_int_equal(get(s, "a", 0, 0, NULL, &hit), LOOKUP_FRESH);
    entry_unref(hit.entry);
    store_free(s);
}

/* One reference more is a copy where there are very many, and the copy needs memory. */
static void a_copy_that_gets_no_memory_is_a_miss(void **state)
{
    (void)state;
    static struct entry *held[UINT16_MAX];
    struct store *s = new_store(MEMORY, 1, 0);
    struct put p = put_of(s, "a", "alpha");
    struct hit hit;
    enum lookup got = LOOKUP_FRESH;
    size_t count = 0;
    assert_int_equal(store_put(s, &p, 0, NULL), 0);
    faulty_fail_allocation(1, FAULTY_ALL);
    while ((got = get(s, "a", 1, 0, NULL, &hit)) == LOOKUP_FRESH) {
        assert_true(count < UINT16_MAX);
        held[count++] = hit.entry;
    }
    assert_true(faulty_calm());
    assert_int_equal(got, LOOKUP_MISS);
    assert_null(hit.entry);
    assert_int_equal(hit.age_ms, 0);
    for (size_t i = 0; i < count; i++)
        entry_unref(held[i]);
    assert_int_equal(get(s, "a", 1, 0, NULL, &hit), LOOKUP_FRESH);
    entry_unref(hit.entry);
    store_free(s);
}

static void marks_that_get_no_memory_are_none(void **state)
{
    (void)state;
    struct marks *m = NULL;
    struct err e;
    int rc = 0;
    int64_t nth = 1;
    for (; FAULTY_WITHOUT(nth, 0, rc = marks_new(&m, 64, 1, &e)); nth++) {
        assert_int_equal(rc, ERR_NOMEM);
        assert_string_equal(e.text, "no memory for 64 tag slots");
        assert_null(m);
    }
    assert_int_equal(rc, 0);
    assert_int_equal(nth, 4); /* three pieces */
    marks_free(m);
}

/* ---- floors ---- */

#define TTL 1000

static enum floor_raised raise_floor(struct floors *fl, uint64_t number, int64_t now_ms)
{
    struct floor_raise r = {
        .hash = number << 8, .version = (int64_t)number, .now_ms = now_ms, .ttl_ms = TTL};
    return floors_raise(fl, &r);
}

static bool is_there(const struct floors *fl, uint64_t number, int64_t now_ms)
{
    struct floor_seen seen = floors_see(fl, (struct slice){.size = 0}, number << 8, now_ms);
    return seen.there && seen.version == (int64_t)number;
}

static void a_floor_without_memory_is_not_raised_and_drops_none(void **state)
{
    (void)state;
    struct floors fl;
    int rc = 0;
    enum floor_raised raised = FLOOR_RAISED;
    assert_true(FAULTY_WITHOUT(1, 0, rc = floors_init(&fl, 2)));
    assert_int_equal(rc, ERR_NOMEM);
    floors_fini(&fl);
    assert_int_equal(floors_init(&fl, 2), 0);
    assert_int_equal(raise_floor(&fl, 1, 0), FLOOR_RAISED);
    assert_int_equal(raise_floor(&fl, 2, 0), FLOOR_RAISED);
    assert_true(FAULTY_WITHOUT(1, 0, raised = raise_floor(&fl, 3, 1)));
    assert_int_equal(raised, FLOOR_NOMEM);
    assert_true(is_there(&fl, 1, 1) && is_there(&fl, 2, 1) && !is_there(&fl, 3, 1));
    assert_int_equal(fl.count, 2);
    assert_int_equal(fl.dropped, 0);
    faulty_fail_allocation(1, FAULTY_ALL);
    raised = raise_floor(&fl, 2, 1); /* one that is there needs none */
    assert_false(faulty_calm());
    assert_int_equal(raised, FLOOR_RAISED);
    floors_fini(&fl);
}

static void a_doubt_without_memory_is_one_of_every_key(void **state)
{
    (void)state;
    struct floors fl;
    enum floor_raised raised = FLOOR_RAISED;
    assert_int_equal(floors_init(&fl, 10), 0);
    assert_true(FAULTY_WITHOUT(1, 0, raised = floors_doubt(&fl, 1 << 8, 0, 500)));
    assert_int_equal(raised, FLOOR_NOMEM);
    assert_true(floors_doubtful(&fl, 2 << 8, 499));
    assert_true(floors_see(&fl, slice_str("k"), 3 << 8, 499).doubtful);
    assert_false(floors_doubtful(&fl, 1 << 8, 500));
    assert_true(FAULTY_WITHOUT(1, 0, raised = floors_doubt(&fl, 1 << 8, 0, 400)));
    assert_true(floors_doubtful(&fl, 2 << 8, 499)); /* an earlier end does not shorten it */
    floors_fini(&fl);
}

/* The table of floors grows with their number; where it cannot, all of them are found still. */
static void floors_are_found_where_their_table_cannot_grow(void **state)
{
    (void)state;
    enum { MANY = 300 };
    for (int may_grow = 0; may_grow < 2; may_grow++) {
        struct floors fl;
        assert_int_equal(floors_init(&fl, MANY), 0);
        size_t first = fl.bucket_count;
        for (uint64_t i = 1; i <= MANY; i++) {
            /* its own memory is the first that is asked for, the table's the second */
            faulty_fail_allocation(may_grow ? INT64_MAX : 2, 0);
            assert_int_equal(raise_floor(&fl, i, 0), FLOOR_RAISED);
            faulty_calm();
        }
        assert_true(may_grow ? fl.count <= 2 * fl.bucket_count : fl.bucket_count == first);
        for (uint64_t i = 1; i <= MANY; i++)
            assert_true(is_there(&fl, i, TTL - 1));
        assert_int_equal(fl.count, MANY);
        assert_int_equal(floors_expire(&fl, TTL, SIZE_MAX), MANY);
        floors_fini(&fl);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_store_that_gets_no_memory_leaves_nothing),
        cmocka_unit_test(a_put_that_gets_no_memory_says_so_and_drops_the_old),
        cmocka_unit_test(what_a_denied_put_had_taken_is_given_back),
        cmocka_unit_test(values_outside_the_store_and_patterns_need_memory),
        cmocka_unit_test(a_copy_that_gets_no_memory_is_a_miss),
        cmocka_unit_test(marks_that_get_no_memory_are_none),
        cmocka_unit_test(a_floor_without_memory_is_not_raised_and_drops_none),
        cmocka_unit_test(a_doubt_without_memory_is_one_of_every_key),
        cmocka_unit_test(floors_are_found_where_their_table_cannot_grow),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
