/* The feeds of configurations that follow one another, and what comes in between. */
#include "feeds_world.h"

#include "logged.h"

static void a_feed_keeps_its_connection_over_a_reload(void **state)
{
    (void)state;
    struct feeds_world w;
    struct feeds_plan p, more;
    feeds_world_init(&w);
    feeds_plan_init(&p, 1, 1000);
    feeds_plan_init(&more, 2, 1000);
    struct snapshot *s = feeds_snapshot(&p, NULL);
    feeds_take(&w, s);
    feeds_up(&w, 0);
    struct snapshot *next = feeds_snapshot(&more, s);
    snapshot_unref(s);
    assert_true(atomic_load(&next->backends[0]->feed.connected));
    feeds_take(&w, next);
    assert_int_equal(w.count, 1);
    assert_false(w.listens[0].freed);
    snapshot_unref(next);
    feeds_world_fini(&w);
}

static void a_feed_that_is_taken_away_is_not_listened_to(void **state)
{
    (void)state;
    struct feeds_world w;
    struct feeds_plan p, none;
    feeds_world_init(&w);
    feeds_plan_init(&p, 1, 1000);
    feeds_plan_init(&none, 1, 1000);
    none.backends[0].feed = NULL;
    struct snapshot *s = feeds_snapshot(&p, NULL);
    feeds_take(&w, s);
    struct snapshot *next = feeds_snapshot(&none, s);
    snapshot_unref(s);
    feeds_take(&w, next);
    assert_true(w.listens[0].freed);
    struct snapshot *again = feeds_snapshot(&p, next);
    snapshot_unref(next);
    feeds_take(&w, again);
    assert_int_equal(w.count, 2);
    snapshot_unref(again);
    feeds_world_fini(&w);
}

static void
race_38_a_gap_between_the_making_of_a_snapshot_and_the_telling_is_no_secret(void **state)
{
    (void)state;
    struct feeds_world w;
    struct feeds_plan p, more;
    struct feeds_change *c;
    struct err e;
    feeds_world_init(&w);
    feeds_plan_init(&p, 1, 60000);
    feeds_plan_init(&more, 2, 60000);
    struct snapshot *s = feeds_snapshot(&p, NULL);
    feeds_take(&w, s);
    feeds_up(&w, 0);
    struct snapshot *next = feeds_snapshot(&more, s);
    assert_int_equal(feeds_prepare(&c, next, &e), 0);
    feeds_store(&w, "b:1"); /* a loader thread uses it already */
    feeds_down(&w, 0);
    feeds_up(&w, 0);
    feeds_commit(w.feeds, c, clock_ms());
    feeds_turn(w.feeds);
    assert_int_equal(lookup(w.w, "b:1"), LOOKUP_STALE);
    snapshot_unref(s);
    snapshot_unref(next);
    feeds_world_fini(&w);
}

static void race_38_a_feed_that_is_cut_in_that_window_is_cut_for_the_next_snapshot(void **state)
{
    (void)state;
    struct feeds_world w;
    struct feeds_plan p, other;
    struct feeds_change *c;
    struct err e;
    feeds_world_init(&w);
    feeds_plan_init(&p, 1, 0);
    feeds_plan_init(&other, 2, 0);
    other.backends[0].full_errors = true; /* another connection */
    struct snapshot *s = feeds_snapshot(&p, NULL);
    feeds_take(&w, s);
    feeds_up(&w, 0);
    struct snapshot *next = feeds_snapshot(&other, s);
    assert_int_equal(feeds_prepare(&c, next, &e), 0);
    feeds_store(&w, "b:1");
    feeds_down(&w, 0);
    while (!snapshot_is_cut(s, 0))
        feeds_turn(w.feeds);
    assert_true(snapshot_is_cut(next, 0) && snapshot_is_cut(next, 1));
    feeds_commit(w.feeds, c, clock_ms());
    feeds_turn(w.feeds);
    assert_true(w.listens[0].freed);
    assert_true(snapshot_is_cut(next, 1));
    assert_int_equal(lookup(w.w, "b:1"), LOOKUP_STALE);
    feeds_up(&w, 1);
    assert_false(snapshot_is_cut(next, 1));
    snapshot_unref(s);
    snapshot_unref(next);
    feeds_world_fini(&w);
}

static void a_grace_begins_with_the_first_thread_that_loads_by_the_configuration(void **state)
{
    (void)state;
    struct feeds_world w;
    struct feeds_plan p;
    struct feeds_change *c;
    struct err e;
    feeds_world_init(&w);
    feeds_plan_init(&p, 1, 60000);
    struct snapshot *s = feeds_snapshot(&p, NULL);
    feeds_store(&w, "a:1");
    assert_int_equal(feeds_prepare(&c, s, &e), 0);
    w.refuse = 1000; /* each try is a turn */
    feeds_commit(w.feeds, c, clock_ms() - 60000);
    for (int i = 0; i < 10 && !snapshot_is_cut(s, 0); i++)
        feeds_turn(w.feeds);
    assert_true(snapshot_is_cut(s, 0));
    assert_int_equal(lookup(w.w, "a:1"), LOOKUP_STALE);
    snapshot_unref(s);
    feeds_world_fini(&w);
}

static void a_listen_that_cannot_be_made_is_tried_again_and_is_down_till_then(void **state)
{
    (void)state;
    struct feeds_world w;
    struct feeds_plan p;
    feeds_world_init(&w);
    feeds_plan_init(&p, 1, 0);
    w.refuse = 3;
    struct snapshot *s = feeds_snapshot(&p, NULL);
    feeds_store(&w, "a:1");
    feeds_take(&w, s);
    while (w.count == 0)
        feeds_turn(w.feeds);
    assert_int_equal(w.asked, 4);
    assert_true(snapshot_is_cut(s, 0));
    assert_int_equal(lookup(w.w, "a:1"), LOOKUP_STALE);
    feeds_up(&w, 0);
    assert_false(snapshot_is_cut(s, 0));
    snapshot_unref(s);
    feeds_world_fini(&w);
}

static void what_is_dropped_has_changed_nothing(void **state)
{
    (void)state;
    struct feeds_world w;
    struct feeds_plan p, more;
    struct feeds_change *c;
    struct err e;
    feeds_world_init(&w);
    feeds_plan_init(&p, 1, 1000);
    feeds_plan_init(&more, 2, 1000);
    struct snapshot *s = feeds_snapshot(&p, NULL);
    feeds_take(&w, s);
    feeds_up(&w, 0);
    struct snapshot *next = feeds_snapshot(&more, s);
    assert_int_equal(feeds_prepare(&c, next, &e), 0);
    feeds_drop(c);
    feeds_drop(NULL);
    snapshot_unref(next);
    feeds_store(&w, "b:1");
    feeds_down(&w, 0);
    feeds_up(&w, 0);
    assert_int_equal(lookup(w.w, "b:1"), LOOKUP_FRESH);
    snapshot_unref(s);
    feeds_world_fini(&w);
}

static void notify(struct feeds_world *w, const char *payload)
{
    const struct listen_events *events = &w->listens[0].events;
    events->notified(events->arg, slice_str(payload));
}

static void beat(struct feeds_world *w, const char *missed, bool held, int64_t lag_ms)
{
    const struct listen_events *events = &w->listens[0].events;
    const struct listen_beat b = {.missed = missed, .held = held, .lag_ms = lag_ms};
    events->beaten(events->arg, &b);
}

/* Each thing that a feed hears of shows at once, and what is wrong is logged. */
static void what_a_feed_heard_is_published_and_logged(void **state)
{
    (void)state;
    struct feeds_world w;
    struct feeds_plan p;
    feeds_world_init(&w);
    feeds_plan_init(&p, 1, 60000);
    struct snapshot *s = feeds_snapshot(&p, NULL);
    const struct live_feed *f = &s->backends[0]->feed;
    feeds_take(&w, s);
    logged_begin();
    assert_false(atomic_load(&f->connected));
    feeds_up(&w, 0);
    assert_true(atomic_load(&f->connected));
    assert_int_equal(atomic_load(&f->lag_ms), -1);
    notify(&w, "{\"k\":\"a:1\"}");
    notify(&w, "{\"k\":\"a:2\"}");
    assert_int_equal(atomic_load(&f->events), 2);
    logged_none();
    notify(&w, "{\"k\":7}");
    assert_int_equal(atomic_load(&f->bad), 1);
    assert_int_equal(atomic_load(&f->events), 2);
    logged_is("warn  feed.bad backend=main payload=\"{\\\"k\\\":7}\" "
              "error=\"\\\"k\\\" is no string\"");
    beat(&w, "0/0", false, 17); /* a poll's */
    assert_int_equal(atomic_load(&f->lag_ms), 17);
    assert_int_equal(atomic_load(&f->gaps), 0);
    beat(&w, "1/1", true, -1);
    assert_int_equal(atomic_load(&f->gaps), 1);
    assert_int_equal(atomic_load(&f->lag_ms), 17);
    logged_is("warn  feed.missed backend=main held=true");
    feeds_down(&w, 0);
    assert_false(atomic_load(&f->connected));
    feeds_up(&w, 0); /* the one that was up before */
    assert_int_equal(atomic_load(&f->gaps), 2);
    logged_none();
    const struct identity id = {.system = "2", .timeline = "1", .started = "1"};
    const struct listen_up up = {.identity = &id, .missed = "1/1"};
    char was[IDENTITY_TEXT], is[IDENTITY_TEXT], line[3 * IDENTITY_TEXT];
    const struct identity before = {.system = "1", .timeline = "1", .started = "1"};
    identity_show(&before, was);
    identity_show(&id, is);
    w.listens[0].events.up(w.listens[0].events.arg, &up);
    snprintf(line, sizeof line, "warn  feed.other_cluster backend=main before=%s now=%s", was, is);
    logged_is(line);
    snapshot_unref(s);
    feeds_world_fini(&w);
}

/* A server that is told to end before its feeds begin says so again when it is taken apart. */
static void feeds_that_never_started_may_be_stopped_twice(void **state)
{
    (void)state;
    struct feeds_world w;
    feeds_world_init(&w);
    feeds_stop(w.feeds);
    feeds_stop(w.feeds);
    feeds_world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_feed_keeps_its_connection_over_a_reload),
        cmocka_unit_test(a_feed_that_is_taken_away_is_not_listened_to),
        cmocka_unit_test(
            race_38_a_gap_between_the_making_of_a_snapshot_and_the_telling_is_no_secret),
        cmocka_unit_test(race_38_a_feed_that_is_cut_in_that_window_is_cut_for_the_next_snapshot),
        cmocka_unit_test(a_grace_begins_with_the_first_thread_that_loads_by_the_configuration),
        cmocka_unit_test(a_listen_that_cannot_be_made_is_tried_again_and_is_down_till_then),
        cmocka_unit_test(what_is_dropped_has_changed_nothing),
        cmocka_unit_test(what_a_feed_heard_is_published_and_logged),
        cmocka_unit_test(feeds_that_never_started_may_be_stopped_twice),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
