#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "calls.h"
#include "state/state_folder.h"
#include "state/state_writer.h"

static struct err e;

/* The text of e with DIR in the place of the folder. */
static const char *says(void)
{
    static char text[2 * ERR_TEXT_MAX];
    char *at = strstr(e.text, state_folder);
    snprintf(text, sizeof text, "%.*sDIR%s", at ? (int)(at - e.text) : 0, e.text,
             at ? at + strlen(state_folder) : e.text);
    return text;
}

static struct state_writer *writer_of(struct state_dir *d)
{
    struct state_writer *w;
    assert_int_equal(state_writer_new(&w, d, "snapshot", &e), 0);
    return w;
}

static int put(struct state_writer *w, const char *text)
{
    return state_writer_block(w, BLOCK_ENTRIES, slice_str(text), 3, &e);
}

static void the_file_is_there_whole_at_its_end(void **state)
{
    (void)state;
    struct state_dir *d = state_opened();
    struct stat st;
    state_write("snapshot", "old", 3);
    mode_t before = umask(0);
    struct state_writer *w = writer_of(d);
    umask(before);
    assert_int_equal(state_writer_bytes(w), BLOCK_HEADER + 16); /* of the end */
    assert_int_equal(state_writer_block(w, BLOCK_HEAD, slice_str("head"), 0, &e), 0);
    assert_int_equal(put(w, "first"), 0);
    assert_int_equal(state_writer_bytes(w), 3 * BLOCK_HEADER + 9 + 16);
    assert_int_equal(stat(state_path("snapshot"), &st), 0);
    assert_int_equal(st.st_size, 3);
    assert_string_equal(state_names(), "snapshot snapshot" STATE_NEW);
    assert_int_equal(state_writer_finish(w, &e), 0);
    assert_string_equal(state_names(), "snapshot");
    assert_int_equal(stat(state_path("snapshot"), &st), 0);
    assert_int_equal(st.st_mode & 07777, 0600);

    size_t size, used, at = 0;
    char *bytes = state_bytes("snapshot", &size);
    static const struct {
        unsigned type, count;
        const char *body;
        size_t body_size;
    } expected[] = {
        {BLOCK_HEAD, 0, "head", 4},
        {BLOCK_ENTRIES, 3, "first", 5},
        {BLOCK_END, 0, "\2\0\0\0\0\0\0\0\3\0\0\0\0\0\0\0", 16}, /* two blocks, three records */
    };
    for (size_t i = 0; i < 3; i++, at += used) {
        struct block b;
        assert_int_equal(block_read(slice_of(bytes + at, size - at), &b, &used, &e), BLOCK_READ);
        assert_int_equal(b.type, expected[i].type);
        assert_int_equal(b.count, expected[i].count);
        assert_int_equal(b.seq, i);
        assert_true(slice_eq(b.body, slice_of(expected[i].body, expected[i].body_size)));
    }
    assert_int_equal(at, size);
    free(bytes);
    state_dir_close(d);
}

static void what_is_given_up_leaves_nothing(void **state)
{
    (void)state;
    struct state_dir *d = state_opened();
    state_write("snapshot", "old", 3);
    struct state_writer *w = writer_of(d);
    assert_int_equal(put(w, "first"), 0);
    state_writer_abort(w);
    assert_string_equal(state_names(), "snapshot");
    state_writer_abort(NULL);
    state_dir_close(d);
}

static void one_write_takes_many_blocks(void **state)
{
    (void)state;
    struct state_dir *d = state_opened();
    struct state_writer *w = writer_of(d);
    char *body = calloc(1, STATE_WRITE_BYTES);
    size_t short_of = STATE_WRITE_BYTES - 2 * BLOCK_HEADER - 1;
    call_plan(CALL_WRITE, 1, EIO);
    assert_int_equal(state_writer_block(w, BLOCK_ENTRIES, slice_of(body, short_of), 1, &e), 0);
    assert_int_equal(state_writer_block(w, BLOCK_ENTRIES, slice_of("", 0), 1, &e), 0);
    assert_int_equal(put(w, ""), ERR_IO); /* which is the first write */
    calls_forget();
    state_writer_abort(w);
    free(body);
    state_dir_close(d);
}

/* More than is handed to the disk at once, in blocks of all sizes. */
static void a_large_file_is_written_whole(void **state)
{
    (void)state;
    struct state_dir *d = state_opened();
    struct state_writer *w = writer_of(d);
    size_t most = (size_t)3 << 20, size, used, at = 0, blocks = 0;
    char *body = malloc(most);
    for (size_t i = 0; i < most; i++)
        body[i] = (char)(i * 7 >> 3);
    for (size_t n = 0; n < 40; n++) {
        assert_int_equal(
            state_writer_block(w, BLOCK_ENTRIES, slice_of(body + n, most * n / 40), 1, &e), 0);
        if (n % 7 == 0)
            assert_int_equal(put(w, "small"), 0);
    }
    uint64_t whole = state_writer_bytes(w);
    assert_int_equal(state_writer_finish(w, &e), 0);
    char *bytes = state_bytes("snapshot", &size);
    assert_int_equal(size, whole);
    assert_true(size > (size_t)50 << 20);
    for (struct block b; at < size; at += used, blocks++)
        assert_int_equal(block_read(slice_of(bytes + at, size - at), &b, &used, &e), BLOCK_READ);
    assert_int_equal(blocks, 40 + 6 + 1);
    free(bytes);
    free(body);
    state_dir_close(d);
}

static void short_and_interrupted_writes_go_on(void **state)
{
    (void)state;
    struct state_dir *d = state_opened();
    struct state_writer *w = writer_of(d);
    assert_int_equal(put(w, "first"), 0);
    call_short(1, 11, EINTR);
    assert_int_equal(state_writer_finish(w, &e), 0);
    calls_forget();
    size_t size, used;
    char *bytes = state_bytes("snapshot", &size);
    assert_int_equal(size, 2 * BLOCK_HEADER + 5 + 16);
    struct block b;
    assert_int_equal(block_read(slice_of(bytes, size), &b, &used, &e), BLOCK_READ);
    assert_int_equal(block_read(slice_of(bytes + used, size - used), &b, &used, &e), BLOCK_READ);
    free(bytes);
    state_dir_close(d);
}

/* What fails at the end; the old file is as it was, and nothing else is there. */
static void each_failure_at_the_end_is_told(void **state)
{
    (void)state;
    static const struct {
        enum call call;
        int taken, reason; /* taken: bytes of a short write before it */
        const char *says;
    } cases[] = {
        {CALL_WRITE, 0, ENOSPC, "cannot write snapshot at byte 0: No space left on device"},
        {CALL_WRITE, 50, ENOSPC, "cannot write snapshot at byte 50: No space left on device"},
        {CALL_WRITE, 0, 0, "cannot write snapshot at byte 0: nothing was taken"},
        {CALL_WRITE, 0, EDQUOT, "cannot write snapshot at byte 0: Disk quota exceeded"},
        {CALL_FSYNC, 0, EIO, "cannot write snapshot at byte 101: Input/output error"},
        {CALL_RENAMEAT, 0, EIO, "cannot rename snapshot" STATE_NEW ": Input/output error"},
    };
    struct state_dir *d = state_opened();
    state_write("snapshot", "old", 3);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct state_writer *w = writer_of(d);
        assert_int_equal(put(w, "first"), 0);
        if (cases[i].taken)
            call_short(1, cases[i].taken, cases[i].reason);
        else
            call_plan(cases[i].call, 1, cases[i].reason);
        err_clear(&e);
        assert_int_equal(state_writer_finish(w, &e), ERR_IO);
        calls_forget();
        char expected[200];
        snprintf(expected, sizeof expected, "state folder DIR: %s", cases[i].says);
        assert_string_equal(says(), expected);
        assert_string_equal(state_names(), "snapshot");
        size_t size;
        free(state_bytes("snapshot", &size));
        assert_int_equal(size, 3);
    }
    state_dir_close(d);
}

/* The folder was not written: after a loss of power the file may be the old one, or the new one,
 * and the caller was told that there is none. */
static void a_name_that_may_be_lost_is_taken_back(void **state)
{
    (void)state;
    struct state_dir *d = state_opened();
    struct state_writer *w = writer_of(d);
    call_plan(CALL_FSYNC, 2, EIO);
    assert_int_equal(state_writer_finish(w, &e), ERR_IO);
    calls_forget();
    assert_string_equal(says(),
                        "state folder DIR: cannot write the folder itself: Input/output error");
    assert_string_equal(state_names(), "");
    state_dir_close(d);
}

static void the_first_error_stays(void **state)
{
    (void)state;
    struct state_dir *d = state_opened();
    struct state_writer *w = writer_of(d);
    char *body = calloc(1, STATE_WRITE_BYTES);
    call_plan(CALL_WRITE, 1, ENOSPC);
    assert_int_equal(state_writer_block(w, BLOCK_ENTRIES, slice_of(body, STATE_WRITE_BYTES), 1, &e),
                     ERR_IO);
    calls_forget();
    err_clear(&e);
    assert_int_equal(put(w, "more"), ERR_IO); /* though there is room now */
    assert_string_equal(says(), "state folder DIR: cannot write snapshot at byte 0: "
                                "No space left on device");
    err_clear(&e);
    assert_int_equal(state_writer_finish(w, &e), ERR_IO);
    assert_string_equal(says(), "state folder DIR: cannot write snapshot at byte 0: "
                                "No space left on device");
    assert_string_equal(state_names(), "");
    struct slice large = slice_of(body, BLOCK_BODY_MOST + 1);
    w = writer_of(d);
    assert_int_equal(state_writer_block(w, BLOCK_ENTRIES, large, 1, &e), ERR_TOO_LARGE);
    assert_string_equal(says(), "state folder DIR: cannot gather snapshot at byte 0: "
                                "more than a block may have");
    assert_int_equal(state_writer_finish(w, &e), ERR_TOO_LARGE);
    free(body);
    state_dir_close(d);
}

static void a_file_that_cannot_be_made_is_told(void **state)
{
    (void)state;
    struct state_dir *d = state_opened();
    struct state_writer *w;
    call_plan(CALL_OPENAT, 1, EROFS);
    assert_int_equal(state_writer_new(&w, d, "snapshot", &e), ERR_IO);
    assert_null(w);
    assert_string_equal(says(), "state folder DIR: cannot open snapshot" STATE_NEW
                                ": Read-only file system");
    state_dir_close(d);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, state_folder_make, state_folder_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(the_file_is_there_whole_at_its_end),    TEST(what_is_given_up_leaves_nothing),
        TEST(one_write_takes_many_blocks),           TEST(a_large_file_is_written_whole),
        TEST(short_and_interrupted_writes_go_on),    TEST(each_failure_at_the_end_is_told),
        TEST(a_name_that_may_be_lost_is_taken_back), TEST(the_first_error_stays),
        TEST(a_file_that_cannot_be_made_is_told),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
