#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/rng.h"
#include "serve/subscriptions.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define CROWD 12
#define TEXTS 14

static const char *const texts[SUBSCRIBED_KINDS][TEXTS] = {
    [SUBSCRIBED_KEY] = {"a", "b", "user:1", "user:2", "user:x", "team:1", "team:2", "*", "1", "x:y",
                        "a:1", "b:1", "a:b:c", "user:"},
    [SUBSCRIBED_PATTERN] = {"*", "user:*", "user:{id:int}", "user:{n:int}", "*:1", "team:*", "a*",
                            "*b*", "*:*:*", "{id:int}", "user:1", "*x", "\\**", "{t:text}:{n:int}"},
    [SUBSCRIBED_TAG] = {"a", "b", "t1", "t2", "t3", "t4", "t5", "t6", "t7", "t8", "t9", "user:1",
                        "team:1", "*"},
};

/* A subscriber, and what is known of it besides. */
struct member {
    struct subscriber r;
    bool has[SUBSCRIBED_KINDS][TEXTS], settled[SUBSCRIBED_KINDS][TEXTS];
    bool in;
    unsigned met;
};

struct world {
    struct subscriptions *s;
    struct member crowd[CROWD];
    struct rng rng;
};

static void *const somebody = (void *)&texts;

static void enter(struct world *w, struct member *m)
{
    memset(m, 0, sizeof *m);
    m->r.owner = somebody;
    m->in = true;
    subscriptions_enter(w->s, &m->r);
}

static void leave(struct world *w, struct member *m)
{
    while (subscriber_count(&m->r) > 0)
        subscriptions_remove_last(w->s, &m->r);
    subscriptions_leave(w->s, &m->r);
    m->in = false;
}

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    w->s = subscriptions_new(7);
    w->rng.state = 8;
    for (size_t i = 0; i < CROWD; i++)
        enter(w, &w->crowd[i]);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    for (size_t i = 0; i < CROWD; i++)
        if (w->crowd[i].in)
            leave(w, &w->crowd[i]);
    assert_int_equal(w->s->count, 0);
    subscriptions_free(w->s);
    free(w);
    return 0;
}

static uint64_t below(struct world *w, uint64_t n)
{
    return rng_next(&w->rng) % n;
}

/* One change of one subscriber; whom it was done to. */
static struct member *change(struct world *w)
{
    struct member *m = &w->crowd[below(w, CROWD)];
    if (!m->in) {
        enter(w, m);
        return m;
    }
    uint64_t kind = below(w, SUBSCRIBED_KINDS), i = below(w, TEXTS), what = below(w, 24);
    if (kind == SUBSCRIBED_TAG && below(w, 4) != 0)
        kind = SUBSCRIBED_KEY; /* who has a tag hears of all patterns */
    struct slice text = slice_str(texts[kind][i]);
    if (what == 0) {
        leave(w, m);
    } else if (what < 10) {
        assert_int_equal(subscriptions_add(w->s, &m->r, (enum subscription_kind)kind, text), 0);
        m->has[kind][i] = true;
    } else if (what < 20) {
        subscriptions_remove(w->s, &m->r, (enum subscription_kind)kind, text);
        m->has[kind][i] = m->settled[kind][i] = false;
    } else {
        subscriptions_settle(&m->r);
        memcpy(m->settled, m->has, sizeof m->has);
    }
    return m;
}

static bool glob_takes(const char *pattern, const char *key)
{
    char room[GLOB_MAX];
    struct glob g;
    glob_compile(&g, slice_str(pattern), room);
    return glob_matches(&g, slice_str(key), NULL);
}

/* Whether their literal beginnings let a key match both. */
static bool may_overlap(const char *a, const char *b)
{
    char rooms[2][GLOB_MAX];
    struct glob x, y;
    glob_compile(&x, slice_str(a), rooms[0]);
    glob_compile(&y, slice_str(b), rooms[1]);
    size_t n = x.end[0] < y.end[0] ? x.end[0] : y.end[0];
    return memcmp(rooms[0], rooms[1], n) == 0;
}

static bool one_concerns(enum subscriptions_event event, const char *text,
                         enum subscription_kind kind, const char *mine)
{
    switch (event) {
    case EVENT_KEY:
        return kind == SUBSCRIBED_KEY ? strcmp(mine, text) == 0
                                      : kind == SUBSCRIBED_PATTERN && glob_takes(mine, text);
    case EVENT_TAG: return kind != SUBSCRIBED_TAG || strcmp(mine, text) == 0;
    case EVENT_MATCH:
        return kind == SUBSCRIBED_TAG || (kind == SUBSCRIBED_KEY && glob_takes(text, mine)) ||
               (kind == SUBSCRIBED_PATTERN && may_overlap(text, mine));
    case EVENT_ALL: return true;
    }
    return false;
}

/* The definition. */
static bool is_concerned(const struct member *m, enum subscriptions_event event, const char *text)
{
    for (int kind = 0; m->in && kind < SUBSCRIBED_KINDS; kind++)
        for (size_t i = 0; i < TEXTS; i++)
            if (m->settled[kind][i] &&
                one_concerns(event, text, (enum subscription_kind)kind, texts[kind][i]))
                return true;
    return false;
}

static bool has_what_does_not_count(const struct member *m)
{
    return memcmp(m->has, m->settled, sizeof m->has) != 0;
}

/* Tells of one event, with so many changes before each step. */
static void walk(struct world *w, enum subscriptions_event event, const char *text, bool changes,
                 bool touched[CROWD])
{
    struct subscriber *r;
    for (size_t i = 0; i < CROWD; i++)
        w->crowd[i].met = 0;
    subscriptions_begin(w->s, event, slice_str(text));
    for (bool more = true; more;) {
        if (changes && below(w, 2) == 0)
            touched[change(w) - w->crowd] = true;
        more = subscriptions_step(w->s, &r);
        if (r)
            container_of(r, struct member, r)->met++;
    }
}

static void pick_event(struct world *w, enum subscriptions_event *event, const char **text)
{
    static const enum subscription_kind kinds[] = {[EVENT_KEY] = SUBSCRIBED_KEY,
                                                   [EVENT_TAG] = SUBSCRIBED_TAG,
                                                   [EVENT_MATCH] = SUBSCRIBED_PATTERN,
                                                   [EVENT_ALL] = SUBSCRIBED_KEY};
    *event = (enum subscriptions_event)below(w, 4);
    *text = texts[kinds[*event]][below(w, TEXTS)];
}

static void an_event_meets_those_whom_it_concerns_once_each(void **state)
{
    struct world *w = *state;
    size_t met = 0, spared = 0;
    for (size_t round = 0; round < 4000; round++) {
        enum subscriptions_event event;
        const char *text;
        for (int i = 0; i < 5; i++)
            change(w);
        pick_event(w, &event, &text);
        walk(w, event, text, false, NULL);
        for (size_t i = 0; i < CROWD; i++) {
            const struct member *m = &w->crowd[i];
            bool want = is_concerned(m, event, text);
            met += want;
            spared += !want;
            /* Of what it may hear too early: what it has asked for, and has no answer yet. */
            if (m->met > 1 || (want && m->met == 0) ||
                (!want && m->met > 0 && !has_what_does_not_count(m)))
                fail_msg("event %d \"%s\": met %u times, wanted %d", (int)event, text, m->met,
                         want);
        }
    }
    assert_true(met > 4000 && spared > 4000);
}

static void a_walk_bears_that_subscribers_come_and_go(void **state)
{
    struct world *w = *state;
    for (size_t round = 0; round < 4000; round++) {
        enum subscriptions_event event;
        const char *text;
        bool touched[CROWD] = {false};
        for (int i = 0; i < 3; i++)
            change(w);
        pick_event(w, &event, &text);
        walk(w, event, text, true, touched);
        for (size_t i = 0; i < CROWD; i++)
            if (!touched[i] && is_concerned(&w->crowd[i], event, text))
                assert_int_equal(w->crowd[i].met, 1);
    }
}

static void what_was_added_counts_when_it_is_settled(void **state)
{
    struct world *w = *state;
    struct member *m = &w->crowd[0];
    bool unused[CROWD];
    assert_int_equal(subscriptions_add(w->s, &m->r, SUBSCRIBED_KEY, slice_str("a")), 0);
    assert_int_equal(subscriptions_add(w->s, &m->r, SUBSCRIBED_PATTERN, slice_str("b*")), 0);
    walk(w, EVENT_KEY, "a", false, unused);
    assert_int_equal(m->met, 0);
    walk(w, EVENT_KEY, "b:1", false, unused);
    assert_int_equal(m->met, 0);
    walk(w, EVENT_ALL, "", false, unused);
    assert_int_equal(m->met, 0);
    subscriptions_settle(&m->r);
    walk(w, EVENT_KEY, "a", false, unused);
    assert_int_equal(m->met, 1);
    walk(w, EVENT_KEY, "b:1", false, unused);
    assert_int_equal(m->met, 1);
}

#define MANY 3000

/* How many steps a change of a key takes beside that many subscriptions that it does not concern.
 */
static void a_change_takes_no_step_for_what_it_does_not_concern(void **state)
{
    struct world *w = *state;
    struct member *m = &w->crowd[0];
    char text[64];
    struct subscriber *r;
    for (unsigned i = 0; i < MANY; i++) {
        snprintf(text, sizeof text, i % 2 ? "user:%u:*" : "*:%u", i);
        assert_int_equal(subscriptions_add(w->s, &m->r, SUBSCRIBED_PATTERN, slice_str(text)), 0);
        snprintf(text, sizeof text, "key:%u", i);
        assert_int_equal(subscriptions_add(w->s, &m->r, SUBSCRIBED_KEY, slice_str(text)), 0);
    }
    subscriptions_settle(&m->r);
    unsigned steps = 1;
    subscriptions_begin(w->s, EVENT_KEY, slice_str("key:77"));
    while (subscriptions_step(w->s, &r)) {
        m->met += r != NULL;
        steps++;
    }
    assert_int_equal(m->met, 1);
    assert_in_range(steps, 1, 20);
    while (subscriber_count(&m->r) > 0)
        subscriptions_remove_last(w->s, &m->r);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(an_event_meets_those_whom_it_concerns_once_each, setup,
                                        teardown),
        cmocka_unit_test_setup_teardown(a_walk_bears_that_subscribers_come_and_go, setup, teardown),
        cmocka_unit_test_setup_teardown(what_was_added_counts_when_it_is_settled, setup, teardown),
        cmocka_unit_test_setup_teardown(a_change_takes_no_step_for_what_it_does_not_concern, setup,
                                        teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
