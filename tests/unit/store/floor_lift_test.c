/* Floors that are lifted: by key, by pattern, all; and those that are raised anew after it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include <stdio.h>
#include <string.h>

#include "store/floor.h"
#include "store/globs.h"

#define TTL 1000

static uint64_t hash_of(const char *key)
{
    uint64_t hash = 7;
    while (*key)
        hash = hash * 31 + (unsigned char)*key++;
    return hash << 8;
}

static void raise_floor(struct floors *fl, const char *key, int64_t version, int64_t now_ms)
{
    struct floor_raise r = {.key = slice_str(key),
                            .hash = hash_of(key),
                            .version = version,
                            .now_ms = now_ms,
                            .ttl_ms = TTL};
    assert_int_equal(floors_raise(fl, &r), FLOOR_RAISED);
}

/* -1: none */
static int64_t floor_of(const struct floors *fl, const char *key, int64_t now_ms)
{
    struct floor_seen seen = floors_see(fl, slice_str(key), hash_of(key), now_ms);
    return seen.there ? seen.version : -1;
}

static int lift_match(struct floors *fl, const char *pattern, int64_t now_ms)
{
    struct glob g;
    char room[GLOB_MAX];
    glob_compile(&g, slice_str(pattern), room);
    struct shared_glob *shared = shared_glob_new(&g, false);
    assert_non_null(shared);
    int rc = floors_lift_match(fl, shared, fl->lifts + 1, now_ms);
    shared_glob_unref(shared);
    return rc;
}

static int setup(void **state)
{
    static struct floors fl;
    *state = &fl;
    return floors_init(&fl, 100);
}

static int teardown(void **state)
{
    floors_fini(*state);
    return 0;
}

static void a_lifted_key_has_no_floor_and_others_keep_theirs(void **state)
{
    struct floors *fl = *state;
    raise_floor(fl, "user:1", 100, 0);
    raise_floor(fl, "user:2", 100, 0);
    assert_true(floors_lift(fl, slice_str("user:1"), hash_of("user:1"), 1));
    assert_int_equal(floor_of(fl, "user:1", 1), -1);
    assert_int_equal(floor_of(fl, "user:2", 1), 100);
    assert_false(floors_lift(fl, slice_str("user:1"), hash_of("user:1"), 1));
    assert_false(floors_lift(fl, slice_str("user:3"), hash_of("user:3"), 1));
}

static void a_pattern_lifts_what_it_matches_and_was_raised_before(void **state)
{
    struct floors *fl = *state;
    raise_floor(fl, "user:1", 100, 0);
    raise_floor(fl, "team:1", 100, 0);
    assert_int_equal(lift_match(fl, "user:*", 10), 0);
    assert_int_equal(floor_of(fl, "user:1", 10), -1);
    assert_int_equal(floor_of(fl, "team:1", 10), 100);
    raise_floor(fl, "user:1", 2, 20); /* not the height of before */
    assert_int_equal(floor_of(fl, "user:1", 20), 2);
    raise_floor(fl, "user:1", 1, 30);
    assert_int_equal(floor_of(fl, "user:1", 30), 2);
    raise_floor(fl, "user:2", 5, 30);
    assert_int_equal(floor_of(fl, "user:2", 30), 5);
}

static void all_are_lifted_and_patterns_of_before_are_forgotten(void **state)
{
    struct floors *fl = *state;
    raise_floor(fl, "user:1", 100, 0);
    assert_int_equal(lift_match(fl, "team:*", 0), 0);
    raise_floor(fl, "team:1", 100, 0);
    floors_lift_all(fl, fl->lifts + 1);
    assert_int_equal(fl->lift_count, 0);
    assert_int_equal(floor_of(fl, "user:1", 1), -1);
    assert_int_equal(floor_of(fl, "team:1", 1), -1);
    raise_floor(fl, "user:1", 3, 1);
    assert_int_equal(floor_of(fl, "user:1", 1), 3);
}

static void patterns_are_bounded_and_go_with_the_floors_that_are_older(void **state)
{
    struct floors *fl = *state;
    char pattern[24];
    assert_int_equal(lift_match(fl, "user:*", 0), 0); /* there is no floor that it could concern */
    assert_int_equal(fl->lift_count, 0);
    raise_floor(fl, "user:1", 100, 0);
    for (int i = 0; i < FLOOR_LIFTS; i++) {
        snprintf(pattern, sizeof pattern, "team:%d", i);
        assert_int_equal(lift_match(fl, pattern, 0), 0);
    }
    assert_int_equal(lift_match(fl, "user:*", TTL - 1), ERR_OVERLOADED);
    assert_int_equal(floor_of(fl, "user:1", TTL - 1), 100);
    assert_int_equal(lift_match(fl, "user:*", TTL), 0);
    assert_int_equal(fl->lift_count, 1);
}

static void a_doubt_is_not_lifted(void **state)
{
    struct floors *fl = *state;
    raise_floor(fl, "user:1", 100, 0);
    assert_int_equal(floors_doubt(fl, hash_of("user:1"), 0, 500), FLOOR_RAISED);
    assert_true(floors_lift(fl, slice_str("user:1"), hash_of("user:1"), 1));
    floors_lift_all(fl, fl->lifts + 1);
    assert_true(floors_doubtful(fl, hash_of("user:1"), 499));
    assert_true(floors_see(fl, slice_str("user:1"), hash_of("user:1"), 499).doubtful);
    assert_false(floors_doubtful(fl, hash_of("user:1"), 500));
}

static void a_doubt_that_lasts_longer_does_not_bring_a_lifted_floor_back(void **state)
{
    struct floors *fl = *state;
    raise_floor(fl, "user:1", 100, 0);
    assert_int_equal(lift_match(fl, "user:*", 10), 0);
    assert_int_equal(floors_doubt(fl, hash_of("user:1"), TTL - 1, 3 * TTL), FLOOR_RAISED);
    assert_int_equal(lift_match(fl, "team:*", TTL), 0); /* forgets patterns that are of no use */
    assert_int_equal(floor_of(fl, "user:1", TTL), -1);
    assert_int_equal(floor_of(fl, "user:1", 2 * TTL), -1);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_lifted_key_has_no_floor_and_others_keep_theirs),
        T(a_pattern_lifts_what_it_matches_and_was_raised_before),
        T(all_are_lifted_and_patterns_of_before_are_forgotten),
        T(patterns_are_bounded_and_go_with_the_floors_that_are_older),
        T(a_doubt_is_not_lifted),
        T(a_doubt_that_lasts_longer_does_not_bring_a_lifted_floor_back),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
