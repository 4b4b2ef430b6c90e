/* Floors on a virtual clock: they only rise, outlive entries, are bounded, and say when one had to
 * go. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "store/floor.h"

#define TTL 1000

static enum floor_raised raise_floor(struct floors *fl, uint64_t hash, int64_t version,
                                     int64_t now_ms, int64_t ttl_ms)
{
    struct floor_raise r = {.hash = hash, .version = version, .now_ms = now_ms, .ttl_ms = ttl_ms};
    return floors_raise(fl, &r);
}

static bool get(const struct floors *fl, uint64_t hash, int64_t now_ms, int64_t *version)
{
    struct floor_seen seen = floors_see(fl, (struct slice){.size = 0}, hash, now_ms);
    if (seen.there)
        *version = seen.version;
    return seen.there;
}

static void a_floor_only_rises_while_it_lasts(void **state)
{
    (void)state;
    struct floors fl;
    int64_t v = 0;
    assert_int_equal(floors_init(&fl, 100), 0);
    assert_false(get(&fl, 1, 0, &v));
    assert_int_equal(raise_floor(&fl, 1, 7, 0, TTL), FLOOR_RAISED);
    assert_int_equal(raise_floor(&fl, 1, 5, 10, TTL), FLOOR_RAISED);
    assert_true(get(&fl, 1, 20, &v));
    assert_int_equal(v, 7);
    raise_floor(&fl, 1, 9, 30, TTL);
    assert_true(get(&fl, 1, 1029, &v));
    assert_int_equal(v, 9);
    assert_false(get(&fl, 1, 1030, &v));
    raise_floor(&fl, 1, -3, 2000, TTL);
    assert_true(get(&fl, 1, 2001, &v));
    assert_int_equal(v, -3);
    floors_fini(&fl);
}

static void past_its_bound_the_one_nearest_its_end_goes_and_is_counted(void **state)
{
    (void)state;
    struct floors fl;
    int64_t v;
    assert_int_equal(floors_init(&fl, 3), 0);
    for (uint64_t h = 1; h <= 3; h++)
        assert_int_equal(raise_floor(&fl, h, 1, (int64_t)h, TTL), FLOOR_RAISED);
    raise_floor(&fl, 1, 1, 4, TTL); /* 2 is the nearest to its end now */
    assert_int_equal(raise_floor(&fl, 4, 1, 5, TTL), FLOOR_DROPPED);
    assert_true(get(&fl, 1, 6, &v));
    assert_false(get(&fl, 2, 6, &v));
    assert_int_equal(fl.dropped, 1);
    assert_int_equal(fl.count, 3);
    floors_fini(&fl);
}

static void expired_ones_make_room_without_being_counted(void **state)
{
    (void)state;
    struct floors fl;
    assert_int_equal(floors_init(&fl, 2), 0);
    raise_floor(&fl, 1, 1, 0, TTL);
    raise_floor(&fl, 2, 1, 0, TTL);
    assert_int_equal(raise_floor(&fl, 3, 1, TTL, TTL), FLOOR_RAISED);
    assert_int_equal(fl.dropped, 0);
    assert_int_equal(fl.count, 1);
    assert_int_equal(floors_expire(&fl, 2 * TTL, 10), 1);
    floors_fini(&fl);
}

static void those_that_expired_leave_two_with_each_that_is_raised(void **state)
{
    (void)state;
    struct floors fl;
    assert_int_equal(floors_init(&fl, 100), 0);
    for (uint64_t h = 1; h <= 7; h++)
        raise_floor(&fl, h, 1, 0, TTL);
    raise_floor(&fl, 8, 1, TTL, TTL);
    assert_int_equal(fl.count, 6);
    assert_int_equal(floors_doubt(&fl, 9, TTL, 2 * TTL), FLOOR_RAISED);
    assert_int_equal(fl.count, 5);
    assert_int_equal(floors_expire(&fl, TTL, 2), 2);
    assert_int_equal(floors_expire(&fl, TTL, 2), 1);
    assert_int_equal(floors_expire(&fl, 2 * TTL - 1, 2), 0);
    assert_int_equal(fl.count, 2);
    floors_fini(&fl);
}

static void what_went_early_is_remembered_by_its_latest_end(void **state)
{
    (void)state;
    struct floors fl;
    assert_int_equal(floors_init(&fl, 0), 0); /* there is room for one all the same */
    raise_floor(&fl, 1, 1, 0, 5 * TTL);
    assert_int_equal(raise_floor(&fl, 2, 1, 1, TTL), FLOOR_DROPPED);
    assert_int_equal(fl.dropped_until_ms, 5 * TTL);
    assert_int_equal(raise_floor(&fl, 3, 1, 2, TTL), FLOOR_DROPPED);
    assert_int_equal(fl.dropped_until_ms, 5 * TTL);
    assert_int_equal(raise_floor(&fl, 4, 1, 3, 9 * TTL), FLOOR_DROPPED);
    assert_int_equal(raise_floor(&fl, 5, 1, 4, TTL), FLOOR_DROPPED);
    assert_int_equal(fl.dropped_until_ms, 9 * TTL + 3);
    assert_int_equal(fl.dropped, 4);
    assert_int_equal(fl.count, 1);
    floors_fini(&fl);
}

static void the_doubt_of_one_that_went_early_is_one_of_every_key(void **state)
{
    (void)state;
    struct floors fl;
    assert_int_equal(floors_init(&fl, 1), 0);
    assert_int_equal(floors_doubt(&fl, 1, 0, 500), FLOOR_RAISED);
    assert_true(floors_doubtful(&fl, 1, 499));
    assert_false(floors_doubtful(&fl, 2, 0));
    assert_int_equal(floors_doubt(&fl, 1, 0, 300), FLOOR_RAISED); /* does not shorten it */
    assert_true(floors_doubtful(&fl, 1, 499));
    assert_int_equal(floors_doubt(&fl, 2, 0, 100), FLOOR_DROPPED);
    assert_true(floors_doubtful(&fl, 7, 499));
    assert_false(floors_doubtful(&fl, 7, 500));
    floors_fini(&fl);
}

/* Whether the row is gone is told by the highest version, and by any that says so of that one. */
static void whether_the_row_is_gone_goes_with_the_version(void **state)
{
    static const struct {
        int64_t second, seen; /* the first is 5 */
        bool first_gone, second_gone, gone;
    } cases[] = {
        {6, 6, false, true, true}, {6, 6, true, false, false},  {5, 5, false, true, true},
        {5, 5, true, false, true}, {5, 5, false, false, false}, {4, 5, false, true, false},
        {4, 5, true, false, true},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct floors fl;
        struct floor_raise r = {.hash = 1, .version = 5, .ttl_ms = TTL};
        assert_int_equal(floors_init(&fl, 10), 0);
        r.gone = cases[i].first_gone;
        floors_raise(&fl, &r);
        r.version = cases[i].second;
        r.gone = cases[i].second_gone;
        floors_raise(&fl, &r);
        struct floor_seen seen = floors_see(&fl, r.key, 1, TTL - 1);
        assert_true(seen.there && !seen.doubtful);
        assert_int_equal(seen.version, cases[i].seen);
        if (seen.gone != cases[i].gone)
            fail_msg("case %zu", i);
        floors_fini(&fl);
    }
}

/* One that ended lies behind another that lasts, and is still in the table. */
static void a_doubt_does_not_bring_back_a_floor_that_ended(void **state)
{
    (void)state;
    struct floors fl;
    int64_t v;
    assert_int_equal(floors_init(&fl, 10), 0);
    assert_int_equal(floors_doubt(&fl, 9, 0, 10 * TTL), FLOOR_RAISED);
    raise_floor(&fl, 1, 7, 0, TTL);
    assert_int_equal(floors_doubt(&fl, 1, TTL - 1, 2 * TTL), FLOOR_RAISED); /* prolongs it */
    assert_true(get(&fl, 1, 2 * TTL - 1, &v));
    assert_int_equal(floors_doubt(&fl, 1, 2 * TTL, 5 * TTL), FLOOR_RAISED);
    assert_false(get(&fl, 1, 3 * TTL, &v));
    assert_true(floors_doubtful(&fl, 1, 5 * TTL - 1));
    raise_floor(&fl, 1, 3, 3 * TTL, TTL); /* and its height is not counted */
    assert_true(get(&fl, 1, 3 * TTL, &v));
    assert_int_equal(v, 3);
    floors_fini(&fl);
}

enum { MODEL_KEYS = 200, MODEL_STEPS = 20000 };

static void agrees_with_a_plain_array(void **state)
{
    (void)state;
    struct floors fl;
    struct {
        int64_t version, until;
    } model[MODEL_KEYS] = {{0}};
    struct rng rng = {42};
    int64_t now = 1;
    assert_int_equal(floors_init(&fl, MODEL_KEYS), 0);
    for (int i = 0; i < MODEL_STEPS; i++) {
        uint64_t k = rng_below(&rng, MODEL_KEYS);
        now += (int64_t)rng_below(&rng, 8);
        if (rng_below(&rng, 2) == 0) {
            int64_t version = (int64_t)rng_below(&rng, 1000) - 500;
            assert_int_equal(raise_floor(&fl, k << 8, version, now, TTL), FLOOR_RAISED);
            if (model[k].until <= now || version > model[k].version)
                model[k].version = version;
            model[k].until = now + TTL;
        } else {
            int64_t v = 0;
            bool there = get(&fl, k << 8, now, &v);
            assert_int_equal(there, model[k].until > now);
            if (there)
                assert_int_equal(v, model[k].version);
        }
    }
    floors_fini(&fl);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_floor_only_rises_while_it_lasts),
        cmocka_unit_test(past_its_bound_the_one_nearest_its_end_goes_and_is_counted),
        cmocka_unit_test(expired_ones_make_room_without_being_counted),
        cmocka_unit_test(those_that_expired_leave_two_with_each_that_is_raised),
        cmocka_unit_test(what_went_early_is_remembered_by_its_latest_end),
        cmocka_unit_test(the_doubt_of_one_that_went_early_is_one_of_every_key),
        cmocka_unit_test(whether_the_row_is_gone_goes_with_the_version),
        cmocka_unit_test(a_doubt_does_not_bring_back_a_floor_that_ended),
        cmocka_unit_test(agrees_with_a_plain_array),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
