#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "conf/folder.h"
#include "conf/source.h"

struct world {
    struct arena arena;
    struct problems problems;
    struct source source;
};

static int read_world(struct world *w, const char *name)
{
    *w = (struct world){0};
    problems_init(&w->problems);
    source_init(&w->source, &w->arena, &w->problems);
    return source_read(&w->source, arena_copy(&w->arena, slice_str(in_folder(name))));
}

static void drop(struct world *w)
{
    source_fini(&w->source);
    problems_fini(&w->problems);
    arena_fini(&w->arena);
}

static void assert_text(const char *written, const char *want)
{
    struct world w;
    write_file("a.conf", written);
    assert_int_equal(read_world(&w, "a.conf"), 0);
    assert_string_equal(w.source.text.data, want);
    drop(&w);
}

static void assert_wrong(const char *name, const char *says)
{
    struct world w;
    struct err e;
    struct buf report;
    buf_init(&report, 0);
    assert_int_equal(read_world(&w, name), ERR_CONFIG);
    assert_int_equal(problems_tell(&w.problems, &report, &e), ERR_CONFIG);
    assert_int_equal(buf_append(&report, "", 1), 0);
    if (!strstr(report.data, says))
        fail_msg("\"%s\" lacks \"%s\"", report.data, says);
    buf_fini(&report);
    drop(&w);
}

static void assert_text_wrong(const char *written, const char *says)
{
    write_file("a.conf", written);
    assert_wrong("a.conf", says);
}

static void comments_go_and_lines_stay(void **state)
{
    (void)state;
    assert_text("a = 1 # x \" y\n// z\nb = /* \n\" */ 2", "a = 1 \n\nb = \n  2\n");
    assert_text("a = \"# // /* */\" /**/\n", "a = \"# // /* */\"  \n\n");
    assert_text("", "\n");
}

static void integers_above_32_bits_get_their_suffix(void **state)
{
    (void)state;
    assert_text("a=2147483647", "a=2147483647\n");
    assert_text("a=2147483648", "a=2147483648L\n");
    assert_text("a=-2147483649;b=0", "a=-2147483649L;b=0\n");
    assert_text("a=4294967296L", "a=4294967296L\n");
    assert_text("a=0xFFFFFFFF,b=0x7FFFFFFF", "a=0xFFFFFFFFL,b=0x7FFFFFFF\n");
    assert_text("a=12345678901.5 b=1e10 c9999999999=1", "a=12345678901.5 b=1e10 c9999999999=1\n");
    assert_text("a=\"9999999999\"", "a=\"9999999999\"\n");
}

static void places_follow_the_files(void **state)
{
    (void)state;
    write_file("a.conf", "a = 1\n  @include \"b.conf\" # here\nd = 1\n");
    write_file("b.conf", "\nb = 1\n@include \"c.conf\"\nb2 = 1");
    write_file("c.conf", "c = 1");
    struct world w;
    assert_int_equal(read_world(&w, "a.conf"), 0);
    const struct {
        const char *name, *file;
        int line;
    } want[] = {{"a = 1", "a.conf", 1},
                {"b = 1", "b.conf", 2},
                {"c = 1", "c.conf", 1},
                {"b2 = 1", "b.conf", 4},
                {"d = 1", "a.conf", 3}};
    size_t found = 0;
    for (size_t n = 1; n <= w.source.place_count; n++) {
        struct slice line = source_line(&w.source, n);
        if (line.size == 0 || found == 5)
            continue;
        assert_true(slice_eq_str(line, want[found].name));
        struct source_place place = source_place(&w.source, n);
        assert_string_equal(place.file, in_folder(want[found].file));
        assert_int_equal(place.line, want[found].line);
        found++;
    }
    assert_int_equal(found, 5);
    assert_int_equal(w.source.file_count, 3);
    drop(&w);
}

static void a_file_that_includes_itself_is_refused(void **state)
{
    (void)state;
    assert_text_wrong("@include \"a.conf\"\n", "included too deep; does it include itself?");
    assert_text_wrong("@include \"./././a.conf\"\n@include \"a.conf\"\n@include \"a.conf\"\n"
                      "@include \"a.conf\"\n@include \"a.conf\"\n@include \"a.conf\"\n",
                      "included");
}

static void what_is_no_text_file_is_refused(void **state)
{
    (void)state;
    assert_text_wrong("a=1\n@include \"none.conf\"\n", "a.conf:2: cannot include ");
    assert_text_wrong("@include \".\"\n", "it is a folder");
    assert_int_equal(mkfifo(in_folder("pipe"), 0600), 0);
    assert_text_wrong("@include \"pipe\"\n", "it is no file");
    write_bytes("nul.conf", "a = 1;\n\0b = 2;\n", 15);
    assert_wrong("nul.conf", "nul.conf:2: there is a NUL byte");
    write_bytes("nul.conf", "a = \"x\0y\"\n", 10);
    assert_wrong("nul.conf", "nul.conf:1: a string holds a NUL byte");
}

static void includes_have_one_form(void **state)
{
    (void)state;
    assert_text_wrong("@include x\n", "expected @include \"file\"");
    assert_text_wrong("@include \"x\n", "expected @include \"file\"");
    assert_text_wrong("@include \"\"\n", "expected @include \"file\"");
    assert_text_wrong("@include", "expected @include \"file\"");
    assert_text_wrong("@include \"x\" a = 1\n", "@include stands alone on its line");
    assert_text_wrong("a = 1 @include \"x\"\n", "'@' begins nothing but");
    assert_text("a = \"@include\" # @include \"x\"\n/*\n@include \"x\"\n*/",
                "a = \"@include\" \n\n\n \n");
}

static void strings_end_on_their_line(void **state)
{
    (void)state;
    assert_text("a = \"x\\\"y\\\\\"\n", "a = \"x\\\"y\\\\\"\n\n");
    assert_text_wrong("a = 1\nb = \"x\ny\"\n", "a.conf:2: a string has no closing quote");
    assert_text_wrong("b = \"x\\\n\"\n", "a.conf:1: a string has no closing quote");
    assert_text_wrong("b = \"x\\", "a.conf:1: a string has no closing quote");
}

static void nesting_is_bounded(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 0);
    for (int i = 0; i <= SOURCE_NESTING_MAX; i++)
        assert_int_equal(buf_printf(&b, "a = {"), 0);
    assert_text_wrong(b.data, "groups and lists are nested too deep");
    buf_fini(&b);
}

static void size_is_bounded(void **state)
{
    (void)state;
    size_t size = SOURCE_BYTES_MAX + 1;
    char *text = malloc(size);
    assert_non_null(text);
    memset(text, '\n', size);
    write_bytes("big.conf", text, size);
    assert_wrong("big.conf", "the configuration is too large");
    write_bytes("half.conf", text, size / 2 + 10);
    free(text);
    assert_text_wrong("@include \"half.conf\"\n@include \"half.conf\"\n",
                      "a.conf:2: cannot include");
}

static void the_number_of_files_is_bounded(void **state)
{
    (void)state;
    struct buf b;
    buf_init(&b, 0);
    for (int i = 0; i < SOURCE_FILES_MAX; i++) {
        char name[32];
        snprintf(name, sizeof name, "f%d.conf", i);
        write_file(name, "");
        assert_int_equal(buf_printf(&b, "@include \"%s\"\n", name), 0);
    }
    assert_text_wrong(b.data, "a.conf:64: cannot include");
    buf_clear(&b);
    for (int i = 0; i <= SOURCE_INCLUDES_MAX; i++)
        assert_int_equal(buf_printf(&b, "@include \"f0.conf\"\n"), 0);
    assert_text_wrong(b.data, "a.conf:10001: cannot include");
    buf_fini(&b);
}

static void a_byte_order_mark_is_named(void **state)
{
    (void)state;
    assert_text_wrong("\xEF\xBB\xBFlisten = \":1\"\n",
                      "a.conf:1: the file begins with a byte order mark (BOM)");
    assert_text_wrong("\xFF\xFEl", "a.conf:1: the file is UTF-16");
    write_file("b.conf", "\xEF\xBB\xBF# included\n");
    assert_text_wrong("watch = true\n@include \"b.conf\"\n",
                      "b.conf:1: the file begins with a byte order mark (BOM)");
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comments_go_and_lines_stay),
        cmocka_unit_test(integers_above_32_bits_get_their_suffix),
        cmocka_unit_test(places_follow_the_files),
        cmocka_unit_test(a_file_that_includes_itself_is_refused),
        cmocka_unit_test(what_is_no_text_file_is_refused),
        cmocka_unit_test(a_byte_order_mark_is_named),
        cmocka_unit_test(includes_have_one_form),
        cmocka_unit_test(strings_end_on_their_line),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(size_is_bounded),
        cmocka_unit_test(the_number_of_files_is_bounded),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
