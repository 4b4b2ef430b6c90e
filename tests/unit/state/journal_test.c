/* What threads write, and what becomes of a journal that cannot be written. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "base/clock.h"
#include "base/log.h"
#include "calls.h"
#include "state/journal_folder.h"

#include <pthread.h>

static struct err e;

static void each_kind_of_record_comes_back(void **state)
{
    (void)state;
    static const struct journal_record records[] = {
        {.kind = JOURNAL_KEY, .text = {"a", 1}},
        {.kind = JOURNAL_KEY,
         .text = {"b", 1},
         .has_version = true,
         .version = INT64_MIN,
         .left_ms = 600000},
        {.kind = JOURNAL_KEY, .text = {"c", 1}, .has_version = true, .version = 9, .gone = true},
        {.kind = JOURNAL_KEY, .text = {"d", 1}, .soft = true},
        {.kind = JOURNAL_TAG, .text = {"t", 1}, .soft = true},
        {.kind = JOURNAL_ALL_TAGS},
        {.kind = JOURNAL_PATTERN, .text = {"user:*", 6}},
        {.kind = JOURNAL_PATTERN, .text = {"{int}", 5}, .misfits = true},
        {.kind = JOURNAL_LIFT, .text = {"l", 1}},
        {.kind = JOURNAL_LIFT_PATTERN},
        {.kind = JOURNAL_DOUBT, .text = {"q", 1}, .left_ms = 30},
    };
    struct state_dir *d = state_opened();
    struct journal_options o = journal_defaults(d);
    struct journal *j = journal_opened(&o);
    struct journal_lane l;
    struct journal_reading reading;
    journal_lane_init(&l, j);
    assert_false(journal_waits(&l));
    for (size_t i = 0; i < sizeof records / sizeof *records; i++) {
        journal_note(&l, &records[i]);
        assert_true(journal_waits(&l));
    }
    assert_string_equal(journal_all(d, JOURNAL_COMPLETE, &reading), ""); /* not written yet */
    int64_t before = clock_ms();
    journal_flush(&l);
    assert_false(journal_waits(&l));
    journal_flush(&l); /* of nothing: nothing */
    assert_string_equal(journal_all(d, JOURNAL_COMPLETE, &reading),
                        "KEY a | KEY b v-9223372036854775808 600000ms | KEY c v9 gone | KEY d soft "
                        "| TAG t soft | ALL_TAGS  | PATTERN user:* | PATTERN {int} misfits "
                        "| LIFT l | LIFT_PATTERN  | DOUBT q 30ms");
    assert_true(before > 0);
    assert_int_equal(reading.batches, 1);
    assert_int_equal(reading.records, 11);
    assert_int_equal(reading.since_ms, 1000);
    assert_int_equal(reading.since_wall_ms, 5000);
    assert_false(reading.other_boot);
    struct journal_stats s = journal_stats_of(j);
    assert_int_equal(s.records, 11);
    assert_int_equal(s.writes, 1);
    assert_int_equal(s.bytes, 40 + 8 + 11 * 24 + 18);
    assert_int_equal(s.failures, 0);
    assert_int_equal(s.files, 1);
    assert_int_equal(s.file_bytes, 40 + 76 + s.bytes);
    assert_false(s.broken);
    journal_lane_fini(&l);
    journal_close(j);
    state_dir_close(d);
}

static int note_time(const struct journal_record *r, void *arg)
{
    *(int64_t *)arg = r->at_ms;
    return 0;
}

static void a_batch_has_the_time_of_its_write(void **state)
{
    (void)state;
    struct state_dir *d = state_opened();
    struct journal_options o = journal_defaults(d);
    struct journal *j = journal_opened(&o);
    struct journal_lane l;
    struct journal_reading reading;
    int64_t at_ms = 0, before = clock_ms();
    journal_lane_init(&l, j);
    journal_write_key(&l, "a");
    int64_t after = clock_ms();
    journal_read(d, "boot", &from_the_begin, note_time, &at_ms, &reading);
    assert_true(at_ms >= before && at_ms <= after);
    journal_lane_fini(&l);
    journal_close(j);
    state_dir_close(d);
}

static void without_a_journal_nothing_is_gathered(void **state)
{
    (void)state;
    struct journal_lane l;
    journal_lane_init(&l, NULL);
    journal_key(&l, "a");
    assert_false(journal_waits(&l));
    assert_null(l.gathered.data);
    journal_flush(&l);
    journal_lane_fini(&l);
    journal_close(NULL);
}

/* A turn with very many changes does not gather them all. */
static void a_lane_is_bounded(void **state)
{
    (void)state;
    struct state_dir *d = state_opened();
    struct journal_options o = journal_defaults(d);
    struct journal *j = journal_opened(&o);
    struct journal_lane l;
    struct journal_reading reading;
    char key[1001];
    memset(key, 'k', 1000);
    key[1000] = '\0';
    journal_lane_init(&l, j);
    for (int i = 0; i < 600; i++) {
        journal_key(&l, key);
        assert_true(l.gathered.size < JOURNAL_LANE_BYTES);
    }
    assert_int_equal(journal_stats_of(j).writes, 2);
    assert_int_equal(journal_stats_of(j).records, 2 * 256); /* of 1024 bytes each */
    journal_flush(&l);
    assert_true(l.gathered.capacity <= (size_t)64 << 10); /* and gives back what it had */
    journal_key(&l, "small");
    journal_flush(&l);
    size_t kept = l.gathered.capacity;
    assert_true(kept > 0); /* what a turn takes is kept for the next one */
    journal_key(&l, "small");
    assert_int_equal(l.gathered.capacity, kept);
    journal_flush(&l);
    journal_all(d, JOURNAL_COMPLETE, &reading);
    assert_int_equal(reading.records, 602);
    assert_int_equal(reading.batches, 5);
    journal_lane_fini(&l);
    journal_close(j);
    state_dir_close(d);
}

/* ---- what breaks it ---- */

/* A journal of one batch "a", and a snapshot that relies on it. */
struct broken_world {
    struct state_dir *dir;
    struct journal *j;
    struct journal_lane l;
};

static struct broken_world world_of(bool sync)
{
    struct broken_world w = {.dir = state_opened()};
    struct journal_options o = journal_defaults(w.dir);
    o.sync = sync;
    w.j = journal_opened(&o);
    journal_lane_init(&w.l, w.j);
    journal_write_key(&w.l, "a");
    state_write("snapshot", "old", 3);
    return w;
}

static void world_end(struct broken_world *w)
{
    journal_lane_fini(&w->l);
    journal_close(w->j);
    state_dir_close(w->dir);
}

static void a_write_that_fails_is_believed_by_nobody(void **state)
{
    (void)state;
    static const struct {
        int taken, reason;
    } cases[] = {{0, ENOSPC}, {0, EIO}, {30, ENOSPC}, {40, EDQUOT}, {0, 0}};
    for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
        struct broken_world w = world_of(false);
        struct journal_reading reading;
        if (cases[i].taken)
            call_short(1, cases[i].taken, cases[i].reason);
        else
            call_plan(CALL_WRITE, 1, cases[i].reason);
        journal_write_key(&w.l, "b");
        calls_forget();
        assert_false(journal_waits(&w.l)); /* its answer may leave */
        assert_string_equal(state_names(), "");
        assert_true(journal_stats_of(w.j).broken);
        assert_int_equal(journal_stats_of(w.j).failures, 1);
        journal_write_key(&w.l, "c"); /* goes nowhere, and is no second failure */
        assert_int_equal(journal_stats_of(w.j).failures, 1);
        assert_int_equal(journal_stats_of(w.j).records, 1);
        journal_all(w.dir, JOURNAL_NONE, &reading);
        world_end(&w);
    }
}

static void short_and_interrupted_writes_go_on(void **state)
{
    (void)state;
    struct broken_world w = world_of(false);
    struct journal_reading reading;
    call_short(1, 45, EINTR);
    journal_write_key(&w.l, "b");
    calls_forget();
    assert_string_equal(journal_all(w.dir, JOURNAL_COMPLETE, &reading), "KEY a | KEY b");
    world_end(&w);
}

static void a_later_file_that_breaks_is_missed(void **state)
{
    (void)state;
    struct broken_world w = world_of(false);
    struct journal_reading reading;
    journal_tick(w.j, 1000 + 1000, 6000);
    journal_write_key(&w.l, "b");
    assert_string_equal(state_names(), "journal.00000001 journal.00000002 snapshot");
    call_plan(CALL_WRITE, 1, ENOSPC);
    journal_write_key(&w.l, "c");
    calls_forget();
    assert_string_equal(state_names(), "journal.00000001");
    assert_string_equal(journal_all(w.dir, JOURNAL_GONE, &reading), "KEY a");
    assert_string_equal(journal_why(&reading),
                        "journal.00000001: it goes on in a file that is not there");
    world_end(&w);
}

static void a_file_that_cannot_be_removed_is_emptied(void **state)
{
    (void)state;
    struct broken_world w = world_of(false);
    struct journal_reading reading;
    call_plan(CALL_WRITE, 1, EIO);
    call_plan(CALL_UNLINKAT, 2, EACCES); /* behind the snapshot's */
    journal_write_key(&w.l, "b");
    calls_forget();
    assert_string_equal(state_names(), "journal.00000001");
    assert_string_equal(journal_all(w.dir, JOURNAL_GONE, &reading), "");
    assert_string_equal(journal_why(&reading), "journal.00000001: it is empty");
    world_end(&w);
}

static void past_its_bound_it_breaks(void **state)
{
    (void)state;
    struct state_dir *d = state_opened();
    struct journal_options o = journal_defaults(d);
    struct journal_lane l;
    o.max_bytes = 116 + 2 * (48 + 24 + 1); /* its begin, and two batches */
    struct journal *j = journal_opened(&o);
    journal_lane_init(&l, j);
    journal_write_key(&l, "a");
    journal_write_key(&l, "b");
    assert_int_equal(journal_stats_of(j).file_bytes, o.max_bytes);
    assert_false(journal_stats_of(j).broken);
    journal_keep(j, 8000, o.max_bytes + 72);
    journal_write_key(&l, "c");
    assert_true(journal_stats_of(j).broken);
    assert_int_equal(journal_stats_of(j).records, 2);
    assert_string_equal(state_names(), "");
    journal_lane_fini(&l);
    journal_close(j);
    state_dir_close(d);
}

static void a_text_past_its_limit_breaks_it(void **state)
{
    (void)state;
    struct broken_world w = world_of(false);
    char *text = calloc(1, 65537);
    memset(text, 'x', 65535);
    journal_write_key(&w.l, text);
    assert_false(journal_stats_of(w.j).broken);
    text[65535] = 'x';
    journal_write_key(&w.l, text);
    assert_true(journal_stats_of(w.j).broken);
    assert_false(journal_waits(&w.l));
    free(text);
    world_end(&w);
}

/* What a server without a journal does to the files of one before. */
static void a_journal_that_is_kept_no_more_goes(void **state)
{
    (void)state;
    struct broken_world w = world_of(false);
    journal_tick(w.j, 1000 + 1000, 6000);
    journal_write_key(&w.l, "b");
    assert_string_equal(state_names(), "journal.00000001 journal.00000002 snapshot");
    call_plan(CALL_UNLINKAT, 2, EACCES);
    assert_int_equal(journal_remove(w.dir, &e), ERR_IO);
    calls_forget();
    assert_int_equal(journal_remove(w.dir, &e), 0);
    assert_string_equal(state_names(), "snapshot");
    assert_int_equal(journal_remove(w.dir, &e), 0);
    world_end(&w);
}

/* ---- sync ---- */

static void a_flush_waits_for_the_disk_only_where_it_is_told_to(void **state)
{
    (void)state;
    struct broken_world w = world_of(false);
    call_plan(CALL_FDATASYNC, 1, EIO);
    journal_write_key(&w.l, "b");
    assert_false(journal_stats_of(w.j).broken);
    call_plan(CALL_FDATASYNC, 0, 0);
    world_end(&w);
    assert_int_equal(unlink(state_path("snapshot")), 0);
    w = world_of(true);
    call_plan(CALL_FDATASYNC, 1, EIO);
    journal_write_key(&w.l, "b");
    calls_forget();
    assert_true(journal_stats_of(w.j).broken);
    assert_string_equal(state_names(), "");
    world_end(&w);
}

/* ---- threads ---- */

#define THREADS 4
#define EACH    300

static struct journal *shared;
static _Atomic int arrived;

static void *write_many(void *arg)
{
    struct journal_lane l;
    char key[20];
    journal_lane_init(&l, shared);
    atomic_fetch_add(&arrived, 1);
    while (atomic_load(&arrived) < THREADS)
        ;
    for (int i = 0; i < EACH; i++) {
        snprintf(key, sizeof key, "%c%d", 'a' + *(int *)arg, i);
        journal_key(&l, key);
        if (i % 3 == 0)
            journal_flush(&l);
    }
    journal_flush(&l);
    journal_lane_fini(&l);
    return NULL;
}

/* In order for each thread, whole, and without a hole; files change meanwhile. */
static void threads_write_side_by_side(void **state)
{
    (void)state;
    for (int sync = 0; sync < 2; sync++) {
        struct state_dir *d = state_opened();
        struct journal_options o = journal_defaults(d);
        struct journal_reading reading;
        pthread_t threads[THREADS];
        int names[THREADS], next[THREADS] = {0};
        o.sync = sync;
        o.keep_ms = 1000000;
        shared = journal_opened(&o);
        atomic_store(&arrived, 0);
        for (int i = 0; i < THREADS; i++) {
            names[i] = i;
            assert_int_equal(pthread_create(&threads[i], NULL, write_many, &names[i]), 0);
        }
        while (atomic_load(&arrived) < THREADS)
            ;
        for (int64_t now_ms = 1000; now_ms < 2000; now_ms += 100) {
            struct journal_position p;
            journal_keep(shared, 8, 4 * MB);
            assert_int_equal(journal_mark(shared, now_ms, now_ms, &p, &e), 0);
            journal_tick(shared, now_ms, now_ms);
        }
        for (int i = 0; i < THREADS; i++)
            assert_int_equal(pthread_join(threads[i], NULL), 0);
        assert_int_equal(journal_stats_of(shared).records, THREADS * EACH);
        journal_read_from(d, &from_the_begin, "boot", &reading);
        assert_int_equal(reading.verdict, JOURNAL_COMPLETE);
        if (reading.records == THREADS * EACH) /* none of its files was old enough to go */
            for (char *at = strtok(journal_text, " |"); at; at = strtok(NULL, " |"))
                if (strcmp(at, "KEY") != 0)
                    assert_int_equal(atoi(at + 1), next[at[0] - 'a']++);
        journal_close(shared);
        state_dir_close(d);
    }
}

static _Atomic int syncs;

/* The first one takes until all threads have written. */
static void sync_slowly(void)
{
    if (atomic_fetch_add(&syncs, 1) == 0)
        while (journal_stats_of(shared).writes < THREADS)
            ;
}

static void *write_once(void *arg)
{
    struct journal_lane l;
    journal_lane_init(&l, shared);
    journal_write_key(&l, arg);
    journal_lane_fini(&l);
    return NULL;
}

/* What was written while one thread waited for the disk waits for it once, not once for each. */
static void one_wait_for_the_disk_is_for_all_that_is_written(void **state)
{
    (void)state;
    struct state_dir *d = state_opened();
    struct journal_options o = journal_defaults(d);
    pthread_t threads[THREADS];
    o.sync = true;
    shared = journal_opened(&o);
    atomic_store(&syncs, 0);
    in_fdatasync = sync_slowly;
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_create(&threads[i], NULL, write_once, "k"), 0);
    for (int i = 0; i < THREADS; i++)
        assert_int_equal(pthread_join(threads[i], NULL), 0);
    in_fdatasync = NULL;
    assert_in_range(atomic_load(&syncs), 1, 2);
    assert_int_equal(journal_stats_of(shared).records, THREADS);
    journal_close(shared);
    state_dir_close(d);
}

/* A service may be started without a standard input: any number is a descriptor. */
static void a_file_that_is_full_is_closed_whatever_its_number(void **state)
{
    (void)state;
    struct state_dir *d = state_opened();
    struct journal_options o = journal_defaults(d);
    struct journal_lane l;
    int input = dup(0);
    close(0);
    struct journal *j = journal_opened(&o);
    journal_lane_init(&l, j);
    journal_write_key(&l, "a");
    assert_true(fcntl(0, F_GETFD) >= 0);
    journal_tick(j, 1000 + 1000, 6000);
    assert_int_equal(journal_stats_of(j).files, 2);
    assert_int_equal(fcntl(0, F_GETFD), -1);
    journal_lane_fini(&l);
    journal_close(j);
    if (input >= 0)
        assert_int_equal(dup2(input, 0), 0);
    close(input);
    state_dir_close(d);
}

#define TEST(name) cmocka_unit_test_setup_teardown(name, state_folder_make, state_folder_remove)

int main(void)
{
    const struct CMUnitTest tests[] = {
        TEST(each_kind_of_record_comes_back),
        TEST(a_batch_has_the_time_of_its_write),
        TEST(without_a_journal_nothing_is_gathered),
        TEST(a_lane_is_bounded),
        TEST(a_write_that_fails_is_believed_by_nobody),
        TEST(short_and_interrupted_writes_go_on),
        TEST(a_later_file_that_breaks_is_missed),
        TEST(a_file_that_cannot_be_removed_is_emptied),
        TEST(past_its_bound_it_breaks),
        TEST(a_text_past_its_limit_breaks_it),
        TEST(a_journal_that_is_kept_no_more_goes),
        TEST(a_flush_waits_for_the_disk_only_where_it_is_told_to),
        TEST(threads_write_side_by_side),
        TEST(one_wait_for_the_disk_is_for_all_that_is_written),
        TEST(a_file_that_is_full_is_closed_whatever_its_number),
    };
    log_setup(-1, LOG_ERROR);
    return cmocka_run_group_tests(tests, NULL, NULL);
}
