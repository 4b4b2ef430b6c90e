/* A reload's part of the feeds and snapshots, without one of the allocations that it asks for. */
#include "feeds_world.h"

#include "faulty.h"
#include "sys/loop_memory.h"

/* All that is made before anything changes. */
static int prepare(struct feeds_plan *p, const struct snapshot *before, struct snapshot **s,
                   struct feeds_change **c)
{
    struct err e;
    int rc = snapshot_new(s, &p->conf, 2, before, &e);
    if (rc == 0)
        rc = feeds_prepare(c, *s, &e);
    assert_true(rc == 0 || (rc == ERR_NOMEM && e.code == rc && !*c));
    return rc;
}

static void a_reload_that_finds_no_memory_leaves_what_is_in_force(void **state)
{
    struct feeds_world w;
    struct feeds_plan p, more;
    int64_t more_of_them = *(const int64_t *)*state, nth = 1;
    feeds_world_init(&w);
    feeds_plan_init(&p, 1, 60000);
    feeds_plan_init(&more, FEEDS_PATTERNS, 60000);
    struct snapshot *s = feeds_snapshot(&p, NULL), *next = NULL;
    struct feeds_change *c = NULL;
    feeds_take(&w, s);
    feeds_up(&w, 0);
    int rc = 0, held = atomic_load(&more.conf.refs);
    for (; FAULTY_WITHOUT(nth, more_of_them, rc = prepare(&more, s, &next, &c)); nth++) {
        assert_int_equal(rc, ERR_NOMEM);
        if (next) { /* it has the configuration */
            assert_int_equal(atomic_load(&more.conf.refs), held);
            atomic_fetch_add(&more.conf.refs, 1);
        }
        snapshot_unref(next);
        next = NULL;
        assert_int_equal(s->slot_count, 2);
        assert_int_equal(atomic_load(&s->backends[0]->refs), 1);
    }
    assert_int_equal(rc, 0);
    assert_true(nth > 10);
    assert_int_equal(w.count, 1);
    feeds_drop(c);
    snapshot_unref(next);
    snapshot_unref(s);
    feeds_world_fini(&w);
}

/* What has been prepared is taken over without any memory; marks, which need some, come later. */
static void a_reload_that_was_prepared_needs_no_memory(void **state)
{
    (void)state;
    struct feeds_world w;
    struct feeds_plan p, more;
    feeds_world_init(&w);
    feeds_plan_init(&p, 1, 60000);
    feeds_plan_init(&more, 2, 60000);
    struct snapshot *s = feeds_snapshot(&p, NULL), *next = NULL;
    struct feeds_change *c = NULL;
    feeds_take(&w, s);
    feeds_up(&w, 0);
    feeds_take(&w, s); /* the loop has the tables for both at once, a message and a heartbeat */
    assert_int_equal(prepare(&more, s, &next, &c), 0);
    feeds_store(&w, "b:1");
    feeds_down(&w, 0);
    feeds_up(&w, 0);
    faulty_fail_allocation(1, FAULTY_ALL);
    feeds_commit(w.feeds, c, clock_ms());
    feeds_turn(w.feeds);
    assert_true(snapshot_is_cut(next, 1)); /* the marks are due, and nothing is fresh till then */
    assert_true(faulty_calm());
    while (snapshot_is_cut(next, 1))
        feeds_turn(w.feeds);
    assert_int_equal(lookup(w.w, "b:1"), LOOKUP_STALE);
    snapshot_unref(s);
    snapshot_unref(next);
    feeds_world_fini(&w);
}

int main(void)
{
    static int64_t alone = 0, and_the_next = FAULTY_ALL;
    loop_memory_install();
    const struct CMUnitTest tests[] = {
        {"a reload that finds no memory leaves what is in force",
         a_reload_that_finds_no_memory_leaves_what_is_in_force, NULL, NULL, &alone},
        {"a reload that finds no memory any more leaves what is in force",
         a_reload_that_finds_no_memory_leaves_what_is_in_force, NULL, NULL, &and_the_next},
        cmocka_unit_test(a_reload_that_was_prepared_needs_no_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
