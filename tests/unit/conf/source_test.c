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

/* says: the first line of the report, whole, with ~ for the folder. */
static void assert_wrong(const char *name, const char *says)
{
    struct world w;
    struct err e;
    struct buf report, want;
    buf_init(&report, 0);
    buf_init(&want, 0);
    for (const char *c = says; *c; c++)
        assert_int_equal(
            *c == '~' ? buf_append(&want, folder, strlen(folder)) : buf_append(&want, c, 1), 0);
    assert_int_equal(buf_append(&want, "", 1), 0);
    assert_int_equal(read_world(&w, name), ERR_CONFIG);
    assert_int_equal(problems_tell(&w.problems, &report, &e), ERR_CONFIG);
    assert_int_equal(buf_append(&report, "", 1), 0);
    *strchr(report.data, '\n') = '\0';
    assert_string_equal(report.data, want.data);
    buf_fini(&want);
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

/* Where a text ends is never looked past, whatever it ends in. */
static void a_text_may_end_anywhere(void **state)
{
    (void)state;
    assert_text_wrong("a = 1 /*", "~/a.conf:1: the comment that begins here has no end");
    assert_text_wrong("a = 1\n\n/* *", "~/a.conf:3: the comment that begins here has no end");
    assert_text_wrong("/*/", "~/a.conf:1: the comment that begins here has no end");
    assert_text("/**/", " \n");
    assert_text("/*\n*/a", "\n a\n");
    assert_text("a = 0xabcdefAF", "a = 0xabcdefAFL\n");
    assert_text("a = 0x7abcdef9", "a = 0x7abcdef9\n");
    assert_text("a = 0x7FFFFFFF", "a = 0x7FFFFFFF\n");
    assert_text("a = 0x80000000", "a = 0x80000000L\n");
    assert_text("a = 7L", "a = 7L\n");
    assert_text("a = 1.5", "a = 1.5\n");
    assert_text("a = 1.5e+3", "a = 1.5e+3\n");
    assert_text("a//", "a\n");
    assert_text("a#b", "a\n");
    assert_text_wrong("@include \"", "~/a.conf:1: expected @include \"file\"");
    assert_text_wrong("@include \t", "~/a.conf:1: expected @include \"file\"");
    assert_text_wrong("@",
                      "~/a.conf:1: '@' begins nothing but a line of the form @include \"file\"");
    assert_text_wrong("a = \"\\x00\"", "~/a.conf:1: a string holds a NUL byte");
}

/* The line that is shown beside an error. */
static void a_line_is_shown_without_the_blanks_around_it(void **state)
{
    (void)state;
    struct world w;
    char text[200], *at = text;
    at += sprintf(at, "one\n \t two  x \t \r\n\n  ");
    memset(at, 'y', 61);
    strcpy(at + 61, "\nlast");
    write_file("a.conf", text);
    assert_int_equal(read_world(&w, "a.conf"), 0);
    static const char *const want[] = {"one", "two  x", "", NULL, "last", ""};
    for (size_t n = 1; n <= 6; n++) {
        struct slice line = source_line(&w.source, n);
        if (want[n - 1])
            assert_true(slice_eq_str(line, want[n - 1]));
        else
            assert_int_equal(line.size, 60);
    }
    struct source_place last = source_place(&w.source, w.source.place_count);
    struct source_place none = source_place(&w.source, 0);
    struct source_place past = source_place(&w.source, w.source.place_count + 1);
    assert_int_equal(last.line, 5);
    assert_int_equal(none.line, 5); /* what has no line of its own is told at the end */
    assert_int_equal(past.line, 5);
    drop(&w);
}

static void a_text_that_was_not_read_has_a_place_too(void **state)
{
    (void)state;
    struct world w = {0};
    problems_init(&w.problems);
    source_init(&w.source, &w.arena, &w.problems);
    struct source_place place = source_place(&w.source, 1);
    assert_string_equal(place.file, "");
    assert_int_equal(place.line, 0);
    drop(&w);
}

static void an_include_may_name_a_path_of_its_own(void **state)
{
    (void)state;
    char text[PATH_MAX + 300];
    struct world w;
    assert_int_equal(mkdir(in_folder("sub"), 0700), 0);
    write_file("sub/b.conf", "@include \"c.conf\"\nb = 1\n");
    write_file("sub/c.conf", "c = 1\n");
    snprintf(text, sizeof text, "@include \"%s\"\n", in_folder("sub/b.conf"));
    write_file("a.conf", text);
    assert_int_equal(read_world(&w, "a.conf"), 0);
    assert_int_equal(w.source.file_count, 3);
    assert_string_equal(w.source.files[1], in_folder("sub/b.conf"));
    assert_string_equal(w.source.files[2], in_folder("sub/c.conf"));
    drop(&w);
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
    assert_text_wrong(
        "@include \"a.conf\"\n",
        "~/a.conf:1: cannot include ~/a.conf: included too deep; does it include itself?");
    assert_text_wrong(
        "@include \"./././a.conf\"\n@include \"a.conf\"\n@include \"a.conf\"\n"
        "@include \"a.conf\"\n@include \"a.conf\"\n@include \"a.conf\"\n",
        "~/././././././././././././././././././././././././a.conf:1: cannot include "
        "~/./././././././././././././././././././././././././././a.conf: included too "
        "deep; does it include itself?");
}

static void includes_go_as_deep_as_allowed(void **state)
{
    (void)state;
    struct world w;
    for (int i = 0; i <= SOURCE_DEPTH_MAX; i++) {
        char name[32], text[64];
        snprintf(name, sizeof name, "d%d.conf", i);
        snprintf(text, sizeof text, i < SOURCE_DEPTH_MAX ? "@include \"d%d.conf\"\n" : "a = %d\n",
                 i + 1);
        write_file(name, text);
    }
    assert_int_equal(read_world(&w, "d0.conf"), 0);
    assert_non_null(strstr(w.source.text.data, "a = 9"));
    drop(&w);
    write_file("deeper.conf", "@include \"d0.conf\"\n");
    assert_wrong("deeper.conf", "~/d7.conf:1: cannot include ~/d8.conf: included too deep; does it "
                                "include itself?");
}

static void what_is_no_text_file_is_refused(void **state)
{
    (void)state;
    assert_text_wrong("a=1\n@include \"none.conf\"\n",
                      "~/a.conf:2: cannot include ~/none.conf: No such file or directory");
    assert_text_wrong("@include \".\"\n", "~/a.conf:1: cannot include ~/.: it is a folder");
    assert_int_equal(mkfifo(in_folder("pipe"), 0600), 0);
    assert_text_wrong("@include \"pipe\"\n", "~/a.conf:1: cannot include ~/pipe: it is no file");
    write_bytes("nul.conf", "a = 1;\n\0b = 2;\n", 15);
    assert_wrong("nul.conf", "~/nul.conf:2: there is a NUL byte; is this a text file?");
    write_bytes("nul.conf", "a = \"x\0y\"\n", 10);
    assert_wrong("nul.conf", "~/nul.conf:1: a string holds a NUL byte");
}

static void includes_have_one_form(void **state)
{
    (void)state;
    assert_text_wrong("@include x\n", "~/a.conf:1: expected @include \"file\"");
    assert_text_wrong("@include \"x\n", "~/a.conf:1: expected @include \"file\"");
    assert_text_wrong("@include \"\"\n", "~/a.conf:1: expected @include \"file\"");
    assert_text_wrong("@include", "~/a.conf:1: expected @include \"file\"");
    assert_text_wrong("@include \"x\" a = 1\n", "~/a.conf:1: @include stands alone on its line");
    assert_text_wrong("a = 1 @include \"x\"\n",
                      "~/a.conf:1: '@' begins nothing but a line of the form @include \"file\"");
    assert_text("a = \"@include\" # @include \"x\"\n/*\n@include \"x\"\n*/",
                "a = \"@include\" \n\n\n \n");
}

static void strings_end_on_their_line(void **state)
{
    (void)state;
    assert_text("a = \"x\\\"y\\\\\"\n", "a = \"x\\\"y\\\\\"\n\n");
    assert_text_wrong("a = 1\nb = \"x\ny\"\n",
                      "~/a.conf:2: a string has no closing quote on its line");
    assert_text_wrong("b = \"x\\\n\"\n", "~/a.conf:1: a string has no closing quote on its line");
    assert_text_wrong("b = \"x\\", "~/a.conf:1: a string has no closing quote on its line");
}

/* Numbers of each form: what may follow one, and what may not. */
static void numbers_end_where_their_form_ends(void **state)
{
    (void)state;
    static const char *const numbers[] = {"7", "0x1f", "1.5", "1e3", "1.5e-3", "1E+3"};
    static const char *const letters[] = {"s", "mb", "x"};
    char text[64], want[64];
    for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++) {
        snprintf(text, sizeof text, "a = %s;\n", numbers[i]);
        snprintf(want, sizeof want, "a = %s;\n\n", numbers[i]);
        assert_text(text, want);
        snprintf(text, sizeof text, "a = %s", numbers[i]); /* the file ends there */
        snprintf(want, sizeof want, "a = %s\n", numbers[i]);
        assert_text(text, want);
        for (size_t k = 0; k < sizeof letters / sizeof *letters; k++) {
            snprintf(text, sizeof text, "a = %s%s;\n", numbers[i], letters[k]);
            assert_text_wrong(text, "~/a.conf:1: a number is followed by letters; durations and "
                                    "sizes are written in quotes: \"60s\", \"256mb\"");
        }
    }
    assert_text("a = 2147483647;\n", "a = 2147483647;\n\n");
    assert_text("a = 2147483648;\n", "a = 2147483648L;\n\n");
    assert_text("a = 2147483648", "a = 2147483648L\n");
    assert_text("a = 7L;\n", "a = 7L;\n\n");
    assert_text("a = 0xffffffff;\n", "a = 0xffffffffL;\n\n");
    assert_text_wrong("a = 99999999999999999999;\n", "~/a.conf:1: a number is too large");
}

static void nesting_is_bounded(void **state)
{
    (void)state;
    struct world w;
    struct buf b;
    buf_init(&b, 0);
    for (int i = 0; i < SOURCE_NESTING_MAX; i++)
        assert_int_equal(buf_printf(&b, "a = {"), 0);
    write_file("a.conf", b.data);
    assert_int_equal(read_world(&w, "a.conf"), 0);
    drop(&w);
    assert_int_equal(buf_printf(&b, "a = {"), 0);
    assert_text_wrong(b.data, "~/a.conf:1: groups and lists are nested too deep");
    buf_fini(&b);
}

static void size_is_bounded(void **state)
{
    (void)state;
    struct world w;
    size_t size = SOURCE_BYTES_MAX + 1;
    char *text = malloc(size);
    assert_non_null(text);
    memset(text, '\n', size);
    write_bytes("big.conf", text, size - 1);
    assert_int_equal(read_world(&w, "big.conf"), 0);
    drop(&w);
    write_bytes("big.conf", text, size);
    assert_wrong("big.conf",
                 "~/big.conf: cannot read the configuration: the configuration is too large");
    write_bytes("half.conf", text, size / 2 + 10);
    free(text);
    assert_text_wrong("@include \"half.conf\"\n@include \"half.conf\"\n",
                      "~/a.conf:2: cannot include ~/half.conf: the configuration is too large");
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
    assert_text_wrong(b.data,
                      "~/a.conf:64: cannot include ~/f63.conf: too many files are included");
    buf_clear(&b);
    for (int i = 0; i <= SOURCE_INCLUDES_MAX; i++)
        assert_int_equal(buf_printf(&b, "@include \"f0.conf\"\n"), 0);
    assert_text_wrong(b.data,
                      "~/a.conf:10000: cannot include ~/f0.conf: too many files are included");
    buf_fini(&b);
}

static void a_byte_order_mark_is_named(void **state)
{
    (void)state;
    assert_text_wrong("\xEF\xBB\xBFlisten = \":1\"\n",
                      "~/a.conf:1: the file begins with a byte order mark (BOM), the invisible "
                      "bytes EF BB BF; save it as UTF-8 without BOM");
    assert_text_wrong("\xFF\xFEl", "~/a.conf:1: the file is UTF-16, it begins with the bytes FF "
                                   "FE; save it as UTF-8 without BOM");
    write_file("b.conf", "\xEF\xBB\xBF# included\n");
    assert_text_wrong("watch = true\n@include \"b.conf\"\n",
                      "~/b.conf:1: the file begins with a byte order mark (BOM), the invisible "
                      "bytes EF BB BF; save it as UTF-8 without BOM");
}

static void digits_of_a_name_are_no_number(void **state)
{
    (void)state;
    static const char in_names[] = "abcdefghijklmnopqrstuvwxyzABCDEFGHIJKLMNOPQRSTUVWXYZ"
                                   "0123456789_-*";
    for (int c = ' '; c < 0x7f; c++) {
        char text[32], want[40];
        if (strchr("\"#/@", c))
            continue; /* strings, comments and includes */
        snprintf(text, sizeof text, "x%c9999999999", c);
        snprintf(want, sizeof want, "%s%s\n", text, strchr(in_names, c) ? "" : "L");
        assert_text(text, want);
    }
}

static void every_digit_of_16_counts(void **state)
{
    (void)state;
    for (const char *c = "0123456789abcdefABCDEF"; *c; c++) {
        char text[32], want[40];
        snprintf(text, sizeof text, "a=0x8%c000000", *c);
        snprintf(want, sizeof want, "%sL\n", text);
        assert_text(text, want);
        snprintf(text, sizeof text, "a=0x7FFFFFF%c", *c);
        snprintf(want, sizeof want, "%s\n", text);
        assert_text(text, want);
    }
    for (const char *c = "gGzZ_"; *c; c++) {
        char text[32];
        snprintf(text, sizeof text, "a=0x1%c", *c);
        assert_text_wrong(text, "~/a.conf:1: a number is followed by letters; durations and sizes "
                                "are written in quotes: \"60s\", \"256mb\"");
    }
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(comments_go_and_lines_stay),
        cmocka_unit_test(integers_above_32_bits_get_their_suffix),
        cmocka_unit_test(digits_of_a_name_are_no_number),
        cmocka_unit_test(every_digit_of_16_counts),
        cmocka_unit_test(a_text_may_end_anywhere),
        cmocka_unit_test(a_line_is_shown_without_the_blanks_around_it),
        cmocka_unit_test(a_text_that_was_not_read_has_a_place_too),
        cmocka_unit_test(an_include_may_name_a_path_of_its_own),
        cmocka_unit_test(places_follow_the_files),
        cmocka_unit_test(a_file_that_includes_itself_is_refused),
        cmocka_unit_test(includes_go_as_deep_as_allowed),
        cmocka_unit_test(what_is_no_text_file_is_refused),
        cmocka_unit_test(a_byte_order_mark_is_named),
        cmocka_unit_test(includes_have_one_form),
        cmocka_unit_test(strings_end_on_their_line),
        cmocka_unit_test(numbers_end_where_their_form_ends),
        cmocka_unit_test(nesting_is_bounded),
        cmocka_unit_test(size_is_bounded),
        cmocka_unit_test(the_number_of_files_is_bounded),
    };
    return cmocka_run_group_tests(tests, folder_make, folder_remove);
}
