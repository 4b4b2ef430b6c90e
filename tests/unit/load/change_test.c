/* What a change does beside its effect: what subscribers are told, what is counted, and how it is
 * refused. */
#include "flight_world.h"

#include "load/change.h"
#include "metrics/metrics.h"

struct side {
    struct mailbox mailbox;
    struct ev_loop *loop;
    unsigned told;
    struct news last;
    char text[GLOB_MAX];
};

struct told {
    struct world *w;
    struct side side;
    struct mailbox *mailboxes[1];
    struct changes changes;
    struct news_hub *hub;
};

static struct told t;

static void recv_news(struct message *m, void *owner)
{
    struct side *s = owner;
    s->told++;
    s->last = *news_of(m);
    assert_true(s->last.text.size < sizeof s->text);
    memcpy(s->text, s->last.text.data, s->last.text.size);
    s->text[s->last.text.size] = '\0';
    news_done(t.hub, m);
}

static int begin_told(void **state)
{
    (void)state;
    memset(&t, 0, sizeof t);
    t.w = world_new(100);
    t.side.loop = ev_loop_new(EVFLAG_AUTO);
    mailbox_init(&t.side.mailbox, t.side.loop, &t.side);
    t.mailboxes[0] = &t.side.mailbox;
    assert_int_equal(news_hub_new(&t.hub, t.mailboxes, 1, 100, recv_news, NULL), 0);
    news_listen(t.hub, 0, true);
    t.changes = (struct changes){
        .store = t.w->store, .flights = t.w->flights, .marks = t.w->marks, .news = t.hub};
    return 0;
}

static int end_told(void **state)
{
    (void)state;
    mailbox_fini(&t.side.mailbox);
    ev_loop_destroy(t.side.loop);
    news_hub_free(t.hub);
    world_free(t.w);
    return 0;
}

/* What subscribers have been told since the last time: once, and this. version 0: none. */
static void heard(enum news_what what, enum news_cause cause, const char *text, int64_t version)
{
    ev_run(t.side.loop, EVRUN_NOWAIT);
    assert_int_equal(t.side.told, 1);
    assert_int_equal(t.side.last.what, what);
    assert_int_equal(t.side.last.cause, cause);
    assert_string_equal(t.side.text, text);
    assert_int_equal(t.side.last.has_version, version != 0);
    if (version)
        assert_int_equal(t.side.last.version, version);
    t.side.told = 0;
}

static void heard_nothing(void)
{
    ev_run(t.side.loop, EVRUN_NOWAIT);
    assert_int_equal(t.side.told, 0);
}

/* What was counted since the last time, of all that changes count. */
static void counted(enum metric_counter what, uint64_t times)
{
    static const enum metric_counter all[] = {
        M_INVALIDATIONS, M_TAG_INVALIDATIONS, M_GLOB_INVALIDATIONS,
        M_GLOBS_REFUSED, M_FLOORS_LIFTED,     M_SETS,
    };
    static uint64_t before[sizeof all / sizeof all[0]];
    for (size_t i = 0; i < sizeof all / sizeof all[0]; i++) {
        uint64_t now = metrics_sum(all[i]);
        if (times < UINT64_MAX && now - before[i] != (all[i] == what ? times : 0))
            fail_msg("%s", metrics_counter_name(all[i]));
        before[i] = now;
    }
}

static void counts_begin(void)
{
    counted(M_COUNT, UINT64_MAX);
}

static struct put put_of(const char *key, const int64_t *version)
{
    struct slice k = slice_str(key);
    struct put p = {
        .key = k,
        .hash = store_hash(t.w->store, k),
        .value = slice_of(value_a, 2),
        .ttl_ms = 1000,
        .stale_ttl_ms = 1000,
        .has_version = version != NULL,
    };
    if (version)
        p.version = *version;
    return p;
}

static struct invalidation invalidation_of(const char *key, const int64_t *version)
{
    struct slice k = slice_str(key);
    return (struct invalidation){
        .key = k,
        .hash = store_hash(t.w->store, k),
        .now_ms = t.w->now_ms,
        .version = version,
        .floor_ttl_ms = 60000,
    };
}

static void set(const char *key, const int64_t *version)
{
    struct put p = put_of(key, version);
    assert_int_equal(change_set(&t.changes, &p, t.w->now_ms, NULL), 0);
}

static void keys_are_told_with_cause_and_version(void **state)
{
    (void)state;
    const int64_t seven = 7, nine = 9;
    bool dropped = false, stored;
    struct err e;
    struct invalidation i = invalidation_of("user:1", NULL);
    counts_begin();
    set("user:1", NULL);
    heard(NEWS_KEY, CAUSE_SET, "user:1", 0);
    counted(M_SETS, 1);
    assert_int_equal(change_invalidate(&t.changes, &i, CAUSE_DELETE, &dropped, &e), 0);
    assert_true(dropped);
    heard(NEWS_KEY, CAUSE_DELETE, "user:1", 0);
    counted(M_INVALIDATIONS, 1);
    i.version = &seven;
    assert_int_equal(change_invalidate(&t.changes, &i, CAUSE_FEED, &dropped, &e), 0);
    assert_false(dropped);
    heard(NEWS_KEY, CAUSE_FEED, "user:1", 7);
    counted(M_INVALIDATIONS, 1);
    set("user:1", &nine);
    heard(NEWS_KEY, CAUSE_SET, "user:1", 9);
    counted(M_SETS, 1);
    struct put old = put_of("user:1", &seven);
    assert_int_equal(change_set(&t.changes, &old, t.w->now_ms, &e), ERR_VERSION_CONFLICT);
    assert_string_equal(e.text, "user:1: version 7 is older than 9, which is stored");
    heard_nothing();
    counted(M_COUNT, 0);
    assert_true(change_expire(&t.changes, i.key, i.hash, t.w->now_ms));
    heard(NEWS_KEY, CAUSE_EXPIRE, "user:1", 0);
    assert_int_equal(lookup(t.w, "user:1"), LOOKUP_STALE);
    assert_false(change_expire(&t.changes, slice_str("user:2"), 5, t.w->now_ms));
    heard(NEWS_KEY, CAUSE_EXPIRE, "user:2", 0);
    struct put put = put_of("user:3", &nine);
    struct written w = {.put = &put, .now_ms = t.w->now_ms, .floor_ttl_ms = 60000};
    flights_write_begins(t.w->flights, put.hash, t.w->now_ms, &w.token);
    assert_int_equal(change_write(&t.changes, &w, &stored), 0);
    assert_true(stored);
    heard(NEWS_KEY, CAUSE_PUT, "user:3", 9);
    i = invalidation_of("user:3", NULL);
    assert_int_equal(change_doubt(&t.changes, &i, t.w->now_ms + 100), 0);
    heard(NEWS_KEY, CAUSE_INVALIDATE, "user:3", 0);
    assert_int_equal(lookup(t.w, "user:3"), LOOKUP_MISS);
    counted(M_COUNT, 0);
}

static void tags_and_patterns_are_told_with_their_cause(void **state)
{
    (void)state;
    static char longest[257];
    struct err e;
    counts_begin();
    assert_int_equal(change_tag(&t.changes, slice_str("red"), true, CAUSE_FEED, &e), 0);
    heard(NEWS_TAG, CAUSE_FEED, "red", 0);
    counted(M_TAG_INVALIDATIONS, 1);
    memset(longest, 't', 256);
    assert_int_equal(change_tag(&t.changes, slice_of(longest, 255), false, CAUSE_SET, &e), 0);
    heard(NEWS_TAG, CAUSE_SET, longest + 1, 0);
    counted(M_TAG_INVALIDATIONS, 1);
    assert_int_equal(change_tag(&t.changes, slice_of(longest, 256), false, CAUSE_SET, &e),
                     ERR_BAD_REQUEST);
    assert_string_equal(e.text, "a tag of 256 bytes, where 1 to 255 are taken");
    assert_int_equal(change_tag(&t.changes, slice_str(""), false, CAUSE_SET, &e), ERR_BAD_REQUEST);
    assert_string_equal(e.text, "a tag of 0 bytes, where 1 to 255 are taken");
    heard_nothing();
    change_all_tags(&t.changes, true, CAUSE_GAP);
    heard(NEWS_ALL, CAUSE_GAP, "", 0);
    counted(M_COUNT, 0);
    set("user:1", NULL);
    heard(NEWS_KEY, CAUSE_SET, "user:1", 0);
    counted(M_SETS, 1);
    err_clear(&e);
    assert_int_equal(change_match(&t.changes, slice_str("user:*"), true, CAUSE_GAP, &e), 0);
    assert_string_equal(e.text, "");
    assert_int_equal(lookup(t.w, "user:1"), LOOKUP_STALE);
    heard(NEWS_MATCH, CAUSE_GAP, "user:*", 0);
    counted(M_GLOB_INVALIDATIONS, 1);
    assert_int_equal(change_match(&t.changes, slice_str(""), true, CAUSE_GAP, &e), ERR_BAD_REQUEST);
    assert_int_equal(e.code, ERR_BAD_REQUEST);
    assert_string_equal(e.text, "a pattern is empty");
    assert_int_equal(change_match(&t.changes, slice_str(""), true, CAUSE_GAP, NULL),
                     ERR_BAD_REQUEST);
    heard_nothing();
    counted(M_COUNT, 0);
}

/* Of a pattern that is one too many it is told all the same: loads from before are void. */
static void what_is_refused_for_its_number_is_told(void **state)
{
    (void)state;
    struct err e;
    set("user:1", NULL);
    heard(NEWS_KEY, CAUSE_SET, "user:1", 0);
    while (match(t.w, "never:*", false) == 0)
        ;
    counts_begin();
    assert_int_equal(change_match(&t.changes, slice_str("a*"), false, CAUSE_INVALIDATE, &e),
                     ERR_OVERLOADED);
    assert_string_equal(e.text, "max_globs patterns are being scanned for already");
    heard(NEWS_MATCH, CAUSE_INVALIDATE, "a*", 0);
    counted(M_GLOBS_REFUSED, 1);
    assert_int_equal(change_misfits(&t.changes, slice_str("u:{id:int}"), &e), ERR_OVERLOADED);
    heard(NEWS_MATCH, CAUSE_INVALIDATE, "u:*", 0);
    counted(M_GLOBS_REFUSED, 1);
}

static void what_a_typed_pattern_does_not_take_goes(void **state)
{
    (void)state;
    struct err e;
    set("user:1", NULL);
    set("user:x", NULL);
    ev_run(t.side.loop, EVRUN_NOWAIT);
    t.side.told = 0;
    counts_begin();
    assert_int_equal(change_misfits(&t.changes, slice_str("user:{id:int}"), &e), 0);
    heard(NEWS_MATCH, CAUSE_INVALIDATE, "user:*", 0);
    counted(M_GLOB_INVALIDATIONS, 1);
    assert_int_equal(lookup(t.w, "user:1"), LOOKUP_FRESH);
    assert_int_equal(lookup(t.w, "user:x"), LOOKUP_MISS);
}

static void lifts_are_told_and_counted(void **state)
{
    (void)state;
    const int64_t seven = 7;
    bool had = false, dropped;
    struct err e;
    struct invalidation i = invalidation_of("user:1", &seven);
    struct lift key = {.key = i.key, .hash = i.hash, .now_ms = t.w->now_ms},
                pattern = {.match = slice_str("user:*"), .now_ms = t.w->now_ms},
                all = {.now_ms = t.w->now_ms}, wrong = {.match = slice_str("\\")};
    assert_int_equal(change_invalidate(&t.changes, &i, CAUSE_INVALIDATE, &dropped, &e), 0);
    heard(NEWS_KEY, CAUSE_INVALIDATE, "user:1", 7);
    counts_begin();
    assert_int_equal(change_lift(&t.changes, &key, &had, &e), 0);
    assert_true(had);
    heard(NEWS_KEY, CAUSE_INVALIDATE, "user:1", 0);
    counted(M_FLOORS_LIFTED, 1);
    assert_int_equal(change_lift(&t.changes, &key, &had, &e), 0);
    assert_false(had);
    heard(NEWS_KEY, CAUSE_INVALIDATE, "user:1", 0);
    counted(M_FLOORS_LIFTED, 1);
    assert_int_equal(change_lift(&t.changes, &pattern, &had, &e), 0);
    assert_true(had);
    heard(NEWS_MATCH, CAUSE_INVALIDATE, "user:*", 0);
    counted(M_FLOORS_LIFTED, 1);
    assert_int_equal(change_lift(&t.changes, &all, &had, &e), 0);
    assert_true(had);
    heard(NEWS_MATCH, CAUSE_INVALIDATE, "*", 0);
    counted(M_FLOORS_LIFTED, 1);
    assert_int_equal(change_lift(&t.changes, &wrong, &had, &e), ERR_BAD_REQUEST);
    assert_int_equal(e.code, ERR_BAD_REQUEST);
    assert_int_equal(change_lift(&t.changes, &wrong, &had, NULL), ERR_BAD_REQUEST);
    heard_nothing();
    counted(M_COUNT, 0);
}

static void where_nobody_is_to_be_told_all_takes_effect(void **state)
{
    (void)state;
    t.changes.news = NULL;
    set("user:1", NULL);
    assert_int_equal(change_match(&t.changes, slice_str("user:*"), false, CAUSE_GAP, NULL), 0);
    assert_int_equal(lookup(t.w, "user:1"), LOOKUP_MISS);
    heard_nothing();
}

#define T(test) cmocka_unit_test_setup_teardown(test, begin_told, end_told)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(keys_are_told_with_cause_and_version),
        T(tags_and_patterns_are_told_with_their_cause),
        T(what_is_refused_for_its_number_is_told),
        T(what_a_typed_pattern_does_not_take_goes),
        T(lifts_are_told_and_counted),
        T(where_nobody_is_to_be_told_all_takes_effect),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
