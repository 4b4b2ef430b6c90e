/* Keys as lines of a list, written and read. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/key_line.h"

#include <string.h>

static struct slice text(const char *s, size_t size)
{
    return slice_of(s, size);
}

static void check_read(struct slice line, struct slice want)
{
    struct buf key;
    struct err e;
    buf_init(&key, 0);
    if (key_line_read(&key, line, &e) != 0)
        fail_msg("%.*s: %s", (int)line.size, line.data, e.text);
    assert_int_equal(key.size, want.size);
    assert_memory_equal(key.data, want.data, want.size);
    buf_fini(&key);
}

static void check_written(struct slice key, const char *want)
{
    struct buf line;
    buf_init(&line, 0);
    assert_int_equal(key_line_write(&line, key), 0);
    assert_int_equal(line.size, strlen(want));
    assert_memory_equal(line.data, want, line.size);
    check_read(slice_of(line.data, line.size - 1), key);
    buf_fini(&line);
}

static void a_printable_key_stands_as_it_is(void **state)
{
    (void)state;
    check_written(slice_str("user:42"), "user:42\n");
    check_written(slice_str(" a \\n 'b' \"c\" {"), " a \\n 'b' \"c\" {\n");
    check_written(slice_str("m\xc3\xbcnchen"), "m\xc3\xbcnchen\n");
    check_written(slice_str("-"), "-\n");
}

static void others_stand_as_json(void **state)
{
    (void)state;
    check_written(slice_str("a\nb"), "\"a\\nb\"\n");
    check_written(text("a\0b", 3), "\"a\\u0000b\"\n");
    check_written(slice_str("\x7f"), "\"\\u007f\"\n");
    check_written(slice_str("\xc2\x9b"), "\"\\u009b\"\n");
    check_written(slice_str("\"a\""), "\"\\\"a\\\"\"\n");
    check_written(slice_str("{a}"), "\"{a}\"\n");
    check_written(text("\xff\x00z", 3), "{\"$bin\":\"/wB6\"}\n");
}

/* Every byte, alone and between others. */
static void every_key_comes_back(void **state)
{
    (void)state;
    for (int b = 0; b < 256; b++)
        for (size_t at = 0; at < 3; at++) {
            struct buf line;
            char key[3] = {'x', 'y', 'z'};
            key[at] = (char)b;
            buf_init(&line, 0);
            assert_int_equal(key_line_write(&line, slice_of(key, at + 1)), 0);
            assert_int_equal(line.data[line.size - 1], '\n');
            assert_null(memchr(line.data, '\n', line.size - 1));
            check_read(slice_of(line.data, line.size - 1), slice_of(key, at + 1));
            buf_fini(&line);
        }
}

static void what_a_hand_writes_is_read(void **state)
{
    (void)state;
    check_read(slice_str("{tag}user:1"), slice_str("{tag}user:1"));
    check_read(slice_str("{\"$bin\" : \"/wB6\" }"), text("\xff\x00z", 3));
    check_read(slice_str("caf\xe9"), slice_str("caf\xe9"));
    check_read(slice_str("\"user:1\"  "), slice_str("user:1"));
}

static void what_is_no_key_is_refused_with_its_column(void **state)
{
    (void)state;
    static const struct {
        const char *line, *want;
    } all[] = {
        {"user:1\r",
         "column 7: a control character (0x0d); such a key is written as a JSON string"},
        {"\x7f", "column 1: a control character (0x7f)"},
        {"\"user:1", "column "},
        {"\"a\" b", "column "},
        {"\"\"", "a key has a byte at least"},
        {"{\"$bin\": \"\"}", "a key has a byte at least"},
        {"{\"$bin\": 5}", ""},
        {"{\"$bin\": \"/wB6\", \"b\": 1}", "{\"$bin\": \"base64\"} stands alone"},
        {"{\"$binary\": 1", ""},
    };
    for (size_t i = 0; i < sizeof all / sizeof *all; i++) {
        struct buf key;
        struct err e;
        buf_init(&key, 0);
        if (strncmp(all[i].line, "{\"$binary", 9) == 0) {
            check_read(slice_str(all[i].line), slice_str(all[i].line));
            continue;
        }
        assert_int_equal(key_line_read(&key, slice_str(all[i].line), &e), ERR_BAD_VALUE);
        if (strncmp(e.text, all[i].want, strlen(all[i].want)) != 0)
            fail_msg("%s: %s", all[i].line, e.text);
        assert_int_equal(key.size, 0);
        buf_fini(&key);
    }
}

static void a_line_without_room_leaves_nothing(void **state)
{
    (void)state;
    struct buf out;
    buf_init(&out, 8);
    assert_int_equal(key_line_write(&out, slice_str("1234567")), 0);
    assert_int_equal(out.size, 8);
    out.size = 4;
    assert_int_equal(key_line_write(&out, slice_str("1234")), ERR_TOO_LARGE);
    assert_int_equal(out.size, 4);
    assert_int_equal(key_line_write(&out, slice_str("\n")), ERR_TOO_LARGE);
    assert_int_equal(out.size, 4);
    buf_fini(&out);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_printable_key_stands_as_it_is),
        cmocka_unit_test(others_stand_as_json),
        cmocka_unit_test(every_key_comes_back),
        cmocka_unit_test(what_a_hand_writes_is_read),
        cmocka_unit_test(what_is_no_key_is_refused_with_its_column),
        cmocka_unit_test(a_line_without_room_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
