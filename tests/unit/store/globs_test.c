/* Patterns over the store: in force at once, and swept in pieces while the table changes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "locks.h"
#include "store/marks.h"
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>

#define MANY 5000

struct world {
    struct marks *marks;
    struct store *store;
    int64_t now_ms;
};

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    assert_int_equal(marks_new(&w->marks, 64, 3, NULL), 0);
    struct store_options o = {
        .memory_bytes = 64 << 20, .shards = 2, .seed = 9, .marks = w->marks, .globs_max = 100};
    assert_int_equal(store_new(&w->store, &o, NULL), 0);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    store_free(w->store);
    marks_free(w->marks);
    free(w);
    return 0;
}

static struct put put_of(struct world *w, const char *key)
{
    struct slice k = slice_str(key);
    return (struct put){
        .key = k,
        .hash = store_hash(w->store, k),
        .value = slice_str("\xa1"
                           "v"),
        .ttl_ms = 100000,
        .stale_ttl_ms = 100000,
    };
}

static void put(struct world *w, const char *key)
{
    struct put p = put_of(w, key);
    assert_int_equal(store_put(w->store, &p, w->now_ms, NULL), 0);
}

static void put_many(struct world *w, const char *prefix, int first, int last)
{
    char key[32];
    for (int i = first; i < last; i++) {
        snprintf(key, sizeof key, "%s%d", prefix, i);
        put(w, key);
    }
}

static enum lookup look(struct world *w, const char *key)
{
    struct hit hit;
    struct slice k = slice_str(key);
    enum lookup got =
        store_get(w->store, k, store_hash(w->store, k), w->now_ms, WANT_PEEK, NULL, &hit);
    entry_unref(hit.entry);
    return got;
}

static int apply(struct world *w, const char *pattern, bool soft)
{
    char room[GLOB_MAX];
    struct glob g;
    glob_compile(&g, slice_str(pattern), room);
    return store_apply_glob(w->store, &g, soft);
}

static struct store_stats stats(struct world *w)
{
    struct store_stats s;
    store_read_stats(w->store, &s);
    return s;
}

static void sweep_all(struct world *w)
{
    while (store_sweep(w->store, w->now_ms, 100) > 0)
        ;
}

static void it_is_in_force_before_anything_is_swept(void **state)
{
    struct world *w = *state;
    put_many(w, "user:", 0, MANY);
    put(w, "team:1");
    assert_int_equal(apply(w, "user:*", false), 0);
    assert_int_equal(look(w, "user:7"), LOOKUP_MISS);
    assert_int_equal(look(w, "team:1"), LOOKUP_FRESH);
    put(w, "user:7"); /* stored after it */
    assert_int_equal(look(w, "user:7"), LOOKUP_FRESH);
    sweep_all(w);
    assert_int_equal(look(w, "user:7"), LOOKUP_FRESH);
    assert_int_equal(stats(w).entries, 2);
    assert_int_equal(stats(w).marked, MANY);
    assert_int_equal(stats(w).globs, 0);
}

static void a_sweep_misses_nothing_while_the_table_grows_and_shrinks(void **state)
{
    struct world *w = *state;
    put_many(w, "old:", 0, MANY);
    put_many(w, "gone:", 0, MANY);
    assert_int_equal(apply(w, "old:*", false), 0);
    for (int step = 0; step < 60; step++) {
        store_sweep(w->store, w->now_ms, 64);
        if (step < 30) { /* more buckets: entries move up */
            put_many(w, "new:", step * 300, step * 300 + 300);
            continue;
        }
        for (int i = (step - 30) * 160; i < (step - 29) * 160 && i < MANY; i++) { /* fewer */
            char key[32];
            snprintf(key, sizeof key, "gone:%d", i);
            struct slice k = slice_str(key);
            store_remove(w->store, k, store_hash(w->store, k), w->now_ms);
        }
    }
    sweep_all(w);
    assert_int_equal(stats(w).marked, MANY);
    assert_int_equal(look(w, "new:5"), LOOKUP_FRESH);
    assert_int_equal(look(w, "old:5"), LOOKUP_MISS);
}

static void numbers_go_round_many_times(void **state)
{
    struct world *w = *state;
    put(w, "stays");
    put(w, "other"); /* in whichever shard */
    for (int i = 0; i < 1000; i++) {
        char key[32];
        snprintf(key, sizeof key, "k%d", i);
        put(w, key);
        assert_int_equal(apply(w, key, false), 0);
        if (i % 90 == 0)
            sweep_all(w);
        if (i % 90 == 89) {
            assert_int_equal(look(w, "stays"), LOOKUP_FRESH);
            assert_int_equal(look(w, key), LOOKUP_MISS);
        }
    }
    sweep_all(w);
    assert_int_equal(stats(w).entries, 2);
}

static void too_many_at_once_are_refused(void **state)
{
    struct world *w = *state;
    put_many(w, "k", 0, 100);
    int taken = 0;
    while (apply(w, "never:*", false) == 0)
        taken++;
    assert_int_equal(taken, 100);
    assert_int_equal(apply(w, "k*", false), ERR_OVERLOADED);
    assert_int_equal(look(w, "k1"), LOOKUP_FRESH);
    sweep_all(w);
    assert_int_equal(apply(w, "k*", false), 0);
    assert_int_equal(look(w, "k1"), LOOKUP_MISS);
}

static void a_soft_one_leaves_stale_what_was_fresh_and_nothing_more(void **state)
{
    struct world *w = *state;
    struct put negative = put_of(w, "negative"), brief = put_of(w, "brief");
    negative.negative = true;
    brief.stale_ttl_ms = 0;
    put(w, "fresh");
    assert_int_equal(store_put(w->store, &negative, w->now_ms, NULL), 0);
    assert_int_equal(store_put(w->store, &brief, w->now_ms, NULL), 0);
    w->now_ms += 50000;
    assert_int_equal(apply(w, "*", true), 0);
    assert_int_equal(look(w, "fresh"), LOOKUP_STALE);
    assert_int_equal(look(w, "negative"), LOOKUP_MISS);
    assert_int_equal(look(w, "brief"), LOOKUP_MISS);
    w->now_ms += 90000;
    assert_int_equal(look(w, "fresh"), LOOKUP_STALE); /* 100 s from the pattern on */
    assert_int_equal(apply(w, "*", true), 0);         /* what is stale stays as it is */
    w->now_ms += 10000;
    assert_int_equal(look(w, "fresh"), LOOKUP_MISS);
}

static void what_has_expired_does_not_rise_again_by_a_soft_one(void **state)
{
    struct world *w = *state;
    put(w, "k");
    w->now_ms += 200000;
    assert_int_equal(apply(w, "*", true), 0);
    assert_int_equal(look(w, "k"), LOOKUP_MISS);
}

static void an_expired_tag_softens_once(void **state)
{
    struct world *w = *state;
    uint32_t slot = marks_slot(w->marks, slice_str("t"));
    struct put p = put_of(w, "k");
    p.tags = &slot;
    p.tag_count = 1;
    assert_int_equal(store_put(w->store, &p, w->now_ms, NULL), 0);
    marks_tag(w->marks, slice_str("t"), true);
    assert_int_equal(look(w, "k"), LOOKUP_STALE);
    w->now_ms += 60000;
    assert_int_equal(look(w, "k"), LOOKUP_STALE);
    w->now_ms += 40000; /* 100 s from the first look, whoever looked meanwhile */
    assert_int_equal(look(w, "k"), LOOKUP_MISS);
}

static void a_removal_and_a_touch_see_what_a_reader_sees(void **state)
{
    struct world *w = *state;
    struct put p = put_of(w, "k");
    put(w, "k");
    assert_int_equal(apply(w, "k", false), 0);
    assert_false(store_touch(w->store, &p, w->now_ms));
    assert_int_equal(look(w, "k"), LOOKUP_MISS);
    put(w, "k");
    assert_int_equal(apply(w, "k", false), 0);
    assert_false(store_remove(w->store, p.key, p.hash, w->now_ms));
}

static bool touched(struct world *w, const char *key)
{
    struct put p = put_of(w, key);
    return store_touch(w->store, &p, w->now_ms);
}

static void a_touch_does_not_make_fresh_what_was_made_stale(void **state)
{
    struct world *w = *state;
    uint32_t slot = marks_slot(w->marks, slice_str("t"));
    struct put p = put_of(w, "tagged");
    p.tags = &slot;
    p.tag_count = 1;
    assert_int_equal(store_put(w->store, &p, w->now_ms, NULL), 0);
    put(w, "globbed");
    put(w, "expired");
    marks_tag(w->marks, slice_str("t"), true);
    assert_int_equal(apply(w, "globbed", true), 0);
    struct put expired = put_of(w, "expired");
    assert_true(store_expire(w->store, expired.key, expired.hash, w->now_ms));
    static const char *const keys[] = {"tagged", "globbed", "expired"};
    for (int i = 0; i < 3; i++) {
        assert_false(touched(w, keys[i]));
        assert_int_equal(look(w, keys[i]), LOOKUP_STALE);
        put(w, keys[i]); /* what is stored anew is */
        assert_true(touched(w, keys[i]));
        assert_int_equal(look(w, keys[i]), LOOKUP_FRESH);
    }
}

static void what_was_stored_stale_is_not_touched_and_what_became_so_is(void **state)
{
    struct world *w = *state;
    struct put p = put_of(w, "k");
    p.ttl_ms = -1; /* its feed is cut */
    assert_int_equal(store_put(w->store, &p, w->now_ms, NULL), 0);
    assert_false(touched(w, "k"));
    put(w, "k");
    w->now_ms += 100000;
    assert_int_equal(look(w, "k"), LOOKUP_STALE);
    assert_true(touched(w, "k"));
    assert_int_equal(look(w, "k"), LOOKUP_FRESH);
    w->now_ms += 100000;
    struct put stale = put_of(w, "k");
    assert_true(store_expire(w->store, stale.key, stale.hash, w->now_ms));
    assert_false(touched(w, "k"));
}

static void an_absence_and_what_is_kept_for_errors_are_not_touched(void **state)
{
    struct world *w = *state;
    struct put p = put_of(w, "absent");
    p.negative = true;
    assert_int_equal(store_put(w->store, &p, w->now_ms, NULL), 0);
    assert_false(touched(w, "absent"));
    p = put_of(w, "kept");
    p.ttl_ms = 10;
    p.stale_ttl_ms = 0;
    p.keep_ms = 1000;
    assert_int_equal(store_put(w->store, &p, w->now_ms, NULL), 0);
    w->now_ms += 10;
    assert_int_equal(look(w, "kept"), LOOKUP_KEPT);
    assert_false(touched(w, "kept"));
}

static void an_expiry_does_not_lengthen_what_is_stale(void **state)
{
    struct world *w = *state;
    struct put p = put_of(w, "k");
    put(w, "k");
    w->now_ms += 150000; /* stale since 50 s, for 50 more */
    for (int i = 0; i < 2; i++) {
        assert_true(store_expire(w->store, p.key, p.hash, w->now_ms));
        w->now_ms += 20000;
        assert_int_equal(look(w, "k"), LOOKUP_STALE);
    }
    w->now_ms += 10000;
    assert_false(store_expire(w->store, p.key, p.hash, w->now_ms));
    p.negative = true;
    assert_int_equal(store_put(w->store, &p, w->now_ms, NULL), 0);
    assert_true(store_expire(w->store, p.key, p.hash, w->now_ms));
    assert_int_equal(look(w, "k"), LOOKUP_MISS);
}

/* What a tag and a pattern say of one entry: the harder counts, whichever of the two it is. */
static void of_a_tag_and_a_pattern_the_harder_counts(void **state)
{
    enum { NONE, SOFT, HARD };
    struct world *w = *state;
    uint32_t slot = marks_slot(w->marks, slice_str("t"));
    for (int by_tag = NONE; by_tag <= HARD; by_tag++)
        for (int by_glob = NONE; by_glob <= HARD; by_glob++) {
            struct put p = put_of(w, "k");
            p.tags = &slot;
            p.tag_count = 1;
            p.since = marks_now(w->marks);
            assert_int_equal(store_put(w->store, &p, w->now_ms, NULL), 0);
            if (by_tag != NONE)
                marks_tag(w->marks, slice_str("t"), by_tag == SOFT);
            if (by_glob != NONE)
                assert_int_equal(apply(w, "k", by_glob == SOFT), 0);
            enum lookup wanted = by_tag == HARD || by_glob == HARD   ? LOOKUP_MISS
                                 : by_tag == SOFT || by_glob == SOFT ? LOOKUP_STALE
                                                                     : LOOKUP_FRESH;
            if (look(w, "k") != wanted)
                fail_msg("tag %d, pattern %d", by_tag, by_glob);
            assert_int_equal(look(w, "k"), wanted);
        }
}

static void of_several_patterns_the_hardest_counts(void **state)
{
    struct world *w = *state;
    static const struct {
        bool soft[3];
        enum lookup wanted;
    } cases[] = {{{true, false, true}, LOOKUP_MISS}, {{true, true, true}, LOOKUP_STALE}};
    for (int i = 0; i < 2; i++) {
        put(w, "k");
        for (int n = 0; n < 3; n++)
            assert_int_equal(apply(w, "k", cases[i].soft[n]), 0);
        assert_int_equal(apply(w, "other", true), 0);
        assert_int_equal(look(w, "k"), cases[i].wanted);
    }
}

static struct world with_shards(unsigned shards, unsigned globs_max)
{
    struct world w = {.now_ms = 0};
    struct store_options o = {
        .memory_bytes = 64 << 20, .shards = shards, .seed = 9, .globs_max = globs_max};
    assert_int_equal(store_new(&w.store, &o, NULL), 0);
    return w;
}

/* The number of the shard that a key is in, of two. */
static unsigned shard_of(struct world *w, const char *key)
{
    return (unsigned)(store_hash(w->store, slice_str(key)) >> 63);
}

/* A shard that has nothing needs no pattern; one that has no room refuses it for all. */
static void a_pattern_is_taken_by_all_shards_or_by_none(void **state)
{
    (void)state;
    struct world w = with_shards(2, 3);
    char first[] = "a", second[] = "a";
    while (shard_of(&w, second) == shard_of(&w, first))
        second[0]++;
    assert_int_equal(apply(&w, "*", false), 0); /* there is nothing that it could be about */
    assert_int_equal(stats(&w).globs, 0);
    assert_int_equal(store_sweep(w.store, 0, 100), 0);
    put(&w, first);
    for (unsigned i = 1; i <= 3; i++) {
        assert_int_equal(apply(&w, "never", false), 0);
        assert_int_equal(stats(&w).globs, i);
    }
    put(&w, second);
    assert_int_equal(apply(&w, "*", false), ERR_OVERLOADED);
    assert_int_equal(look(&w, first), LOOKUP_FRESH);
    assert_int_equal(look(&w, second), LOOKUP_FRESH);
    sweep_all(&w);
    assert_int_equal(stats(&w).globs, 0);
    assert_int_equal(apply(&w, "*", false), 0);
    assert_int_equal(look(&w, first), LOOKUP_MISS);
    assert_int_equal(look(&w, second), LOOKUP_MISS);
    store_free(w.store);
}

static void the_bound_of_patterns_is_a_hundred_where_none_is_given(void **state)
{
    (void)state;
    struct world w = with_shards(1, 0);
    put(&w, "k");
    for (int i = 0; i < 100; i++)
        assert_int_equal(apply(&w, "never", false), 0);
    assert_int_equal(apply(&w, "never", false), ERR_OVERLOADED);
    store_free(w.store);
}

/* Each call looks at no more than it is told to, but for a bucket's rest, and all shards have their
 * turn. */
static void a_sweep_goes_on_where_it_stopped_in_every_shard(void **state)
{
    struct world *w = *state;
    enum { MOST = 50, CALLS = 2 * MANY / MOST + 100 };
    put_many(w, "user:", 0, MANY);
    put_many(w, "team:", 0, 100);
    assert_int_equal(apply(w, "user:*", false), 0);
    int calls = 0;
    for (; stats(w).globs > 0; calls++) {
        w->now_ms += STORE_TICK_MS;
        uint64_t before = stats(w).marked;
        size_t seen = store_sweep(w->store, w->now_ms, MOST);
        assert_in_range(seen, 1, MOST + 300);
        assert_in_range(stats(w).marked - before, 0, seen);
        assert_true(calls < CALLS);
    }
    assert_int_equal(stats(w).marked, MANY);
    assert_int_equal(stats(w).entries, 100);
}

static void what_has_no_end_has_none_when_it_was_made_stale(void **state)
{
    struct world *w = *state;
    for (int kept = 0; kept < 2; kept++) {
        struct put p = put_of(w, "k");
        p.stale_ttl_ms = kept ? 0 : STORE_FOREVER_MS;
        p.keep_ms = kept ? STORE_FOREVER_MS : 0;
        assert_int_equal(store_put(w->store, &p, w->now_ms, NULL), 0);
        w->now_ms += 200000; /* it has been past its ttl for 100 s */
        assert_true(store_expire(w->store, p.key, p.hash, w->now_ms));
        w->now_ms += INT64_C(1) << 41;
        assert_int_equal(look(w, "k"), kept ? LOOKUP_KEPT : LOOKUP_STALE);
    }
}

static void a_renewal_has_seen_the_patterns_of_before(void **state)
{
    struct world *w = *state;
    struct put p = put_of(w, "k");
    struct hit hit;
    put(w, "k");
    assert_int_equal(store_get(w->store, p.key, p.hash, w->now_ms, 0, NULL, &hit), LOOKUP_FRESH);
    p.value = entry_value(hit.entry);
    p.renews = true;
    assert_int_equal(apply(w, "k", true), 0);
    assert_int_equal(store_put(w->store, &p, w->now_ms, NULL), 0);
    entry_unref(hit.entry);
    assert_int_equal(stats(w).renewals, 1);
    assert_int_equal(look(w, "k"), LOOKUP_FRESH);
    assert_int_equal(apply(w, "k", true), 0);
    assert_int_equal(look(w, "k"), LOOKUP_STALE);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(it_is_in_force_before_anything_is_swept),
        T(a_sweep_misses_nothing_while_the_table_grows_and_shrinks),
        T(numbers_go_round_many_times),
        T(too_many_at_once_are_refused),
        T(a_soft_one_leaves_stale_what_was_fresh_and_nothing_more),
        T(what_has_expired_does_not_rise_again_by_a_soft_one),
        T(an_expired_tag_softens_once),
        T(a_removal_and_a_touch_see_what_a_reader_sees),
        T(a_touch_does_not_make_fresh_what_was_made_stale),
        T(what_was_stored_stale_is_not_touched_and_what_became_so_is),
        T(an_absence_and_what_is_kept_for_errors_are_not_touched),
        T(an_expiry_does_not_lengthen_what_is_stale),
        T(of_a_tag_and_a_pattern_the_harder_counts),
        T(of_several_patterns_the_hardest_counts),
        cmocka_unit_test(a_pattern_is_taken_by_all_shards_or_by_none),
        cmocka_unit_test(the_bound_of_patterns_is_a_hundred_where_none_is_given),
        T(a_sweep_goes_on_where_it_stopped_in_every_shard),
        T(what_has_no_end_has_none_when_it_was_made_stale),
        T(a_renewal_has_seen_the_patterns_of_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
