/* Positions in a log: what they have of it, when they hold, and their texts. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend/postgres/pg_place.h"

#include <stdio.h>
#include <stdlib.h>

#define TEXT                                                                                       \
    "rtcache-log-1 primary 7714076851595311685 00000001 1764536400000000 23456789 "                \
    "bcca3119-bce4-4e1a-b639-978e3a4b75bb/16384 0/0 10:20:12,15"

static int setup(void **state)
{
    static struct pg_place p;
    pg_place_init(&p);
    *state = &p;
    return 0;
}

static int teardown(void **state)
{
    pg_place_fini(*state);
    return 0;
}

static void it_has_what_its_snapshot_saw(void **state)
{
    struct pg_place *p = *state;
    assert_true(pg_place_take(p, slice_str("10:20:12,15,19")));
    const struct {
        uint64_t xid;
        bool has;
    } cases[] = {{0, true},   {9, true},   {10, true}, {11, true},          {12, false},
                 {13, true},  {15, false}, {18, true}, {19, false},         {20, false},
                 {21, false}, {1, true},   {16, true}, {UINT64_MAX, false}, {14, true}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++)
        assert_int_equal(pg_place_has(p, cases[i].xid), cases[i].has);
    assert_string_equal(pg_place_list(p), "12,15,19");
    assert_true(pg_place_take(p, slice_str("20:20:")));
    assert_string_equal(pg_place_list(p), "");
    assert_true(pg_place_has(p, 19));
    assert_false(pg_place_has(p, 20));
}

static void what_is_no_snapshot_is_refused(void **state)
{
    static const char *const bad[] = {
        "",
        ":",
        "::",
        "1:2",
        "1:2:x",
        "2:1:",
        "1:5:5",
        "1:5:0",
        "2:5:1",
        "1:5:3,2",
        "1:5:3,3",
        "1:5:3,",
        "1:5:,3",
        "1:5:3,,4",
        "-1:5:",
        "+1:5:",
        " 1:5:",
        "1:5: 3",
        "1:5:3:",
        "0:5:",
        "0:0:",
        "1.0:5:",
        "1e1:99:",
        "0x1:5:",
        "1:184467440737095516151:",
        "1:5:3,4 ",
        "1:18446744073709551616:",
    };
    struct pg_place *p = *state;
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++) {
        assert_true(pg_place_take(p, slice_str("1:2:1")));
        assert_false(pg_place_take(p, slice_str(bad[i])));
        assert_false(pg_place_known(p));
    }
    assert_true(pg_place_take(p, slice_str("1:18446744073709551615:18446744073709551614")));
    assert_false(pg_place_has(p, UINT64_MAX - 1));
    assert_true(pg_place_has(p, UINT64_MAX - 2));
}

static void a_standby_s_place_begins_with_its_first_doubt(void **state)
{
    struct pg_place *p = *state;
    assert_true(pg_place_take_doubt(p, slice_str("20"), slice_str("12,15")));
    assert_int_equal(p->xmin, 12);
    assert_int_equal(p->xmax, 20);
    assert_string_equal(p->snapshot.data, "12:20:12,15");
    assert_true(pg_place_take_doubt(p, slice_str("20"), slice_str("")));
    assert_string_equal(p->snapshot.data, "20:20:");
    assert_false(pg_place_take_doubt(p, slice_str("20"), slice_str("20")));
    assert_false(pg_place_known(p));
    assert_false(pg_place_take_doubt(p, slice_str("20"), slice_str("15,12")));
    assert_false(pg_place_take_doubt(p, slice_str("20"), slice_str("0")));
    assert_false(pg_place_take_doubt(p, slice_str("0"), slice_str("")));
    assert_false(pg_place_take_doubt(p, slice_str("x"), slice_str("")));
}

/* It says that less was read than was. */
static void too_long_a_list_begins_at_its_first(void **state)
{
    struct pg_place *p = *state;
    struct buf text;
    buf_init(&text, 0);
    assert_int_equal(buf_printf(&text, "100000:200000:100000"), 0);
    for (int i = 1; text.size < PG_PLACE_SNAPSHOT + 20; i++)
        assert_int_equal(buf_printf(&text, ",%d", 100000 + i), 0);
    assert_true(pg_place_take(p, buf_slice(&text)));
    assert_string_equal(p->snapshot.data, "100000:100000:");
    assert_true(pg_place_has(p, 99999));
    assert_false(pg_place_has(p, 150000));
    buf_fini(&text);
}

static void it_holds_where_nothing_is_missing(void **state)
{
    struct pg_place *p = *state, now = {.standby = false};
    assert_false(pg_place_holds(p, &now, 0));
    assert_true(pg_place_read(p, TEXT));
    now = *p;
    assert_true(pg_place_holds(p, &now, 0));
    assert_true(pg_place_holds(p, &now, 10));
    assert_false(pg_place_holds(p, &now, 11));
    now.identity.wal_end++;
    assert_true(pg_place_holds(p, &now, 10));
    now.identity.wal_end -= 2; /* an older copy */
    assert_false(pg_place_holds(p, &now, 10));
    now = *p;
    now.identity.timeline[7] = '2';
    assert_false(pg_place_holds(p, &now, 10));
    now = *p;
    now.identity.system[0] = '8';
    assert_false(pg_place_holds(p, &now, 10));
    now = *p;
    now.log[0] = 'a';
    assert_false(pg_place_holds(p, &now, 10));
    now = *p;
    now.standby = true;
    assert_false(pg_place_holds(p, &now, 10));
}

static void what_is_written_is_read(void **state)
{
    struct pg_place *p = *state, again;
    struct buf out;
    buf_init(&out, 0);
    assert_false(pg_place_write(p, &out)); /* it is nowhere */
    assert_int_equal(out.size, 0);
    pg_place_init(&again);
    assert_true(pg_place_take(p, slice_str("10:20:12")));
    p->standby = true;
    assert_true(pg_place_write(p, &out));
    assert_int_equal(buf_append(&out, "", 1), 0);
    assert_string_equal(out.data, "rtcache-log-1 standby - - - 0 - - 10:20:12");
    assert_true(pg_place_read(&again, out.data));
    assert_true(again.standby);
    assert_string_equal(again.identity.system, "");
    assert_string_equal(again.missed, "");
    assert_string_equal(again.snapshot.data, "10:20:12");
    assert_true(pg_place_read(&again, TEXT));
    assert_false(again.standby);
    assert_string_equal(again.identity.system, "7714076851595311685");
    assert_string_equal(again.identity.timeline, "00000001");
    assert_string_equal(again.identity.started, "1764536400000000");
    assert_int_equal(again.identity.wal_end, 23456789);
    assert_string_equal(again.log, "bcca3119-bce4-4e1a-b639-978e3a4b75bb/16384");
    assert_string_equal(again.missed, "0/0");
    buf_fini(&out);
    pg_place_fini(&again);
}

/* Any text is refused, or says what it says when it is written again. */
static void check_any(struct pg_place *p, const char *text)
{
    struct buf out;
    if (!pg_place_read(p, text)) {
        assert_false(pg_place_known(p));
        return;
    }
    buf_init(&out, 0);
    assert_true(pg_place_write(p, &out));
    assert_int_equal(buf_append(&out, "", 1), 0);
    assert_true(pg_place_read(p, out.data));
    buf_fini(&out);
}

static void any_text_is_read_or_refused(void **state)
{
    struct pg_place *p = *state;
    char text[sizeof TEXT];
    for (size_t cut = 0; cut < sizeof TEXT; cut++) {
        snprintf(text, sizeof text, "%.*s", (int)cut, TEXT);
        check_any(p, text);
    }
    for (size_t at = 0; at + 1 < sizeof TEXT; at++)
        for (int byte = 1; byte < 256; byte++) {
            memcpy(text, TEXT, sizeof text);
            text[at] = (char)byte;
            check_any(p, text);
        }
    static const char *const bad[] = {
        "",
        "rtcache-log-2 primary - - - 0 - - 1:1:", /* another format */
        "rtcache-log-1 replica - - - 0 - - 1:1:",
        "rtcache-log-1 primary - - - 0 - 1:1:",
        "rtcache-log-1 primary - - - 0 - - 1:1: ",
        "rtcache-log-1 primary  - - 0 - - 1:1:",
        "rtcache-log-1 primary - - - - - - 1:1:",
        "rtcache-log-1 primary 123456789012345678901234 - - 0 - - 1:1:",
    };
    for (size_t i = 0; i < sizeof bad / sizeof *bad; i++)
        assert_false(pg_place_read(p, bad[i]));
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(it_has_what_its_snapshot_saw),
        T(what_is_no_snapshot_is_refused),
        T(a_standby_s_place_begins_with_its_first_doubt),
        T(too_long_a_list_begins_at_its_first),
        T(it_holds_where_nothing_is_missing),
        T(what_is_written_is_read),
        T(any_text_is_read_or_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
