/* The records of a store: whose they are, what they tell, and in which pieces they come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "dump_world.h"
#include "store/marks.h"
#include "store_world.h"

#include <stdio.h>
#include <stdlib.h>

#define START 1000000

struct world {
    struct marks *marks;
    struct store *store;
    struct buf out;
};

static void begin(struct world *w, size_t memory, unsigned shards)
{
    struct store_options o = {.memory_bytes = memory, .shards = shards, .seed = 5, .now_ms = START};
    assert_int_equal(marks_new(&w->marks, 1024, 3, NULL), 0);
    o.marks = w->marks;
    assert_int_equal(store_new(&w->store, &o, NULL), 0);
    buf_init(&w->out, 0);
}

static void end(struct world *w)
{
    buf_fini(&w->out);
    store_free(w->store);
    marks_free(w->marks);
}

static void put(struct world *w, const struct put *p, int64_t now)
{
    assert_int_equal(store_put(w->store, p, now, NULL), 0);
}

static bool is_dumped(struct world *w, const char *key, int64_t now, struct record *r)
{
    buf_clear(&w->out);
    dump_all(w->store, now, 1000, &w->out);
    return find_record(buf_slice(&w->out), key, r);
}

static void a_record_tells_all_that_is_stored(void **state)
{
    (void)state;
    struct world w;
    struct record r;
    struct hit hit;
    begin(&w, 1 << 20, 2);
    const uint32_t slots[] = {3};
    struct put p = put_of(w.store, "k", "value");
    p.has_version = true;
    p.version = -5;
    p.ttl_ms = 1000;
    p.stale_ttl_ms = 500;
    p.keep_ms = 2000;
    p.load_us = 1234;
    p.refresh = (struct refresh){.ahead_ms = 250, .owner = 9};
    p.tags = slots;
    p.tag_count = 1;
    p.tag_texts = slice_str("\xa3tag");
    put(&w, &p, START);
    for (int i = 0; i < 2; i++) {
        get(w.store, "k", START, 0, NULL, &hit);
        entry_unref(hit.entry);
    }
    assert_true(is_dumped(&w, "k", START + 100, &r));
    assert_true(slice_eq_str(r.value, "value"));
    assert_true(r.has_version && !r.negative && !r.made_stale && !r.unproven);
    assert_int_equal(r.version, -5);
    assert_int_equal(r.age_ms, 100);
    assert_int_equal(r.fresh_left_ms, 900);
    assert_int_equal(r.stale_ttl_ms, 500);
    assert_int_equal(r.keep_ms, 2000);
    assert_int_equal(r.load_us, 1234);
    assert_int_equal(r.ahead, 16384);
    assert_int_equal(r.owner, 9);
    assert_int_equal(r.frequency, 2);
    assert_int_equal(r.reads, 2);
    assert_false(r.in_main);
    assert_int_equal(r.tagged, TAGGED_TEXTS);
    assert_true(slice_eq_str(r.tag_texts, "\xa3tag"));
    end(&w);
}

static void a_record_of_less_tells_that(void **state)
{
    (void)state;
    struct world w;
    struct record r;
    begin(&w, 1 << 20, 2);
    const uint32_t slots[] = {marks_any_tag(w.marks)};
    struct put absent = put_of(w.store, "absent", ""), unknown = put_of(w.store, "unknown", "v");
    absent.negative = true;
    unknown.ttl_ms = 0;
    unknown.keep_ms = STORE_FOREVER_MS;
    unknown.tags = slots;
    unknown.tag_count = 1;
    put(&w, &absent, START);
    put(&w, &unknown, START);
    assert_true(is_dumped(&w, "absent", START, &r));
    assert_true(r.negative && !r.has_version && r.value.size == 0);
    assert_int_equal(r.tagged, TAGGED_NOT);
    assert_true(is_dumped(&w, "unknown", START, &r));
    assert_true(r.fresh_left_ms == STORE_FOREVER_MS && r.keep_ms == STORE_FOREVER_MS);
    assert_int_equal(r.tagged, TAGGED_UNKNOWN);
    end(&w);
}

static void match(struct world *w, const char *pattern, bool soft)
{
    struct glob g;
    char room[GLOB_MAX];
    glob_compile(&g, slice_str(pattern), room);
    assert_int_equal(store_apply_glob(w->store, &g, soft), 0);
}

static void what_no_reader_would_get_is_left_out(void **state)
{
    (void)state;
    struct world w;
    struct record r;
    begin(&w, 1 << 20, 1);
    const uint32_t hard[] = {marks_slot(w.marks, slice_str("hard"))},
                   soft[] = {marks_slot(w.marks, slice_str("soft"))};
    const struct {
        const char *key;
        const uint32_t *slots;
        int64_t keep;
        bool negative, there, made_stale;
    } entries[] = {
        {"fresh", NULL, 0, false, false, false}, /* no longer: 150 ms have passed */
        {"kept", NULL, 100, false, true, false},      {"absent", NULL, 100, true, false, false},
        {"tag:hard", hard, 100, false, false, false}, {"tag:soft", soft, 100, false, true, true},
        {"glob:1", NULL, 100, false, false, false},   {"soft:1", NULL, 100, false, true, true},
    };
    enum { ENTRIES = sizeof entries / sizeof *entries };
    for (size_t i = 0; i < ENTRIES; i++) {
        struct put p = put_of(w.store, entries[i].key, "v");
        p.negative = entries[i].negative;
        p.keep_ms = entries[i].keep;
        p.tags = entries[i].slots;
        p.tag_count = p.tags != NULL;
        put(&w, &p, START);
        assert_true(is_dumped(&w, entries[i].key, START, &r));
    }
    assert_int_equal(look_at(w.store, "fresh", START + 99), LOOKUP_FRESH);
    marks_tag(w.marks, slice_str("hard"), false);
    marks_tag(w.marks, slice_str("soft"), true);
    match(&w, "glob:*", false);
    match(&w, "soft:*", true);
    for (size_t i = 0; i < ENTRIES; i++) {
        bool there = is_dumped(&w, entries[i].key, START + 150, &r);
        if (there != entries[i].there || (there && r.made_stale != entries[i].made_stale))
            fail_msg("%s: %d", entries[i].key, there);
    }
    end(&w);
}

static struct put put_number(struct world *w, unsigned i, char key[32], struct slice value)
{
    snprintf(key, 32, "key:%u", i);
    struct put p = put_of(w->store, key, "");
    p.value = value;
    p.ttl_ms = 1000000;
    return p;
}

static void a_piece_is_no_longer_than_was_asked_but_for_one_record(void **state)
{
    (void)state;
    static char bytes[100000];
    static const size_t sizes[] = {10, 100, 4000, 5000, 100000};
    for (size_t n = 0; n < sizeof sizes / sizeof *sizes; n++) {
        struct world w;
        struct record r;
        struct dump_cursor cursor = {0};
        size_t keys = sizes[n] > 4000 ? 300 : 3000, sum = 0, pieces = 0;
        char key[32];
        begin(&w, 128 << 20, 2);
        for (unsigned i = 0; i < keys; i++) {
            struct put p = put_number(&w, i, key, slice_of(bytes, sizes[n]));
            put(&w, &p, START);
        }
        while (!cursor.done) {
            size_t count, read = 0;
            buf_clear(&w.out);
            assert_int_equal(store_dump(w.store, &cursor, START, 20000, &w.out, &count), 0);
            struct slice rest = buf_slice(&w.out);
            assert_true(rest.size <= 20000 || count == 1);
            for (; next_record(&rest, &r); read++)
                assert_int_equal(r.value.size, sizes[n]);
            assert_int_equal(read, count);
            sum += count;
            pieces++;
        }
        assert_int_equal(sum, keys);
        size_t least = keys * sizes[n] / 20000;
        assert_true(pieces >= (least < keys ? least : keys));
        size_t count = 1;
        assert_int_equal(store_dump(w.store, &cursor, START, 20000, &w.out, &count), 0);
        assert_int_equal(count, 0);
        end(&w);
    }
}

static void where_there_is_no_room_it_can_be_asked_again(void **state)
{
    (void)state;
    struct world w;
    struct dump_cursor cursor = {0};
    static char bytes[20000];
    char key[32];
    size_t count, sum = 0;
    begin(&w, 16 << 20, 1);
    for (unsigned i = 0; i < 40; i++) {
        struct put p = put_number(&w, i, key, slice_of(bytes, sizeof bytes));
        put(&w, &p, START);
    }
    struct buf small;
    buf_init(&small, 30000);
    assert_int_equal(buf_append(&small, "before", 6), 0);
    for (int step = 0; !cursor.done; step++) {
        struct dump_cursor was = cursor;
        assert_int_equal(store_dump(w.store, &cursor, START, 60000, &small, &count),
                         ERR_TOO_LARGE); /* before a hold of the lock */
        assert_int_equal(store_dump(w.store, &cursor, START, 25000, &small, &count), 0);
        assert_int_equal(count, cursor.done && step == 40 ? 0 : 1);
        cursor = was;
        small.size = 15000;
        assert_int_equal(store_dump(w.store, &cursor, START, 10000, &small, &count),
                         ERR_TOO_LARGE); /* after it */
        assert_memory_equal(&cursor, &was, sizeof was);
        assert_int_equal(small.size, 15000);
        assert_int_equal(count, 0);
        small.size = 6;
        assert_int_equal(store_dump(w.store, &cursor, START, 10000, &small, &count), 0);
        assert_memory_equal(small.data, "before", 6);
        sum += count;
        small.size = 6;
    }
    assert_int_equal(sum, 40);
    buf_fini(&small);
    end(&w);
}

/* The store between the pieces of a dump. */
struct turmoil {
    const char *name;
    unsigned first, steady, before; /* keys that stay, of those before; others there were before */
    int adds, removes;              /* for each piece */
};

static void what_stays_is_dumped_whatever_comes_and_goes(void **state)
{
    (void)state;
    static const struct turmoil all[] = {
        {"nothing happens", 0, 4000, 0, 0, 0},
        {"it grows to many times its size", 0, 500, 0, 4000, 0},
        {"it shrinks to nearly nothing", 0, 300, 60000, 0, 2000},
        {"it changes at one size", 0, 2000, 20000, 300, 300},
    };
    static unsigned seen[100000];
    static char bytes[200];
    for (size_t t = 0; t < sizeof all / sizeof *all; t++) {
        const struct turmoil *m = &all[t];
        struct world w;
        struct record r;
        struct dump_cursor cursor = {0};
        struct rng rng = {.state = t};
        char key[32];
        size_t count, most = 0;
        begin(&w, 64 << 20, 2);
        memset(seen, 0, sizeof seen);
        for (unsigned i = 0; i < m->steady + m->before; i++) {
            struct put p = put_number(&w, i, key, slice_of(bytes, 10 + i % 90));
            put(&w, &p, START);
        }
        unsigned low = m->steady, high = m->steady + m->before;
        while (!cursor.done) {
            buf_clear(&w.out);
            assert_int_equal(store_dump(w.store, &cursor, START, 4000, &w.out, &count), 0);
            struct slice rest = buf_slice(&w.out);
            while (next_record(&rest, &r))
                seen[strtoul(r.key.data + 4, NULL, 10)]++;
            for (int i = 0; i < m->adds && high < 100000; i++) {
                struct put p = put_number(&w, high++, key, slice_of(bytes, rng_below(&rng, 200)));
                put(&w, &p, START);
            }
            for (int i = 0; i < m->removes && low < high; i++) {
                snprintf(key, sizeof key, "key:%u", low++);
                drop(w.store, key, START);
            }
            for (unsigned i = 0; i < 20; i++) { /* other places in the heap, and new ones */
                unsigned n = (unsigned)rng_below(&rng, m->steady);
                struct put p = put_number(&w, n, key, slice_of(bytes, rng_below(&rng, 200)));
                put(&w, &p, START);
            }
            store_tick(w.store, START, SIZE_MAX, NULL);
        }
        for (unsigned i = 0; i < m->steady; i++) {
            most = seen[i] > most ? seen[i] : most;
            if (seen[i] == 0)
                fail_msg("%s: key %u was left out", m->name, i);
        }
        assert_in_range(most, 1, 2);
        end(&w);
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_record_tells_all_that_is_stored),
        cmocka_unit_test(a_record_of_less_tells_that),
        cmocka_unit_test(what_no_reader_would_get_is_left_out),
        cmocka_unit_test(a_piece_is_no_longer_than_was_asked_but_for_one_record),
        cmocka_unit_test(where_there_is_no_room_it_can_be_asked_again),
        cmocka_unit_test(what_stays_is_dumped_whatever_comes_and_goes),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
