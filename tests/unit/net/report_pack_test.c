/* A report as MessagePack, and where there is no room for all of it. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "net/report_pack.h"
#include "wire/json.h"

#include <string.h>

/* {"a": 7, "b": {"c": -1, "d": {"e": 0.5}, "f": true}, "g": "x", "h": null} */
static void tell(struct report_sink *to)
{
    to->enter(to, NULL);
    to->count(to, "a", 7);
    to->enter(to, "b");
    to->number(to, "c", -1);
    to->enter(to, "d");
    to->ratio(to, "e", 0.5);
    to->leave(to);
    to->flag(to, "f", true);
    to->leave(to);
    to->text(to, "g", "x");
    to->text(to, "h", NULL);
    to->leave(to);
}

static void groups_have_as_many_members_as_were_told(void **state)
{
    (void)state;
    struct report_pack p;
    struct buf out, text;
    struct err e;
    buf_init(&out, 0);
    buf_init(&text, 0);
    report_pack_init(&p, &out);
    tell(&p.sink);
    assert_int_equal(p.rc, 0);
    assert_int_equal(p.depth, 0);
    assert_int_equal(json_from_mp(buf_slice(&out), &text, &e), 0);
    assert_int_equal(buf_append(&text, "", 1), 0);
    assert_string_equal(text.data,
                        "{\"a\":7,\"b\":{\"c\":-1,\"d\":{\"e\":0.5},\"f\":true},\"g\":\"x\","
                        "\"h\":null}");
    buf_fini(&out);
    buf_fini(&text);
}

/* Whatever there is no room for, it is known, and nothing is written past it. */
static void what_is_packed_in_vain_is_told(void **state)
{
    (void)state;
    struct report_pack p;
    struct buf out;
    buf_init(&out, 0);
    report_pack_init(&p, &out);
    tell(&p.sink);
    size_t whole = out.size;
    buf_fini(&out);
    for (size_t most = 1; most < whole; most++) {
        buf_init(&out, most);
        report_pack_init(&p, &out);
        tell(&p.sink);
        assert_int_equal(p.rc, ERR_TOO_LARGE);
        assert_int_equal(p.depth, 0);
        assert_true(out.size <= most);
        buf_fini(&out);
    }
    buf_init(&out, whole);
    report_pack_init(&p, &out);
    tell(&p.sink);
    assert_int_equal(p.rc, 0);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(groups_have_as_many_members_as_were_told),
        cmocka_unit_test(what_is_packed_in_vain_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
