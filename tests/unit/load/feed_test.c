#include "feed_world.h"

static void race_06_what_was_loaded_before_the_feed_came_back_is_not_fresh(void **state)
{
    struct world *w = *state;
    struct fed f;
    struct join_result r;
    bool stored;
    start(&f, w, 1);
    up(&f, "1/1");
    assert_int_equal(f.feed.gaps, 0);
    put_stored(w, "user:1", 5);
    put_stored(w, "team:1", 5);
    feed_down(&f.feed, w->now_ms);
    assert_int_equal(lookup(w, "user:1"), LOOKUP_FRESH); /* within the grace */
    join_as(w, "user:2", NULL, &r);
    up(&f, "1/1");
    assert_int_equal(f.feed.gaps, 1);
    assert_int_equal(lookup(w, "user:1"), LOOKUP_STALE);
    assert_int_equal(lookup(w, "team:1"), LOOKUP_FRESH); /* it is not fed by it */
    struct outcome o = found(value_a);
    o.stale_ttl_ms = 1000;
    end_with(w, r.flight, &o, &stored); /* it began in the gap */
    assert_int_equal(lookup(w, "user:2"), LOOKUP_STALE);
}

static void race_06_beyond_its_grace_nothing_counts_as_fresh(void **state)
{
    struct world *w = *state;
    struct fed f;
    char text[FEED_BEAT_TEXT];
    start(&f, w, 1);
    up(&f, "");
    put_stored(w, "user:1", 5);
    feed_down(&f.feed, w->now_ms);
    w->now_ms += 999;
    feed_tick(&f.feed, w->now_ms, text);
    assert_false(f.cut);
    assert_int_equal(feed_due_ms(&f.feed, w->now_ms), w->now_ms + 1);
    w->now_ms += 1;
    feed_tick(&f.feed, w->now_ms, text);
    assert_true(f.cut);
    assert_int_equal(lookup(w, "user:1"), LOOKUP_STALE);
    assert_int_equal(feed_due_ms(&f.feed, w->now_ms), INT64_MAX);
    up(&f, "");
    assert_false(f.cut);
}

static void race_07_three_heartbeats_that_stay_away_are_the_end_of_a_connection(void **state)
{
    struct fed f;
    start(&f, *state, 1);
    up(&f, "");
    for (int i = 0; i < 5; i++)
        assert_int_equal(beat(&f, true), FEED_BEAT);
    for (int i = 0; i < FEED_MISSED_MAX; i++)
        assert_int_equal(beat(&f, false), FEED_BEAT);
    assert_int_equal(beat(&f, false), FEED_DEAD);
    assert_int_equal(f.feed.gaps, 0); /* it is counted when the feed is back */
}

static void race_07_a_number_that_is_missing_is_a_gap(void **state)
{
    struct world *w = *state;
    struct fed f;
    start(&f, w, 1);
    up(&f, "");
    beat(&f, true);
    put_stored(w, "user:1", 5);
    beat(&f, false);
    assert_int_equal(lookup(w, "user:1"), LOOKUP_FRESH);
    beat(&f, true);
    assert_int_equal(f.feed.gaps, 1);
    assert_int_equal(lookup(w, "user:1"), LOOKUP_STALE);
    assert_int_equal(beat(&f, true), FEED_BEAT);
    assert_int_equal(f.feed.gaps, 1);
}

static void race_08_another_timeline_drops_what_the_last_one_told(void **state)
{
    struct world *w = *state;
    struct fed f;
    start(&f, w, 1);
    up(&f, "7/1");
    put_stored(w, "user:1", 5);
    put_stored(w, "team:1", 5);
    feed_down(&f.feed, w->now_ms);
    assert_true(up(&f, "")); /* it may not ask any more, but it is the same postmaster */
    assert_int_equal(lookup(w, "user:1"), LOOKUP_STALE);
    assert_true(up(&f, "7/1"));
    assert_false(up(&f, "7/2"));
    assert_int_equal(lookup(w, "user:1"), LOOKUP_MISS);
    assert_int_equal(lookup(w, "team:1"), LOOKUP_FRESH);
}

static void race_08_a_server_that_is_not_shown_to_be_the_same_is_another(void **state)
{
    struct world *w = *state;
    struct fed f;
    start(&f, w, 1);
    put_stored(w, "user:1", 5);
    assert_false(up(&f, "7/1")); /* who knows what was there before */
    assert_int_equal(lookup(w, "user:1"), LOOKUP_MISS);
    put_stored(w, "user:1", 5);
    feed_down(&f.feed, w->now_ms);
    struct identity nothing = {.wal_end = 0};
    assert_false(
        feed_up(&f.feed, &(struct listen_up){.identity = &nothing, .missed = ""}, w->now_ms));
    assert_int_equal(lookup(w, "user:1"), LOOKUP_MISS);
}

static void race_08_a_wal_that_ends_before_where_it_was_is_another(void **state)
{
    struct world *w = *state;
    struct fed f;
    start(&f, w, 1);
    struct identity id = {"7", "00000001", "1", 1000};
    feed_up(&f.feed, &(struct listen_up){.identity = &id, .missed = ""}, w->now_ms);
    put_stored(w, "user:1", 5);
    feed_beaten(&f.feed, "", false, 3000, w->now_ms);
    id.wal_end = 2999;
    assert_false(feed_up(&f.feed, &(struct listen_up){.identity = &id, .missed = ""}, w->now_ms));
    assert_int_equal(lookup(w, "user:1"), LOOKUP_MISS);
}

static void race_08_goes_on_over_a_reload_of_another_url(void **state)
{
    struct world *w = *state;
    struct fed f, next;
    start(&f, w, 1);
    up(&f, "7/1");
    put_stored(w, "user:1", 5);
    start(&next, w, 1);
    feed_succeed(&next.feed, &f.feed, w->now_ms);
    assert_false(up(&next, "7/2"));
    assert_int_equal(next.feed.gaps, 1);
    assert_int_equal(lookup(w, "user:1"), LOOKUP_MISS);
    start(&next, w, 1);
    up(&f, "7/1");
    put_stored(w, "user:1", 5);
    feed_succeed(&next.feed, &f.feed, w->now_ms);
    assert_true(up(&next, "7/1"));
    assert_int_equal(lookup(w, "user:1"), LOOKUP_STALE);
}

/* What a trigger could not tell. */
static void race_06_what_was_missed_is_a_gap_until_its_writers_are_done(void **state)
{
    struct world *w = *state;
    struct fed f;
    start(&f, w, 1);
    up(&f, "7/1");
    put_stored(w, "user:1", 5);
    assert_true(feed_beaten(&f.feed, FEED_MISSED_NONE, false, 0, w->now_ms));
    assert_int_equal(lookup(w, "user:1"), LOOKUP_FRESH);
    assert_false(f.feed.missed_open);
    f.feed.next_beat_ms = w->now_ms + 100;
    assert_false(feed_beaten(&f.feed, "1/1", false, 0, w->now_ms));
    assert_int_equal(lookup(w, "user:1"), LOOKUP_STALE);
    assert_true(f.feed.missed_open); /* the next beat asks who is at work, and it is due now */
    assert_int_equal(feed_due_ms(&f.feed, w->now_ms), w->now_ms);
    put_stored(w, "user:1", 6); /* may have been read before their commit */
    assert_false(feed_beaten(&f.feed, "1/1", true, 0, w->now_ms));
    assert_int_equal(lookup(w, "user:1"), LOOKUP_STALE);
    put_stored(w, "user:1", 6);
    assert_false(feed_beaten(&f.feed, "1/1", false, 0, w->now_ms));
    assert_int_equal(lookup(w, "user:1"), LOOKUP_STALE);
    put_stored(w, "user:1", 7);
    assert_true(feed_beaten(&f.feed, "1/1", false, 0, w->now_ms));
    assert_int_equal(lookup(w, "user:1"), LOOKUP_FRESH);
    assert_int_equal(f.feed.gaps, 3);
}

static void race_06_what_was_missed_while_it_was_down_may_be_at_work_yet(void **state)
{
    struct world *w = *state;
    struct fed f;
    start(&f, w, 1);
    struct identity id = {"7", "00000001", "1", 0};
    feed_up(&f.feed, &(struct listen_up){.identity = &id, .missed = "4/1"},
            w->now_ms); /* nothing is known of before */
    assert_true(f.feed.missed_open);
    feed_beaten(&f.feed, "4/1", false, 0, w->now_ms);
    assert_false(f.feed.missed_open);
    feed_up(&f.feed, &(struct listen_up){.identity = &id, .missed = "4/1"}, w->now_ms);
    assert_false(f.feed.missed_open);
    feed_up(&f.feed, &(struct listen_up){.identity = &id, .missed = "5/1"}, w->now_ms);
    assert_true(f.feed.missed_open);
    feed_up(&f.feed, &(struct listen_up){.identity = &id, .missed = "5/1"}, w->now_ms);
    assert_true(f.feed.missed_open); /* nobody has said yet that they are done */
}

static void put_tagged(struct world *w, const char *key, const char *tag)
{
    struct slice k = slice_str(key);
    uint32_t slot = marks_slot(w->marks, slice_str(tag));
    struct put p = {
        .key = k,
        .hash = store_hash(w->store, k),
        .value = slice_of(value_a, 2),
        .tags = &slot,
        .tag_count = 1,
        .since = marks_now(w->marks),
        .ttl_ms = 100000,
        .stale_ttl_ms = 100000,
    };
    assert_int_equal(flights_set(w->flights, &p, w->now_ms, NULL), 0);
}

static void race_06_a_gap_reaches_what_has_a_tag_whatever_its_key(void **state)
{
    struct world *w = *state;
    struct fed f;
    start(&f, w, 1);
    up(&f, "7/1");
    put_tagged(w, "board:1", "team:red");
    put_stored(w, "board:2", 1);
    feed_down(&f.feed, w->now_ms);
    up(&f, "7/1"); /* a change of team:red may have been missed */
    assert_int_equal(lookup(w, "board:1"), LOOKUP_STALE);
    assert_int_equal(lookup(w, "board:2"), LOOKUP_FRESH);
}

static void every_tag_at_once(void **state)
{
    struct world *w = *state;
    struct fed f;
    start(&f, w, 1);
    put_tagged(w, "board:1", "team:red");
    put_stored(w, "board:2", 1);
    assert_true(hear(&f, "{\"t\":\"*\"}"));
    assert_int_equal(lookup(w, "board:1"), LOOKUP_MISS);
    assert_int_equal(lookup(w, "board:2"), LOOKUP_FRESH);
    put_tagged(w, "board:1", "team:red");
    assert_int_equal(lookup(w, "board:1"), LOOKUP_FRESH);
    assert_false(hear(&f, "{\"t\":\"team:red\"}"));
}

static void a_key_that_cannot_be_one_here_does_not_take_its_tags_along(void **state)
{
    struct world *w = *state;
    struct fed f;
    char payload[300];
    start(&f, w, 1); /* max_key is 100 */
    put_tagged(w, "board:1", "team:red");
    snprintf(payload, sizeof payload, "{\"k\":\"user:%0120d\",\"v\":1,\"t\":[\"team:red\"]}", 7);
    assert_true(hear(&f, payload));
    assert_int_equal(lookup(w, "board:1"), LOOKUP_MISS);
}

static void race_09_events_twice_and_out_of_order(void **state)
{
    struct world *w = *state;
    struct fed f;
    struct join_result r;
    bool stored;
    start(&f, w, 1);
    assert_true(hear(&f, "{\"k\":\"user:1\",\"v\":7}"));
    assert_true(hear(&f, "{\"k\":\"user:1\",\"v\":7}"));
    assert_true(hear(&f, "{\"k\":\"user:1\",\"v\":6}"));
    join_as(w, "user:1", NULL, &r);
    struct outcome o = found_version(6);
    assert_int_equal(end_with(w, r.flight, &o, &stored), BELOW);
    o.version = 7;
    end_with(w, r.flight, &o, &stored);
    assert_true(stored);
    assert_int_equal(f.feed.events, 3);
}

static void race_04_an_event_before_its_row_can_be_seen(void **state)
{
    struct world *w = *state;
    struct fed f;
    struct join_result r;
    bool stored;
    start(&f, w, 1);
    join_as(w, "user:1", NULL, &r);
    assert_true(hear(&f, "{\"k\":\"user:1\",\"v\":1}")); /* an insert */
    struct outcome absent = {.end = END_ABSENT, .store = true, .ttl_ms = 1000, .generation = 1};
    end_with(w, r.flight, &absent, &stored);
    join_as(w, "user:1", NULL, &r);
    end_with(w, r.flight, &absent, &stored);
    assert_false(stored); /* the row is announced: its absence is not believed for a negative_ttl */
    assert_true(hear(&f, "{\"k\":\"user:1\",\"v\":2,\"d\":true}"));
    join_as(w, "user:1", NULL, &r);
    end_with(w, r.flight, &absent, &stored);
    assert_true(stored);
}

static void marks_that_find_no_room_are_set_later_and_nothing_is_fresh_till_then(void **state)
{
    struct world *w = *state;
    struct fed f;
    char text[FEED_BEAT_TEXT];
    start(&f, w, 1);
    up(&f, "");
    store_sweep(w->store, w->now_ms, 1000);
    put_stored(w, "user:1", 5);
    while (match(w, "never:*", false) == 0)
        ;
    feed_down(&f.feed, w->now_ms);
    up(&f, "");
    assert_true(f.cut);
    assert_int_equal(feed_due_ms(&f.feed, w->now_ms) > w->now_ms, 1);
    while (store_sweep(w->store, w->now_ms, 1000) > 0)
        ;
    feed_tick(&f.feed, w->now_ms, text);
    assert_false(f.cut);
    assert_int_equal(lookup(w, "user:1"), LOOKUP_STALE);
}

static void a_wal_end_only_rises(void **state)
{
    struct world *w = *state;
    struct fed f;
    start(&f, w, 1);
    struct identity id = {"7", "00000001", "1", 1000};
    feed_up(&f.feed, &(struct listen_up){.identity = &id, .missed = ""}, w->now_ms);
    feed_beaten(&f.feed, "", false, 3000, w->now_ms);
    feed_beaten(&f.feed, "", false, 2000, w->now_ms);
    id.wal_end = 2999;
    assert_false(feed_up(&f.feed, &(struct listen_up){.identity = &id, .missed = ""}, w->now_ms));
}

/* Up to sixteen patterns are marked one by one. */
static void sixteen_patterns_are_not_everything(void **state)
{
    struct world *w = *state;
    struct fed f;
    start(&f, w, FEED_PATTERNS_MAX);
    f.patterns[FEED_PATTERNS_MAX - 1] = "last:*";
    up(&f, "");
    put_stored(w, "team:1", 5);
    put_stored(w, "last:1", 5);
    feed_down(&f.feed, w->now_ms);
    up(&f, "");
    assert_int_equal(lookup(w, "team:1"), LOOKUP_FRESH);
    assert_int_equal(lookup(w, "last:1"), LOOKUP_STALE);
}

static void with_many_patterns_a_gap_makes_everything_stale(void **state)
{
    struct world *w = *state;
    struct fed f;
    start(&f, w, FEED_PATTERNS_MAX + 1);
    up(&f, "");
    put_stored(w, "team:1", 5);
    feed_down(&f.feed, w->now_ms);
    up(&f, "");
    assert_int_equal(lookup(w, "team:1"), LOOKUP_STALE);
}

static void what_is_not_understood_is_counted_and_changes_nothing(void **state)
{
    struct world *w = *state;
    struct fed f;
    start(&f, w, 1);
    put_stored(w, "user:1", 5);
    static const char *const bad[] = {
        "",
        "{",
        "7",
        "{}",
        "{\"k\":\"user:1\",\"v\":1.5}",
        "{\"k\":\"user:1\",\"k2\":1}",
        "{\"k\":\"user:1\",\"hb\":\"x\"}",
        "{\"m\":\"\"}",
        "{\"t\":{}}",
        "{\"n\":1}",
        "{\"v\":1}",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(hear(&f, bad[i]));
    assert_int_equal(f.feed.bad, sizeof bad / sizeof *bad);
    assert_int_equal(f.feed.events, 0);
    assert_int_equal(lookup(w, "user:1"), LOOKUP_FRESH);
    assert_true(hear(&f, "{\"t\":[\"a\"],\"m\":\"user:*\"}"));
    assert_int_equal(lookup(w, "user:1"), LOOKUP_MISS);
}

static void race_34_after_a_gap_what_reads_a_replica_reads_the_primary(void **state)
{
    struct world *w = *state;
    struct fed f;
    start(&f, w, 1);
    (void)up(&f, "1/1");
    assert_false(reads_primary(w)); /* it reads that anyway */
    f.feed.rule.lagging = true;
    feed_down(&f.feed, w->now_ms);
    assert_false(reads_primary(w));
    (void)up(&f, "1/1");
    assert_true(reads_primary(w));
    w->now_ms += 60000;
    assert_false(reads_primary(w));
    assert_int_equal(beat(&f, true), FEED_BEAT);
    assert_int_equal(beat(&f, false), FEED_BEAT);
    assert_int_equal(beat(&f, true), FEED_BEAT); /* the one before is missing */
    assert_true(reads_primary(w));
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(race_04_an_event_before_its_row_can_be_seen),
        T(race_06_what_was_loaded_before_the_feed_came_back_is_not_fresh),
        T(race_06_beyond_its_grace_nothing_counts_as_fresh),
        T(race_07_three_heartbeats_that_stay_away_are_the_end_of_a_connection),
        T(race_07_a_number_that_is_missing_is_a_gap),
        T(race_08_another_timeline_drops_what_the_last_one_told),
        T(race_08_a_server_that_is_not_shown_to_be_the_same_is_another),
        T(race_08_a_wal_that_ends_before_where_it_was_is_another),
        T(race_08_goes_on_over_a_reload_of_another_url),
        T(race_06_what_was_missed_is_a_gap_until_its_writers_are_done),
        T(race_06_what_was_missed_while_it_was_down_may_be_at_work_yet),
        T(race_06_a_gap_reaches_what_has_a_tag_whatever_its_key),
        T(every_tag_at_once),
        T(a_key_that_cannot_be_one_here_does_not_take_its_tags_along),
        T(race_09_events_twice_and_out_of_order),
        T(marks_that_find_no_room_are_set_later_and_nothing_is_fresh_till_then),
        T(a_wal_end_only_rises),
        T(sixteen_patterns_are_not_everything),
        T(with_many_patterns_a_gap_makes_everything_stale),
        T(what_is_not_understood_is_counted_and_changes_nothing),
        T(race_34_after_a_gap_what_reads_a_replica_reads_the_primary),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
