/* Feeds that go on from where they were in another life, and what their owner is told of it. */
#include "feeds_world.h"

struct told {
    int times;
    bool resumed;
    char name[16];
};

static void hear_caught_up(void *arg, const char *name, bool resumed)
{
    struct told *t = arg;
    t->times++;
    t->resumed = resumed;
    snprintf(t->name, sizeof t->name, "%s", name);
}

static bool says(struct feeds_world *w, const char *text)
{
    struct buf out;
    buf_init(&out, 0);
    bool ok = feeds_position(w->feeds, "main", &out);
    assert_int_equal(ok ? out.size : 0, out.size);
    ok = ok == (text != NULL) && (!text || slice_eq_str(buf_slice(&out), text));
    buf_fini(&out);
    return ok;
}

static void prepare(struct feeds_world *w, struct feeds_plan *p, struct told *t)
{
    feeds_world_init(w);
    feeds_plan_init(p, 1, 60000);
    *t = (struct told){.times = 0};
    feeds_tell(w->feeds, hear_caught_up, t);
}

static void one_goes_on_from_what_it_was_given(void **state)
{
    (void)state;
    struct feeds_world w;
    struct feeds_plan p;
    struct told t;
    struct err e;
    prepare(&w, &p, &t);
    w.position = "p1";
    assert_int_equal(feeds_resume(w.feeds, "main", slice_str("p0"), &e), 0);
    struct snapshot *s = feeds_snapshot(&p, NULL);
    feeds_take(&w, s);
    assert_string_equal(w.from, "p0");
    assert_int_equal(t.times, 0); /* not before its database was reached */
    assert_true(says(&w, NULL));
    feeds_store(&w, "a:1");
    feeds_up_again(&w, 0, true);
    assert_int_equal(t.times, 1);
    assert_true(t.resumed);
    assert_string_equal(t.name, "main");
    assert_int_equal(lookup(w.w, "a:1"), LOOKUP_FRESH);
    assert_true(says(&w, "p1"));
    feeds_down(&w, 0);
    feeds_up_again(&w, 0, true);
    assert_int_equal(t.times, 1); /* once in a life */
    snapshot_unref(s);
    feeds_world_fini(&w);
}

static void one_that_cannot_go_on_says_so(void **state)
{
    (void)state;
    struct feeds_world w;
    struct feeds_plan p;
    struct told t;
    struct err e;
    prepare(&w, &p, &t);
    w.position = "p1";
    assert_int_equal(feeds_resume(w.feeds, "main", slice_str("p0"), &e), 0);
    struct snapshot *s = feeds_snapshot(&p, NULL);
    feeds_take(&w, s);
    feeds_store(&w, "a:1");
    feeds_up_again(&w, 0, false);
    assert_int_equal(t.times, 1);
    assert_false(t.resumed);
    assert_int_equal(lookup(w.w, "a:1"), LOOKUP_MISS);
    snapshot_unref(s);
    feeds_world_fini(&w);
}

static void one_that_was_given_nothing_says_so_at_once(void **state)
{
    (void)state;
    struct feeds_world w;
    struct feeds_plan p;
    struct told t;
    struct err e;
    prepare(&w, &p, &t);
    w.position = "p1";
    assert_int_equal(feeds_resume(w.feeds, "another", slice_str("p0"), &e), 0);
    struct snapshot *s = feeds_snapshot(&p, NULL);
    feeds_take(&w, s);
    assert_string_equal(w.from, "");
    assert_int_equal(t.times, 1);
    assert_false(t.resumed);
    snapshot_unref(s);
    feeds_world_fini(&w);
}

static void one_that_listens_has_no_position_and_cannot_go_on(void **state)
{
    (void)state;
    struct feeds_world w;
    struct feeds_plan p;
    struct told t;
    struct err e;
    prepare(&w, &p, &t);
    assert_int_equal(feeds_resume(w.feeds, "main", slice_str("p0"), &e), 0);
    struct snapshot *s = feeds_snapshot(&p, NULL);
    feeds_take(&w, s);
    assert_int_equal(t.times, 1);
    assert_false(t.resumed);
    feeds_up(&w, 0);
    assert_true(says(&w, NULL));
    snapshot_unref(s);
    feeds_world_fini(&w);
}

static void a_position_is_the_newest_and_none_while_something_is_missing(void **state)
{
    (void)state;
    struct feeds_world w;
    struct feeds_plan p;
    struct told t;
    prepare(&w, &p, &t);
    struct snapshot *s = feeds_snapshot(&p, NULL);
    w.position = "p1";
    feeds_take(&w, s);
    feeds_up_again(&w, 0, false);
    const struct listen_events *events = &w.listens[0].events;
    w.position = "p2";
    assert_true(says(&w, "p1"));
    events->moved(events->arg);
    assert_true(says(&w, "p2"));
    struct listen_beat beat = {.missed = "1/1", .held = true, .lag_ms = 7};
    events->beaten(events->arg, &beat);
    assert_true(says(&w, NULL));
    assert_int_equal(atomic_load(&s->backends[0]->feed.lag_ms), 7);
    beat.held = false;
    beat.lag_ms = -1;
    events->beaten(events->arg, &beat);
    assert_true(says(&w, "p2"));
    assert_int_equal(atomic_load(&s->backends[0]->feed.lag_ms), 7);
    feeds_down(&w, 0);
    assert_true(says(&w, "p2"));
    snapshot_unref(s);
    feeds_world_fini(&w);
}

static void a_feed_that_is_gone_is_nowhere(void **state)
{
    (void)state;
    struct feeds_world w;
    struct feeds_plan p, none;
    struct told t;
    prepare(&w, &p, &t);
    feeds_plan_init(&none, 1, 60000);
    none.backends[0].feed = NULL;
    w.position = "p1";
    struct snapshot *s = feeds_snapshot(&p, NULL);
    feeds_take(&w, s);
    feeds_up_again(&w, 0, false);
    struct snapshot *next = feeds_snapshot(&none, s);
    snapshot_unref(s);
    feeds_take(&w, next);
    assert_true(says(&w, NULL));
    struct snapshot *again = feeds_snapshot(&p, next);
    snapshot_unref(next);
    feeds_take(&w, again);
    assert_int_equal(t.times, 2); /* it is new, and was given nothing */
    snapshot_unref(again);
    feeds_world_fini(&w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_goes_on_from_what_it_was_given),
        cmocka_unit_test(one_that_cannot_go_on_says_so),
        cmocka_unit_test(one_that_was_given_nothing_says_so_at_once),
        cmocka_unit_test(one_that_listens_has_no_position_and_cannot_go_on),
        cmocka_unit_test(a_position_is_the_newest_and_none_while_something_is_missing),
        cmocka_unit_test(a_feed_that_is_gone_is_nowhere),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
