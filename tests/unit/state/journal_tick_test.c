/* What a journal does with time: its files, the snapshots that need them, and a new begin. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/log.h"
#include "calls.h"
#include "state/journal_folder.h"

static struct err e;

struct world {
    struct state_dir *dir;
    struct journal *j;
    struct journal_lane l;
};

/* Keeps 8 s, has 16 parts of bytes. */
static struct world world_of(uint64_t max_bytes)
{
    struct world w = {.dir = state_opened()};
    struct journal_options o = journal_defaults(w.dir);
    o.max_bytes = max_bytes;
    w.j = journal_opened(&o);
    journal_lane_init(&w.l, w.j);
    return w;
}

static void world_end(struct world *w)
{
    journal_lane_fini(&w->l);
    journal_close(w->j);
    state_dir_close(w->dir);
}

static void tick(struct world *w, int64_t now_ms)
{
    journal_tick(w->j, now_ms, now_ms + 4000);
}

static struct journal_position marked(struct world *w, int64_t now_ms)
{
    struct journal_position p;
    assert_int_equal(journal_mark(w->j, now_ms, now_ms + 4000, &p, &e), 0);
    return p;
}

static void a_file_takes_an_eighth_of_the_time(void **state)
{
    (void)state;
    struct world w = world_of(4 * MB);
    tick(&w, 100000); /* it is old, and has nothing */
    assert_string_equal(state_names(), "journal.00000001");
    journal_write_key(&w.l, "a");
    tick(&w, 1999);
    assert_string_equal(state_names(), "journal.00000001");
    tick(&w, 2000);
    assert_string_equal(state_names(), "journal.00000001 journal.00000002");
    tick(&w, 3000); /* the second one has nothing */
    journal_write_key(&w.l, "b");
    tick(&w, 2999);
    assert_string_equal(state_names(), "journal.00000001 journal.00000002");
    assert_int_equal(journal_stats_of(w.j).files, 2);
    tick(&w, 3000);
    assert_int_equal(journal_stats_of(w.j).files, 3);
    world_end(&w);
}

static void a_file_takes_a_part_of_the_bytes(void **state)
{
    (void)state;
    /* 116 bytes of begin, 73 of a batch */
    struct world w = world_of((uint64_t)(116 + 2 * 73) * 16);
    journal_write_key(&w.l, "a");
    tick(&w, 1000);
    assert_string_equal(state_names(), "journal.00000001");
    journal_write_key(&w.l, "b");
    tick(&w, 1000);
    assert_string_equal(state_names(), "journal.00000001 journal.00000002");
    assert_int_equal(journal_stats_of(w.j).file_bytes, 116 + 2 * 73 + 40 + 116);
    world_end(&w);
}

static void a_file_goes_once_all_of_it_is_old(void **state)
{
    (void)state;
    struct world w = world_of(4 * MB);
    struct journal_reading r;
    journal_write_key(&w.l, "a");
    tick(&w, 2000); /* the first file ends */
    journal_write_key(&w.l, "b");
    tick(&w, 9999);
    assert_string_equal(journal_all(w.dir, JOURNAL_COMPLETE, &r), "KEY a | KEY b");
    assert_int_equal(r.since_ms, 1000);
    uint64_t before = journal_stats_of(w.j).file_bytes;
    tick(&w, 10000);
    assert_string_equal(journal_all(w.dir, JOURNAL_COMPLETE, &r), "KEY b");
    assert_int_equal(r.since_ms, 2000);
    assert_int_equal(journal_stats_of(w.j).file_bytes, before - 116 - 73 - 40);
    assert_int_equal(journal_stats_of(w.j).files, 2);
    journal_keep(w.j, 10000, 4 * MB); /* the second one ended at 9999 */
    tick(&w, 19998);
    assert_int_equal(journal_stats_of(w.j).files, 2);
    tick(&w, 19999);
    assert_int_equal(journal_stats_of(w.j).files, 1);
    world_end(&w);
}

/* A file is written to, by each of these, and ended. */
static void write_file(struct world *w, const char *key, int64_t now_ms)
{
    journal_write_key(&w->l, key);
    tick(w, now_ms);
}

static void a_snapshot_keeps_what_came_since(void **state)
{
    (void)state;
    struct world w = world_of(4 * MB);
    struct journal_reading r;
    write_file(&w, "a", 2000);
    struct journal_position first = marked(&w, 2500);
    write_file(&w, "b", 3500);
    tick(&w, 1000000); /* while it is written */
    assert_string_equal(journal_all(w.dir, JOURNAL_COMPLETE, &r), "KEY b");
    state_write("snapshot", "1", 1);
    assert_true(journal_rely(w.j, &first));
    tick(&w, 1000000);
    journal_read_from(w.dir, &first, "boot", &r);
    assert_int_equal(r.verdict, JOURNAL_COMPLETE);
    assert_string_equal(journal_text, "KEY b");
    /* The next one takes its place, and one that is given up does not. */
    write_file(&w, "c", 1001000);
    struct journal_position second = marked(&w, 1001500);
    write_file(&w, "d", 1003000);
    assert_false(journal_rely(w.j, NULL));
    tick(&w, 2000000);
    assert_string_equal(journal_all(w.dir, JOURNAL_COMPLETE, &r), "KEY b | KEY c | KEY d");
    assert_true(journal_rely(w.j, &second));
    tick(&w, 2000000);
    assert_string_equal(journal_all(w.dir, JOURNAL_COMPLETE, &r), "KEY d");
    assert_string_equal(state_names(), "journal.00000004 journal.00000005 snapshot");
    world_end(&w);
}

static void a_snapshot_gives_way_where_there_is_no_room(void **state)
{
    (void)state;
    struct world w = world_of(1600);
    struct journal_reading r;
    char key[301];
    memset(key, 'k', 300);
    key[300] = '\0';
    state_write("snapshot", "1", 1);
    struct journal_position p = marked(&w, 1000);
    assert_true(journal_rely(w.j, &p));
    write_file(&w, key, 2000); /* 116 + 372 + 40, and the begin of the next one */
    write_file(&w, key, 3000); /* 1172 */
    tick(&w, 20000);
    assert_int_equal(journal_stats_of(w.j).file_bytes, 1172);
    journal_keep(w.j, 8000, 1172 * 4 / 3 + 4); /* just as much as may be */
    tick(&w, 20000);
    assert_string_equal(state_names(),
                        "journal.00000001 journal.00000002 journal.00000003 snapshot");
    journal_keep(w.j, 8000, 1172 * 4 / 3 - 4);
    tick(&w, 20000);
    assert_string_equal(state_names(), "journal.00000003");
    assert_false(journal_stats_of(w.j).broken);
    journal_write_key(&w.l, "b");
    assert_string_equal(journal_all(w.dir, JOURNAL_COMPLETE, &r), "KEY b");
    journal_read_from(w.dir, &p, "boot", &r);
    assert_int_equal(r.verdict, JOURNAL_GONE);
    world_end(&w);
}

static void break_it(struct world *w)
{
    call_plan(CALL_WRITE, 1, ENOSPC);
    journal_write_key(&w->l, "lost");
    calls_forget();
    assert_true(journal_stats_of(w->j).broken);
}

static void a_mark_begins_anew(void **state)
{
    (void)state;
    struct world w = world_of(4 * MB);
    struct journal_reading r;
    write_file(&w, "a", 2000);
    struct journal_position before = marked(&w, 2500);
    break_it(&w);
    assert_false(journal_rely(w.j, &before));
    struct journal_position after = marked(&w, 3000);
    assert_false(journal_stats_of(w.j).broken);
    assert_string_equal(state_names(), "journal.00000003"); /* the second one was the last one */
    assert_true(after.chain != before.chain);
    assert_int_equal(after.number, 3);
    assert_int_equal(after.seq, 1);
    assert_false(journal_rely(w.j, &before)); /* of a journal that broke since */
    journal_write_key(&w.l, "b");
    assert_true(journal_rely(w.j, &after));
    assert_string_equal(journal_all(w.dir, JOURNAL_COMPLETE, &r), "KEY b");
    assert_int_equal(r.since_ms, 3000);
    assert_int_equal(r.since_wall_ms, 7000);
    assert_int_equal(journal_stats_of(w.j).failures, 1);
    world_end(&w);
}

static void it_begins_anew_by_itself_after_a_while(void **state)
{
    (void)state;
    struct world w = world_of(4 * MB);
    struct journal_reading r;
    break_it(&w);
    tick(&w, 5000);
    tick(&w, 14999);
    assert_true(journal_stats_of(w.j).broken);
    call_plan(CALL_WRITE, 1, ENOSPC); /* still */
    tick(&w, 15000);
    calls_forget();
    assert_true(journal_stats_of(w.j).broken);
    assert_string_equal(state_names(), "");
    tick(&w, 24999);
    assert_true(journal_stats_of(w.j).broken);
    tick(&w, 25000);
    assert_false(journal_stats_of(w.j).broken);
    journal_write_key(&w.l, "b");
    assert_string_equal(journal_all(w.dir, JOURNAL_COMPLETE, &r), "KEY b");
    break_it(&w); /* and waits as long again */
    tick(&w, 25000);
    tick(&w, 34999);
    assert_true(journal_stats_of(w.j).broken);
    assert_int_equal(journal_stats_of(w.j).failures, 2);
    struct journal_position p;
    call_plan(CALL_OPENAT, 2, ENOSPC); /* behind the list */
    assert_int_equal(journal_mark(w.j, 35000, 39000, &p, &e), ERR_IO);
    calls_forget();
    assert_non_null(strstr(e.text, "No space left on device"));
    world_end(&w);
}

/* A change of files that fails leaves the old one, as long as that is right. */
static void a_next_file_that_cannot_be_is_none(void **state)
{
    (void)state;
    static const struct {
        enum call call;
        int nth;
        bool breaks;
    } cases[] = {
        {CALL_OPENAT, 1, false},
        {CALL_WRITE, 1, false}, /* its begin */
        {CALL_WRITE, 2, true},  /* the end of the one before, which may have got some of it */
    };
    for (size_t i = 0; i < 3; i++) {
        struct world w = world_of(4 * MB);
        struct journal_reading r;
        journal_write_key(&w.l, "a");
        call_plan(cases[i].call, cases[i].nth, ENOSPC);
        tick(&w, 2000);
        calls_forget();
        assert_string_equal(state_names(), cases[i].breaks ? "" : "journal.00000001");
        assert_int_equal(journal_stats_of(w.j).broken, cases[i].breaks);
        journal_write_key(&w.l, "b");
        if (!cases[i].breaks)
            assert_string_equal(journal_all(w.dir, JOURNAL_COMPLETE, &r), "KEY a | KEY b");
        world_end(&w);
        if (!cases[i].breaks)
            assert_int_equal(unlink(state_path("journal.00000001")), 0);
    }
}

static void files_are_counted_in_bounds(void **state)
{
    (void)state;
    struct world w = world_of(100 * MB);
    struct journal_position p = marked(&w, 1000);
    struct journal_reading r;
    assert_true(journal_rely(w.j, &p));
    for (int i = 0; i < 200; i++)
        write_file(&w, "a", 2000 + i * 1000);
    assert_int_equal(journal_stats_of(w.j).files, 129);
    journal_all(w.dir, JOURNAL_COMPLETE, &r);
    assert_int_equal(r.records, 200);
    world_end(&w);
    /* A start goes on with so many where it can. */
    struct state_dir *d = state_opened();
    struct journal_options o = journal_defaults(d);
    o.after = &r;
    o.now_ms = 1000000;
    struct journal *j = journal_opened(&o);
    journal_all(d, JOURNAL_COMPLETE, &r);
    assert_int_equal(r.records, 0); /* too many: a new one */
    journal_close(j);
    state_dir_close(d);
}

/* ---- a start ---- */

static void a_start_that_cannot_write_is_broken_and_tries_again(void **state)
{
    (void)state;
    struct state_dir *d = state_opened();
    struct journal_options o = journal_defaults(d);
    struct journal_reading r;
    call_plan(CALL_WRITE, 1, ENOSPC);
    struct journal *j = journal_opened(&o);
    calls_forget();
    struct journal_lane l;
    journal_lane_init(&l, j);
    journal_write_key(&l, "a");
    assert_true(journal_stats_of(j).broken);
    assert_int_equal(journal_stats_of(j).failures, 1);
    journal_tick(j, 1000, 1000);
    journal_tick(j, 11000, 1000);
    assert_false(journal_stats_of(j).broken);
    journal_write_key(&l, "b");
    assert_string_equal(journal_all(d, JOURNAL_COMPLETE, &r), "KEY b");
    journal_close(j);
    /* Where it cannot go on it begins anew. */
    o.after = &r;
    call_plan(CALL_FTRUNCATE, 1, EIO);
    j = journal_opened(&o);
    calls_forget();
    assert_string_equal(journal_all(d, JOURNAL_COMPLETE, &r), "");
    assert_false(journal_stats_of(j).broken);
    journal_close(j);
    /* What a later start would believe has to go. */
    struct journal *none;
    o.after = NULL;
    call_plan(CALL_UNLINKAT, 1, EACCES);
    assert_int_equal(journal_open(&none, &o, &e), ERR_IO);
    calls_forget();
    assert_null(none);
    assert_non_null(strstr(e.text, "cannot remove journal.0000000"));
    journal_lane_fini(&l);
    state_dir_close(d);
}

static void records_of_a_life_before_are_kept_as_long_as_new_ones(void **state)
{
    (void)state;
    struct world w = world_of(4 * MB);
    struct journal_reading r;
    write_file(&w, "a", 2000);
    journal_write_key(&w.l, "b");
    world_end(&w);
    struct state_dir *d = state_opened();
    journal_all(d, JOURNAL_COMPLETE, &r);
    struct journal_options o = journal_defaults(d);
    o.after = &r;
    o.now_ms = 50000;
    struct journal *j = journal_opened(&o);
    assert_string_equal(state_names(), "journal.00000001 journal.00000002 journal.00000003");
    assert_int_equal(journal_stats_of(j).files, 3);
    assert_int_equal(journal_stats_of(j).file_bytes, 3 * 116 + 2 * (73 + 40));
    journal_tick(j, 57999, 57999);
    assert_string_equal(journal_all(d, JOURNAL_COMPLETE, &r), "KEY a | KEY b");
    journal_tick(j, 58000, 58000);
    assert_string_equal(journal_all(d, JOURNAL_COMPLETE, &r), "");
    journal_close(j);
    state_dir_close(d);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, state_folder_make, state_folder_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(a_file_takes_an_eighth_of_the_time),
        TEST(a_file_takes_a_part_of_the_bytes),
        TEST(a_file_goes_once_all_of_it_is_old),
        TEST(a_snapshot_keeps_what_came_since),
        TEST(a_snapshot_gives_way_where_there_is_no_room),
        TEST(a_mark_begins_anew),
        TEST(it_begins_anew_by_itself_after_a_while),
        TEST(a_next_file_that_cannot_be_is_none),
        TEST(files_are_counted_in_bounds),
        TEST(a_start_that_cannot_write_is_broken_and_tries_again),
        TEST(records_of_a_life_before_are_kept_as_long_as_new_ones),
    };
    log_setup(-1, LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
