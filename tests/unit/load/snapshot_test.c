#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "load/jitter.h"
#include "load/totals.h"
#include "metrics/metrics.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define LOADERS 3
#define HELD    1000 /* references: so many that none of the tests ends a configuration */

/* A configuration of so many of the patterns. */
struct plan {
    struct conf conf;
    struct conf_loader loaders[LOADERS];
};

static void plan_init(struct plan *p, int threads, const char *const *patterns, size_t count)
{
    memset(p, 0, sizeof *p);
    atomic_init(&p->conf.refs, HELD);
    p->conf.loader_threads = threads;
    p->conf.loaders = p->loaders;
    p->conf.loader_count = count;
    p->conf.defaults.ttl_ms = 1;
    for (size_t i = 0; i < count; i++) {
        p->loaders[i] = (struct conf_loader){
            .pattern = patterns[i], .file = "/etc/rtcache.conf", .line = 10 + (int)i};
        p->loaders[i].policy.ttl_ms = 100 + (int64_t)i;
    }
}

static struct snapshot *snapshot_of(struct plan *p, const struct snapshot *before)
{
    struct snapshot *s;
    struct err e;
    if (snapshot_new(&s, &p->conf, 5, before, &e) != 0)
        fail_msg("%s", e.text);
    return s;
}

static int held(const struct plan *p)
{
    return atomic_load(&p->conf.refs);
}

static void a_key_has_the_policy_of_its_loader_or_the_defaults(void **state)
{
    (void)state;
    struct plan p;
    plan_init(&p, 2, (const char *[]){"user:*", "user:admin:*", "team:*"}, 3);
    struct snapshot *s = snapshot_of(&p, NULL);
    int loader;
    assert_int_equal(s->generation, 5);
    assert_int_equal(snapshot_policy(s, slice_str("user:42"), &loader)->ttl_ms, 100);
    assert_int_equal(loader, 0);
    assert_int_equal(snapshot_policy(s, slice_str("user:admin:1"), &loader)->ttl_ms, 101);
    assert_int_equal(loader, 1);
    assert_int_equal(snapshot_policy(s, slice_str("other"), &loader)->ttl_ms, 1);
    assert_int_equal(loader, -1);
    snapshot_unref(s);
}

static void race_38_a_feed_that_is_cut_while_the_next_snapshot_is_made_is_cut_in_it(void **state)
{
    (void)state;
    struct plan p;
    plan_init(&p, 1, (const char *[]){"user:*"}, 1);
    struct conf_backend backends[] = {{.name = "main", .feed = "c"}, {.name = "other"}};
    p.conf.backends = backends;
    p.conf.backend_count = 2;
    p.loaders[0].backend = "main";
    struct snapshot *s = snapshot_of(&p, NULL), *next = snapshot_of(&p, s);
    atomic_store(&s->backends[0]->feed.cut,
                 true); /* the feeds' thread has not heard of the next one yet */
    assert_true(snapshot_is_cut(next, 0));
    snapshot_unref(s);
    assert_true(snapshot_is_cut(next, 0));
    struct plan unfed = p;
    struct conf_backend plain[] = {{.name = "main"}, {.name = "other"}};
    unfed.conf.loaders = unfed.loaders;
    unfed.conf.backends = plain;
    struct snapshot *without = snapshot_of(&unfed, next);
    struct snapshot *again = snapshot_of(&p, without);
    assert_false(snapshot_is_cut(again, 0)); /* a feed that was gone begins anew */
    snapshot_unref(next);
    snapshot_unref(without);
    snapshot_unref(again);
}

static void a_configuration_without_loaders_is_one(void **state)
{
    (void)state;
    struct plan p;
    int loader;
    plan_init(&p, 4, NULL, 0);
    struct snapshot *s = snapshot_of(&p, NULL);
    assert_ptr_equal(snapshot_policy(s, slice_str("user:42"), &loader), &p.conf.defaults);
    assert_int_equal(loader, -1);
    struct snapshot *next = snapshot_of(&p, s);
    snapshot_unref(s);
    snapshot_unref(next);
}

static void the_last_reference_lets_go_of_the_configuration(void **state)
{
    (void)state;
    struct plan p;
    plan_init(&p, 1, (const char *[]){"*"}, 1);
    struct snapshot *s = snapshot_of(&p, NULL);
    assert_ptr_equal(snapshot_ref(s), s);
    snapshot_unref(s);
    assert_int_equal(held(&p), HELD);
    snapshot_unref(s);
    assert_int_equal(held(&p), HELD - 1);
    snapshot_unref(NULL);
}

static void a_pattern_that_is_wrong_is_named_with_its_line(void **state)
{
    (void)state;
    struct plan p;
    struct snapshot *s = (struct snapshot *)&p;
    struct err e;
    plan_init(&p, 1, (const char *[]){"user:*", "team\\", "*"}, 3);
    assert_int_equal(snapshot_new(&s, &p.conf, 1, NULL, &e), ERR_CONFIG);
    assert_null(s);
    assert_non_null(strstr(e.text, "/etc/rtcache.conf:11: "));
    assert_non_null(strstr(e.text, "team\\"));
    assert_int_equal(held(&p), HELD); /* it is still the caller's */
}

static void a_pattern_given_twice_is_named(void **state)
{
    (void)state;
    struct plan p;
    struct snapshot *s;
    struct err e;
    plan_init(&p, 1, (const char *[]){"user:*", "*", "user:*"}, 3);
    assert_int_equal(snapshot_new(&s, &p.conf, 1, NULL, &e), ERR_CONFIG);
    assert_null(s);
    assert_non_null(strstr(e.text, "user:*"));
    assert_non_null(strstr(e.text, "/etc/rtcache.conf:12: "));
    assert_int_equal(held(&p), HELD);
}

static uint64_t loads(const struct snapshot *s, size_t loader)
{
    return totals_of_loader(s, loader).of[0];
}

static void the_totals_of_equal_patterns_go_on(void **state)
{
    (void)state;
    struct plan old, new;
    plan_init(&old, 2, (const char *[]){"user:*", "gone:*", "team:*"}, 3);
    plan_init(&new, 2, (const char *[]){"team:*", "new:*", "user:*"}, 3);
    struct snapshot *before = snapshot_of(&old, NULL);
    for (size_t t = 0; t < 2; t++)
        for (size_t i = 0; i < 3; i++)
            loader_count(&snapshot_counters(before, t, i)->loads, 1000 * (i + 1) + t);
    struct snapshot *s = snapshot_of(&new, before);
    assert_int_equal(loads(s, 0), 3000 + 3001);
    assert_int_equal(loads(s, 1), 0);
    assert_int_equal(loads(s, 2), 1000 + 1001);
    assert_int_equal(atomic_load(&snapshot_counters(s, 1, 2)->loads), 1001);
    snapshot_unref(before);
    snapshot_unref(s);
}

static void what_is_counted_while_the_next_snapshot_is_taken_over_is_not_lost(void **state)
{
    (void)state;
    struct plan p;
    plan_init(&p, 2, (const char *[]){"user:*"}, 1);
    struct snapshot *before = snapshot_of(&p, NULL), *s = snapshot_of(&p, before);
    /* Loads that began with the one before, until the last of them ends. */
    struct loader_counters *c = snapshot_counters(before, 1, 0);
    loader_count(&c->loads, 7);
    atomic_fetch_add(&c->in_flight, 3);
    assert_int_equal(loads(s, 0), 7);
    assert_int_equal(totals_of_loader(s, 0).in_flight, 3);
    snapshot_unref(before);
    snapshot_unref(s);
}

static void what_was_counted_of_a_pattern_is_there_when_it_comes_back(void **state)
{
    (void)state;
    struct plan with, without;
    plan_init(&with, 1, (const char *[]){"user:*", "team:*"}, 2);
    plan_init(&without, 1, (const char *[]){"team:*"}, 1);
    struct snapshot *first = snapshot_of(&with, NULL);
    loader_count(&snapshot_counters(first, 0, 0)->loads, 7);
    struct snapshot *second = snapshot_of(&without, first);
    snapshot_unref(first);
    struct snapshot *third = snapshot_of(&with, second);
    snapshot_unref(second);
    assert_int_equal(loads(third, 0), 7);
    assert_int_equal(loads(third, 1), 0);
    snapshot_unref(third);
}

static void what_threads_last_said_is_there_after_a_reload(void **state)
{
    (void)state;
    struct plan p;
    plan_init(&p, 2, (const char *[]){"user:*"}, 1);
    struct conf_backend backends[] = {{.name = "main"}, {.name = "other"}};
    p.conf.backends = backends;
    p.conf.backend_count = 2;
    struct snapshot *before = snapshot_of(&p, NULL);
    live_backend_tell(before->backends[1], 0, &(struct backend_stats){.queries = 4, .idle = 1});
    live_backend_tell(before->backends[1], 1, &(struct backend_stats){.queries = 5});
    live_scripts_tell(before->scripts, 1, &(struct runtime_stats){.runs = 6});
    struct plan next = p;
    struct conf_backend others[] = {{.name = "other"}, {.name = "new"}};
    next.conf.loaders = next.loaders;
    next.conf.backends = others;
    struct snapshot *s = snapshot_of(&next, before);
    struct backend_stats b;
    struct runtime_stats r;
    snapshot_ask_backend(s, 0, &b);
    snapshot_ask_scripts(s, &r);
    assert_int_equal(b.queries, 9);
    assert_int_equal(b.idle, 1);
    snapshot_ask_backend(s, 1, &b);
    assert_int_equal(b.queries, 0);
    assert_int_equal(r.runs, 6);
    snapshot_unref(before);
    snapshot_unref(s);
}

static void a_pattern_keeps_its_slot_over_reloads(void **state)
{
    (void)state;
    struct plan a, b, c;
    plan_init(&a, 1, (const char *[]){"user:*", "team:*"}, 2);
    plan_init(&b, 1, (const char *[]){"news:*", "team:*"}, 2);
    plan_init(&c, 1, (const char *[]){"news:*", "user:*", "*"}, 3);
    struct snapshot *first = snapshot_of(&a, NULL);
    assert_int_equal(snapshot_owner(first, 0), 1);
    assert_int_equal(snapshot_owner(first, 1), 2);
    assert_int_equal(snapshot_owner(first, -1), 0);
    struct snapshot *second = snapshot_of(&b, first);
    snapshot_unref(first);
    assert_int_equal(snapshot_owner(second, 0), 3);
    assert_int_equal(snapshot_owner(second, 1), 2);
    /* One that was away gets its own again, nobody else's. */
    struct snapshot *third = snapshot_of(&c, second);
    snapshot_unref(second);
    assert_int_equal(snapshot_owner(third, 0), 3);
    assert_int_equal(snapshot_owner(third, 1), 1);
    assert_int_equal(snapshot_owner(third, 2), 4);
    snapshot_unref(third);
}

/* Patterns past the last slot share the one of what has no loader. */
static void there_are_so_many_slots_and_no_more(void **state)
{
    (void)state;
    enum { COUNT = METRIC_OWNERS + 1 };
    struct plan p;
    struct conf_loader *loaders = calloc(COUNT, sizeof *loaders);
    char(*patterns)[16] = calloc(COUNT, sizeof *patterns);
    assert_non_null(loaders);
    assert_non_null(patterns);
    plan_init(&p, 1, NULL, 0);
    p.conf.loaders = loaders;
    p.conf.loader_count = COUNT;
    for (int i = 0; i < COUNT; i++) {
        snprintf(patterns[i], sizeof patterns[i], "k%d:*", i);
        loaders[i] = (struct conf_loader){.pattern = patterns[i]};
    }
    struct snapshot *s = snapshot_of(&p, NULL);
    for (int i = 0; i < COUNT; i++)
        assert_int_equal(snapshot_owner(s, i), i + 1 < METRIC_OWNERS ? i + 1 : 0);
    snapshot_unref(s);
    free(patterns);
    free(loaders);
}

static void a_loader_has_the_feed_of_its_backend_or_of_that_ones_primary(void **state)
{
    (void)state;
    struct plan p;
    plan_init(&p, 1, NULL, 0);
    struct conf_backend backends[] = {
        {.name = "replica", .primary = "main"},
        {.name = "main", .feed = "c"},
        {.name = "alone"},
        {.name = "other", .primary = "alone"},
        {.name = "last", .primary = "main"},
    };
    static const int feeds[] = {1, 1, -1, -1, 1};
    p.conf.backends = backends;
    p.conf.backend_count = 5;
    for (int i = 0; i < 5; i++) {
        struct conf_loader l = {.backend = backends[i].name};
        assert_int_equal(snapshot_feed_of(&p.conf, &l), feeds[i]);
    }
    assert_int_equal(snapshot_feed_of(&p.conf, &(struct conf_loader){0}), -1);
    struct conf_backend turned[] = {{.name = "main", .feed = "c"},
                                    {.name = "replica", .primary = "main"}};
    p.conf.backends = turned;
    p.conf.backend_count = 2;
    assert_int_equal(snapshot_feed_of(&p.conf, &(struct conf_loader){.backend = "replica"}), 0);
}

static void an_entry_is_told_of_its_refresh_by_its_loader(void **state)
{
    (void)state;
    struct plan p;
    struct rng rng = {.state = 3};
    plan_init(&p, 1, (const char *[]){"user:*", "team:*"}, 2);
    p.loaders[0].policy.refresh_ahead = .5;
    p.loaders[1].policy.early_beta = 1;
    struct snapshot *s = snapshot_of(&p, NULL);
    struct refresh r = snapshot_refresh(s, 0, 1000, 0, 0, &rng);
    assert_in_range(r.ahead_ms, 500, 949);
    assert_int_equal(r.owner, 1);
    assert_false(r.early);
    r = snapshot_refresh(s, 0, 1000, 100000, 0, &rng); /* twice 100 ms are left for the load */
    assert_in_range(r.ahead_ms, 500, 749);
    r = snapshot_refresh(s, 0, 1000, 0, .5,
                         &rng); /* half-way to where it was begun the last time */
    assert_in_range(r.ahead_ms, 500, 725);
    r = snapshot_refresh(s, 1, 1000, 0, 0, &rng);
    assert_int_equal(r.ahead_ms, 0);
    assert_int_equal(r.owner, 2);
    assert_true(r.early);
    r = snapshot_refresh(s, -1, 1000, 0, 0, &rng);
    assert_int_equal(r.ahead_ms, 0);
    assert_int_equal(r.owner, 0);
    snapshot_unref(s);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_key_has_the_policy_of_its_loader_or_the_defaults),
        cmocka_unit_test(race_38_a_feed_that_is_cut_while_the_next_snapshot_is_made_is_cut_in_it),
        cmocka_unit_test(a_configuration_without_loaders_is_one),
        cmocka_unit_test(the_last_reference_lets_go_of_the_configuration),
        cmocka_unit_test(a_pattern_that_is_wrong_is_named_with_its_line),
        cmocka_unit_test(a_pattern_given_twice_is_named),
        cmocka_unit_test(the_totals_of_equal_patterns_go_on),
        cmocka_unit_test(what_is_counted_while_the_next_snapshot_is_taken_over_is_not_lost),
        cmocka_unit_test(what_was_counted_of_a_pattern_is_there_when_it_comes_back),
        cmocka_unit_test(what_threads_last_said_is_there_after_a_reload),
        cmocka_unit_test(a_pattern_keeps_its_slot_over_reloads),
        cmocka_unit_test(there_are_so_many_slots_and_no_more),
        cmocka_unit_test(a_loader_has_the_feed_of_its_backend_or_of_that_ones_primary),
        cmocka_unit_test(an_entry_is_told_of_its_refresh_by_its_loader),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
