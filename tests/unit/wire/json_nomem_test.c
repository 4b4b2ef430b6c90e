/* JSON of a database is read without one of the allocations that it asks for. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "wire/json.h"

#include "wire/json_read.h"

#include "json_nomem.h"

static int pack(struct buf *out, const char *text, struct err *e)
{
    buf_init(out, 0);
    err_clear(e);
    return json_to_mp(slice_str(text), out, e);
}

static void without_memory_it_says_so_and_packs_nothing(void **state)
{
    (void)state;
    json_read_install();
    static const char *const texts[] = {
        "1",
        "[true, null, 1.5, \"text\"]",
        "{\"a\": {\"b\": [1, 2, {\"c\": \"d\"}]}, \"e\": 5}",
        "[18446744073709551615, \"x\"]",
    };
    for (size_t i = 0; i < sizeof texts / sizeof *texts; i++) {
        json_nomem_check(texts[i], 0);
        json_nomem_check(texts[i], 1);
    }
}

/* What it says, and that what stood there before stays. */
static void without_room_for_the_result_nothing_is_added(void **state)
{
    (void)state;
    static const char text[] = "[18446744073709551615, 1]";
    struct buf out;
    struct err e;
    int rc = 0;
    buf_init(&out, 0);
    for (int64_t nth = 1; FAULTY_WITHOUT(nth, 0, rc = pack(&out, text, &e)); nth++) {
        bool of_text = strcmp(e.text, "no memory for 25 bytes of JSON") == 0;
        assert_true(rc == 0 || of_text || strcmp(e.text, "no memory for a JSON value") == 0);
        buf_fini(&out);
    }
    buf_fini(&out);
    buf_init(&out, 0);
    assert_int_equal(buf_append(&out, "[", 1), 0);
    char large[2000] = "\xda\x07\x9e"; /* a string of 1950 bytes */
    memset(large + 3, 'x', sizeof large - 3);
    struct slice packed = slice_of(large, 3 + 0x79e);
    assert_true(FAULTY_WITHOUT(1, FAULTY_ALL, rc = json_from_mp(packed, &out, &e)));
    assert_int_equal(rc, ERR_NOMEM);
    assert_int_equal(e.code, ERR_NOMEM);
    assert_string_equal(e.text, "no memory for a JSON value");
    assert_int_equal(out.size, 1);
    assert_int_equal(json_from_mp(packed, &out, &e), 0);
    assert_int_equal(out.size, 1 + 2 + 0x79e);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(without_memory_it_says_so_and_packs_nothing),
        cmocka_unit_test(without_room_for_the_result_nothing_is_added),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
