/* What a journal says after its server has died, and after its files have suffered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/log.h"
#include "calls.h"
#include "state/block.h"
#include "state/journal_folder.h"

static struct err e;

/* A journal of three files with `batches` batches, k0 k1 k2 .., of one key each, and closed as a
 * crash does. *mark: before the batch `at`. */
static void write_journal(struct state_dir *d, int batches, int at, struct journal_position *mark)
{
    struct journal_options o = journal_defaults(d);
    struct journal *j = journal_opened(&o);
    struct journal_lane l;
    char key[20];
    journal_lane_init(&l, j);
    for (int i = 0; i < batches; i++) {
        if (i == at)
            assert_int_equal(journal_mark(j, 1000, 5000, mark, &e), 0);
        if (i == batches / 3)
            journal_tick(j, 3000, 7000);
        if (i == 2 * batches / 3)
            journal_tick(j, 5000, 9000);
        snprintf(key, sizeof key, "k%d", i);
        journal_write_key(&l, key);
    }
    journal_lane_fini(&l);
    journal_close(j);
}

/* "KEY k3 | KEY k4 | .." */
static const char *keys(int from, int to)
{
    static char text[4000];
    int n = 0;
    text[0] = '\0';
    for (int i = from; i < to; i++)
        n += snprintf(text + n, sizeof text - (size_t)n, "%sKEY k%d", i > from ? " | " : "", i);
    return text;
}

static void is_read_from_its_begin_or_a_mark(void **state)
{
    (void)state;
    struct state_dir *d = state_opened();
    struct journal_reading r;
    for (int at = 0; at < 9; at++) {
        struct journal_position mark;
        write_journal(d, 9, at, &mark);
        assert_string_equal(state_names(), "journal.00000001 journal.00000002 journal.00000003");
        assert_string_equal(journal_all(d, JOURNAL_COMPLETE, &r), keys(0, 9));
        assert_int_equal(r.since_ms, 1000);
        assert_int_equal(r.end.number, 3);
        assert_int_equal(r.end.seq, 10);
        journal_read_from(d, &mark, "boot", &r);
        assert_int_equal(r.verdict, JOURNAL_COMPLETE);
        assert_string_equal(journal_text, keys(at, 9));
        assert_int_equal(r.since_ms, at <= 3 ? 1000 : at <= 6 ? 3000 : 5000);
        assert_int_equal(r.batches, 9 - at);
        for (int n = 1; n <= 3; n++) {
            char name[30];
            snprintf(name, sizeof name, "journal.%08d", n);
            assert_int_equal(unlink(state_path(name)), 0);
        }
    }
    state_dir_close(d);
}

/* What follows a start that found all of it. */
static struct journal *go_on(struct state_dir *d, const struct journal_reading *r, bool sync)
{
    struct journal_options o = journal_defaults(d);
    o.incarnation = 8;
    o.now_ms = 100000;
    o.wall_ms = 200000;
    o.sync = sync;
    o.after = r;
    return journal_opened(&o);
}

/* The last file, cut after any of its bytes: whole batches come back, and what is written after
 * that follows them. */
static void is_torn_at_any_byte(void **state)
{
    (void)state;
    struct state_dir *d = state_opened();
    struct journal_position mark;
    struct journal_reading r;
    size_t size;
    write_journal(d, 200, 150, &mark);
    char *bytes = state_bytes("journal.00000003", &size);
    size_t each = 40 + 8 + 24 + 4, begin = 116; /* of k133 to k199; its begin */
    assert_int_equal(size, begin + 67 * each);
    for (size_t cut = 0; cut <= size; cut += cut < 3 * each || cut > size - 6 * each ? 1 : 37) {
        state_write("journal.00000003", bytes, cut);
        int whole = cut < begin ? 133 : 133 + (int)((cut - begin) / each);
        if (cut < begin) { /* its begin was whole before the file before it said that it goes on */
            assert_string_equal(journal_all(d, JOURNAL_GONE, &r), keys(0, 133));
            assert_string_equal(journal_why(&r), "journal.00000003: it is empty");
            continue;
        }
        assert_string_equal(journal_all(d, JOURNAL_COMPLETE, &r), keys(0, whole));
        assert_int_equal(r.end.seq, whole + 1);
        assert_int_equal(r.end_byte, cut - (cut - begin) % each);
        journal_read_from(d, &mark, "boot", &r);
        if (whole < 150) {
            assert_int_equal(r.verdict, JOURNAL_GONE); /* the snapshot has seen more */
            assert_string_equal(journal_why(&r), "journal.00000003: it ends before batch 151, "
                                                 "where it is to be read from");
        } else {
            assert_int_equal(r.verdict, JOURNAL_COMPLETE);
        }
        journal_all(d, JOURNAL_COMPLETE, &r);
        struct journal *j = go_on(d, &r, false);
        struct journal_lane l;
        struct journal_reading again;
        char expected[4000];
        journal_lane_init(&l, j);
        journal_write_key(&l, "new");
        snprintf(expected, sizeof expected, "%s | KEY new", keys(0, whole));
        assert_string_equal(journal_all(d, JOURNAL_COMPLETE, &again), expected);
        journal_lane_fini(&l);
        journal_close(j);
        assert_int_equal(unlink(state_path("journal.00000004")), 0);
        /* Whose end is not there now. */
        journal_all(d, JOURNAL_GONE, &again);
    }
    free(bytes);
    state_dir_close(d);
}

/* Any bit of any file. What was written behind it would be lost with it. */
static void each_flipped_bit_is_found(void **state)
{
    (void)state;
    struct state_dir *d = state_opened();
    struct journal_position mark;
    struct journal_reading r;
    write_journal(d, 6, 0, &mark);
    for (int n = 1; n <= 3; n++) {
        char name[30];
        size_t size;
        snprintf(name, sizeof name, "journal.%08d", n);
        char *bytes = state_bytes(name, &size);
        for (size_t bit = 0; bit < size * 8; bit++) {
            bytes[bit / 8] ^= (char)(1 << bit % 8);
            state_write(name, bytes, size);
            journal_read_from(d, &mark, "boot", &r);
            assert_int_equal(r.verdict, JOURNAL_DAMAGED);
            assert_non_null(strstr(r.why.text, name));
            assert_non_null(strstr(r.why.text, "byte"));
            bytes[bit / 8] ^= (char)(1 << bit % 8);
        }
        state_write(name, bytes, size);
        free(bytes);
    }
    assert_string_equal(journal_all(d, JOURNAL_COMPLETE, &r), keys(0, 6));
    state_dir_close(d);
}

/* Files that are each right, and not together. */
static void files_that_are_missing_are_missed(void **state)
{
    (void)state;
    static const struct {
        const char *file;
        enum journal_verdict from_begin, from_mark;
        const char *says; /* of the reading from the mark, which is in file 1 */
    } cases[] = {
        {"journal.00000001", JOURNAL_COMPLETE, JOURNAL_GONE, "journal.00000001: it is not there"},
        {"journal.00000002", JOURNAL_GONE, JOURNAL_GONE, "journal.00000002: it is not there"},
        {"journal.00000003", JOURNAL_GONE, JOURNAL_GONE,
         "journal.00000002: it goes on in a file that is not there"},
    };
    struct state_dir *d = state_opened();
    struct journal_position mark;
    struct journal_reading r;
    write_journal(d, 6, 1, &mark);
    for (size_t i = 0; i < 3; i++) {
        size_t size;
        char *bytes = state_bytes(cases[i].file, &size);
        assert_int_equal(unlink(state_path(cases[i].file)), 0);
        journal_all(d, cases[i].from_begin, &r);
        if (i == 0)
            assert_int_equal(r.since_ms, 3000); /* when the second one was begun */
        journal_read_from(d, &mark, "boot", &r);
        assert_int_equal(r.verdict, cases[i].from_mark);
        assert_string_equal(journal_why(&r), cases[i].says);
        state_write(cases[i].file, bytes, size);
        free(bytes);
    }
    state_write("journal.000000001", "", 0); /* names that are not ours are passed over */
    state_write("journal.00000000", "", 0);
    state_write("journal.x", "", 0);
    state_write("journal.99999999999999999999", "", 0);
    journal_all(d, JOURNAL_COMPLETE, &r);
    state_dir_close(d);
}

static void an_empty_folder_says_so(void **state)
{
    (void)state;
    struct state_dir *d = state_opened();
    struct journal_position mark = {.chain = 1, .number = 5, .seq = 3};
    struct journal_reading r;
    assert_string_equal(journal_all(d, JOURNAL_NONE, &r), "");
    assert_non_null(strstr(r.why.text, "there is no journal"));
    journal_read_from(d, &mark, "boot", &r);
    assert_int_equal(r.verdict, JOURNAL_GONE);
    assert_non_null(strstr(r.why.text, "/state: file 5 of the journal is not there"));
    write_journal(d, 6, 0, &mark);
    mark.number = 4;
    journal_read_from(d, &mark, "boot", &r);
    assert_int_equal(r.verdict, JOURNAL_GONE);
    state_dir_close(d);
}

static void a_position_of_another_journal_is_none(void **state)
{
    (void)state;
    struct state_dir *d = state_opened();
    struct journal_position mark;
    struct journal_reading r;
    write_journal(d, 6, 1, &mark);
    struct journal_position other = mark;
    other.chain++;
    journal_read_from(d, &other, "boot", &r);
    assert_int_equal(r.verdict, JOURNAL_GONE);
    assert_string_equal(journal_why(&r),
                        "journal.00000001: it belongs to another journal than what leads to it");
    assert_int_equal(r.records, 0);
    other = mark;
    other.number = 2; /* which begins with batch 3 */
    journal_read_from(d, &other, "boot", &r);
    assert_int_equal(r.verdict, JOURNAL_GONE);
    assert_string_equal(journal_why(&r),
                        "journal.00000002: it begins with batch 3, behind the position");
    other = mark;
    other.seq = 7; /* the end itself */
    journal_read_from(d, &other, "boot", &r);
    assert_int_equal(r.verdict, JOURNAL_COMPLETE);
    assert_string_equal(journal_text, "");
    other.seq = 8;
    journal_read_from(d, &other, "boot", &r);
    assert_int_equal(r.verdict, JOURNAL_GONE);
    state_dir_close(d);
}

static void after_a_reboot_only_what_was_synced_counts(void **state)
{
    (void)state;
    struct state_dir *d = state_opened();
    struct journal_position mark;
    struct journal_reading r;
    write_journal(d, 3, 0, &mark);
    journal_read_from(d, &mark, "another", &r);
    assert_int_equal(r.verdict, JOURNAL_OTHER_BOOT);
    assert_string_equal(journal_text, "");
    assert_string_equal(journal_why(&r),
                        "journal.00000001: it was written before this machine was started last");
    /* Goes on with sync: the files before still do not count. */
    journal_all(d, JOURNAL_COMPLETE, &r);
    struct journal *j = go_on(d, &r, true);
    journal_close(j);
    journal_read_from(d, &from_the_begin, "another", &r);
    assert_int_equal(r.verdict, JOURNAL_OTHER_BOOT);
    for (int n = 1; n <= 3; n++) {
        char name[30];
        snprintf(name, sizeof name, "journal.%08d", n);
        assert_int_equal(unlink(state_path(name)), 0);
    }
    journal_read_from(d, &from_the_begin, "another", &r);
    assert_int_equal(r.verdict, JOURNAL_COMPLETE);
    assert_true(r.other_boot);
    assert_int_equal(r.since_ms, 100000);
    assert_int_equal(r.since_wall_ms, 200000);
    /* Times are of another clock, so a new chain follows. */
    struct journal_reading again;
    j = go_on(d, &r, true);
    assert_string_equal(state_names(), "journal.00000005");
    journal_all(d, JOURNAL_COMPLETE, &again);
    assert_true(again.end.chain != r.end.chain);
    journal_close(j);
    state_dir_close(d);
}

/* A new chain when what was there was not all, or is not given. */
static void what_is_not_complete_is_not_gone_on_with(void **state)
{
    (void)state;
    struct state_dir *d = state_opened();
    struct journal_position mark;
    struct journal_reading r, again;
    write_journal(d, 6, 0, &mark);
    assert_int_equal(unlink(state_path("journal.00000003")), 0);
    journal_all(d, JOURNAL_GONE, &r);
    struct journal *j = go_on(d, &r, false);
    assert_string_equal(state_names(), "journal.00000003"); /* a number that was not there */
    assert_string_equal(journal_all(d, JOURNAL_COMPLETE, &again), "");
    assert_int_equal(again.since_ms, 100000);
    assert_int_equal(again.end.seq, 1);
    journal_close(j);
    journal_read_from(d, &mark, "boot", &r);
    assert_int_equal(r.verdict, JOURNAL_GONE);
    j = go_on(d, NULL, false);
    assert_string_equal(state_names(), "journal.00000004");
    journal_close(j);
    state_dir_close(d);
}

/* A server that ends in the middle of a change of files. */
static void a_file_that_was_not_begun_is_passed_over(void **state)
{
    (void)state;
    struct state_dir *d = state_opened();
    struct journal_position mark;
    struct journal_reading r;
    size_t size;
    write_journal(d, 3, 0, &mark);
    char *bytes = state_bytes("journal.00000003", &size);
    for (size_t cut = 0; cut < 116; cut += 23) {
        state_write("journal.00000004", bytes, cut);
        assert_string_equal(journal_all(d, JOURNAL_COMPLETE, &r), keys(0, 3));
        assert_int_equal(r.end.number, 3);
        struct journal *j = go_on(d, &r, false);
        struct journal_lane l;
        journal_lane_init(&l, j);
        journal_write_key(&l, "k3");
        journal_lane_fini(&l);
        journal_close(j);
        assert_string_equal(journal_all(d, JOURNAL_COMPLETE, &r), keys(0, 4));
        assert_int_equal(r.end.number, 4);
        assert_int_equal(unlink(state_path("journal.00000004")), 0);
        state_write("journal.00000003", bytes, size);
    }
    free(bytes);
    state_dir_close(d);
}

/* ---- blocks that are right, of a journal that is not ---- */

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
    write_journal(d, 3, 0, &mark);
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
    write_journal(d, 3, 0, &mark);
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
    write_journal(d, 3, 0, &mark);
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

static void who_reads_may_end_it(void **state)
{
    (void)state;
    struct state_dir *d = state_opened();
    struct journal_position mark;
    struct journal_reading r;
    write_journal(d, 3, 0, &mark);
    journal_refuse = ERR_NOMEM;
    assert_string_equal(journal_all(d, JOURNAL_UNREAD, &r), "KEY k0");
    journal_refuse = 0;
    assert_string_equal(journal_why(&r), "journal.00000001: batch 1 could not be applied");
    state_dir_close(d);
}

static void calls_that_fail_are_told(void **state)
{
    (void)state;
    static const struct {
        enum call call;
        int nth, reason;
    } cases[] = {
        {CALL_OPENAT, 1, EMFILE},                       /* of the list */
        {CALL_OPENAT, 2, EMFILE}, {CALL_FSTAT, 3, EIO}, /* the list's, whose it is, its size */
        {CALL_READ, 1, EIO},      {CALL_READ, 2, EIO},
    };
    struct state_dir *d = state_opened();
    struct journal_position mark;
    struct journal_reading r;
    write_journal(d, 3, 0, &mark);
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        call_plan(cases[i].call, cases[i].nth, cases[i].reason);
        journal_all(d, JOURNAL_UNREAD, &r);
        calls_forget();
        assert_int_equal(r.why.code, ERR_IO);
        assert_non_null(strstr(r.why.text, strerror(cases[i].reason)));
    }
    journal_all(d, JOURNAL_COMPLETE, &r);
    state_dir_close(d);
}

static void verdicts_have_names(void **state)
{
    (void)state;
    assert_string_equal(journal_verdict_name(JOURNAL_COMPLETE), "complete");
    assert_string_equal(journal_verdict_name(JOURNAL_OTHER_BOOT), "other boot");
    assert_string_equal(journal_verdict_name(JOURNAL_UNREAD), "unread");
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, state_folder_make, state_folder_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(is_read_from_its_begin_or_a_mark),
        TEST(is_torn_at_any_byte),
        TEST(each_flipped_bit_is_found),
        TEST(files_that_are_missing_are_missed),
        TEST(an_empty_folder_says_so),
        TEST(a_position_of_another_journal_is_none),
        TEST(after_a_reboot_only_what_was_synced_counts),
        TEST(what_is_not_complete_is_not_gone_on_with),
        TEST(a_file_that_was_not_begun_is_passed_over),
        TEST(what_follows_wrongly_is_found),
        TEST(behind_its_end_a_file_has_nothing),
        TEST(a_file_under_another_name_is_found),
        TEST(who_reads_may_end_it),
        TEST(calls_that_fail_are_told),
        cmocka_unit_test(verdicts_have_names),
    };
    log_setup(-1, LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
