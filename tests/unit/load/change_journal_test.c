/* What changes say to the journal; what they do is the flights' and the marks' tests. */
#include "load/flight_world.h"

#include "load/change.h"
#include "state/journal_folder.h"

static struct err e;

struct noted {
    struct world *w;
    struct state_dir *dir;
    struct journal *journal;
    struct changes all, own;
    struct journal_lane lane;
};

static struct noted noted_new(void)
{
    struct noted n = {.w = world_new(10), .dir = state_opened()};
    struct journal_options o = journal_defaults(n.dir);
    n.journal = journal_opened(&o);
    n.all = (struct changes){.store = n.w->store, .flights = n.w->flights, .marks = n.w->marks};
    return n;
}

static void noted_end(struct noted *n)
{
    journal_lane_fini(&n->lane);
    journal_close(n->journal);
    state_dir_close(n->dir);
    world_free(n->w);
}

static uint64_t hash_of(const struct noted *n, const char *key)
{
    return store_hash(n->w->store, slice_str(key));
}

static struct invalidation of(const struct noted *n, const char *key, const int64_t *version)
{
    return (struct invalidation){
        .key = slice_str(key),
        .hash = hash_of(n, key),
        .now_ms = n->w->now_ms,
        .version = version,
        .floor_ttl_ms = 600,
    };
}

static struct put put_of(const struct noted *n, const char *key, int64_t version)
{
    return (struct put){
        .key = slice_str(key),
        .hash = hash_of(n, key),
        .value = slice_str("\xa1v"),
        .has_version = true,
        .version = version,
        .ttl_ms = 1000,
    };
}

/* What the journal has got since the last look. */
static const char *noted(struct noted *n)
{
    static uint64_t before;
    struct journal_reading r;
    struct journal_position from = {0};
    journal_flush(&n->lane);
    journal_read_from(n->dir, &from, "boot", &r);
    assert_int_equal(r.verdict, JOURNAL_COMPLETE);
    char *text = journal_text;
    if (r.records > before)
        for (uint64_t i = 0; before > 0 && i < before; i++)
            text = strstr(text, " | ") + 3;
    else
        text += strlen(text);
    before = r.records;
    return text;
}

/* Each by the caller's own words. */
static void invalidate_key(struct noted *n, const char *key, const int64_t *version, bool gone)
{
    struct invalidation i = of(n, key, version);
    bool dropped;
    i.gone = gone;
    assert_int_equal(change_invalidate(&n->own, &i, CAUSE_INVALIDATE, &dropped, &e), 0);
}

static int lift(struct noted *n, const char *key, const char *match)
{
    struct lift what = {.key = slice_str(key), .match = slice_str(match), .now_ms = n->w->now_ms};
    bool had;
    what.hash = store_hash(n->w->store, what.key);
    return change_lift(&n->own, &what, &had, &e);
}

static void each_change_is_noted_as_what_it_is(void **state)
{
    (void)state;
    struct noted n = noted_new();
    const int64_t version = 7;
    bool there;
    changes_of_thread(&n.own, &n.all, &n.lane);
    changes_journal(&n.all, n.journal);

    invalidate_key(&n, "plain", NULL, false);
    assert_string_equal(noted(&n), "KEY plain");
    invalidate_key(&n, "seven", &version, false);
    assert_string_equal(noted(&n), "KEY seven v7 600ms");
    invalidate_key(&n, "gone", &version, true);
    assert_string_equal(noted(&n), "KEY gone v7 600ms gone");
    assert_false(change_expire(&n.own, slice_str("old"), hash_of(&n, "old"), n.w->now_ms));
    assert_string_equal(noted(&n), "KEY old soft");

    assert_int_equal(change_tag(&n.own, slice_str("red"), false, CAUSE_INVALIDATE, &e), 0);
    assert_string_equal(noted(&n), "TAG red");
    assert_int_equal(change_tag(&n.own, slice_str("red"), true, CAUSE_EXPIRE, &e), 0);
    assert_string_equal(noted(&n), "TAG red soft");
    change_all_tags(&n.own, true, CAUSE_EXPIRE);
    assert_string_equal(noted(&n), "ALL_TAGS  soft");

    assert_int_equal(change_match(&n.own, slice_str("a:*"), false, CAUSE_INVALIDATE, &e), 0);
    assert_string_equal(noted(&n), "PATTERN a:*");
    assert_int_equal(change_match(&n.own, slice_str("b:*"), true, CAUSE_EXPIRE, &e), 0);
    assert_string_equal(noted(&n), "PATTERN b:* soft");
    assert_int_equal(change_misfits(&n.own, slice_str("c:{int}"), &e), 0);
    assert_string_equal(noted(&n), "PATTERN c:{int} misfits");

    assert_int_equal(lift(&n, "seven", ""), 0);
    assert_string_equal(noted(&n), "LIFT seven");
    assert_int_equal(lift(&n, "", "d:*"), 0);
    assert_string_equal(noted(&n), "LIFT_PATTERN d:*");
    assert_int_equal(lift(&n, "", ""), 0);
    assert_string_equal(noted(&n), "LIFT_PATTERN ");

    struct put p = put_of(&n, "set", 3);
    assert_int_equal(change_set(&n.own, &p, n.w->now_ms, &e), 0);
    assert_string_equal(noted(&n), "KEY set");
    p = put_of(&n, "written", 4);
    struct written w = {.put = &p, .now_ms = n.w->now_ms, .floor_ttl_ms = 900};
    assert_int_equal(change_write(&n.own, &w, &there), 0);
    assert_string_equal(noted(&n), "KEY written v4 900ms");
    struct invalidation i = of(&n, "unsure", NULL);
    assert_int_equal(change_doubt(&n.own, &i, n.w->now_ms + 30), 0);
    assert_string_equal(noted(&n), "DOUBT unsure 30ms");
    noted_end(&n);
}

/* Its error says that nothing has changed. */
static void what_is_refused_is_not_noted(void **state)
{
    (void)state;
    struct noted n = noted_new();
    changes_of_thread(&n.own, &n.all, &n.lane);
    changes_journal(&n.all, n.journal);
    assert_int_equal(change_tag(&n.own, slice_str(""), false, CAUSE_INVALIDATE, &e),
                     ERR_BAD_REQUEST);
    assert_int_equal(change_match(&n.own, slice_str("{"), false, CAUSE_INVALIDATE, &e),
                     ERR_BAD_REQUEST);
    assert_int_equal(lift(&n, "", "{"), ERR_BAD_REQUEST);
    struct put p = put_of(&n, "set", 3);
    assert_int_equal(change_set(&n.own, &p, n.w->now_ms, &e), 0);
    journal_flush(&n.lane);
    p.version = 2;
    assert_int_equal(change_set(&n.own, &p, n.w->now_ms, &e), ERR_VERSION_CONFLICT);
    assert_false(journal_waits(&n.lane));
    noted_end(&n);
}

static void without_a_lane_or_a_journal_nothing_is_noted(void **state)
{
    (void)state;
    struct noted n = noted_new();
    changes_journal(&n.all, n.journal);
    change_all_tags(&n.all, false, CAUSE_GAP); /* as a feed does */
    assert_int_equal(journal_stats_of(n.journal).records, 0);
    changes_journal(&n.all, NULL);
    changes_of_thread(&n.own, &n.all, &n.lane);
    change_all_tags(&n.own, false, CAUSE_INVALIDATE);
    assert_false(journal_waits(&n.lane));
    changes_journal(&n.all, n.journal); /* it is there from now on, for who began before */
    change_all_tags(&n.own, false, CAUSE_INVALIDATE);
    assert_true(journal_waits(&n.lane));
    assert_int_equal(journal_stats_of(n.journal).records, 0); /* not before the flush */
    journal_flush(&n.lane);
    assert_int_equal(journal_stats_of(n.journal).records, 1);
    noted_end(&n);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, state_folder_make, state_folder_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_change_is_noted_as_what_it_is),
        TEST(what_is_refused_is_not_noted),
        TEST(without_a_lane_or_a_journal_nothing_is_noted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
