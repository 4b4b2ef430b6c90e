/* A feed that polls, and goes on after a cut where it was. */
#include "feed_world.h"

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

static bool polled_up(struct fed *f, const char *timeline, const char *missed, bool resumed)
{
    struct identity id = {.system = "7", .started = "1"};
    snprintf(id.timeline, sizeof id.timeline, "%s", timeline);
    const struct listen_up now = {
        .identity = &id, .missed = missed, .resumed = resumed, .polls = true};
    return feed_up(&f->feed, &now, f->w->now_ms);
}

static void race_06_a_cut_that_resumes_is_no_gap(void **state)
{
    struct world *w = *state;
    struct fed f;
    start(&f, w, 1);
    f.feed.rule.lagging = true;
    polled_up(&f, "1", FEED_MISSED_NONE, false);
    w->now_ms += 60000; /* the floors of before are forgotten */
    put_stored(w, "user:1", 5);
    feed_down(&f.feed, w->now_ms);
    assert_true(polled_up(&f, "1", FEED_MISSED_NONE, true));
    assert_int_equal(lookup(w, "user:1"), LOOKUP_FRESH);
    assert_int_equal(f.feed.gaps, 0);
    assert_false(reads_primary(w));
    put_stored(w, "user:1", 6);
    feed_down(&f.feed, w->now_ms);
    assert_true(polled_up(&f, "1", FEED_MISSED_NONE, false));
    assert_int_equal(lookup(w, "user:1"), LOOKUP_STALE);
    assert_int_equal(f.feed.gaps, 1);
    assert_true(reads_primary(w));
}

static void one_that_resumes_is_fresh_again_after_its_grace(void **state)
{
    struct world *w = *state;
    struct fed f;
    char text[FEED_BEAT_TEXT];
    start(&f, w, 1);
    polled_up(&f, "1", FEED_MISSED_NONE, false);
    feed_down(&f.feed, w->now_ms);
    w->now_ms += 1000;
    assert_int_equal(feed_tick(&f.feed, w->now_ms, text), FEED_NOTHING);
    assert_true(f.cut);
    polled_up(&f, "1", FEED_MISSED_NONE, true);
    assert_false(f.cut);
}

/* Its driver has compared what another life has left, which this one does not know. */
static void the_first_up_of_a_life_may_resume_the_last_one(void **state)
{
    struct world *w = *state;
    struct fed f;
    start(&f, w, 1);
    put_stored(w, "user:1", 5);
    assert_true(polled_up(&f, "1", "4/1", true));
    assert_int_equal(lookup(w, "user:1"), LOOKUP_FRESH);
    assert_false(f.feed.missed_open);
    assert_true(feed_beaten(&f.feed, "4/1", false, 0, w->now_ms));
    feed_down(&f.feed, w->now_ms);
    assert_false(polled_up(&f, "2", "4/1", false));
    assert_int_equal(lookup(w, "user:1"), LOOKUP_MISS);
}

static void who_polls_is_sent_no_heartbeats(void **state)
{
    struct world *w = *state;
    struct fed f;
    char text[FEED_BEAT_TEXT];
    start(&f, w, 1);
    polled_up(&f, "1", FEED_MISSED_NONE, false);
    assert_true(feed_due_ms(&f.feed, w->now_ms) == INT64_MAX);
    for (int i = 0; i < FEED_MISSED_MAX + 1; i++) {
        w->now_ms += 100;
        assert_int_equal(feed_tick(&f.feed, w->now_ms, text), FEED_NOTHING);
    }
    feed_down(&f.feed, w->now_ms);
    assert_int_equal(feed_due_ms(&f.feed, w->now_ms), w->now_ms + 1000);
    up(&f, "7/1"); /* one that listens takes its place */
    assert_int_equal(beat(&f, true), FEED_BEAT);
}

static void a_position_holds_once_no_gap_is_under_way(void **state)
{
    struct world *w = *state;
    struct fed f;
    start(&f, w, 1);
    assert_false(feed_settled(&f.feed));
    polled_up(&f, "1", FEED_MISSED_NONE, false);
    assert_true(feed_settled(&f.feed));
    feed_beaten(&f.feed, "1/1", true, 0, w->now_ms);
    assert_false(feed_settled(&f.feed));
    feed_beaten(&f.feed, "1/1", false, 0, w->now_ms);
    assert_true(feed_settled(&f.feed));
    f.feed.mark_due = true;
    assert_false(feed_settled(&f.feed));
    f.feed.mark_due = false;
    feed_down(&f.feed, w->now_ms);
    assert_true(feed_settled(&f.feed)); /* it goes on from where it was */
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(race_06_a_cut_that_resumes_is_no_gap),
        T(one_that_resumes_is_fresh_again_after_its_grace),
        T(the_first_up_of_a_life_may_resume_the_last_one),
        T(who_polls_is_sent_no_heartbeats),
        T(a_position_holds_once_no_gap_is_under_way),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
