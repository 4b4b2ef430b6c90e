/* Files and the journal without memory: each is whole, or an error, or believed by nobody. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/log.h"
#include "faulty.h"
#include "state/journal_folder.h"
#include "state/state_reader.h"
#include "state/state_writer.h"

static struct err e;

static void a_folder_is_opened_or_left_unlocked(void **state)
{
    (void)state;
    struct state_dir *d = NULL;
    int rc;
    int64_t nth = 1;
    for (; FAULTY_WITHOUT(nth, FAULTY_ALL, rc = state_dir_open(&d, state_folder, &e)); nth++) {
        assert_true(rc == ERR_NOMEM || rc == ERR_IO);
        assert_null(d);
    }
    assert_int_equal(rc, 0);
    assert_true(nth > 1);
    state_dir_close(d);
}

static int write_file(struct state_dir *d)
{
    static char large[300000];
    struct state_writer *w;
    int rc = state_writer_new(&w, d, "snapshot", &e);
    if (rc != 0)
        return rc;
    rc = state_writer_block(w, BLOCK_ENTRIES, slice_of(large, sizeof large), 1, &e);
    if (rc == 0)
        return state_writer_finish(w, &e);
    state_writer_abort(w);
    return rc;
}

static int read_file(struct state_dir *d, int *blocks)
{
    struct state_reader *r;
    struct block b;
    int rc = state_reader_new(&r, d, "snapshot", &e);
    if (rc != 0)
        return rc;
    for (*blocks = 0; (rc = state_reader_next(r, &b, &e)) > 0; ++*blocks)
        ;
    state_reader_free(r);
    return rc;
}

static void a_file_is_written_and_read_whole_or_not(void **state)
{
    (void)state;
    struct state_dir *d = state_opened();
    int rc, blocks;
    int64_t nth = 1;
    for (; FAULTY_WITHOUT(nth, FAULTY_ALL, rc = write_file(d)); nth++) {
        assert_int_equal(rc, ERR_NOMEM);
        assert_string_equal(state_names(), "");
    }
    assert_int_equal(rc, 0);
    assert_true(nth > 2);
    for (nth = 1; FAULTY_WITHOUT(nth, FAULTY_ALL, rc = read_file(d, &blocks)); nth++)
        assert_int_equal(rc, ERR_NOMEM);
    assert_int_equal(rc, 0);
    assert_int_equal(blocks, 1);
    assert_true(nth > 2);
    assert_string_equal(state_names(), "snapshot");
    state_dir_close(d);
}

/* What a server does from its start to a crash. */
static int live(struct state_dir *d, const struct journal_reading *after, bool *broken)
{
    struct journal_options o = journal_defaults(d);
    struct journal *j;
    struct journal_lane l;
    o.after = after;
    int rc = journal_open(&j, &o, &e);
    if (rc != 0)
        return rc;
    journal_lane_init(&l, j);
    journal_write_key(&l, "a");
    journal_tick(j, 3000, 7000);
    journal_write_key(&l, "b");
    *broken = journal_stats_of(j).broken;
    journal_lane_fini(&l);
    journal_close(j);
    return 0;
}

static void a_journal_has_all_or_nobody_believes_it(void **state)
{
    (void)state;
    struct state_dir *d = state_opened();
    struct journal_reading r = {.verdict = JOURNAL_NONE}, again;
    bool broken = false;
    int rc;
    int64_t nth = 1, broke = 0;
    for (; FAULTY_WITHOUT(nth, 1, rc = live(d, &r, &broken)); nth++) {
        journal_read_from(d, &from_the_begin, "boot", &again);
        if (rc != 0)
            continue;
        broke += broken;
        if (broken)
            assert_true(again.verdict != JOURNAL_COMPLETE);
        else
            assert_string_equal(journal_all(d, JOURNAL_COMPLETE, &again), "KEY a | KEY b");
    }
    assert_int_equal(rc, 0);
    assert_false(broken);
    assert_true(broke > 0);
    /* The same behind a life before, which is not lost by a start without memory. */
    journal_all(d, JOURNAL_COMPLETE, &r);
    assert_false(FAULTY_WITHOUT(1000, 1, rc = live(d, &r, &broken)));
    assert_string_equal(journal_all(d, JOURNAL_COMPLETE, &again), "KEY a | KEY b | KEY a | KEY b");
    state_dir_close(d);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, state_folder_make, state_folder_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_folder_is_opened_or_left_unlocked),
        TEST(a_file_is_written_and_read_whole_or_not),
        TEST(a_journal_has_all_or_nobody_believes_it),
    };
    log_setup(-1, LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
