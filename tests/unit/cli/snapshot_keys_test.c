/* The keys of a snapshot: which file, their order, and files that are damaged or another one. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "cli/snapshot_keys.h"
#include "state/state_folder.h"
#include "state/state_writer.h"
#include "wire/mpw.h"

static struct err e;
static struct snapshot_keys found;

/* ---- the file ---- */

struct wanted {
    const char *key;
    bool in_main, negative;
    uint8_t frequency, reads;
};

static void add(struct buf *body, const struct wanted *w)
{
    struct record r = {
        .key = slice_str(w->key),
        .value = w->negative ? slice_of("", 0) : slice_of("\x01", 1),
        .negative = w->negative,
        .fresh_left_ms = 1000,
        .in_main = w->in_main,
        .frequency = w->frequency,
        .reads = w->reads,
    };
    assert_int_equal(record_pack(body, &r), 0);
}

/* Blocks of two records each, behind a header and floors. */
static uint64_t write_file(const struct wanted *w, size_t count)
{
    struct state_dir *d = state_opened();
    struct state_writer *out;
    struct buf body;
    buf_init(&body, 0);
    assert_int_equal(state_writer_new(&out, d, "snapshot", &e), 0);
    assert_int_equal(state_writer_block(out, BLOCK_HEAD, slice_str("\x80"), 0, &e), 0);
    assert_int_equal(state_writer_block(out, BLOCK_FLOORS, slice_str("floors"), 1, &e), 0);
    for (size_t i = 0; i < count; i += 2) {
        uint32_t n = i + 1 < count ? 2 : 1;
        buf_clear(&body);
        for (uint32_t j = 0; j < n; j++)
            add(&body, &w[i + j]);
        assert_int_equal(state_writer_block(out, BLOCK_ENTRIES, buf_slice(&body), n, &e), 0);
    }
    assert_int_equal(state_writer_finish(out, &e), 0);
    state_dir_close(d);
    buf_fini(&body);
    struct stat st;
    assert_int_equal(stat(state_path("snapshot"), &st), 0);
    return (uint64_t)st.st_size;
}

static int find(const char *file, uint64_t bytes)
{
    struct buf answer;
    buf_init(&answer, 0);
    assert_int_equal(mpw_map(&answer, 2) | mpw_cstr(&answer, "file") | mpw_cstr(&answer, file) |
                         mpw_cstr(&answer, "bytes") | mpw_uint(&answer, bytes),
                     0);
    int rc = snapshot_keys_find(&found, buf_slice(&answer), &e);
    buf_fini(&answer);
    return rc;
}

/* What is printed of the file that find has found. */
static void check(int expected, const char *text)
{
    char *printed = NULL;
    size_t size;
    FILE *out = open_memstream(&printed, &size);
    err_clear(&e);
    int rc = snapshot_keys_write(&found, out, &e);
    fclose(out);
    assert_string_equal(printed, text);
    assert_int_equal(rc, expected);
    free(printed);
}

static const struct wanted some[] = {
    {"small", .frequency = 0},
    {"read once", .frequency = 0, .reads = 1},
    {"absent", .negative = true, .in_main = true, .frequency = 3, .reads = 9},
    {"main", .in_main = true},
    {"often", .in_main = true, .frequency = 3, .reads = 200},
    {"small and often", .frequency = 3, .reads = 7},
    {"main\n", .in_main = true},
    {"often, too", .in_main = true, .frequency = 3, .reads = 1},
};
#define SOME (sizeof some / sizeof *some)

/* ---- tests ---- */

static void the_most_wanted_stand_first_and_others_as_in_the_file(void **state)
{
    (void)state;
    assert_int_equal(find(state_path("snapshot"), write_file(some, SOME)), 0);
    check(0, "often\noften, too\nmain\n\"main\\n\"\nsmall and often\nread once\nsmall\n");
}

/* Each step up is one of what counts for more than all that stands behind it. */
static void a_class_tells_main_then_frequency_then_reads(void **state)
{
    (void)state;
    unsigned last = 0;
    for (unsigned i = 0; i < SNAPSHOT_KEYS_CLASSES; i++) {
        struct record r = {.in_main = i >= 8, .frequency = i / 2 % 4, .reads = i % 2 ? 255 : 0};
        unsigned class = snapshot_keys_class(&r);
        assert_true(class < SNAPSHOT_KEYS_CLASSES && (i == 0 || class > last));
        last = class;
    }
}

static void more_text_than_is_written_at_once(void **state)
{
    (void)state;
    char key[40001];
    struct wanted w[] = {
        {key, .reads = 1}, {"second", .reads = 0}, {key, .reads = 1}, {key, .reads = 1}};
    memset(key, 'k', sizeof key - 1);
    key[sizeof key - 1] = '\0';
    assert_int_equal(find(state_path("snapshot"), write_file(w, 4)), 0);
    char *printed = NULL;
    size_t size;
    FILE *out = open_memstream(&printed, &size);
    assert_int_equal(snapshot_keys_write(&found, out, &e), 0);
    fclose(out);
    assert_int_equal(size, 3 * sizeof key + strlen("second\n"));
    assert_string_equal(printed + 3 * sizeof key, "second\n");
    free(printed);
}

static void an_empty_cache_has_no_keys(void **state)
{
    (void)state;
    assert_int_equal(find(state_path("snapshot"), write_file(some, 0)), 0);
    check(0, "");
}

static void what_stands_before_a_damage_is_printed(void **state)
{
    (void)state;
    size_t size;
    write_file(some, SOME);
    char *bytes = state_bytes("snapshot", &size);
    char *at = memmem(bytes, size, "small and often", 15);
    at[0] ^= 1;
    state_write("snapshot", bytes, size);
    free(bytes);
    assert_int_equal(find(state_path("snapshot"), size), 0);
    check(ERR_BAD_VALUE, "main\nread once\nsmall\n");
    assert_non_null(strstr(e.text, state_path("snapshot")));
    assert_non_null(strstr(e.text, "block 4"));
}

static void a_file_that_was_cut_is_damaged(void **state)
{
    (void)state;
    size_t size;
    uint64_t whole = write_file(some, 2);
    char *bytes = state_bytes("snapshot", &size);
    state_write("snapshot", bytes, size - 56); /* its end block */
    free(bytes);
    assert_int_equal(find(state_path("snapshot"), whole - 56), 0);
    check(ERR_BAD_VALUE, "read once\nsmall\n");
    assert_non_null(strstr(e.text, "without an end block"));
}

static void another_file_than_was_written_is_told(void **state)
{
    (void)state;
    uint64_t size = write_file(some, SOME);
    assert_int_equal(find(state_path("snapshot"), size + 1), 0);
    check(ERR_IO, "");
    assert_non_null(strstr(e.text, "the server's snapshot cannot be read here: "));
    assert_non_null(strstr(e.text, "another server"));
}

static void a_file_that_is_not_there_is_told(void **state)
{
    (void)state;
    assert_int_equal(find(state_path("snapshot"), 100), 0);
    check(ERR_IO, "");
    assert_non_null(strstr(e.text, "the server's snapshot cannot be read here: cannot open"));
    state_dir_close(state_opened());
    check(ERR_IO, "");
    assert_non_null(strstr(e.text, "there is no such file"));
}

static void an_output_that_is_full_is_told(void **state)
{
    (void)state;
    assert_int_equal(find(state_path("snapshot"), write_file(some, SOME)), 0);
    FILE *full = fopen("/dev/full", "we");
    assert_int_equal(snapshot_keys_write(&found, full, &e), ERR_IO);
    assert_string_equal(e.text, "cannot write the output: No space left on device");
    fclose(full);
}

static void an_answer_that_names_no_file_is_refused(void **state)
{
    (void)state;
    static const char *const wrong[] = {"",        "/", "relative", "/folder/", "/a\nb/snapshot",
                                        "/a\x7f/b"};
    for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
        assert_int_equal(find(wrong[i], 1), ERR_PROTOCOL);
    static const char *const answers[] = {"\xc0", "\x80",
                                          "\x81\xa4"
                                          "file\xa2/a",
                                          "\x82\xa4"
                                          "file\x01\xa5"
                                          "bytes\x01"};
    for (size_t i = 0; i < sizeof answers / sizeof *answers; i++)
        assert_int_equal(snapshot_keys_find(&found, slice_str(answers[i]), &e), ERR_PROTOCOL);
    char far[SNAPSHOT_KEYS_PATH + 1];
    memset(far, 'n', sizeof far - 1);
    far[0] = '/';
    far[sizeof far - 1] = '\0';
    assert_int_equal(find(far, 1), ERR_PROTOCOL);
    assert_int_equal(find("/top", 1), 0);
    assert_string_equal(found.folder, "/");
    assert_string_equal(found.name, "top");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, state_folder_make, state_folder_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_most_wanted_stand_first_and_others_as_in_the_file),
        TEST(a_class_tells_main_then_frequency_then_reads),
        TEST(more_text_than_is_written_at_once),
        TEST(an_empty_cache_has_no_keys),
        TEST(what_stands_before_a_damage_is_printed),
        TEST(a_file_that_was_cut_is_damaged),
        TEST(another_file_than_was_written_is_told),
        TEST(a_file_that_is_not_there_is_told),
        TEST(an_output_that_is_full_is_told),
        TEST(an_answer_that_names_no_file_is_refused),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
