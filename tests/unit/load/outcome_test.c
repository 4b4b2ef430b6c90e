/* What becomes of a script's result: its times, its version, its tags, and what bounds them. */
#include "load/load_world.h"

#include "load/outcome.h"

struct made {
    struct load_world *w;
    struct seat *seat;
    struct world_get get;
    struct run_result r;
    struct attempt at;
    struct outcome o;
    struct entry_tags tags;
    struct err err;
};

static struct made m;

static int setup(void **state)
{
    (void)state;
    m = (struct made){.w = world_new()};
    struct policy *p = &m.w->loaders[0].policy;
    p->ttl_ms = 5000;
    p->stale_ttl_ms = 600;
    p->negative_ttl_ms = 70;
    p->stale_if_error_ms = 8;
    world_open(m.w);
    m.r = world_result(RUN_FOUND);
    m.at.began_us = clock_us();
    struct join_result r = {0};
    struct join_request q = {.key = slice_str("a:1"),
                             .now_ms = clock_ms(),
                             .generation = 1,
                             .reload = true,
                             .max_waiters = 10,
                             .waiter = &m.get.waiter};
    q.hash = store_hash(m.w->store, q.key);
    assert_int_equal(flights_join(m.w->flights, &q, &r), JOIN_STARTED);
    m.seat = seat_new(&m.w->admissions[0].binding, r.flight);
    assert_non_null(m.seat);
    return 0;
}

static int teardown(void **state)
{
    struct err e;
    (void)state;
    err_set(&e, ERR_CANCELLED, "the test is over");
    buf_fini(&m.r.value);
    buf_fini(&m.r.tags);
    seat_refuse(m.seat, &e);
    world_step(m.w);
    world_free(m.w);
    return 0;
}

static int make(void)
{
    return outcome_make(m.seat, &m.r, &m.at, &m.o, &m.tags, &m.err);
}

static struct binding *binding(void)
{
    return &m.w->admissions[0].binding;
}

/* A packed array of tags, which are given in one text, each of one letter. */
static void tag(const char *letters)
{
    buf_fini(&m.r.tags);
    buf_init(&m.r.tags, 0);
    assert_int_equal(mpw_array(&m.r.tags, strlen(letters)), 0);
    for (; *letters; letters++)
        assert_int_equal(mpw_str(&m.r.tags, slice_of(letters, 1)), 0);
    m.r.has_tags = true;
}

static uint32_t slot(const char *of)
{
    return marks_slot(m.w->marks, slice_str(of));
}

static void times_are_the_results_own_or_the_policys(void **state)
{
    (void)state;
    static const struct {
        enum run_outcome outcome;
        int64_t ttl, stale, ttl_then, stale_then;
    } cases[] = {
        {RUN_FOUND, -1, -1, 5000, 600}, {RUN_FOUND, 9, -1, 9, 600},    {RUN_FOUND, 0, 0, 0, 0},
        {RUN_FOUND, -1, 7, 5000, 7},    {RUN_ABSENT, -1, -1, 70, 600}, {RUN_ABSENT, 3, -1, 3, 600},
        {RUN_ABSENT, 0, -1, 0, 600},
    };
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        m.r.outcome = cases[i].outcome;
        m.r.ttl_ms = cases[i].ttl;
        m.r.stale_ttl_ms = cases[i].stale;
        assert_int_equal(make(), 0);
        assert_int_equal(m.o.end, cases[i].outcome == RUN_FOUND ? END_FOUND : END_ABSENT);
        assert_int_equal(m.o.ttl_ms, cases[i].ttl_then);
        assert_int_equal(m.o.stale_ttl_ms, cases[i].stale_then);
        assert_int_equal(m.o.keep_ms, 8);
    }
}

static void what_the_result_says_is_taken_over(void **state)
{
    (void)state;
    assert_int_equal(make(), 0);
    assert_true(slice_eq_str(m.o.value, "\x07"));
    assert_true(m.o.store);
    assert_false(m.o.has_version || m.o.replica || m.o.retagged);
    assert_null(m.o.unchanged);
    assert_int_equal(m.o.tag_count, 0);
    m.r.no_store = m.r.has_version = true;
    m.r.version = 12;
    assert_int_equal(make(), 0);
    assert_false(m.o.store);
    assert_true(m.o.has_version);
    assert_int_equal(m.o.version, 12);
}

/* What a source says that has a primary, and is not it. */
static void who_has_a_primary_and_was_not_it_is_a_replica(void **state)
{
    (void)state;
    for (int primary = -1; primary <= 1; primary++)
        for (int from = 0; from < 2; from++) {
            binding()->primary = primary;
            m.at.from_primary = from;
            assert_int_equal(make(), 0);
            assert_int_equal(m.o.replica, primary >= 0 && !from);
        }
}

static void a_versioned_loader_gives_versions(void **state)
{
    (void)state;
    m.w->loaders[0].versioned = true;
    assert_int_equal(make(), ERR_BAD_VALUE);
    assert_int_equal(m.err.code, ERR_BAD_VALUE);
    assert_string_equal(m.err.text,
                        "all.lua: its loader is versioned, but the value came without one");
    m.r.has_version = true;
    assert_int_equal(make(), 0);
    m.r.has_version = false;
    m.r.outcome = RUN_ABSENT;
    assert_int_equal(make(), 0);
}

static void store_it(bool tagged)
{
    const uint32_t slots[] = {slot("x"), slot("y")};
    struct put p = {
        .key = slice_str("a:1"),
        .value = slice_str("\x09"),
        .ttl_ms = 60000,
        .has_version = true,
        .version = 5,
        .tags = slots,
        .tag_count = tagged ? 2 : 0,
        .since = marks_now(m.w->marks),
    };
    p.hash = store_hash(m.w->store, p.key);
    assert_int_equal(store_put(m.w->store, &p, clock_ms(), NULL), 0);
    seat_take_stored(m.seat);
    m.r.outcome = RUN_UNCHANGED;
}

static void without_a_value_nothing_is_unchanged(void **state)
{
    (void)state;
    m.r.outcome = RUN_UNCHANGED;
    assert_int_equal(make(), ERR_LOAD_FAILED);
    assert_int_equal(m.err.code, ERR_LOAD_FAILED);
    assert_string_equal(m.err.text, "all.lua: rtcache.unchanged, but nothing is stored");
}

static void what_is_unchanged_keeps_value_version_and_tags(void **state)
{
    (void)state;
    store_it(true);
    m.w->loaders[0].versioned = true; /* its version is known */
    assert_int_equal(make(), 0);
    assert_int_equal(m.o.end, END_FOUND);
    assert_ptr_equal(m.o.unchanged, m.seat->stored);
    assert_true(slice_eq_str(m.o.value, "\x09"));
    assert_true(m.o.has_version);
    assert_int_equal(m.o.version, 5);
    assert_false(m.o.retagged);
    assert_int_equal(m.o.tag_count, 2);
    assert_int_equal(m.o.tags[0], slot("x"));
    assert_int_equal(m.o.tags[1], slot("y"));
    assert_false(binding_facts(binding())->gives_tags);
    m.r.has_version = true;
    m.r.version = 6;
    tag("z");
    assert_int_equal(make(), 0);
    assert_int_equal(m.o.version, 6);
    assert_true(m.o.retagged);
    assert_int_equal(m.o.tag_count, 1);
    assert_int_equal(m.o.tags[0], slot("z"));
    assert_true(slice_eq(m.o.tag_texts, buf_slice(&m.r.tags)));
    tag("");
    assert_int_equal(make(), 0);
    assert_true(m.o.retagged);
    assert_int_equal(m.o.tag_count, 0);
}

/* Where loads give tags, what has none may be from somebody who said nothing of them. */
static void what_is_unchanged_and_has_no_tags_may_have_any(void **state)
{
    (void)state;
    store_it(false);
    assert_int_equal(make(), 0);
    assert_int_equal(m.o.tag_count, 0);
    binding_facts(binding())->gives_tags = true;
    assert_int_equal(make(), 0);
    assert_int_equal(m.o.tag_count, 1);
    assert_int_equal(m.o.tags[0], marks_any_tag(m.w->marks));
    assert_int_equal(m.o.tag_texts.size, 0);
    tag("");
    assert_int_equal(make(), 0);
    assert_int_equal(m.o.tag_count, 0); /* it says that it has none */
}

static void tags_are_read_and_remembered_as_given(void **state)
{
    (void)state;
    char many[66];
    tag("ab");
    assert_int_equal(make(), 0);
    assert_int_equal(m.o.tag_count, 2);
    assert_int_equal(m.o.tags[0], slot("a"));
    assert_int_equal(m.o.tags[1], slot("b"));
    assert_true(binding_facts(binding())->gives_tags);
    memset(many, 't', 65);
    many[65] = '\0';
    tag(many);
    assert_int_equal(make(), 0);
    assert_int_equal(m.o.tag_count, 64);
    buf_clear(&m.r.tags);
    assert_int_equal(mpw_str(&m.r.tags, slice_str("a")), 0);
    outcome_read_tags(m.w->marks, &m.r.tags, &m.tags);
    assert_int_equal(m.tags.count, 0);
    assert_int_equal(m.tags.texts.size, 2);
}

static void what_a_cut_feed_tells_of_is_not_fresh(void **state)
{
    (void)state;
    struct live_feed feed = {.cut = true};
    binding()->feed = &feed;
    assert_int_equal(make(), 0);
    assert_int_equal(m.o.ttl_ms, TTL_OVER);
    assert_int_equal(m.o.stale_ttl_ms, 600);
    atomic_store(&feed.cut, false);
    assert_int_equal(make(), 0);
    assert_int_equal(m.o.ttl_ms, 5000);
}

/* A write of the server before this one may be in the air for write_timeout. */
static void after_a_start_nothing_is_fresh_beyond_the_writes_of_before(void **state)
{
    enum { AN_HOUR = 3600000 };
    (void)state;
    struct policy *p = &m.w->loaders[0].policy;
    const int64_t now_ms = clock_ms();
    p->write_timeout_ms = AN_HOUR;
    m.w->thread.started_ms = now_ms;
    m.at.began_us = now_ms * 1000;
    assert_int_equal(make(), 0);
    assert_int_equal(m.o.ttl_ms, 5000);                                      /* it is over before */
    for (int64_t ttl_ms = 0; ttl_ms <= 2 * AN_HOUR; ttl_ms += 2 * AN_HOUR) { /* 0: for ever */
        m.r.ttl_ms = ttl_ms;
        int64_t before_ms = clock_ms();
        assert_int_equal(make(), 0);
        assert_in_range(m.o.ttl_ms, now_ms + AN_HOUR - clock_ms(), now_ms + AN_HOUR - before_ms);
    }
    m.r.outcome = RUN_ABSENT; /* of an absence 0 is not at all */
    m.r.ttl_ms = 0;
    assert_int_equal(make(), 0);
    assert_int_equal(m.o.ttl_ms, 0);
    m.r.outcome = RUN_FOUND;
    m.r.ttl_ms = 2 * AN_HOUR;
    m.at.began_us = (now_ms + AN_HOUR) * 1000; /* the load began when they were over */
    assert_int_equal(make(), 0);
    assert_int_equal(m.o.ttl_ms, 2 * AN_HOUR);
    m.at.began_us = (now_ms + AN_HOUR) * 1000 - 1;
    assert_int_equal(make(), 0);
    assert_true(m.o.ttl_ms <= AN_HOUR);
    m.w->thread.started_ms = now_ms - 2 * AN_HOUR; /* it began then, and they are over by now */
    m.at.began_us = (now_ms - 2 * AN_HOUR) * 1000;
    assert_int_equal(make(), 0);
    assert_int_equal(m.o.ttl_ms, TTL_OVER);
    binding()->can_write = false;
    assert_int_equal(make(), 0);
    assert_int_equal(m.o.ttl_ms, 2 * AN_HOUR);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(times_are_the_results_own_or_the_policys),
        T(what_the_result_says_is_taken_over),
        T(who_has_a_primary_and_was_not_it_is_a_replica),
        T(a_versioned_loader_gives_versions),
        T(without_a_value_nothing_is_unchanged),
        T(what_is_unchanged_keeps_value_version_and_tags),
        T(what_is_unchanged_and_has_no_tags_may_have_any),
        T(tags_are_read_and_remembered_as_given),
        T(what_a_cut_feed_tells_of_is_not_fresh),
        T(after_a_start_nothing_is_fresh_beyond_the_writes_of_before),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
