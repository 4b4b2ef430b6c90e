/* The figures that the policy weighs with, one by one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "store/policy_world.h"

#include <math.h>

enum { YOUNG, SETTLED, OTHERS, KEYS = 6 };

static unsigned score_of(const struct entry *e)
{
    return (e->state & ENTRY_SCORE) >> ENTRY_SCORE_SHIFT;
}

static unsigned frequency_of(const struct entry *e)
{
    return e->state & ENTRY_FREQUENCY;
}

/* A new entry of a new key, as one that has the score. */
static struct entry *put_with(struct cache *c, unsigned key, unsigned score)
{
    put(c, key, 100);
    struct entry *e = c->entries[key];
    e->state = (uint8_t)(score << ENTRY_SCORE_SHIFT);
    return e;
}

/* The same, at the back of the main queue. */
static struct entry *settle(struct cache *c, unsigned key, unsigned score)
{
    struct entry *e = put_with(c, key, score);
    near_list_remove(&e->queue);
    near_list_push_back(&c->policy.main, &e->queue);
    e->state |= ENTRY_IN_MAIN;
    c->policy.small_bytes -= entry_bytes(e);
    c->policy.main_bytes += entry_bytes(e);
    return e;
}

/* All are of one size. The small queue has its part, and one entry. */
static struct cache *duel_new(unsigned young, unsigned settled)
{
    struct cache *c = cache_new(KEYS, 1 << 20);
    settle(c, SETTLED, settled);
    for (unsigned i = OTHERS; i < KEYS; i++)
        settle(c, i, settled);
    put_with(c, YOUNG, young);
    c->policy.share = 2.0 / (double)(c->policy.small_bytes + c->policy.main_bytes);
    return c;
}

static bool young_leaves(struct cache *c)
{
    struct entry *young = c->entries[YOUNG], *victim = policy_victim(&c->policy, NULL);
    assert_true(victim == young || victim == c->entries[SETTLED]);
    return victim == young;
}

static void two_reads_of_a_young_one_count_and_no_more(void **state)
{
    (void)state;
    static const struct {
        int reads;
        unsigned held;
        bool leaves;
    } cases[] = {{1, 0, false}, {1, 1, true},  {2, 1, false},
                 {2, 2, true},  {3, 1, false}, {3, 2, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cache *c = duel_new(0, cases[i].held);
        for (int n = 0; n < cases[i].reads; n++)
            policy_read(c->entries[YOUNG]);
        assert_int_equal(young_leaves(c), cases[i].leaves);
        cache_free(c);
    }
}

static void bias_is_added_to_what_is_young(void **state)
{
    (void)state;
    struct cache *c = duel_new(1, 3);
    c->policy.bias = 2;
    assert_true(young_leaves(c));
    cache_free(c);
    c = duel_new(1, 3);
    c->policy.bias = 2.01;
    assert_false(young_leaves(c));
    cache_free(c);
}

/* The young one takes the settled one's place, with its score and its reads, which are none now. */
static void who_beats_mains_oldest_has_a_score_of_its_reads(void **state)
{
    (void)state;
    struct cache *c = duel_new(1, 2);
    policy_read(c->entries[YOUNG]);
    policy_read(c->entries[YOUNG]);
    assert_false(young_leaves(c));
    assert_true(c->entries[YOUNG]->state & ENTRY_IN_MAIN);
    assert_int_equal(score_of(c->entries[YOUNG]), 3);
    assert_int_equal(frequency_of(c->entries[YOUNG]), 0);
    cache_free(c);
}

static void who_holds_others_off_pays_for_every_second(void **state)
{
    (void)state;
    for (unsigned held = 0; held < 4; held += 3) {
        struct cache *c = duel_new(1, held);
        c->entries[YOUNG]->load = 0;
        if (held == 0) /* what is worth more by its load alone has nothing to pay with */
            for (unsigned i = SETTLED; i < KEYS; i++) {
                c->load_us = 16;
                struct entry *e = make(c, i, 100);
                c->entries[i]->load = e->load;
                heap_unref(&c->heap, e);
            }
        for (unsigned i = SETTLED; i < KEYS; i++) {
            assert_ptr_equal(policy_victim(&c->policy, NULL), c->entries[YOUNG]);
            unsigned paid = held > 0 && (i - SETTLED) % 2 == 1;
            assert_int_equal(score_of(c->entries[i]), held - paid);
        }
        cache_free(c);
    }
}

static void what_was_read_stays_for_each_read_but_once_where_bias_is_high(void **state)
{
    (void)state;
    static const struct {
        double bias;
        unsigned left;
    } cases[] = {{0, 2}, {3.9, 2}, {4, 0}, {8, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct cache *c = duel_new(1, 0);
        c->policy.bias = cases[i].bias;
        for (int n = 0; n < 3; n++)
            policy_read(c->entries[SETTLED]);
        assert_ptr_equal(policy_victim(&c->policy, NULL), c->entries[OTHERS]);
        assert_int_equal(frequency_of(c->entries[SETTLED]), cases[i].left);
        assert_int_equal(score_of(c->entries[SETTLED]), 1);
        cache_free(c);
    }
}

/* More were read than one pick can move. */
static void of_two_that_were_read_as_often_the_young_one_leaves(void **state)
{
    (void)state;
    for (unsigned held = 2; held <= 4; held++) {
        struct cache *c = cache_new(2 * POLICY_STEPS, 1 << 20);
        put_with(c, YOUNG, 3);
        for (unsigned i = SETTLED; i < 2 * POLICY_STEPS; i++) {
            settle(c, i, i <= POLICY_STEPS ? 0 : held - 1);
            policy_read(c->entries[i]);
        }
        c->policy.share = 0.9; /* the small queue has far less than its part */
        struct entry *victim = policy_victim(&c->policy, NULL);
        assert_ptr_equal(victim, c->entries[held >= 3 ? (unsigned)YOUNG : POLICY_STEPS + 1]);
        cache_free(c);
    }
}

static void what_is_moved_is_moved_for_many_that_came(void **state)
{
    (void)state;
    enum { COUNT = 200, EACH = 16 };
    struct cache *c = cache_new(COUNT, 1 << 20);
    for (unsigned i = 0; i < POLICY_STEPS; i++)
        put(c, i, 100);
    c->policy.share = 0;
    c->policy.filling = true;
    for (int i = 0; i < 2 * EACH; i++)
        policy_fill(&c->policy); /* so few need none of it */
    assert_int_equal(c->policy.main_bytes, 0);
    for (unsigned i = POLICY_STEPS; i < COUNT; i++)
        put(c, i, 100);
    for (int i = 1; i <= EACH; i++) {
        assert_int_equal(c->policy.main_bytes, 0);
        policy_fill(&c->policy);
    }
    assert_int_equal(c->policy.main_bytes, 2 * EACH * entry_bytes(c->entries[0]));
    cache_free(c);
}

static void the_mean_load_follows_by_a_64th(void **state)
{
    (void)state;
    struct cache *c = cache_new(2, 1 << 20);
    put(c, 0, 100);
    assert_true(c->policy.mean_load == 0); /* how long it took is not known */
    c->policy.mean_load = 2;
    c->load_us = 1 << 10;
    put(c, 1, 100);
    double load = log2((double)entry_load_us(c->entries[1]));
    assert_true(c->policy.mean_load == 2 + (load - 2) / 64);
    cache_free(c);
}

/* ---- what returns ---- */

/* A key leaves and returns while there is no other. */
static void return_once(struct cache *c, bool from_main, unsigned score)
{
    struct entry *e = from_main ? settle(c, 0, score) : put_with(c, 0, score);
    policy_evict(&c->policy, e, hash_of(0));
    c->bytes -= entry_bytes(e);
    c->entries[0] = NULL;
    heap_unref(&c->heap, e);
    put(c, 0, 100);
}

static void the_small_queues_share_has_bounds(void **state)
{
    (void)state;
    struct cache *c = cache_new(1, 1 << 20);
    assert_true(c->policy.share == 0.1);
    return_once(c, false, 0); /* a longer small queue would have held it */
    assert_true(c->policy.share == 0.9);
    policy_remove(&c->policy, c->entries[0]);
    heap_unref(&c->heap, c->entries[0]);
    c->bytes = 0;
    c->entries[0] = NULL;
    return_once(c, true, 0); /* a longer main queue would have */
    assert_true(c->policy.share == 0.01);
    cache_free(c);
}

/* from_main, and what is counted before and behind: what bias becomes of 3. */
static double bias_after(bool from_main, struct policy_losers kept_out,
                         struct policy_losers replaced)
{
    struct cache *c = cache_new(1, 1 << 20);
    c->policy.bias = 3;
    c->policy.kept_out = kept_out;
    c->policy.replaced = replaced;
    return_once(c, from_main, 1);
    double bias = c->policy.bias;
    assert_true((from_main ? &c->policy.replaced : &c->policy.kept_out)->back ==
                (from_main ? replaced.back : kept_out.back) + 1);
    cache_free(c);
    return bias;
}

static void bias_follows_who_returns_more_often(void **state)
{
    (void)state;
    struct policy_losers some = {.left = 9, .back = 4}, few = {.left = 9, .back = 3},
                         ten = {.left = 10, .back = 4}, one = {.left = 1, .back = 1},
                         most = {.left = 10, .back = 8}, nearly = {.left = 10, .back = 7};
    assert_true(bias_after(false, some, some) == 5); /* two, over the number of entries */
    assert_true(bias_after(true, some, some) == 1);
    assert_true(bias_after(true, some, few) == 5); /* 4 of 9, and 4 of 10 */
    assert_true(bias_after(true, ten, few) == 1);  /* as often */
    assert_true(bias_after(false, one, nearly) == 5);
    assert_true(bias_after(false, one, most) == 1); /* in vain: most return anyway */
}

static void bias_has_bounds(void **state)
{
    (void)state;
    struct cache *c = cache_new(1, 1 << 20);
    c->policy.bias = 7;
    return_once(c, false, 1);
    assert_true(c->policy.bias == 8);
    cache_free(c);
    c = cache_new(1, 1 << 20);
    c->policy.bias = 1;
    return_once(c, true, 1);
    assert_true(c->policy.bias == 0);
    cache_free(c);
}

/* 16 and four times the entries, of which there is one. */
static void what_left_is_counted_up_to_a_bound_and_then_halved(void **state)
{
    (void)state;
    enum { MOST = 4 * 1 + 16 };
    struct cache *c = cache_new(2 * MOST, 1 << 20);
    c->policy.kept_out = (struct policy_losers){.left = 0, .back = 5};
    c->policy.replaced = (struct policy_losers){.left = 0, .back = 3};
    for (unsigned i = 0; i <= MOST; i++) {
        assert_true(c->policy.replaced.left + c->policy.kept_out.left == i);
        struct entry *e = i % 2 ? settle(c, i, 0) : put_with(c, i, 1);
        policy_evict(&c->policy, e, hash_of(i));
        c->bytes -= entry_bytes(e);
        c->entries[i] = NULL;
        heap_unref(&c->heap, e);
    }
    assert_true(c->policy.kept_out.left == (MOST / 2 + 1) / 2.0);
    assert_true(c->policy.replaced.left == MOST / 4.0);
    assert_true(c->policy.kept_out.back == 2.5);
    assert_true(c->policy.replaced.back == 1.5);
    cache_free(c);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(two_reads_of_a_young_one_count_and_no_more),
        cmocka_unit_test(bias_is_added_to_what_is_young),
        cmocka_unit_test(who_beats_mains_oldest_has_a_score_of_its_reads),
        cmocka_unit_test(who_holds_others_off_pays_for_every_second),
        cmocka_unit_test(what_was_read_stays_for_each_read_but_once_where_bias_is_high),
        cmocka_unit_test(of_two_that_were_read_as_often_the_young_one_leaves),
        cmocka_unit_test(what_is_moved_is_moved_for_many_that_came),
        cmocka_unit_test(the_mean_load_follows_by_a_64th),
        cmocka_unit_test(the_small_queues_share_has_bounds),
        cmocka_unit_test(bias_follows_who_returns_more_often),
        cmocka_unit_test(bias_has_bounds),
        cmocka_unit_test(what_left_is_counted_up_to_a_bound_and_then_halved),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
