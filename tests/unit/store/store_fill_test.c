/* What is read stays, while memory fills for the first time and whenever it fills again. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/glob.h"
#include "store/marks.h"
#include "store_world.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define HOT_MOST   20000
#define VALUE_MOST 65536
#define ENTRY_MOST 160 /* bytes of an entry of 100, its place in the tables included */
#define AN_HOUR    3600000

/* Keys that are read all the time, beside others that are set once and never read. */
struct fill {
    size_t memory;
    unsigned shards, hot;
    unsigned every; /* sets between two rounds of reads of all hot keys; 0: a read of one each */
    int64_t ttl_ms;
    size_t value;       /* bytes, of all but those that are large */
    unsigned large;     /* one of so many sets is of large_value bytes; 0: none */
    size_t large_value; /* bytes */

    struct store *store;
    struct marks *marks;
    uint32_t tag; /* of every entry */
    int set;      /* the hot keys' name begins with it */
    unsigned next, lost;
    bool stored[HOT_MOST];
};

static void begin(struct fill *f)
{
    struct err e;
    assert_int_equal(marks_new(&f->marks, 64, 1, &e), 0);
    f->tag = marks_slot(f->marks, slice_str("all"));
    f->value = f->value ? f->value : 100;
    struct store_options o = {
        .memory_bytes = f->memory, .shards = f->shards, .seed = 5, .marks = f->marks};
    assert_int_equal(store_new(&f->store, &o, &e), 0);
    f->next = f->lost = 0;
    memset(f->stored, 0, sizeof f->stored);
}

static void end(struct fill *f)
{
    store_free(f->store);
    marks_free(f->marks);
}

/* Sets that fill the memory about once. */
static unsigned a_memory(const struct fill *f)
{
    size_t mean = f->value + ENTRY_MOST - 100;
    if (f->large)
        mean += f->large_value / f->large;
    return (unsigned)(f->memory / mean);
}

static void set(struct fill *f, const char *key, size_t size)
{
    static const char zeros[VALUE_MOST];
    struct put p = put_of(f->store, key, "");
    p.value = slice_of(zeros, size);
    p.ttl_ms = f->ttl_ms;
    p.tags = &f->tag;
    p.tag_count = 1;
    p.since = marks_now(f->marks);
    assert_int_equal(store_put(f->store, &p, 0, NULL), 0);
}

static bool is_there(struct fill *f, const char *key)
{
    struct hit hit;
    enum lookup got = get(f->store, key, 0, WANT_BARE, NULL, &hit);
    entry_unref(hit.entry);
    return got == LOOKUP_FRESH;
}

static void hot_key(const struct fill *f, unsigned i, char key[32])
{
    snprintf(key, 32, "hot:%d:%u", f->set, i);
}

static void store_hot(struct fill *f, unsigned i)
{
    char key[32];
    hot_key(f, i, key);
    set(f, key, f->value);
    f->stored[i] = true;
}

static void store_all_hot(struct fill *f)
{
    for (unsigned i = 0; i < f->hot; i++)
        store_hot(f, i);
}

/* A get, and a set where it finds nothing. */
static void read_hot(struct fill *f, unsigned i)
{
    char key[32];
    hot_key(f, i, key);
    if (!f->stored[i] || is_there(f, key))
        return;
    f->lost++;
    store_hot(f, i);
}

static void set_once(struct fill *f, const char *key)
{
    unsigned n = f->next++;
    set(f, key, f->large && n % f->large == 0 ? f->large_value : f->value);
    if (f->every == 0)
        read_hot(f, n % f->hot);
    for (unsigned i = 0; f->every && n % f->every == 0 && i < f->hot; i++)
        read_hot(f, i);
}

static void set_many(struct fill *f, unsigned count)
{
    for (unsigned i = 0; i < count; i++) {
        char key[32];
        snprintf(key, sizeof key, "once:%08u", f->next);
        set_once(f, key);
    }
}

static void drop_what_is_set_once(struct fill *f)
{
    for (unsigned i = 0; i < f->next; i++) {
        char key[32];
        snprintf(key, sizeof key, "once:%08u", i);
        drop(f->store, key, 0);
    }
}

static uint64_t evictions(struct fill *f)
{
    struct store_stats stats;
    store_read_stats(f->store, &stats);
    return stats.evictions;
}

/* Fills the memory, and goes on for as much again; none of the hot keys is evicted. */
static void expect_none_lost(struct fill *f)
{
    uint64_t before = evictions(f);
    set_many(f, 2 * a_memory(f));
    assert_true(evictions(f) > before + a_memory(f) / 2);
    assert_int_equal(f->lost, 0);
}

/* What is tried for each kind of fill: the hot keys are far fewer than the small queue holds. */
static const struct fill worlds[] = {
    {.memory = 4 << 20, .shards = 1, .hot = 500},
    {.memory = 8 << 20, .shards = 1, .hot = 1000, .every = 1000, .ttl_ms = AN_HOUR},
    {.memory = 4 << 20, .shards = 16, .hot = 500, .every = 250},
    {.memory = 8 << 20, .shards = 4, .hot = 300, .every = 100, .large = 100, .large_value = 60000},
    {.memory = 1 << 20, .shards = 16, .hot = 100, .every = 20},               /* 300 in a shard */
    {.memory = 2 << 20, .shards = 16, .hot = 30, .every = 30, .value = 1200}, /* 90 in a shard */
    {.memory = 1 << 20, .shards = 1, .hot = 10, .every = 10, .value = 9000},
};

static struct fill world; /* too large for the stack */

static void in_each_world(void (*fill)(struct fill *f))
{
    for (size_t i = 0; i < sizeof worlds / sizeof worlds[0]; i++) {
        world = worlds[i];
        begin(&world);
        fill(&world);
        end(&world);
    }
}

static void first_fill(struct fill *f)
{
    store_all_hot(f);
    expect_none_lost(f);
    expect_none_lost(f);
}

static void the_first_fill_evicts_nothing_that_is_read(void **state)
{
    (void)state;
    in_each_world(first_fill);
    for (unsigned shards = 1; shards <= 16; shards *= 16) {
        world = (struct fill){.memory = 32 << 20, .shards = shards, .hot = 20000};
        begin(&world);
        store_all_hot(&world);
        expect_none_lost(&world);
        end(&world);
    }
}

static void late_comers(struct fill *f)
{
    for (unsigned percent = 30; percent <= 150; percent += 60) {
        set_many(f, (unsigned)((uint64_t)a_memory(f) * percent / 100));
        store_all_hot(f);
        expect_none_lost(f);
        if (percent < 150) {
            end(f);
            begin(f);
        }
    }
}

static void what_is_read_from_the_middle_of_a_fill_on_stays(void **state)
{
    (void)state;
    in_each_world(late_comers);
}

static void refills(struct fill *f)
{
    store_all_hot(f);
    expect_none_lost(f);
    drop_what_is_set_once(f);
    expect_none_lost(f);
    drop_what_is_set_once(f);
    for (unsigned i = 0; i < f->hot; i++) {
        char key[32];
        hot_key(f, i, key);
        assert_true(drop(f->store, key, 0));
    }
    store_all_hot(f);
    expect_none_lost(f);
}

static void a_refill_evicts_nothing_that_is_read(void **state)
{
    (void)state;
    in_each_world(refills);
}

static void sizes_of_memory(struct fill *f)
{
    static const unsigned percents[] = {50, 200, 70, 100};
    size_t memory = f->memory;
    store_all_hot(f);
    set_many(f, a_memory(f) * 3 / 2);
    for (size_t i = 0; i < sizeof percents / sizeof percents[0]; i++) {
        f->memory = memory / 100 * percents[i];
        store_set_memory(f->store, f->memory, 0);
        expect_none_lost(f);
    }
}

static void memory_shrinks_and_grows_and_what_is_read_stays(void **state)
{
    (void)state;
    in_each_world(sizes_of_memory);
}

/* Everything is invalidated, and what is read is stored again as it is asked for. */
static void forget_stored(struct fill *f)
{
    memset(f->stored, 0, sizeof f->stored);
    for (unsigned i = 0; i < f->hot; i++) {
        char key[32];
        hot_key(f, i, key);
        assert_false(is_there(f, key));
    }
}

static void fill_and_read_all(struct fill *f)
{
    store_all_hot(f);
    for (unsigned i = 0; i < 2 * a_memory(f); i++) {
        set_many(f, 1);
        char key[32]; /* of the keys that are set once, every third is read as often as one can */
        snprintf(key, sizeof key, "once:%08u", f->next / 2);
        for (int n = 0; n < 3 && f->next / 2 % 3 == 0; n++)
            (void)is_there(f, key);
    }
}

static void fill_after_a_tag(struct fill *f)
{
    fill_and_read_all(f);
    f->lost = 0;
    marks_tag(f->marks, slice_str("all"), false);
    forget_stored(f);
    store_all_hot(f);
    set_many(f, 3 * a_memory(f));
    assert_int_equal(f->lost, 0);
}

static void the_fill_after_a_tag_evicts_nothing_that_is_read(void **state)
{
    (void)state;
    in_each_world(fill_after_a_tag);
}

static void fill_after_a_glob(struct fill *f)
{
    char room[GLOB_MAX];
    struct glob g;
    fill_and_read_all(f);
    f->lost = 0;
    glob_compile(&g, slice_str("*"), room);
    assert_int_equal(store_apply_glob(f->store, &g, false), 0);
    forget_stored(f);
    store_all_hot(f);
    for (unsigned i = 0; i < 3 * a_memory(f); i += 100) {
        set_many(f, 100);
        store_sweep(f->store, 0, 500);
    }
    assert_int_equal(f->lost, 0);
}

static void the_fill_after_a_glob_evicts_nothing_that_is_read(void **state)
{
    (void)state;
    in_each_world(fill_after_a_glob);
}

/* A tag's entries keep their memory until it is wanted. */
static void what_a_tag_has_overtaken_leaves_before_what_lives(void **state)
{
    (void)state;
    world = (struct fill){.memory = 8 << 20, .shards = 4, .hot = 1};
    begin(&world);
    set_many(&world, 2 * a_memory(&world));
    marks_tag(world.marks, slice_str("all"), false);
    uint64_t before = evictions(&world);
    set_many(&world, a_memory(&world) / 2);
    assert_int_equal(evictions(&world), before);
    end(&world);
}

static void fill_one_by_one(struct fill *f)
{
    unsigned bits = (unsigned)__builtin_ctz(f->shards), serial = 0;
    store_all_hot(f);
    for (unsigned shard = 0; shard < f->shards; shard++) {
        for (unsigned n = 0; n < 2 * a_memory(f) / f->shards;) {
            char key[32];
            snprintf(key, sizeof key, "once:%08u", serial++);
            uint64_t hash = store_hash(f->store, slice_str(key));
            if (f->shards > 1 && hash >> (64 - bits) != shard)
                continue;
            set_once(f, key);
            n++;
        }
        assert_int_equal(f->lost, 0);
    }
    assert_true(evictions(f) > a_memory(f) / 2);
    expect_none_lost(f);
}

static void shards_that_fill_one_after_the_other_keep_what_is_read(void **state)
{
    (void)state;
    in_each_world(fill_one_by_one);
}

static void move_at_once(struct fill *f)
{
    store_all_hot(f);
    expect_none_lost(f);
    for (f->set = 1; f->set < 4; f->set++) {
        store_all_hot(f);
        expect_none_lost(f);
    }
}

static void a_hot_set_that_moves_is_kept(void **state)
{
    (void)state;
    in_each_world(move_at_once);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(the_first_fill_evicts_nothing_that_is_read),
        cmocka_unit_test(what_is_read_from_the_middle_of_a_fill_on_stays),
        cmocka_unit_test(a_refill_evicts_nothing_that_is_read),
        cmocka_unit_test(memory_shrinks_and_grows_and_what_is_read_stays),
        cmocka_unit_test(the_fill_after_a_tag_evicts_nothing_that_is_read),
        cmocka_unit_test(the_fill_after_a_glob_evicts_nothing_that_is_read),
        cmocka_unit_test(what_a_tag_has_overtaken_leaves_before_what_lives),
        cmocka_unit_test(shards_that_fill_one_after_the_other_keep_what_is_read),
        cmocka_unit_test(a_hot_set_that_moves_is_kept),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
