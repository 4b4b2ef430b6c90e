/* Blocks that are right, each, of a journal that is not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/log.h"
#include "state/block.h"
#include "state/journal_folder.h"

static void append_block(const char *name, const struct block *b)
{
    struct buf out;
    buf_init(&out, 0);
    assert_int_equal(block_append(&out, b), 0);
    int fd = open(state_path(name), O_WRONLY | O_APPEND | O_CLOEXEC);
    assert_int_equal(write(fd, out.data, out.size), out.size);
    close(fd);
    buf_fini(&out);
}

/* 8 bytes of time, then records of 20 bytes and text. */
#define TIME "\1\0\0\0\0\0\0\0"
#define RECORD(k, f)                                                                               \
    "\25\0\0\0" k f "\1\0"                                                                         \
    "\0\0\0\0\0\0\0\0"                                                                             \
    "\0\0\0\0\0\0\0\0"                                                                             \
    "x"

static void what_follows_wrongly_is_found(void **state)
{
    (void)state;
    static const struct {
        struct block block;
        enum journal_verdict verdict;
        const char *says;
    } cases[] = {
#define BATCH(s, n, b) {.type = BLOCK_BATCH, .seq = s, .count = n, .body = {b, sizeof(b) - 1}}
        {BATCH(4, 1, TIME RECORD("\1", "\0")), JOURNAL_COMPLETE, NULL},
        {BATCH(4, 0, TIME), JOURNAL_COMPLETE, NULL},
        {BATCH(5, 1, TIME RECORD("\1", "\0")), JOURNAL_HOLE, "batch 5 stands where 4 has to"},
        {BATCH(3, 1, TIME RECORD("\1", "\0")), JOURNAL_HOLE, "batch 3 stands where 4 has to"},
        {BATCH(4, 2, TIME RECORD("\1", "\0")), JOURNAL_DAMAGED,
         "a record that is longer than its batch"},
        {BATCH(4, 1, TIME RECORD("\1", "\0") "y"), JOURNAL_DAMAGED,
         "a batch with more than its records"},
        {BATCH(4, 1, TIME "\1\0\0"), JOURNAL_DAMAGED, "a record that is longer than its batch"},
        {BATCH(4, 1,
               TIME "\23\0\0\0"
                    "0123456789012345678"),
         JOURNAL_DAMAGED, "a record that is shorter than what it holds"},
        {BATCH(4, 1,
               TIME "\24\0\0\0"
                    "\1\0\1\0"
                    "0123456789012345"),
         JOURNAL_DAMAGED, "a record that is shorter than what it holds"},
        {BATCH(4, 1,
               TIME "\26\0\0\0"
                    "\1\0\1\0"
                    "\0\0\0\0\0\0\0\0"
                    "\0\0\0\0\0\0\0\0"
                    "x?"),
         JOURNAL_COMPLETE, NULL}, /* of a newer version */
        {BATCH(4, 1, TIME RECORD("\0", "\0")), JOURNAL_DAMAGED,
         "a record of a kind that this version does not know"},
        {BATCH(4, 1, TIME RECORD("\10", "\0")), JOURNAL_DAMAGED,
         "a record of a kind that this version does not know"},
        {BATCH(4, 1, TIME RECORD("\1", "\20")), JOURNAL_DAMAGED,
         "a record with a mark that this version does not know"},
        {BATCH(4, 1, "1234567"), JOURNAL_DAMAGED, "a batch without its time"},
        {{.type = BLOCK_ENTRIES, .seq = 4},
         JOURNAL_DAMAGED,
         "a block of a type that is none of a journal's"},
        {{.type = BLOCK_JOURNAL, .seq = 4},
         JOURNAL_DAMAGED,
         "a block of a type that is none of a journal's"},
        {{.type = BLOCK_NEXT, .seq = 4}, JOURNAL_GONE, "it goes on in a file that is not there"},
        {{.type = BLOCK_NEXT, .seq = 5}, JOURNAL_HOLE, "batch 5 stands where 4 has to"},
    };
    struct state_dir *d = state_opened();
    struct journal_position mark;
    size_t size;
    journal_of(d, 3, 0, &mark);
    char *bytes = state_bytes("journal.00000003", &size);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct journal_reading r;
        append_block("journal.00000003", &cases[i].block);
        journal_all(d, cases[i].verdict, &r);
        if (cases[i].says)
            assert_ptr_equal(strstr(r.why.text, cases[i].says),
                             r.why.text + strlen(r.why.text) - strlen(cases[i].says));
        state_write("journal.00000003", bytes, size);
    }
    free(bytes);
    state_dir_close(d);
}

static void behind_its_end_a_file_has_nothing(void **state)
{
    (void)state;
    struct state_dir *d = state_opened();
    struct journal_position mark;
    struct journal_reading r;
    size_t size;
    journal_of(d, 3, 0, &mark);
    char *bytes = state_bytes("journal.00000001", &size);
    struct block b = {.type = BLOCK_BATCH, .seq = 2, .body = slice_of(TIME, 8)};
    append_block("journal.00000001", &b);
    journal_all(d, JOURNAL_DAMAGED, &r);
    assert_non_null(strstr(r.why.text, ": there is more behind the end of this file"));
    state_write("journal.00000001", bytes, size);
    append_block("journal.00000001", &b);
    assert_int_equal(truncate(state_path("journal.00000001"), (off_t)size + 44), 0);
    journal_all(d, JOURNAL_DAMAGED, &r);
    free(bytes);
    state_dir_close(d);
}

static void a_file_under_another_name_is_found(void **state)
{
    (void)state;
    struct state_dir *d = state_opened();
    struct journal_position mark;
    struct journal_reading r;
    size_t size;
    journal_of(d, 3, 0, &mark);
    char *bytes = state_bytes("journal.00000002", &size);
    state_write("journal.00000003", bytes, size);
    journal_all(d, JOURNAL_DAMAGED, &r);
    assert_non_null(strstr(r.why.text, ": it was begun under another name"));
    free(bytes);
    bytes = calloc(1, 100);
    struct block b = {.type = BLOCK_HEAD, .seq = 3};
    state_write("journal.00000003", bytes, 0);
    append_block("journal.00000003", &b);
    journal_all(d, JOURNAL_DAMAGED, &r);
    assert_non_null(strstr(r.why.text, ": it does not begin as a file of the journal does"));
    b = (struct block){.type = BLOCK_JOURNAL, .seq = 3, .body = slice_of(bytes, 75)};
    state_write("journal.00000003", bytes, 0);
    append_block("journal.00000003", &b);
    journal_all(d, JOURNAL_DAMAGED, &r);
    assert_non_null(strstr(r.why.text, ": its begin does not say all that it has to"));
    memset(bytes + 36, 'b', 40); /* a boot id without an end */
    b.body.size = 76;
    state_write("journal.00000003", bytes, 0);
    append_block("journal.00000003", &b);
    journal_all(d, JOURNAL_DAMAGED, &r);
    assert_non_null(strstr(r.why.text, ": its begin does not say all that it has to"));
    free(bytes);
    state_dir_close(d);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, state_folder_make, state_folder_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(what_follows_wrongly_is_found),
        TEST(behind_its_end_a_file_has_nothing),
        TEST(a_file_under_another_name_is_found),
    };
    log_setup(-1, LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
