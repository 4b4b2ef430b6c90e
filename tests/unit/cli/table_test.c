/* Answers as tables: whole, or nothing is written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/table.h"
#include "wire/mpw.h"

#include <stdio.h>
#include <string.h>

typedef int table_write(struct buf *out, struct slice packed);

/* {"a": 1, "deep": {"b": 2.5, "c": {"d": null}}, "long": "text"} */
static int pack_stats(struct buf *b)
{
    return mpw_map(b, 3) | mpw_cstr(b, "a") | mpw_int(b, 1) | mpw_cstr(b, "deep") | mpw_map(b, 2) |
           mpw_cstr(b, "b") | mpw_float(b, 2.5) | mpw_cstr(b, "c") | mpw_map(b, 1) |
           mpw_cstr(b, "d") | mpw_nil(b) | mpw_cstr(b, "long") | mpw_cstr(b, "text");
}

static int pack_loaders(struct buf *b)
{
    return mpw_array(b, 2) | mpw_map(b, 2) | mpw_cstr(b, "pattern") | mpw_cstr(b, "user:*") |
           mpw_cstr(b, "loads") | mpw_int(b, 12345678) | mpw_map(b, 2) | mpw_cstr(b, "pattern") |
           mpw_cstr(b, "a:*") | mpw_cstr(b, "backend") | mpw_nil(b);
}

static void check(int (*pack)(struct buf *b), table_write *write, const char *want)
{
    struct buf packed, out;
    buf_init(&packed, 0);
    buf_init(&out, 0);
    assert_int_equal(pack(&packed), 0);
    assert_int_equal(write(&out, buf_slice(&packed)), 0);
    assert_int_equal(buf_append(&out, "", 1), 0);
    assert_string_equal(out.data, want);
    for (size_t size = 0; size < packed.size; size++) { /* the answer ends too soon */
        buf_clear(&out);
        int rc = write(&out, slice_of(packed.data, size));
        if (rc != ERR_PROTOCOL || out.size != 0)
            fail_msg("%zu bytes: %d, and %zu were written", size, rc, out.size);
    }
    buf_fini(&out);
    buf_fini(&packed);
}

static void numbers_have_the_names_of_the_maps_around_them(void **state)
{
    (void)state;
    check(pack_stats, table_stats,
          "a         1\n"
          "deep.b    2.5\n"
          "deep.c.d  -\n"
          "long      text\n");
}

static void loaders_have_a_line_each(void **state)
{
    (void)state;
    check(pack_loaders, table_loaders,
          "pattern  backend     loads\n"
          "user:*   -        12345678\n"
          "a:*      -               -\n");
}

static int pack_first_column(struct buf *b)
{
    return mpw_array(b, 2) | mpw_map(b, 1) | mpw_cstr(b, "pattern") |
           mpw_cstr(b, "\xc3\xa4\xc3\xb6:*") | mpw_map(b, 1) | mpw_cstr(b, "pattern") |
           mpw_cstr(b, "");
}

/* A loader's columns that stand to the left are padded, but for the last. */
static int pack_wide_letters(struct buf *b)
{
    return mpw_array(b, 2) | mpw_map(b, 2) | mpw_cstr(b, "pattern") |
           mpw_cstr(b, "\xc3\xa4\xc3\xb6\xe2\x82\xac:long*") | mpw_cstr(b, "breaker") |
           mpw_cstr(b, "open") | mpw_map(b, 2) | mpw_cstr(b, "pattern") | mpw_cstr(b, "u") |
           mpw_cstr(b, "breaker") | mpw_cstr(b, "closed");
}

static void letters_are_as_wide_as_they_look(void **state)
{
    (void)state;
    check(pack_first_column, table_loaders, "pattern\n\xc3\xa4\xc3\xb6:*\n\n");
    check(pack_wide_letters, table_loaders,
          "pattern    breaker\n"
          "\xc3\xa4\xc3\xb6\xe2\x82\xac:long*  open\n"
          "u          closed\n");
}

static int pack_no_loader(struct buf *b)
{
    return mpw_array(b, 0);
}

static void without_loaders_there_are_the_names_of_all_columns(void **state)
{
    (void)state;
    check(pack_no_loader, table_loaders,
          "pattern  script  backend  ttl_ms  in_flight  queued  loads  failed  breaker\n");
}

static void what_is_no_table_is_no_answer(void **state)
{
    (void)state;
    struct buf packed, out;
    buf_init(&packed, 0);
    buf_init(&out, 0);
    assert_int_equal(mpw_map(&packed, 0), 0);
    assert_int_equal(table_loaders(&out, buf_slice(&packed)), ERR_PROTOCOL);
    assert_int_equal(table_stats(&out, buf_slice(&packed)), 0);
    buf_clear(&packed);
    assert_int_equal(mpw_array(&packed, 0), 0);
    assert_int_equal(table_stats(&out, buf_slice(&packed)), ERR_PROTOCOL);
    assert_int_equal(out.size, 0);
    buf_fini(&packed);
    buf_fini(&out);
}

/* {NAME: {"b": 1}, "empty": {}} with a name of so many bytes. */
static void stats_of_a_name(size_t size, const char *shown)
{
    struct buf packed, out;
    char name[400], want[1200];
    buf_init(&packed, 0);
    buf_init(&out, 0);
    memset(name, 'n', size);
    assert_int_equal(mpw_map(&packed, 2) | mpw_str(&packed, slice_of(name, size)) |
                         mpw_map(&packed, 1) | mpw_cstr(&packed, "b") | mpw_int(&packed, 1) |
                         mpw_cstr(&packed, "empty") | mpw_map(&packed, 0),
                     0);
    assert_int_equal(table_stats(&out, buf_slice(&packed)), 0);
    assert_int_equal(buf_append(&out, "", 1), 0);
    size_t width = size + strlen(shown) < 255 ? size + strlen(shown) : 255;
    snprintf(want, sizeof want, "%.*s%s  1\n%-*s  {}\n", (int)(width - strlen(shown)), name, shown,
             (int)width, "empty");
    assert_string_equal(out.data, want);
    buf_fini(&packed);
    buf_fini(&out);
}

static void a_name_is_cut_where_its_room_ends(void **state)
{
    (void)state;
    stats_of_a_name(3, ".b");
    stats_of_a_name(253, ".b");
    stats_of_a_name(254, "."); /* no room for the last letter */
    stats_of_a_name(255, "");
    stats_of_a_name(300, "");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(numbers_have_the_names_of_the_maps_around_them),
        cmocka_unit_test(loaders_have_a_line_each),
        cmocka_unit_test(letters_are_as_wide_as_they_look),
        cmocka_unit_test(without_loaders_there_are_the_names_of_all_columns),
        cmocka_unit_test(what_is_no_table_is_no_answer),
        cmocka_unit_test(a_name_is_cut_where_its_room_ends),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
