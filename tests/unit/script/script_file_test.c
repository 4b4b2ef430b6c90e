#include "script/lab.h"

#include "script/script_file.h"

#include <sys/stat.h>

static void reads_regular_files_within_bounds(void **state)
{
    struct lab *lab = *state;
    struct err e;
    struct buf text;
    char path[128];
    lab_write(lab, "a.lua", "return 1");
    assert_true(script_file_exists(lab->dir, "a.lua"));
    assert_false(script_file_exists(lab->dir, "b.lua"));
    buf_init(&text, 0);
    assert_int_equal(script_file_read(lab->dir, "a.lua", &text, &e), 0);
    assert_true(slice_eq_str(buf_slice(&text), "return 1"));
    buf_fini(&text);
    assert_int_equal(script_file_read(lab->dir, "b.lua", &text, &e), ERR_IO);
    assert_non_null(strstr(e.text, "b.lua: No such file or directory"));
    assert_int_equal(script_file_read(lab->dir, ".", &text, &e), ERR_IO);
    snprintf(path, sizeof path, "%s/pipe", lab->dir);
    assert_int_equal(mkfifo(path, 0600), 0);
    assert_int_equal(script_file_read(lab->dir, "pipe", &text, &e), ERR_IO);
    assert_non_null(strstr(e.text, "no regular file"));
    char *large = malloc(5001);
    memset(large, ' ', 5000);
    large[5000] = '\0';
    lab_write(lab, "large.lua", large);
    free(large);
    buf_init(&text, 4096);
    assert_int_equal(script_file_read(lab->dir, "large.lua", &text, &e), ERR_TOO_LARGE);
    buf_fini(&text);
    char *name = malloc(5001);
    memset(name, 'n', 5000);
    name[5000] = '\0';
    assert_int_equal(script_file_read(lab->dir, name, &text, &e), ERR_IO);
    assert_false(script_file_exists(lab->dir, name));
    free(name);
}

static void a_byte_order_mark_is_named(void **state)
{
    struct lab *lab = *state;
    struct err e;
    struct buf text;
    buf_init(&text, 0);
    lab_write(lab, "bom.lua", "\xEF\xBB\xBFreturn {}");
    assert_int_equal(script_file_read(lab->dir, "bom.lua", &text, &e), ERR_SCRIPT);
    assert_non_null(strstr(e.text, "bom.lua:1: the file begins with a byte order mark (BOM)"));
    buf_fini(&text);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        LAB(reads_regular_files_within_bounds),
        LAB(a_byte_order_mark_is_named),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
