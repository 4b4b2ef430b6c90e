#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "store/policy_world.h"

#include <math.h>

#define UNIT 256 /* about what an entry of 100 bytes takes at most */

static void a_scan_does_not_drive_out_what_is_read(void **state)
{
    (void)state;
    struct cache *c = cache_new(101000, 1000 * UNIT);
    for (int round = 0; round < 6; round++)
        for (unsigned i = 0; i < 500; i++)
            get(c, i, 100);
    for (unsigned i = 1000; i < 101000; i++)
        get(c, i, 100);
    assert_true(count_of(c, 0, 500) >= 450);
    cache_free(c);
}

static void what_is_not_read_leaves_in_time(void **state)
{
    (void)state;
    struct cache *c = cache_new(100000, 1000 * UNIT);
    for (int round = 0; round < 6; round++)
        for (unsigned i = 0; i < 500; i++)
            get(c, i, 100);
    /* Another set is read now, the old one never again. */
    for (int round = 0; round < 40; round++)
        for (unsigned i = 1000; i < 4000; i++)
            get(c, i, 100);
    assert_true(count_of(c, 0, 500) <= 50);
    cache_free(c);
}

/* Zipf-like: half of the reads go to 1 % of the keys, half of the rest to 10 %. */
static unsigned skewed(struct rng *r, unsigned keys)
{
    uint64_t die = rng_below(r, 4);
    return (unsigned)rng_below(r, die < 2 ? keys / 100 : die == 2 ? keys / 10 : keys);
}

static void reads_of_a_skewed_load_mostly_hit(void **state)
{
    (void)state;
    struct rng r = {.state = 3};
    struct cache *c = cache_new(100000, 10000 * UNIT);
    for (int i = 0; i < 1000000; i++)
        get(c, skewed(&r, c->keys), 100);
    c->hits = c->misses = 0;
    for (int i = 0; i < 500000; i++)
        get(c, skewed(&r, c->keys), 100);
    assert_true(c->hits > 350000);
    cache_free(c);
}

static void a_replaced_entry_keeps_its_place_and_frequency(void **state)
{
    (void)state;
    struct cache *c = cache_new(10, 1 << 20);
    put(c, 1, 100);
    put(c, 2, 100);
    put(c, 3, 100);
    policy_read(c->entries[3]);
    for (int i = 0; i < 20; i++)
        put(c, 1, 50 + (size_t)i * 40);
    put(c, 3, 70);
    assert_int_equal(c->entries[1]->state & ENTRY_FREQUENCY, 0);
    assert_int_equal(c->entries[3]->state & ENTRY_FREQUENCY, 1);
    evict_one(c);
    assert_null(c->entries[1]);
    evict_one(c);
    assert_null(c->entries[2]);
    cache_free(c);
}

static unsigned score_of(const struct cache *c, unsigned key)
{
    return (c->entries[key]->state & ENTRY_SCORE) >> ENTRY_SCORE_SHIFT;
}

static bool is_in_main(const struct cache *c, unsigned key)
{
    return c->entries[key]->state & ENTRY_IN_MAIN;
}

static void a_key_that_comes_back_has_its_score(void **state)
{
    (void)state;
    struct cache *c = cache_new(1000, 100 * UNIT);
    for (unsigned i = 0; i < 500; i++)
        get(c, i, 100);
    unsigned back = 499;
    while (c->entries[back])
        back--;
    put(c, back, 100);
    assert_int_equal(score_of(c, back), 1);
    put(c, 900, 100);
    assert_int_equal(score_of(c, 900), 0);
    assert_false(is_in_main(c, back));
    for (unsigned i = 500; i < 890; i++) /* it stays, where nobody else was asked for again */
        get(c, i, 100);
    assert_non_null(c->entries[back]);
    assert_true(is_in_main(c, back));
    assert_null(c->entries[900]);
    cache_free(c);
}

static void the_score_of_what_left_has_its_reads(void **state)
{
    (void)state;
    for (unsigned score = 0; score <= 2; score++)
        for (unsigned reads = 0; reads <= 3; reads++) {
            struct cache *c = cache_new(100, 1 << 20);
            for (unsigned i = 0; i < 100; i++)
                put(c, i, 100);
            struct entry *e = c->entries[7];
            e->state |= (uint8_t)(score << ENTRY_SCORE_SHIFT);
            for (unsigned i = 0; i < reads; i++)
                policy_read(e);
            policy_evict(&c->policy, e, hash_of(7));
            c->entries[7] = NULL;
            heap_unref(&c->heap, e);
            put(c, 7, 100);
            unsigned whole = score + reads + 1;
            assert_int_equal(score_of(c, 7), whole < GHOST_SCORE_MAX ? whole : GHOST_SCORE_MAX);
            cache_free(c);
        }
}

static void a_loop_longer_than_the_memory_hits_a_part(void **state)
{
    (void)state;
    struct cache *c = cache_new(2000, 360 * UNIT);
    for (int round = 0; round < 5; round++)
        for (unsigned i = 0; i < c->keys; i++)
            get(c, i, 100);
    c->hits = c->misses = 0;
    for (int round = 0; round < 5; round++)
        for (unsigned i = 0; i < c->keys; i++)
            get(c, i, 100);
    size_t room = count_of(c, 0, c->keys);
    assert_true(c->hits > 5 * room / 2);
    cache_free(c);
}

/* However the loop's length and the room go together: at an edge between two states few would hit.
 */
static void loops_of_all_lengths_hit_most_of_what_fits(void **state)
{
    (void)state;
    for (size_t limit = 180; limit <= 1080; limit += 30) {
        struct cache *c = cache_new(2000, limit * UNIT);
        for (int round = 0; round < 40; round++) {
            c->hits = round < 30 ? 0 : c->hits;
            for (unsigned i = 0; i < c->keys; i++)
                get(c, i, 100);
        }
        size_t room = count_of(c, 0, c->keys);
        assert_true(room < c->keys);
        assert_true(c->hits > 10 * room * 6 / 10);
        cache_free(c);
    }
}

static void a_loop_is_hit_though_none_of_it_is_remembered(void **state)
{
    (void)state;
    struct cache *c = cache_new(4000, 200 * UNIT); /* the ghost holds far fewer than the loop has */
    for (int round = 0; round < 4; round++)
        for (unsigned i = 0; i < c->keys; i++)
            get(c, i, 100);
    c->hits = 0;
    for (unsigned i = 0; i < c->keys; i++)
        get(c, i, 100);
    assert_true(c->hits > count_of(c, 0, c->keys) / 2);
    cache_free(c);
}

/* Each key is asked for twice, one after the other, and never again; how many of the odd ones and
 * of the even ones stay. */
static void ask_twice(struct cache *c, size_t odd_size, uint32_t odd_load_us, size_t stay[2])
{
    for (unsigned i = 0; i < c->keys; i++) {
        size_t size = i % 2 ? odd_size : 1900;
        c->load_us = i % 2 ? odd_load_us : 500;
        get(c, i, size);
        get(c, i, size);
    }
    stay[0] = stay[1] = 0;
    for (unsigned i = 0; i < c->keys; i++)
        stay[i % 2] += c->entries[i] != NULL;
}

static void the_small_stay_rather_than_the_large(void **state)
{
    (void)state;
    struct cache *c = cache_new(20000, 500 * 2000);
    size_t stay[2];
    ask_twice(c, 60, 500, stay);
    assert_true(3 * stay[1] > 4 * stay[0]);
    cache_free(c);
}

static void what_was_long_in_loading_stays(void **state)
{
    (void)state;
    struct cache *c = cache_new(20000, 500 * 2000);
    size_t stay[2];
    ask_twice(c, 1900, 32000, stay);
    assert_true(2 * stay[1] > 3 * stay[0]);
    cache_free(c);
}

/* Whether one that came leaves, and not main's oldest: neither was read, beside others of 64 KiB
 * that took 500 us to load. */
static bool young_leaves(const size_t sizes[2], const uint32_t loads[2])
{
    enum { OTHERS = 20, SETTLED, YOUNG };
    struct cache *c = cache_new(YOUNG + 1, SIZE_MAX);
    c->policy.share = 0; /* all may be in the main queue */
    c->load_us = loads[0];
    put(c, SETTLED, sizes[0]);
    c->load_us = 500;
    for (unsigned i = 0; i < OTHERS; i++)
        put(c, i, 65536 - sizeof(struct entry));
    const struct entry *settled = policy_victim(&c->policy, NULL); /* once all are there */
    assert_ptr_equal(settled, c->entries[SETTLED]);
    assert_int_equal(c->policy.small_bytes, 0);
    c->load_us = loads[1];
    put(c, YOUNG, sizes[1]);
    c->policy.filling = false;
    c->policy.mean_load = log2(500);
    unsigned key = key_of(policy_victim(&c->policy, NULL));
    assert_true(key == YOUNG || key == SETTLED);
    cache_free(c);
    return key == YOUNG;
}

/* At equal worth it is the young one that leaves. */
static void size_and_load_count_up_to_a_bound(void **state)
{
    (void)state;
    static const struct {
        size_t sizes[2]; /* of main's oldest, and of the one that came */
        uint32_t loads[2];
        bool young;
    } cases[] = {
        {{150, 16}, {500, 500}, true}, /* 8 halvings and more */
        {{350, 100}, {500, 500}, false},
        {{1000, 1000}, {20 * 500, 40 * 500}, true}, /* 4 doublings and more */
        {{1000, 1000}, {10 * 500, 15 * 500}, false},
    };
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        if (young_leaves(cases[i].sizes, cases[i].loads) != cases[i].young)
            fail_msg("case %zu", i);
}

/* Each key is asked for twice, `apart` other keys between the two, and never again; beside them a
 * set that is asked for at random. */
static void ask_in_pairs(struct cache *c, struct rng *r, unsigned first, unsigned count,
                         unsigned apart, unsigned set)
{
    for (unsigned i = first; i < first + count; i++) {
        get(c, i, 100);
        if (i >= first + apart)
            get(c, i - apart, 100);
        if (set > 0)
            get(c, (unsigned)rng_below(r, set), 100);
    }
}

static void the_small_queue_grows_for_what_returns_soon(void **state)
{
    (void)state;
    struct rng r = {.state = 5};
    struct cache *c = cache_new(60000, 500 * UNIT);
    unsigned apart = 120; /* more than a tenth of what fits */
    ask_in_pairs(c, &r, 0, 30000, apart, 0);
    assert_true(c->policy.share > 0.12);
    c->hits = c->misses = 0;
    ask_in_pairs(c, &r, 30000, 30000, apart, 0);
    assert_true(c->hits > 25000); /* of 30,000 that there can be */
    cache_free(c);
}

static void the_small_queue_shrinks_for_a_set_that_just_fits(void **state)
{
    (void)state;
    struct rng r = {.state = 6};
    struct cache *c = cache_new(201000, 500 * UNIT);
    /* What no one asks for again passes, while the set takes a little more than there is. */
    for (unsigned i = 1000; i < c->keys; i++) {
        get(c, i, 100);
        get(c, (unsigned)rng_below(&r, 1000), 100);
    }
    assert_true(c->policy.share < 0.05);
    cache_free(c);
}

static void a_new_set_is_let_in_by_its_bias(void **state)
{
    (void)state;
    struct rng r = {.state = 7};
    struct cache *c = cache_new(8000, 600 * UNIT);
    /* The set that is asked for wanders: who was asked for often lately is worth less than who
     * came lately. */
    double most = 0;
    for (unsigned i = 0; i < 200000; i++) {
        unsigned first = i / 200 * 7 % 7000;
        get(c, first + (unsigned)rng_below(&r, 1000), 100);
        most = c->policy.bias > most ? c->policy.bias : most;
    }
    assert_true(most > 1);
    assert_true(c->misses < 17000); /* of 200,000; without the bias half as many more */
    cache_free(c);
}

static void new_versions_are_no_reads(void **state)
{
    (void)state;
    struct cache *c = cache_new(101000, 1000 * UNIT);
    for (unsigned i = 0; i < 100; i++)
        put(c, i, 100);
    for (unsigned i = 1000; i < 21000; i++) {
        put(c, i, 100);
        unsigned again = i % 100;
        if (c->entries[again]) {
            put(c, again, 100);
            assert_int_equal(c->entries[again]->state & ENTRY_FREQUENCY, 0);
            assert_int_equal(score_of(c, again), 0);
        }
    }
    cache_free(c);
}

static void reads_count_up_to_three(void **state)
{
    (void)state;
    struct cache *c = cache_new(1, 1 << 20);
    struct entry *e = make(c, 1, 10);
    e->state = ENTRY_IN_MAIN;
    for (int i = 0; i < 9; i++)
        policy_read(e);
    assert_int_equal(e->state, ENTRY_IN_MAIN | 3);
    heap_unref(&c->heap, e);
    cache_free(c);
}

static void what_is_kept_is_no_victim(void **state)
{
    (void)state;
    struct cache *c = cache_new(10, 1 << 20);
    put(c, 1, 100);
    put(c, 2, 100);
    struct entry *first = policy_victim(&c->policy, NULL);
    assert_non_null(first);
    unsigned other = 3 - key_of(first);
    assert_int_equal(key_of(policy_victim(&c->policy, first)), other);
    assert_ptr_equal(policy_victim(&c->policy, c->entries[other]), first);
    assert_ptr_equal(policy_victim(&c->policy, NULL), first);
    evict_one(c);
    assert_null(policy_victim(&c->policy, c->entries[other]));
    cache_free(c);
}

static void picks_in_bounded_steps_when_all_are_read(void **state)
{
    (void)state;
    struct cache *c = cache_new(5000, 1 << 24);
    for (unsigned i = 0; i < 5000; i++) {
        put(c, i, 100);
        for (int n = 0; n < 3; n++)
            policy_read(c->entries[i]);
    }
    assert_non_null(policy_victim(&c->policy, NULL));
    size_t moved = 0;
    for (unsigned i = 0; i < 5000; i++)
        moved += (c->entries[i]->state & ENTRY_IN_MAIN) != 0;
    assert_in_range(moved, 1, POLICY_STEPS);
    cache_free(c);
}

static void the_queues_add_up_under_random_churn(void **state)
{
    (void)state;
    struct rng r = {.state = 11};
    struct cache *c = cache_new(3000, 300000);
    for (int i = 0; i < 300000; i++) {
        unsigned key = (unsigned)rng_below(&r, c->keys);
        size_t size = (size_t)(rng_next(&r) >> (49 + rng_below(&r, 15)));
        switch (rng_below(&r, 4)) {
        case 0: put(c, key, size); break;
        case 1:
            if (c->entries[key]) {
                policy_remove(&c->policy, c->entries[key]);
                c->bytes -= entry_bytes(c->entries[key]);
                heap_unref(&c->heap, c->entries[key]);
                c->entries[key] = NULL;
            }
            break;
        default: get(c, key, size); break;
        }
        assert_true(c->bytes <= c->limit);
    }
    size_t small = 0, main = 0, count = 0;
    for (unsigned i = 0; i < c->keys; i++) {
        if (!c->entries[i])
            continue;
        count++;
        *(c->entries[i]->state & ENTRY_IN_MAIN ? &main : &small) += entry_bytes(c->entries[i]);
    }
    assert_int_equal(c->policy.count, count);
    assert_int_equal(c->policy.small_bytes, small);
    assert_int_equal(c->policy.main_bytes, main);
    assert_true(policy_bytes(&c->policy) <= 6 * c->keys + 64);
    cache_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(reads_count_up_to_three),
        cmocka_unit_test(a_replaced_entry_keeps_its_place_and_frequency),
        cmocka_unit_test(a_key_that_comes_back_has_its_score),
        cmocka_unit_test(the_score_of_what_left_has_its_reads),
        cmocka_unit_test(new_versions_are_no_reads),
        cmocka_unit_test(a_loop_longer_than_the_memory_hits_a_part),
        cmocka_unit_test(loops_of_all_lengths_hit_most_of_what_fits),
        cmocka_unit_test(a_loop_is_hit_though_none_of_it_is_remembered),
        cmocka_unit_test(the_small_stay_rather_than_the_large),
        cmocka_unit_test(what_was_long_in_loading_stays),
        cmocka_unit_test(size_and_load_count_up_to_a_bound),
        cmocka_unit_test(the_small_queue_grows_for_what_returns_soon),
        cmocka_unit_test(the_small_queue_shrinks_for_a_set_that_just_fits),
        cmocka_unit_test(a_new_set_is_let_in_by_its_bias),
        cmocka_unit_test(what_is_kept_is_no_victim),
        cmocka_unit_test(picks_in_bounded_steps_when_all_are_read),
        cmocka_unit_test(a_scan_does_not_drive_out_what_is_read),
        cmocka_unit_test(what_is_not_read_leaves_in_time),
        cmocka_unit_test(reads_of_a_skewed_load_mostly_hit),
        cmocka_unit_test(the_queues_add_up_under_random_churn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
