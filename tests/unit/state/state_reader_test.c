#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "calls.h"
#include "state/state_folder.h"
#include "state/state_reader.h"
#include "state/state_writer.h"

static struct err e;

#define LARGE ((size_t)700 << 10)

static char *large; /* LARGE bytes */

/* A file of a head, entries of several sizes, floors, and a type that is not known. */
static void write_file(struct state_dir *d)
{
    struct state_writer *w;
    assert_int_equal(state_writer_new(&w, d, "snapshot", &e), 0);
    assert_int_equal(state_writer_block(w, BLOCK_HEAD, slice_str("head"), 0, &e), 0);
    assert_int_equal(state_writer_block(w, BLOCK_ENTRIES, slice_str("entries"), 5, &e), 0);
    assert_int_equal(state_writer_block(w, 999, slice_str("?"), 1, &e), 0);
    assert_int_equal(state_writer_block(w, BLOCK_FLOORS, slice_str(""), 2, &e), 0);
    assert_int_equal(state_writer_finish(w, &e), 0);
}

static int setup(void **state)
{
    large = malloc(LARGE);
    memset(large, 'L', LARGE);
    return state_folder_make(state);
}

static int teardown(void **state)
{
    free(large);
    return state_folder_remove(state);
}

/* To the end, or the first error, which is returned; *blocks: how many came. */
static int drain(struct state_reader *r, int *blocks)
{
    struct block b;
    int rc;
    for (*blocks = 0; (rc = state_reader_next(r, &b, &e)) > 0; ++*blocks)
        ;
    return rc;
}

static void gives_back_what_was_written(void **state)
{
    (void)state;
    static const struct {
        unsigned type, count;
        const char *body;
    } expected[] = {{BLOCK_HEAD, 0, "head"},
                    {BLOCK_ENTRIES, 5, "entries"},
                    {999, 1, "?"},
                    {BLOCK_FLOORS, 2, ""}};
    struct state_dir *d = state_opened();
    struct state_reader *r;
    struct block b;
    write_file(d);
    assert_int_equal(state_reader_new(&r, d, "snapshot", &e), 0);
    assert_int_equal(state_reader_size(r), 5 * BLOCK_HEADER + 4 + 7 + 1 + 16);
    for (int round = 0; round < 2; round++) {
        for (unsigned i = 0; i < 4; i++) {
            assert_int_equal(state_reader_next(r, &b, &e), 1);
            assert_int_equal(b.type, expected[i].type);
            assert_int_equal(b.count, expected[i].count);
            assert_int_equal(b.seq, i);
            assert_true(slice_eq_str(b.body, expected[i].body));
        }
        assert_int_equal(state_reader_next(r, &b, &e), 0);
        assert_int_equal(state_reader_next(r, &b, &e), 0); /* it stays the end */
        state_reader_free(r);
        assert_string_equal(state_names(), "snapshot");
        assert_int_equal(state_reader_new(&r, d, "snapshot", &e), 0);
        assert_int_equal(state_reader_verify(r, &e), 0); /* and it begins anew */
    }
    state_reader_free(r);
    state_dir_close(d);
}

static void reads_blocks_of_all_sizes(void **state)
{
    (void)state;
    static const size_t sizes[] = {1, LARGE, 0, 300000, 262144, 262144 - BLOCK_HEADER, 7, LARGE};
    struct state_dir *d = state_opened();
    struct state_writer *w;
    struct state_reader *r;
    struct block b;
    assert_int_equal(state_writer_new(&w, d, "snapshot", &e), 0);
    for (size_t i = 0; i < 8; i++)
        assert_int_equal(state_writer_block(w, BLOCK_ENTRIES, slice_of(large, sizes[i]), 1, &e), 0);
    for (size_t i = 0; i < 20000; i++)
        assert_int_equal(state_writer_block(w, BLOCK_ENTRIES, slice_of(&i, sizeof i), 1, &e), 0);
    assert_int_equal(state_writer_finish(w, &e), 0);
    assert_int_equal(state_reader_new(&r, d, "snapshot", &e), 0);
    assert_int_equal(state_reader_verify(r, &e), 0);
    for (size_t i = 0; i < 8; i++) {
        assert_int_equal(state_reader_next(r, &b, &e), 1);
        assert_true(slice_eq(b.body, slice_of(large, sizes[i])));
    }
    for (size_t i = 0; i < 20000; i++) {
        assert_int_equal(state_reader_next(r, &b, &e), 1);
        assert_true(slice_eq(b.body, slice_of(&i, sizeof i)));
    }
    assert_int_equal(state_reader_next(r, &b, &e), 0);
    state_reader_free(r);
    state_dir_close(d);
}

/* Reads bytes as a file; what is said behind its name. */
static const char *read_as_file(struct state_dir *d, const char *bytes, size_t size, int *blocks)
{
    struct state_reader *r;
    state_write("other", bytes, size);
    assert_int_equal(state_reader_new(&r, d, "other", &e), 0);
    err_clear(&e);
    int rc = drain(r, blocks);
    assert_int_equal(rc, e.code);
    state_reader_free(r);
    if (rc == 0)
        return "";
    assert_int_equal(rc, ERR_BAD_VALUE);
    char *at = strstr(e.text, "/other: ");
    assert_non_null(at);
    return at + 8;
}

static void each_truncation_is_found(void **state)
{
    (void)state;
    struct state_dir *d = state_opened();
    size_t size;
    int blocks;
    write_file(d);
    char *bytes = state_bytes("snapshot", &size);
    for (size_t cut = 0; cut < size; cut++) {
        const char *says = read_as_file(d, bytes, cut, &blocks);
        if (cut == 44 || cut == 44 + 47 || cut == 0)
            assert_non_null(strstr(says, ", without an end block"));
        else
            assert_true(says[0] != '\0');
    }
    assert_string_equal(read_as_file(d, bytes, 44, &blocks),
                        "it stops at byte 44, without an end block");
    assert_int_equal(blocks, 1);
    assert_string_equal(read_as_file(d, bytes, 60, &blocks),
                        "block 1 at byte 44 ends after 16 of at least 40 bytes");
    assert_string_equal(read_as_file(d, bytes, 90, &blocks),
                        "block 1 at byte 44 ends after 46 of at least 47 bytes");
    assert_int_equal(blocks, 1);
    assert_string_equal(read_as_file(d, bytes, size, &blocks), "");
    assert_int_equal(blocks, 4);
    free(bytes);
    state_dir_close(d);
}

static void each_flipped_bit_is_found(void **state)
{
    (void)state;
    struct state_dir *d = state_opened();
    size_t size;
    int blocks;
    write_file(d);
    char *bytes = state_bytes("snapshot", &size);
    for (size_t bit = 0; bit < size * 8; bit++) {
        bytes[bit / 8] ^= (char)(1 << bit % 8);
        const char *says = read_as_file(d, bytes, size, &blocks);
        assert_true(says[0] != '\0');
        bytes[bit / 8] ^= (char)(1 << bit % 8);
    }
    bytes[44 + 40] ^= 1;
    assert_string_equal(
        read_as_file(d, bytes, size, &blocks),
        "block 1 at byte 44: bytes 32 to 46, of the body, are not what was written");
    free(bytes);
    state_dir_close(d);
}

/* Blocks that are right, each, of a file that is not. */
static void blocks_that_were_moved_are_found(void **state)
{
    (void)state;
    struct state_dir *d = state_opened();
    size_t size;
    int blocks;
    write_file(d);
    char *bytes = state_bytes("snapshot", &size);
    char *other = malloc(2 * size);
    memcpy(other, bytes, size);
    memcpy(other + size, "x", 1);
    assert_string_equal(read_as_file(d, other, size + 1, &blocks),
                        "block 4, before byte 228: there are bytes behind the end");
    memcpy(other + 44, bytes, 44); /* the first one twice */
    assert_string_equal(read_as_file(d, other, 88, &blocks),
                        "block 1, before byte 88: it is not the next one of its file");
    memcpy(other, bytes, 44 + 47); /* without the last but one */
    memcpy(other + 44 + 47, bytes + 44 + 47 + 41, size - 44 - 47 - 41);
    assert_string_equal(read_as_file(d, other, size - 41, &blocks),
                        "block 2, before byte 131: it is not the next one of its file");
    free(other);
    free(bytes);
    state_dir_close(d);
}

static void an_end_that_counts_otherwise_is_found(void **state)
{
    (void)state;
    static const struct {
        size_t size;
        uint64_t blocks, records;
        const char *says;
    } cases[] = {
        {16, 1, 3, ""},
        {17, 1, 3, ""}, /* of a newer version */
        {15, 1, 3, "block 1, before byte 95: an end that does not say how much it ends"},
        {16, 2, 3,
         "block 1, before byte 96: the end counts other blocks or records than there are"},
        {16, 1, 4,
         "block 1, before byte 96: the end counts other blocks or records than there are"},
    };
    struct state_dir *d = state_opened();
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        char body[20] = {0};
        int blocks;
        struct buf out;
        buf_init(&out, 0);
        memcpy(body, &cases[i].blocks, 8);
        memcpy(body + 8, &cases[i].records, 8);
        struct block b = {.type = BLOCK_ENTRIES, .count = 3};
        assert_int_equal(block_append(&out, &b), 0);
        b = (struct block){.type = BLOCK_END, .seq = 1, .body = slice_of(body, cases[i].size)};
        assert_int_equal(block_append(&out, &b), 0);
        assert_string_equal(read_as_file(d, out.data, out.size, &blocks), cases[i].says);
        buf_fini(&out);
    }
    state_dir_close(d);
}

static void verify_finds_what_comes_last(void **state)
{
    (void)state;
    struct state_dir *d = state_opened();
    struct state_reader *r;
    size_t size;
    write_file(d);
    char *bytes = state_bytes("snapshot", &size);
    bytes[size - 1] ^= 1;
    state_write("other", bytes, size);
    assert_int_equal(state_reader_new(&r, d, "other", &e), 0);
    assert_int_equal(state_reader_verify(r, &e), ERR_BAD_VALUE);
    state_reader_free(r);
    free(bytes);
    state_dir_close(d);
}

static void a_claimed_file_is_found_once(void **state)
{
    (void)state;
    struct state_dir *d = state_opened();
    struct state_reader *r, *second;
    int blocks;
    write_file(d);
    assert_int_equal(state_claim(&r, d, "snapshot", &e), 0);
    assert_non_null(r);
    assert_string_equal(state_names(), "snapshot" STATE_CLAIMED);
    assert_int_equal(state_claim(&second, d, "snapshot", &e), 0);
    assert_null(second);
    assert_int_equal(drain(r, &blocks), 0);
    assert_int_equal(blocks, 4);
    /* A server that ends here leaves it so, and the next one removes it. */
    state_reader_free(r);
    assert_string_equal(state_names(), "");
    state_reader_free(NULL);
    state_dir_close(d);
}

static void a_claim_that_is_not_on_the_disk_is_none(void **state)
{
    (void)state;
    struct state_dir *d = state_opened();
    struct state_reader *r;
    write_file(d);
    call_plan(CALL_FSYNC, 1, EIO);
    assert_int_equal(state_claim(&r, d, "snapshot", &e), ERR_IO);
    calls_forget();
    assert_null(r);
    assert_string_equal(state_names(), "snapshot" STATE_CLAIMED);
    write_file(d);
    call_plan(CALL_RENAMEAT, 1, EROFS);
    assert_int_equal(state_claim(&r, d, "snapshot", &e), ERR_IO);
    calls_forget();
    assert_null(r);
    state_dir_close(d);
}

static void a_file_that_cannot_be_trusted_is_not_claimed(void **state)
{
    (void)state;
    struct state_dir *d = state_opened();
    struct state_reader *r;
    write_file(d);
    assert_int_equal(chmod(state_path("snapshot"), 0622), 0);
    assert_int_equal(state_claim(&r, d, "snapshot", &e), ERR_CONFIG);
    assert_null(r);
    assert_string_equal(state_names(), "snapshot");
    assert_int_equal(state_reader_new(&r, d, "none", &e), ERR_IO);
    assert_null(r);
    assert_non_null(strstr(e.text, "/none: there is no such file"));
    state_dir_close(d);
}

static void calls_that_fail_are_told(void **state)
{
    (void)state;
    struct state_dir *d = state_opened();
    struct state_reader *r;
    int blocks;
    write_file(d);
    call_plan(CALL_FSTAT, 2, EIO); /* the first one is whose it is */
    assert_int_equal(state_reader_new(&r, d, "snapshot", &e), ERR_IO);
    calls_forget();
    assert_null(r);
    assert_non_null(strstr(e.text, "/snapshot: cannot look at it at byte 0: Input/output error"));
    assert_int_equal(state_reader_new(&r, d, "snapshot", &e), 0);
    call_plan(CALL_READ, 1, EINTR);
    assert_int_equal(state_reader_verify(r, &e), 0);
    calls_forget();
    call_plan(CALL_READ, 1, EIO);
    assert_int_equal(drain(r, &blocks), ERR_IO);
    calls_forget();
    assert_non_null(strstr(e.text, "/snapshot: cannot read at byte 0: Input/output error"));
    state_reader_free(r);
    assert_int_equal(state_reader_new(&r, d, "snapshot", &e), 0);
    call_plan(CALL_READ, 1, 0); /* it was cut after it was opened */
    assert_int_equal(drain(r, &blocks), ERR_BAD_VALUE);
    calls_forget();
    assert_non_null(strstr(e.text, "/snapshot: it stops at byte 0, without an end block"));
    state_reader_free(r);
    state_dir_close(d);
}

static void a_body_that_is_not_all_there_is_torn(void **state)
{
    (void)state;
    struct state_dir *d = state_opened();
    struct buf out;
    int blocks;
    buf_init(&out, 0);
    struct block b = {.type = BLOCK_ENTRIES, .body = slice_of(large, LARGE)};
    assert_int_equal(block_append(&out, &b), 0);
    assert_string_equal(read_as_file(d, out.data, out.size - 1, &blocks),
                        "block 0 at byte 0 ends after 716839 of at least 716840 bytes");
    buf_fini(&out);
    state_dir_close(d);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(gives_back_what_was_written),
        TEST(reads_blocks_of_all_sizes),
        TEST(each_truncation_is_found),
        TEST(each_flipped_bit_is_found),
        TEST(blocks_that_were_moved_are_found),
        TEST(an_end_that_counts_otherwise_is_found),
        TEST(verify_finds_what_comes_last),
        TEST(a_claimed_file_is_found_once),
        TEST(a_claim_that_is_not_on_the_disk_is_none),
        TEST(a_file_that_cannot_be_trusted_is_not_claimed),
        TEST(calls_that_fail_are_told),
        TEST(a_body_that_is_not_all_there_is_torn),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
