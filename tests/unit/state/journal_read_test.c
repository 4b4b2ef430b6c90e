/* What a journal says after its server has died, and after its files have suffered. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/log.h"
#include "calls.h"
#include "state/journal_folder.h"

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
        journal_of(d, 9, at, &mark);
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
    journal_of(d, 200, 150, &mark);
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
    journal_of(d, 6, 0, &mark);
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
    journal_of(d, 6, 1, &mark);
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
    journal_of(d, 6, 0, &mark);
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
    journal_of(d, 6, 1, &mark);
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
    journal_of(d, 3, 0, &mark);
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
    journal_of(d, 6, 0, &mark);
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
    journal_of(d, 3, 0, &mark);
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

static void who_reads_may_end_it(void **state)
{
    (void)state;
    struct state_dir *d = state_opened();
    struct journal_position mark;
    struct journal_reading r;
    journal_of(d, 3, 0, &mark);
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
    journal_of(d, 3, 0, &mark);
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
        TEST(who_reads_may_end_it),
        TEST(calls_that_fail_are_told),
        cmocka_unit_test(verdicts_have_names),
    };
    log_setup(-1, LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
