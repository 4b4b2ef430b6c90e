/* A feed whose rule changes: what a reload does. */
#include "feed_world.h"

/* What a reload does; of the patterns of start(), so many. */
static void change(struct fed *f, const char *const *patterns, size_t count)
{
    struct feed_rule rule = f->feed.rule;
    rule.patterns = patterns;
    rule.pattern_count = count;
    feed_change(&f->feed, &rule, f->w->now_ms);
}

static const char *const users_and_teams[] = {"user:*", "team:*"};

static void
race_38_a_gap_before_the_feed_hears_of_a_reload_is_one_of_the_new_loaders_too(void **state)
{
    struct world *w = *state;
    struct fed f;
    struct join_result r;
    bool stored;
    start(&f, w, 1);
    up(&f, "1/1");
    put_stored(w, "user:1", 5);
    put_stored(w, "team:1", 5); /* by a loader of the new configuration */
    join_as(w, "team:2", NULL, &r);
    feed_down(&f.feed, w->now_ms);
    up(&f, "1/1");
    put_stored(w, "user:2", 5);
    put_stored(w, "news:1", 5);
    assert_int_equal(lookup(w, "team:1"), LOOKUP_FRESH);
    change(&f, users_and_teams, 2);
    assert_int_equal(lookup(w, "team:1"), LOOKUP_STALE);
    assert_int_equal(lookup(w, "user:2"), LOOKUP_FRESH); /* it was covered all the time */
    assert_int_equal(lookup(w, "news:1"), LOOKUP_FRESH); /* it is not fed */
    struct outcome o = found(value_a);
    o.stale_ttl_ms = 1000;
    end_with(w, r.flight, &o, &stored); /* it began in the window */
    assert_int_equal(lookup(w, "team:2"), LOOKUP_STALE);
    put_stored(w, "team:3", 5);
    change(&f, users_and_teams, 2); /* and a further reload is none */
    assert_int_equal(lookup(w, "team:3"), LOOKUP_FRESH);
}

static void race_38_another_cluster_in_that_window_drops_what_the_new_loaders_loaded(void **state)
{
    struct world *w = *state;
    struct fed f;
    start(&f, w, 1);
    up(&f, "1/1");
    put_stored(w, "team:1", 5);
    feed_down(&f.feed, w->now_ms);
    up(&f, "2/1");
    change(&f, users_and_teams, 2);
    assert_int_equal(lookup(w, "team:1"), LOOKUP_MISS);
}

static void race_38_a_feed_that_is_cut_is_cut_for_what_is_new_to_it(void **state)
{
    struct world *w = *state;
    struct fed f;
    char text[FEED_BEAT_TEXT];
    start(&f, w, 1);
    up(&f, "1/1");
    put_stored(w, "team:1", 5);
    feed_down(&f.feed, w->now_ms);
    w->now_ms += 999;
    change(&f, users_and_teams, 2);
    assert_int_equal(lookup(w, "team:1"), LOOKUP_FRESH); /* within the grace */
    w->now_ms += 1;
    feed_tick(&f.feed, w->now_ms, text);
    assert_int_equal(lookup(w, "team:1"), LOOKUP_STALE);
    put_stored(w, "news:1", 5);
    change(&f, (const char *const[]){"news:*"}, 1);
    assert_true(f.cut);
    assert_int_equal(lookup(w, "news:1"), LOOKUP_STALE);
}

static void race_38_a_feed_that_follows_one_that_is_cut_is_cut_too(void **state)
{
    struct world *w = *state;
    struct fed f, next;
    char text[FEED_BEAT_TEXT];
    start(&f, w, 1);
    up(&f, "1/1");
    feed_down(&f.feed, w->now_ms);
    w->now_ms += 1000;
    feed_tick(&f.feed, w->now_ms, text);
    put_stored(w, "other:1", 5);
    start(&next, w, 2);
    feed_succeed(&next.feed, &f.feed, w->now_ms);
    assert_true(next.cut);
    assert_int_equal(lookup(w, "other:1"), LOOKUP_STALE);
}

static void marks_of_what_is_new_that_find_no_room_are_set_later(void **state)
{
    struct world *w = *state;
    struct fed f;
    char text[FEED_BEAT_TEXT];
    start(&f, w, 1);
    up(&f, "");
    put_stored(w, "team:1", 5);
    while (match(w, "never:*", false) == 0)
        ;
    change(&f, users_and_teams, 2);
    assert_true(f.cut);
    while (store_sweep(w->store, w->now_ms, 1000) > 0)
        ;
    feed_tick(&f.feed, w->now_ms, text);
    assert_false(f.cut);
    assert_int_equal(lookup(w, "team:1"), LOOKUP_STALE);
}

static void many_patterns_that_are_new_are_everything(void **state)
{
    struct world *w = *state;
    struct fed f;
    start(&f, w, 1);
    up(&f, "");
    put_stored(w, "news:1", 5);
    change(&f, f.patterns, FEED_PATTERNS_MAX + 2);
    assert_int_equal(lookup(w, "news:1"), LOOKUP_STALE);
}

static void race_34_what_reads_a_replica_from_a_reload_on_reads_the_primary(void **state)
{
    struct world *w = *state;
    struct fed f;
    start(&f, w, 1);
    (void)up(&f, "1/1");
    struct feed_rule rule = f.feed.rule;
    rule.lagging = true;
    feed_change(&f.feed, &rule, w->now_ms);
    assert_true(reads_primary(w)); /* a gap until then has lost no floors */
    w->now_ms += 60000;
    feed_change(&f.feed, &rule, w->now_ms);
    assert_false(reads_primary(w));
}

/* What goes over to a feed of another configuration, on top of its own. */
static void a_feed_that_succeeds_goes_on_where_the_last_one_was(void **state)
{
    struct world *w = *state;
    struct fed f, next;
    struct identity id = {"7", "00000001", "1", 1000};
    start(&f, w, 1);
    feed_up(&f.feed, &(struct listen_up){.identity = &id, .missed = "4/1"}, w->now_ms);
    hear(&f, "{");
    hear(&f, "{\"t\":[]}");
    hear(&f, "{\"t\":[]}");
    feed_up(&f.feed, &(struct listen_up){.identity = &id, .missed = "4/1"},
            w->now_ms); /* one gap */
    start(&next, w, 1);
    feed_succeed(&next.feed, &f.feed, w->now_ms + 5);
    assert_int_equal(next.feed.events, 2);
    assert_int_equal(next.feed.bad, 1);
    assert_int_equal(next.feed.gaps, 1);
    assert_true(next.feed.missed_open);
    assert_string_equal(next.feed.missed, "4/1");
    assert_false(next.cut);
    assert_int_equal(feed_due_ms(&next.feed, 0), w->now_ms + 5 + 1000); /* its grace begins now */
    feed_beaten(&f.feed, "4/1", false, 0, w->now_ms);
    start(&next, w, 1);
    feed_succeed(&next.feed, &f.feed, w->now_ms);
    assert_false(next.feed.missed_open);
    feed_up(&next.feed, &(struct listen_up){.identity = &id, .missed = "4/1"},
            w->now_ms); /* nobody left word meanwhile */
    assert_false(next.feed.missed_open);
    assert_int_equal(next.feed.gaps, f.feed.gaps + 1);
    feed_down(&f.feed, w->now_ms); /* the grace of one that is down goes on */
    start(&next, w, 1);
    feed_succeed(&next.feed, &f.feed, w->now_ms + 400);
    assert_int_equal(feed_due_ms(&next.feed, 0), w->now_ms + 1000);
}

/* What is cut stays so, also for what only the new one feeds. */
static void a_feed_that_succeeds_one_that_is_cut_is_cut(void **state)
{
    struct world *w = *state;
    struct fed f, next;
    char text[FEED_BEAT_TEXT];
    static const char *const teams[] = {"team:*"};
    start(&f, w, 1);
    up(&f, "1/1");
    feed_down(&f.feed, w->now_ms);
    w->now_ms += 1000;
    feed_tick(&f.feed, w->now_ms, text);
    put_stored(w, "team:1", 5);
    put_stored(w, "news:1", 5);
    start(&next, w, 1);
    next.feed.rule.patterns = teams;
    feed_succeed(&next.feed, &f.feed, w->now_ms);
    assert_true(next.cut);
    assert_int_equal(lookup(w, "team:1"), LOOKUP_STALE);
    assert_int_equal(lookup(w, "news:1"), LOOKUP_FRESH);
    assert_int_equal(feed_due_ms(&next.feed, w->now_ms), INT64_MAX);
}

/* Marks that were due are due for who succeeds, and as hard as they were. */
static void marks_that_are_due_go_over_and_stay_hard(void **state)
{
    struct world *w = *state;
    struct fed f, next;
    char text[FEED_BEAT_TEXT];
    start(&f, w, 1);
    up(&f, "1/1");
    while (store_sweep(w->store, w->now_ms, 1000) > 0)
        ;
    put_stored(w, "user:1", 5);
    while (match(w, "never:*", false) == 0)
        ;
    up(&f, "2/1");
    assert_true(f.cut);
    assert_int_equal(feed_due_ms(&f.feed, w->now_ms), w->now_ms + 20);
    up(&f, "2/1"); /* the last one's are due still */
    start(&next, w, 1);
    feed_succeed(&next.feed, &f.feed, w->now_ms);
    assert_true(next.cut);
    assert_int_equal(feed_due_ms(&next.feed, w->now_ms), w->now_ms + 20);
    assert_int_equal(feed_tick(&next.feed, w->now_ms, text), FEED_NOTHING);
    assert_true(next.feed.mark_due);
    while (store_sweep(w->store, w->now_ms, 1000) > 0)
        ;
    put_stored(w, "user:1", 5);
    feed_tick(&next.feed, w->now_ms, text);
    assert_false(next.feed.mark_due);
    assert_true(next.cut); /* it is not up */
    assert_int_equal(lookup(w, "user:1"), LOOKUP_MISS);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(race_38_a_gap_before_the_feed_hears_of_a_reload_is_one_of_the_new_loaders_too),
        T(race_38_another_cluster_in_that_window_drops_what_the_new_loaders_loaded),
        T(race_38_a_feed_that_is_cut_is_cut_for_what_is_new_to_it),
        T(race_38_a_feed_that_follows_one_that_is_cut_is_cut_too),
        T(marks_of_what_is_new_that_find_no_room_are_set_later),
        T(many_patterns_that_are_new_are_everything),
        T(race_34_what_reads_a_replica_from_a_reload_on_reads_the_primary),
        T(a_feed_that_succeeds_goes_on_where_the_last_one_was),
        T(a_feed_that_succeeds_one_that_is_cut_is_cut),
        T(marks_that_are_due_go_over_and_stay_hard),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
