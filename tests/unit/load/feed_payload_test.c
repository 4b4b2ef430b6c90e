/* What a database tells, field by field, what is said of it where it is wrong, and heartbeats. */
#include "feed_world.h"

#include "metrics/metrics.h"

/* What is said of a payload that is not understood; "": it is. */
static const char *wrong(struct fed *f, struct slice payload)
{
    static struct err e;
    err_clear(&e);
    bool understood = feed_payload(&f->feed, payload, f->w->now_ms, &e);
    assert_int_equal(e.code == 0, understood);
    return e.text;
}

static void what_is_wrong_with_a_payload_is_said(void **state)
{
    static const char *const cases[][2] = {
        {"7", "it is no JSON object"},
        {"[]", "it is no JSON object"},
        {"{}", "it has none of \"k\", \"m\", \"t\" and \"hb\""},
        {"{\"v\":1}", "it has none of \"k\", \"m\", \"t\" and \"hb\""},
        {"{\"k\":1}", "\"k\" is no string"},
        {"{\"m\":null}", "\"m\" is no string"},
        {"{\"hb\":[]}", "\"hb\" is no string"},
        {"{\"k\":\"\"}", "\"k\" has 0 bytes, where 1 to 8000 are taken"},
        {"{\"m\":\"\"}", "\"m\" has 0 bytes, where 1 to 256 are taken"},
        {"{\"hb\":\"\"}", "\"hb\" has 0 bytes, where 1 to 64 are taken"},
        {"{\"t\":[\"a\",\"\"]}", "\"t\" has 0 bytes, where 1 to 255 are taken"},
        {"{\"t\":[1]}", "\"t\" is no string"},
        {"{\"t\":{}}", "\"t\" is no array of at most 64 tags"},
        {"{\"t\":\"red\"}", "\"t\" is no array of at most 64 tags"},
        {"{\"k\":\"a\",\"v\":\"1\"}", "\"v\" is no integer of 64 bits"},
        {"{\"k\":\"a\",\"v\":1.5}", "\"v\" is no integer of 64 bits"},
        {"{\"k\":\"a\",\"n\":true}", "\"n\" is no integer of 64 bits"},
        {"{\"k\":\"a\",\"d\":1}", "\"d\" is not true or false"},
        {"{\"k\":\"a\",\"x\":1}", "there is a field that is none of k, v, t, d, m, hb, n"},
        {"{\"k\":\"a\",\"m\":\"b\"}", "it has more than one of \"k\", \"m\" and \"hb\""},
        {"{\"k\":\"a\",\"hb\":\"b\"}", "it has more than one of \"k\", \"m\" and \"hb\""},
        {"{\"m\":\"a\",\"hb\":\"b\"}", "it has more than one of \"k\", \"m\" and \"hb\""},
        {"{\"m\":\"a{\"}", "pattern \"a{\" has a { without a } at byte 2; a typed star is "
                           "{name:type}, a { of the key is \\{"},
    };
    struct world *w = *state;
    struct fed f;
    start(&f, w, 1);
    const uint64_t bad = metrics_sum(M_FEED_BAD), events = metrics_sum(M_FEED_EVENTS);
    put_stored(w, "a", 5);
    const size_t count = sizeof cases / sizeof cases[0];
    for (size_t i = 0; i < count; i++)
        assert_string_equal(wrong(&f, slice_str(cases[i][0])), cases[i][1]);
    assert_int_equal(f.feed.bad, count);
    assert_int_equal(f.feed.events, 0);
    assert_int_equal(f.feed.gaps, 0);
    assert_int_equal(metrics_sum(M_FEED_BAD) - bad, count);
    assert_int_equal(metrics_sum(M_FEED_EVENTS) - events, 0);
    assert_int_equal(lookup(w, "a"), LOOKUP_FRESH);
    assert_string_equal(wrong(&f, slice_str("{\"k\":\"a\",\"t\":[\"red\"]}")), "");
    assert_int_equal(f.feed.events, 1);
    assert_int_equal(metrics_sum(M_FEED_EVENTS) - events, 1);
    assert_int_equal(lookup(w, "a"), LOOKUP_MISS);
}

/* Text of so many bytes between two others. */
static struct slice padded(const char *before, char with, size_t n, const char *behind)
{
    static char text[2 * FEED_PAYLOAD_MAX];
    size_t at = (size_t)snprintf(text, sizeof text, "%s", before);
    memset(text + at, with, n);
    at += n;
    at += (size_t)snprintf(text + at, sizeof text - at, "%s", behind);
    return slice_of(text, at);
}

static void each_field_has_its_greatest_size(void **state)
{
    struct fed f;
    start(&f, *state, 1); /* max_key is 100 */
    assert_string_equal(wrong(&f, padded("{\"k\":\"", 'k', 100, "\"}")), "");
    assert_string_equal(wrong(&f, padded("{\"k\":\"", 'k', 101, "\"}")),
                        "\"k\" has 101 bytes, where 1 to 100 are taken");
    assert_string_equal(wrong(&f, padded("{\"t\":[],\"k\":\"", 'k', 101, "\"}")), "");
    assert_string_equal(wrong(&f, padded("{\"t\":\"*\",\"k\":\"", 'k', 101, "\"}")), "");
    assert_string_equal(wrong(&f, padded("{\"m\":\"", 'm', 256, "\"}")), "");
    assert_string_equal(wrong(&f, padded("{\"m\":\"", 'm', 257, "\"}")),
                        "\"m\" has 257 bytes, where 1 to 256 are taken");
    assert_string_equal(wrong(&f, padded("{\"t\":[\"", 't', 255, "\"]}")), "");
    assert_string_equal(wrong(&f, padded("{\"t\":[\"", 't', 256, "\"]}")),
                        "\"t\" has 256 bytes, where 1 to 255 are taken");
    assert_string_equal(wrong(&f, padded("{\"hb\":\"", 'b', 64, "\"}")), "");
    assert_string_equal(wrong(&f, padded("{\"hb\":\"", 'b', 65, "\"}")),
                        "\"hb\" has 65 bytes, where 1 to 64 are taken");
    assert_string_equal(wrong(&f, padded("{\"t\":\"*\"", ' ', FEED_PAYLOAD_MAX - 9, "}")), "");
    assert_string_equal(wrong(&f, padded("{\"t\":\"*\"", ' ', FEED_PAYLOAD_MAX - 8, "}")),
                        "it has 8001 bytes");
}

static void an_event_has_so_many_tags_and_each_counts(void **state)
{
    struct world *w = *state;
    struct fed f;
    char text[1024] = "{\"t\":[";
    uint32_t slots[65];
    start(&f, w, 1);
    for (int i = 0; i < 65; i++) {
        char tag[16];
        snprintf(tag, sizeof tag, "t%d", i);
        slots[i] = marks_slot(w->marks, slice_str(tag));
        size_t at = strlen(text);
        snprintf(text + at, sizeof text - at, "%s\"%s\"", i ? "," : "", tag);
        if (i < 63)
            continue;
        uint64_t since = marks_now(w->marks);
        at = strlen(text);
        snprintf(text + at, sizeof text - at, "]}");
        assert_string_equal(wrong(&f, slice_str(text)),
                            i == 63 ? "" : "\"t\" is no array of at most 64 tags");
        text[at] = '\0';
        for (int n = 0; n <= i; n++)
            assert_int_equal(marks_judge_tags(w->marks, &slots[n], 1, since),
                             i == 63 ? MARK_HARD : MARK_NONE);
    }
}

/* Whether the absence of a row is kept. */
static bool gone(struct world *w, const char *key)
{
    bool stored;
    struct join_result r;
    struct outcome absent = {.end = END_ABSENT, .store = true, .ttl_ms = 1000, .generation = 1};
    join_as(w, key, NULL, &r);
    end_with(w, r.flight, &absent, &stored);
    return stored;
}

/* That a row is gone is believed of the version that says so, and of none else. */
static void a_row_is_gone_where_a_version_says_so(void **state)
{
    struct world *w = *state;
    struct fed f;
    start(&f, w, 1);
    assert_true(hear(&f, "{\"k\":\"user:1\",\"v\":7,\"d\":true}"));
    assert_true(gone(w, "user:1"));
    assert_true(hear(&f, "{\"k\":\"user:2\",\"v\":7,\"d\":false}"));
    assert_false(gone(w, "user:2"));
    assert_true(hear(&f, "{\"k\":\"user:3\",\"v\":7}"));
    assert_true(hear(&f, "{\"k\":\"user:3\",\"d\":true}")); /* of which version? */
    assert_false(gone(w, "user:3"));
}

/* An event that cannot take full effect is a gap. */
static void what_finds_no_room_is_a_gap(void **state)
{
    struct world *w = *state;
    struct fed f;
    start(&f, w, 1);
    up(&f, "");
    store_sweep(w->store, w->now_ms, 1000);
    const uint64_t gaps = metrics_sum(M_FEED_GAPS);
    put_stored(w, "user:1", 5);
    while (match(w, "never:*", false) == 0)
        ;
    assert_true(hear(&f, "{\"m\":\"other:*\"}"));
    assert_int_equal(f.feed.events, 1);
    assert_int_equal(f.feed.bad, 0);
    assert_int_equal(f.feed.gaps, 1);
    assert_int_equal(metrics_sum(M_FEED_GAPS) - gaps, 1);
    assert_true(f.cut); /* its own marks find none either */
    assert_int_equal(feed_due_ms(&f.feed, w->now_ms), w->now_ms + 20);
}

/* ---- heartbeats ---- */

static void tick(struct fed *f, const char *wanted)
{
    char text[FEED_BEAT_TEXT];
    f->w->now_ms += 100;
    assert_int_equal(feed_tick(&f->feed, f->w->now_ms, text), FEED_BEAT);
    assert_string_equal(text, wanted);
    assert_int_equal(feed_due_ms(&f->feed, f->w->now_ms), f->w->now_ms + 100);
    assert_int_equal(feed_tick(&f->feed, f->w->now_ms + 99, text), FEED_NOTHING);
}

static void a_heartbeat_is_numbered_and_its_way_is_measured(void **state)
{
    struct world *w = *state;
    struct fed f;
    start(&f, w, 1);
    assert_int_equal(f.feed.lag_ms, -1);
    up(&f, "");
    assert_int_equal(feed_due_ms(&f.feed, w->now_ms), w->now_ms);
    tick(&f, "{\"hb\":\"0000000000000abc\",\"n\":1}");
    w->now_ms += 7;
    assert_true(hear(&f, "{\"hb\":\"0000000000000abc\",\"n\":1}"));
    assert_int_equal(f.feed.lag_ms, 7);
    tick(&f, "{\"hb\":\"0000000000000abc\",\"n\":2}");
    tick(&f, "{\"hb\":\"0000000000000abc\",\"n\":3}");
    w->now_ms += 4;
    assert_true(hear(&f, "{\"hb\":\"0000000000000abc\",\"n\":2}")); /* not of the last one sent */
    assert_int_equal(f.feed.lag_ms, 7);
    assert_int_equal(f.feed.received, 2);
    assert_true(hear(&f, "{\"hb\":\"0000000000000abc\",\"n\":3}"));
    assert_int_equal(f.feed.lag_ms, 4);
    assert_int_equal(f.feed.gaps, 0);
    assert_int_equal(f.feed.events, 0);
}

static void what_is_no_heartbeat_of_this_connection_is_passed_over(void **state)
{
    static const char *const others[] = {
        "{\"hb\":\"0000000000000abd\",\"n\":3}",  "{\"hb\":\"abc\",\"n\":3}",
        "{\"hb\":\"0000000000000abc\"}",          "{\"hb\":\"0000000000000abc\",\"n\":0}",
        "{\"hb\":\"0000000000000abc\",\"n\":-3}", "{\"hb\":\"0000000000000abc\",\"n\":1}",
        "{\"hb\":\"0000000000000abc\",\"n\":4}",
    };
    struct fed f;
    start(&f, *state, 1);
    up(&f, "");
    assert_int_equal(beat(&f, true), FEED_BEAT);
    assert_int_equal(beat(&f, false), FEED_BEAT);
    assert_int_equal(beat(&f, false), FEED_BEAT);
    for (size_t i = 0; i < sizeof others / sizeof others[0]; i++) {
        assert_true(hear(&f, others[i]));
        assert_int_equal(f.feed.received, 1);
        assert_int_equal(f.feed.gaps, 0);
    }
    assert_true(hear(&f, "{\"hb\":\"0000000000000abc\",\"n\":3}")); /* 2 is missing */
    assert_int_equal(f.feed.received, 3);
    assert_int_equal(f.feed.gaps, 1);
}

/* A connection has heartbeats of its own. */
static void numbers_begin_anew_with_a_connection(void **state)
{
    struct fed f;
    start(&f, *state, 1);
    up(&f, "");
    for (int i = 0; i < 3; i++)
        assert_int_equal(beat(&f, false), FEED_BEAT);
    assert_int_equal(beat(&f, false), FEED_DEAD);
    feed_down(&f.feed, f.w->now_ms);
    up(&f, "");
    for (int i = 0; i < 3; i++)
        assert_int_equal(beat(&f, false), FEED_BEAT);
    assert_int_equal(beat(&f, false), FEED_DEAD);
    assert_int_equal(f.feed.sent, 3);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_is_wrong_with_a_payload_is_said),
        T(each_field_has_its_greatest_size),
        T(an_event_has_so_many_tags_and_each_counts),
        T(a_row_is_gone_where_a_version_says_so),
        T(what_finds_no_room_is_a_gap),
        T(a_heartbeat_is_numbered_and_its_way_is_measured),
        T(what_is_no_heartbeat_of_this_connection_is_passed_over),
        T(numbers_begin_anew_with_a_connection),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
