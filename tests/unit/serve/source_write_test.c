/* Writes to the source: which may go, how long their clients wait, and what these are told. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "serve/source_write.h"

#include <string.h>

#define HELD    1000 /* references: so many that no test ends a configuration */
#define PARKED  3
#define WAIT_MS 200
#define TAKE_MS 3000

struct scene {
    struct conf conf;
    struct conf_loader loaders[2];
    struct snapshot *snapshot;
};

/* "user:*", and "team:*:int", whose star takes integers alone. */
static int scene_setup(void **state)
{
    static struct scene room;
    struct scene *s = &room;
    struct err e;
    *s = (struct scene){.conf = {.loader_threads = 1, .max_key = 100, .max_parked = PARKED}};
    atomic_init(&s->conf.refs, HELD);
    s->conf.loaders = s->loaders;
    s->conf.loader_count = 2;
    s->loaders[0] = (struct conf_loader){
        .pattern = "user:*", .policy = {.wait_timeout_ms = WAIT_MS, .write_timeout_ms = TAKE_MS}};
    s->loaders[1] = (struct conf_loader){.pattern = "team:{id:int}"};
    if (snapshot_new(&s->snapshot, &s->conf, 1, NULL, &e) != 0)
        fail_msg("%s", e.text);
    *state = s;
    return 0;
}

static int scene_teardown(void **state)
{
    struct scene *s = *state;
    snapshot_unref(s->snapshot);
    return 0;
}

static struct source_wish wish_of(const char *key)
{
    return (struct source_wish){.key = slice_str(key), .timeout_ms = -1};
}

static int admit(struct scene *s, uint64_t waiting, struct source_wish *wish, struct err *e)
{
    const struct source_writer by = {s->snapshot, metrics_mine(), waiting};
    return source_write_admit(&by, wish, e);
}

static void its_client_waits_as_long_as_it_says_or_a_turn_and_a_write_take(void **state)
{
    struct source_wish wish = wish_of("user:1");
    struct err e;
    assert_int_equal(admit(*state, 0, &wish, &e), 0);
    assert_int_equal(wish.timeout_ms, WAIT_MS + TAKE_MS);
    for (int64_t ms = 0; ms < 2; ms++) {
        wish.timeout_ms = ms;
        assert_int_equal(admit(*state, 0, &wish, &e), 0);
        assert_int_equal(wish.timeout_ms, ms);
    }
}

static void what_no_loader_takes_is_refused_by_name(void **state)
{
    struct source_wish misfit = wish_of("team:red"), other = wish_of("other");
    struct err e;
    assert_int_equal(admit(*state, 0, &misfit, &e), ERR_BAD_KEY);
    assert_non_null(strstr(e.text, "team:red"));
    assert_int_equal(admit(*state, 0, &other, &e), ERR_NO_LOADER);
    assert_non_null(strstr(e.text, "other"));
}

static void a_client_with_max_parked_requests_waits_for_no_more(void **state)
{
    uint64_t before = metrics_sum(M_PARKED_REFUSED);
    struct source_wish wish = wish_of("user:1");
    struct err e;
    assert_int_equal(admit(*state, PARKED - 1, &wish, &e), 0);
    assert_int_equal(metrics_sum(M_PARKED_REFUSED), before);
    assert_int_equal(admit(*state, PARKED, &wish, &e), ERR_OVERLOADED);
    assert_non_null(strstr(e.text, "user:1"));
    assert_int_equal(metrics_sum(M_PARKED_REFUSED), before + 1);
}

static char room[64];

static struct source_write begun(int64_t wait_ms)
{
    struct source_wish wish = wish_of("user:1");
    struct source_write s = {.state = SOURCE_WRITE_AWAY};
    wish.timeout_ms = wait_ms;
    source_write_begin(&s, &wish, 7, room);
    return s;
}

static void keeps_all_that_its_client_gave(void **state)
{
    (void)state;
    char key[] = "user:1", value[] = "\xa2v1";
    struct source_wish wish = {.what = WRITE_PUT,
                               .key = slice_str(key),
                               .value = slice_str(value),
                               .has_seen = true,
                               .seen = 12,
                               .timeout_ms = 5};
    struct source_write s = {.state = SOURCE_WRITE_AWAY};
    source_write_begin(&s, &wish, 7, room);
    memset(key, 'x', sizeof key);
    memset(value, 'x', sizeof value);
    assert_true(slice_eq(s.write.key, slice_str("user:1")));
    assert_true(slice_eq(s.write.value, slice_str("\xa2v1")));
    assert_int_equal(s.write.what, WRITE_PUT);
    assert_int_equal(s.write.hash, 7);
    assert_true(s.write.has_seen);
    assert_int_equal(s.write.seen, 12);
    wish = (struct source_wish){.what = WRITE_DELETE, .key = slice_str("user:2")};
    source_write_begin(&s, &wish, 8, room);
    assert_int_equal(s.write.what, WRITE_DELETE);
    assert_int_equal(s.write.value.size, 0);
    assert_false(s.write.has_seen);
}

static void is_over_with_its_outcome(void **state)
{
    (void)state;
    struct source_write s = begun(5);
    assert_false(source_write_is_over(&s));
    source_write_ended(&s);
    assert_true(source_write_is_over(&s));
}

static void goes_on_behind_a_client_that_was_told_that_nobody_knows(void **state)
{
    (void)state;
    uint64_t before = metrics_sum(M_TIMEOUTS);
    struct source_write s = begun(1234);
    struct err e;
    source_write_time(&s, metrics_mine());
    assert_int_equal(metrics_sum(M_TIMEOUTS), before + 1);
    assert_int_equal(source_write_heard(&s, &e), ERR_WRITE_UNKNOWN);
    assert_non_null(strstr(e.text, "user:1"));
    assert_non_null(strstr(e.text, "1234 ms"));
    assert_false(source_write_is_over(&s));
    source_write_ended(&s);
    assert_true(source_write_is_over(&s));
}

static void with_an_outcome_it_stays_until_the_question_is_back(void **state)
{
    (void)state;
    struct source_write s = begun(5);
    struct err e;
    source_write_time(&s, metrics_mine());
    source_write_ended(&s);
    assert_false(source_write_is_over(&s));
    assert_int_equal(source_write_heard(&s, &e), 0);
    assert_true(source_write_is_over(&s));
}

static void says_why_a_value_is_not_kept_where_somebody_can_do_something(void **state)
{
    (void)state;
    struct source_write s = begun(5);
    assert_null(source_write_left(&s));
    s.write.left = LEFT_UNTAGGED;
    assert_non_null(strstr(source_write_left(&s), "tags"));
    s.write.left = LEFT_TOO_LARGE;
    assert_non_null(strstr(source_write_left(&s), "too large"));
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(its_client_waits_as_long_as_it_says_or_a_turn_and_a_write_take),
        cmocka_unit_test(what_no_loader_takes_is_refused_by_name),
        cmocka_unit_test(a_client_with_max_parked_requests_waits_for_no_more),
        cmocka_unit_test(keeps_all_that_its_client_gave),
        cmocka_unit_test(is_over_with_its_outcome),
        cmocka_unit_test(goes_on_behind_a_client_that_was_told_that_nobody_knows),
        cmocka_unit_test(with_an_outcome_it_stays_until_the_question_is_back),
        cmocka_unit_test(says_why_a_value_is_not_kept_where_somebody_can_do_something),
    };
    return cmocka_run_group_tests(tests, scene_setup, scene_teardown);
}
