/* Writes to the source: what they leave in the store, and what they do to loads in the air. */
#include "flight_world.h"

#include "base/hash.h"

static struct put put_version(struct world *w, int64_t version, const char *packed)
{
    struct slice k = slice_str("k");
    return (struct put){
        .key = k,
        .hash = store_hash(w->store, k),
        .value = slice_of(packed, 2),
        .has_version = true,
        .version = version,
        .ttl_ms = 1000,
        .since = marks_now(w->marks),
    };
}

static struct write_token begin_write(struct world *w, const struct put *p)
{
    struct write_token token;
    flights_write_begins(w->flights, p->hash, w->now_ms, &token);
    return token;
}

static bool end_write(struct world *w, const struct put *p, struct write_token token)
{
    bool stored;
    struct written written = {.put = p, .token = token, .now_ms = w->now_ms, .floor_ttl_ms = 60000};
    assert_int_equal(flights_write(w->flights, &written, &stored), 0);
    return stored;
}

static bool write_through(struct world *w, const struct put *p)
{
    return end_write(w, p, begin_write(w, p));
}

static int64_t stored_version(struct world *w)
{
    struct hit hit;
    struct slice k = slice_str("k");
    enum lookup got =
        store_get(w->store, k, store_hash(w->store, k), w->now_ms, WANT_PEEK, NULL, &hit);
    entry_unref(hit.entry);
    return got == LOOKUP_MISS ? -1 : hit.version;
}

static void a_write_is_seen_by_the_next_get(void **state)
{
    struct world *w = *state;
    struct put p = put_version(w, 3, value_b);
    assert_true(write_through(w, &p));
    assert_int_equal(stored_version(w), 3);
}

/* Keys share few places for that: one that has another place is none of its concern. */
static void a_plain_invalidation_of_another_key_leaves_a_write_alone(void **state)
{
    struct world *w = *state;
    struct put p = put_version(w, 3, value_b);
    struct write_token token = begin_write(w, &p);
    int others = 0;
    for (int i = 0; i < 20; i++) {
        char key[20];
        snprintf(key, sizeof key, "other %d", i);
        if (hash_drop(store_hash(w->store, slice_str(key)), 64) == hash_drop(p.hash, 64))
            continue;
        invalidate(w, key, NULL);
        others++;
    }
    assert_true(others > 10);
    assert_true(end_write(w, &p, token));
    p.version = 4;
    token = begin_write(w, &p);
    invalidate(w, "k", NULL);
    assert_false(end_write(w, &p, token));
}

static void race_13_two_writes_are_stored_by_version_not_by_arrival(void **state)
{
    struct world *w = *state;
    struct put late = put_version(w, 3, value_a), early = put_version(w, 4, value_b);
    assert_true(write_through(w, &early));
    assert_false(write_through(w, &late));
    assert_int_equal(stored_version(w), 4);
}

static void race_12_a_load_that_began_before_a_write_is_not_stored(void **state)
{
    struct world *w = *state;
    struct waiter a = {0}, b = {0};
    struct join_result r, again;
    bool stored;
    join_as(w, "k", &a, &r);
    struct put p = put_version(w, 3, value_b);
    write_through(w, &p);
    invalidate(w, "k", NULL); /* so that only the floor and the token stand between */
    struct outcome o = found_version(2);
    assert_int_equal(end_with(w, r.flight, &o, &stored), BELOW); /* its waiter may see no less */
    assert_int_equal(join_as(w, "k", &b, &again), JOIN_STARTED);
    o.version = 3;
    assert_int_equal(end_with(w, r.flight, &o, &stored), 1);
    assert_false(stored);
    end_with(w, again.flight, &o, &stored);
    assert_true(stored);
}

static void a_write_does_not_pass_a_floor(void **state)
{
    struct world *w = *state;
    int64_t v = 9;
    invalidate(w, "k", &v);
    struct put p = put_version(w, 8, value_a);
    assert_false(write_through(w, &p));
    assert_int_equal(stored_version(w), -1);
}

static void a_write_that_a_tag_or_a_pattern_overtook_is_not_stored(void **state)
{
    struct world *w = *state;
    uint32_t slot = marks_slot(w->marks, slice_str("t"));
    struct put p = put_version(w, 3, value_a);
    p.tags = &slot;
    p.tag_count = 1;
    marks_tag(w->marks, slice_str("t"), false);
    assert_false(write_through(w, &p));
    p = put_version(w, 4, value_a);
    assert_int_equal(match(w, "k*", false), 0);
    assert_false(write_through(w, &p));
    p = put_version(w, 5, value_a);
    assert_true(write_through(w, &p));
}

static void race_14_an_unknown_outcome_drops_the_entry_and_keeps_nothing_for_a_while(void **state)
{
    struct world *w = *state;
    struct waiter a = {0}, b = {0};
    struct join_result r, again;
    bool stored;
    struct put p = put_version(w, 3, value_a);
    write_through(w, &p);
    struct join_request q = request_for(w, "k", &a);
    q.reload = true;
    flights_join(w->flights, &q, &r);
    struct invalidation i = {.key = p.key, .hash = p.hash, .now_ms = w->now_ms};
    assert_int_equal(flights_doubt(w->flights, &i, w->now_ms + 5000), 0);
    assert_int_equal(stored_version(w), -1);
    struct outcome o = found_version(3);
    end_with(w, r.flight, &o, &stored);
    assert_false(stored);
    /* What is loaded now may be what the write is about to change. */
    assert_int_equal(join_as(w, "k", &b, &again), JOIN_STARTED);
    assert_int_equal(end_with(w, again.flight, &o, &stored), 1);
    assert_false(stored);
    p = put_version(w, 4, value_b);
    assert_false(write_through(w, &p));
    w->now_ms += 5000;
    o.version = 4;
    join_as(w, "k", NULL, &r);
    end_with(w, r.flight, &o, &stored);
    assert_true(stored);
}

static void race_14_what_was_read_in_doubt_is_not_kept_when_it_comes_after_it(void **state)
{
    struct world *w = *state;
    struct join_result r;
    bool stored;
    struct slice k = slice_str("k");
    struct invalidation i = {.key = k, .hash = store_hash(w->store, k), .now_ms = w->now_ms};
    assert_int_equal(flights_doubt(w->flights, &i, w->now_ms + 5000), 0);
    struct outcome o = found_version(3); /* what the write may be about to change */
    join_as(w, "k", NULL, &r);
    w->now_ms += 4999;
    begin(w, r.flight, 1, NULL);
    w->now_ms += 2;
    assert_int_equal(end_with(w, r.flight, &o, &stored), 0);
    assert_false(stored);
    join_as(w, "k", NULL, &r);
    begin(w, r.flight, 1, NULL);
    end_with(w, r.flight, &o, &stored);
    assert_true(stored);
}

static void race_14_a_put_that_began_in_doubt_is_not_kept_when_it_ends_after_it(void **state)
{
    struct world *w = *state;
    struct put p = put_version(w, 5, value_a);
    struct invalidation i = {.key = p.key, .hash = p.hash, .now_ms = w->now_ms};
    assert_int_equal(flights_doubt(w->flights, &i, w->now_ms + 5000), 0);
    w->now_ms += 4998;
    struct write_token token = begin_write(w, &p);
    w->now_ms += 2; /* the write in doubt has taken place last, as version 6 */
    assert_false(end_write(w, &p, token));
    assert_true(write_through(w, &p));
}

static void race_14_a_doubt_that_has_to_leave_its_place_is_not_forgotten(void **state)
{
    struct world *w = *state;
    struct join_result r;
    bool stored;
    int64_t v = 1;
    struct slice k = slice_str("k");
    struct invalidation i = {.key = k, .hash = store_hash(w->store, k), .now_ms = w->now_ms};
    assert_int_equal(flights_doubt(w->flights, &i, w->now_ms + 5000), 0);
    for (int n = 0; n < 100; n++) { /* all the floors that there is room for */
        char key[16];
        snprintf(key, sizeof key, "f%d", n);
        invalidate(w, key, &v);
    }
    struct outcome o = found_version(3);
    join_as(w, "k", NULL, &r);
    end_with(w, r.flight, &o, &stored);
    assert_false(stored);
    w->now_ms += 5000;
    join_as(w, "k", NULL, &r);
    end_with(w, r.flight, &o, &stored);
    assert_true(stored);
}

static void race_13_a_plain_invalidation_overlaps_a_write_that_another_one_followed(void **state)
{
    struct world *w = *state;
    struct put p = put_version(w, 5, value_a);
    struct write_token token = begin_write(w, &p);
    invalidate(w, "k", NULL); /* somebody has written version 6 meanwhile */
    assert_false(end_write(w, &p, token));
    assert_int_equal(stored_version(w), -1);
    int64_t v = 5;
    token = begin_write(w, &p);
    invalidate(w, "k", &v); /* what a feed tells of the write itself */
    assert_true(end_write(w, &p, token));
}

static void race_10_a_put_that_takes_longer_than_a_floor_lasts_is_not_kept(void **state)
{
    struct world *w = *state;
    struct put p = put_version(w, 5, value_a);
    struct write_token token = begin_write(w, &p);
    int64_t v = 6;
    invalidate(w, "k", &v);
    w->now_ms += 60000; /* which is floor_ttl */
    assert_false(end_write(w, &p, token));
    assert_int_equal(stored_version(w), -1);
}

static void race_11_a_floor_that_had_to_go_may_have_been_above_a_write(void **state)
{
    struct world *w = *state;
    struct put p = put_version(w, 5, value_a);
    struct write_token token = begin_write(w, &p);
    int64_t v = 6;
    invalidate(w, "k", &v);
    for (int n = 0; n < 100; n++) {
        char key[16];
        snprintf(key, sizeof key, "f%d", n);
        invalidate(w, key, &v);
    }
    assert_false(end_write(w, &p, token));
    assert_int_equal(stored_version(w), -1);
}

static void race_16_a_row_that_came_again_with_a_lower_version(void **state)
{
    struct world *w = *state;
    struct join_result r;
    bool stored;
    struct put p = put_version(w, 9, value_a);
    p.ttl_ms = 0;
    assert_int_equal(flights_set(w->flights, &p, w->now_ms, NULL), 0);
    assert_true(invalidate(w, "k", NULL)); /* the schema goes back, so no version is told */
    join_as(w, "k", NULL, &r);
    struct outcome o = found_version(1);
    end_with(w, r.flight, &o, &stored);
    assert_true(stored);
    assert_int_equal(stored_version(w), 1);
}

static void race_17_a_wrong_value_at_the_right_version(void **state)
{
    struct world *w = *state;
    struct waiter a = {0};
    struct join_result r;
    bool stored;
    struct put p = put_version(w, 5, value_a);
    assert_int_equal(flights_set(w->flights, &p, w->now_ms, NULL), 0);
    struct join_request q = request_for(w, "k", &a);
    q.reload = true;
    flights_join(w->flights, &q, &r);
    assert_true(invalidate(w, "k", NULL));
    assert_int_equal(stored_version(w), -1);
    struct outcome o = found_version(5);
    end_with(w, r.flight, &o, &stored);
    assert_false(stored); /* it may have read the wrong value too */
}

static void race_04_a_change_that_is_announced_before_it_can_be_seen(void **state)
{
    struct world *w = *state;
    struct waiter a = {0};
    struct join_result r;
    bool stored;
    int64_t v = 6;
    invalidate(w, "k", &v); /* what the feed does */
    join_as(w, "k", &a, &r);
    struct outcome o = found_version(5); /* the primary does not show it yet */
    for (int attempt = 0; attempt < 3; attempt++) {
        assert_int_equal(end_with(w, r.flight, &o, &stored), BELOW);
        flights_again(w->flights, r.flight, w->now_ms);
    }
    o.version = 6;
    assert_int_equal(end_with(w, r.flight, &o, &stored), 1);
    assert_true(stored);
}

static void race_36_a_put_of_unknown_tags_is_found_by_every_tag(void **state)
{
    struct world *w = *state;
    uint32_t any = marks_any_tag(w->marks);
    struct put p = put_version(w, 3, value_a);
    p.tags = &any;
    p.tag_count = 1;
    assert_true(write_through(w, &p));
    assert_int_equal(stored_version(w), 3);
    marks_tag(w->marks, slice_str("of nobody yet"), false);
    assert_int_equal(stored_version(w), -1);
    /* One that was in the air when the tag was invalidated. */
    p.version = 4;
    p.since = marks_now(w->marks);
    struct write_token token = begin_write(w, &p);
    marks_tag(w->marks, slice_str("t"), false);
    assert_false(end_write(w, &p, token));
    assert_int_equal(stored_version(w), -1);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_write_is_seen_by_the_next_get),
        T(a_plain_invalidation_of_another_key_leaves_a_write_alone),
        T(race_13_two_writes_are_stored_by_version_not_by_arrival),
        T(race_13_a_plain_invalidation_overlaps_a_write_that_another_one_followed),
        T(race_10_a_put_that_takes_longer_than_a_floor_lasts_is_not_kept),
        T(race_11_a_floor_that_had_to_go_may_have_been_above_a_write),
        T(race_12_a_load_that_began_before_a_write_is_not_stored),
        T(a_write_does_not_pass_a_floor),
        T(a_write_that_a_tag_or_a_pattern_overtook_is_not_stored),
        T(race_14_an_unknown_outcome_drops_the_entry_and_keeps_nothing_for_a_while),
        T(race_14_a_put_that_began_in_doubt_is_not_kept_when_it_ends_after_it),
        T(race_14_a_doubt_that_has_to_leave_its_place_is_not_forgotten),
        T(race_14_what_was_read_in_doubt_is_not_kept_when_it_comes_after_it),
        T(race_16_a_row_that_came_again_with_a_lower_version),
        T(race_17_a_wrong_value_at_the_right_version),
        T(race_04_a_change_that_is_announced_before_it_can_be_seen),
        T(race_36_a_put_of_unknown_tags_is_found_by_every_tag),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
