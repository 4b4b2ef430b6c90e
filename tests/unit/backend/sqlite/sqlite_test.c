#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend/sqlite/sqlite.h"
#include "backend/sqlite/sqlite_options.h"
#include "wire/json.h"
#include "wire/mpw.h"

#include "backend/sqlite/sqlite_files.h"

#include <limits.h>

#define ENDLESS "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) "

static struct ev_loop *loop;
static struct conf_backend conf;
static struct sqlite_conf own;
static int answered, wanted;

struct asked {
    struct call query;
    struct buf params;
    bool done;
};

static int start(void **state)
{
    if (files_make(state) != 0)
        return -1;
    static char path[128];
    snprintf(path, sizeof path, "%s", files_path("t.db"));
    files_sql(path, "CREATE TABLE t (id INTEGER PRIMARY KEY, a)");
    loop = ev_loop_new(EVFLAG_AUTO);
    ev_ref(loop); /* it runs until ev_break */
    conf = (struct conf_backend){.name = "main",
                                 .driver = &sqlite_driver.conf,
                                 .own = &own,
                                 .pool = 1,
                                 .max_queue = 10000,
                                 .max_result = 1 << 20};
    own = (struct sqlite_conf){.path = path, .statements = 16, .busy_timeout_ms = 30000};
    return 0;
}

static int stop(void **state)
{
    ev_loop_destroy(loop);
    return files_remove(state);
}

static struct backend *backend_of(unsigned threads)
{
    struct backend *b;
    struct err e;
    answered = wanted = 0;
    assert_int_equal(backend_new(&b, loop, &conf, threads, &e), 0);
    return b;
}

static void on_done(struct call *q)
{
    struct asked *a = container_of(q, struct asked, query);
    assert_false(a->done);
    a->done = true;
    if (++answered == wanted)
        ev_break(loop, EVBREAK_ALL);
}

/* params: as JSON, or NULL. */
static void ask(struct backend *b, struct asked *a, const char *sql, const char *params,
                enum call_shape shape)
{
    struct err e;
    *a = (struct asked){.query = {.text = slice_str(sql), .shape = shape, .done = on_done}};
    buf_init(&a->params, 0);
    if (params)
        assert_int_equal(json_to_mp(slice_str(params), &a->params, &e), 0);
    a->query.params = buf_slice(&a->params);
    wanted++;
    backend_submit(b, &a->query);
    assert_false(a->done); /* never inside submit */
}

static void give_up(struct backend *b, struct asked *a)
{
    backend_cancel(b, &a->query);
    buf_fini(&a->params);
    wanted--;
}

static void wait_all(void)
{
    if (answered < wanted)
        ev_run(loop, 0);
    assert_int_equal(answered, wanted);
}

static void expect_int(struct asked *a, int64_t v)
{
    struct buf expected;
    buf_init(&expected, 0);
    assert_true(a->done);
    if (a->query.code != 0)
        fail_msg("%s: %s", err_name(a->query.code), a->query.err.text);
    assert_int_equal(mpw_int(&expected, v), 0);
    assert_true(slice_eq(buf_slice(&a->query.result), buf_slice(&expected)));
    buf_fini(&expected);
    buf_fini(&a->query.result);
    buf_fini(&a->params);
}

static void expect_fault(struct asked *a, int code, const char *says)
{
    assert_true(a->done);
    assert_int_equal(a->query.code, code);
    assert_int_equal(a->query.err.code, code);
    assert_non_null(strstr(a->query.err.text, says));
    assert_int_equal(a->query.result.size, 0);
    buf_fini(&a->query.result);
    buf_fini(&a->params);
}

static void answers_each_query_with_its_own_result(void **state)
{
    (void)state;
    enum { N = 2000 };
    static struct asked asked[N];
    struct backend *b = backend_of(3);
    for (int i = 0; i < N; i++) {
        char params[32];
        snprintf(params, sizeof params, "[%d]", i);
        ask(b, &asked[i], i % 10 == 9 ? "SELECT rubbish + $1" : "SELECT $1 * 2", params,
            CALL_VALUE);
    }
    wait_all();
    for (int i = 0; i < N; i++) {
        if (i % 10 == 9)
            expect_fault(&asked[i], ERR_BACKEND, "rubbish");
        else
            expect_int(&asked[i], 2 * i);
    }
    struct backend_stats stats;
    b->ops->read_stats(b, &stats);
    assert_int_equal(stats.queries, N);
    assert_int_equal(stats.failures, N / 10);
    assert_int_equal(stats.queued + stats.in_flight, 0);
    assert_true(stats.connections >= 1 && stats.connections <= 3);
    backend_unref(b);
}

static void refuses_what_its_queue_cannot_hold(void **state)
{
    (void)state;
    struct asked asked[5];
    conf.max_queue = 2;
    struct backend *b = backend_of(1);
    for (int i = 0; i < 5; i++)
        ask(b, &asked[i], "SELECT 7", NULL, CALL_VALUE);
    struct backend_stats stats;
    b->ops->read_stats(b, &stats);
    assert_int_equal(stats.in_flight, 1);
    assert_int_equal(stats.queued, 2);
    give_up(b, &asked[4]); /* one that is to be refused may be given up as well */
    wait_all();
    for (int i = 0; i < 3; i++)
        expect_int(&asked[i], 7);
    expect_fault(&asked[3], ERR_OVERLOADED, "backend 'main': 2 queries wait already (max_queue)");
    assert_int_equal(asked[3].query.fate, CALL_UNSENT);
    assert_false(asked[4].done);
    b->ops->read_stats(b, &stats);
    assert_int_equal(stats.queries, 5);
    assert_int_equal(stats.failures, 2);
    assert_int_equal(stats.cancels, 0);
    assert_int_equal(stats.in_flight + stats.queued, 0);
    assert_int_equal(stats.connections, 1);
    assert_int_equal(stats.idle, 1);
    ask(b, &asked[0], "SELECT 8", NULL, CALL_VALUE);
    wait_all();
    expect_int(&asked[0], 8);
    backend_unref(b);
    conf.max_queue = 10000;
}

/* Returns when some other connection holds the write lock: the query that writes is running. */
static void wait_for_writer(void)
{
    sqlite3 *db;
    assert_int_equal(sqlite3_open(own.path, &db), SQLITE_OK);
    while (sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL) == SQLITE_OK) {
        sqlite3_exec(db, "ROLLBACK", NULL, NULL, NULL);
        usleep(500);
    }
    sqlite3_close(db);
}

static void stops_a_running_query_and_leaves_the_next_one_alone(void **state)
{
    (void)state;
    struct asked next;
    struct backend *b = backend_of(1);
    for (int i = 0; i < 20; i++) {
        struct asked *endless = malloc(sizeof *endless);
        char *sql = strdup("INSERT INTO t (a) " ENDLESS "SELECT i FROM n WHERE i < $1");
        ask(b, endless, sql, "[9223372036854775807]", CALL_COUNT);
        ask(b, &next, "SELECT 40 + $1", "[2]", CALL_VALUE);
        wait_for_writer();
        give_up(b, endless);
        assert_int_equal(endless->query.fate, CALL_SENT); /* nobody knows */
        memset(endless, 0xA5, sizeof *endless);           /* it is ours again at once */
        free(endless);
        free(sql);
        wait_all();
        expect_int(&next, 42);
    }
    ask(b, &next, "SELECT count(*) FROM t", NULL, CALL_VALUE);
    wait_all();
    expect_int(&next, 0); /* what was stopped left nothing */
    struct backend_stats stats;
    b->ops->read_stats(b, &stats);
    assert_int_equal(stats.cancels, 20);
    assert_int_equal(stats.connections, 1);
    assert_int_equal(stats.connects, 1);
    backend_unref(b);
}

/* What has not begun is known to have done nothing, and makes room at once. */
static void what_waits_is_taken_back_whole(void **state)
{
    (void)state;
    struct asked writer, waits[3];
    struct backend_stats stats;
    conf.max_queue = 3;
    struct backend *b = backend_of(1);
    ask(b, &writer, "INSERT INTO t (a) " ENDLESS "SELECT i FROM n", NULL, CALL_COUNT);
    wait_for_writer();
    for (int i = 0; i < 3; i++)
        ask(b, &waits[i], "SELECT 7", NULL, CALL_VALUE);
    b->ops->read_stats(b, &stats);
    assert_int_equal(stats.in_flight, 1);
    assert_int_equal(stats.queued, 3);
    assert_int_equal(stats.idle, 0);
    for (int i = 0; i < 2; i++) {
        give_up(b, &waits[i]);
        assert_int_equal(waits[i].query.fate, CALL_UNSENT);
    }
    b->ops->read_stats(b, &stats);
    assert_int_equal(stats.queued, 1);
    assert_int_equal(stats.cancels, 2);
    give_up(b, &writer);
    wait_all();
    expect_int(&waits[2], 7);
    backend_unref(b);
    conf.max_queue = 10000;
}

static void never_stops_the_wrong_query(void **state)
{
    (void)state;
    enum { N = 3000 };
    static struct asked asked[N];
    struct backend *b = backend_of(2);
    for (int i = 0; i < N; i++) {
        ask(b, &asked[i], ENDLESS "SELECT i FROM n LIMIT 1 OFFSET 300", NULL, CALL_VALUE);
        if (i % 3 == 2) { /* queued, running, or ended and on its way back */
            ev_run(loop, EVRUN_NOWAIT);
            if (!asked[i - 1].done) {
                give_up(b, &asked[i - 1]);
                memset(&asked[i - 1].query, 0xA5, sizeof asked[i - 1].query);
                asked[i - 1].query.text.size = 0;
            }
        }
    }
    wait_all();
    for (int i = 0; i < N; i++)
        if (asked[i].query.text.size > 0)
            expect_int(&asked[i], 301);
    backend_unref(b);
}

static void a_writer_does_not_stop_readers(void **state)
{
    (void)state;
    struct asked writer, reader;
    struct backend *b = backend_of(2);
    ask(b, &writer, "INSERT INTO t (a) " ENDLESS "SELECT i FROM n", NULL, CALL_COUNT);
    wait_for_writer();
    wanted = 0;
    for (int i = 0; i < 50; i++) {
        ask(b, &reader, "SELECT count(*) FROM t", NULL, CALL_VALUE);
        wait_all();
        expect_int(&reader, 0);
    }
    backend_cancel(b, &writer.query);
    backend_unref(b); /* waits until it has stopped */
}

static void gives_up_a_query_that_waits_for_a_lock(void **state)
{
    (void)state;
    sqlite3 *db;
    struct asked writer, reader;
    assert_int_equal(sqlite3_open(own.path, &db), SQLITE_OK);
    assert_int_equal(sqlite3_exec(db, "BEGIN IMMEDIATE", NULL, NULL, NULL), SQLITE_OK);
    own.busy_timeout_ms = INT_MAX; /* without the cancel the test would hang */
    struct backend *b = backend_of(1);
    ask(b, &reader, "SELECT count(*) FROM t", NULL, CALL_VALUE);
    wait_all();
    expect_int(&reader, 0);
    ask(b, &writer, "INSERT INTO t (a) VALUES (1)", NULL, CALL_COUNT);
    ask(b, &reader, "SELECT count(*) FROM t", NULL, CALL_VALUE);
    ev_run(loop, EVRUN_NOWAIT);
    usleep(20000); /* its connection was there already: it waits by now */
    give_up(b, &writer);
    wait_all();
    expect_int(&reader, 0);
    backend_unref(b);
    sqlite3_close(db);
    own.busy_timeout_ms = 30000;
}

static struct backend *to_release;

static void on_done_release(struct call *q)
{
    struct asked *a = container_of(q, struct asked, query);
    a->done = true;
    backend_unref(to_release);
    ev_break(loop, EVBREAK_ALL);
}

static void may_be_released_by_its_last_answer(void **state)
{
    (void)state;
    struct asked a;
    conf.max_queue = 0;
    for (int refused = 0; refused < 2; refused++) {
        struct asked other;
        to_release = backend_of(1);
        if (refused) {
            ask(to_release, &other, ENDLESS "SELECT max(i) FROM n", NULL, CALL_VALUE);
        }
        a = (struct asked){
            .query = {.text = slice_str("SELECT 7"), .shape = CALL_VALUE, .done = on_done_release}};
        backend_submit(to_release, &a.query);
        if (refused)
            backend_cancel(to_release, &other.query);
        ev_run(loop, 0);
        if (refused)
            expect_fault(&a, ERR_OVERLOADED, "main");
        else
            expect_int(&a, 7);
    }
    conf.max_queue = 10000;
}

static void makes_the_database_once_for_all_workers(void **state)
{
    (void)state;
    struct asked asked[8];
    const char *path = own.path;
    files_write(files_path("init.sql"), "CREATE TABLE made (a); INSERT INTO made VALUES (5);");
    own.path = files_path("made.db");
    own.init = files_path("init.sql");
    struct backend *b = backend_of(4);
    for (int i = 0; i < 8; i++)
        ask(b, &asked[i], "UPDATE made SET a = a + 1 RETURNING 9", NULL, CALL_VALUE);
    wait_all();
    for (int i = 0; i < 8; i++)
        expect_int(&asked[i], 9);
    ask(b, &asked[0], "SELECT a FROM made", NULL, CALL_VALUE);
    wait_all();
    expect_int(&asked[0], 13);
    backend_unref(b);
    own.path = path;
    own.init = NULL;
}

static void starts_without_its_database_and_says_so_to_each_query(void **state)
{
    (void)state;
    struct asked a;
    const char *path = own.path;
    own.path = files_path("none/t.db");
    struct backend *b = backend_of(1);
    ask(b, &a, "SELECT 1", NULL, CALL_VALUE);
    wait_all();
    expect_fault(&a, ERR_BACKEND_DOWN, "none/t.db");
    backend_unref(b);
    own.path = path;
}

int main(void)
{
    alarm(180); /* a test that hangs ends */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(answers_each_query_with_its_own_result),
        cmocka_unit_test(refuses_what_its_queue_cannot_hold),
        cmocka_unit_test(stops_a_running_query_and_leaves_the_next_one_alone),
        cmocka_unit_test(what_waits_is_taken_back_whole),
        cmocka_unit_test(never_stops_the_wrong_query),
        cmocka_unit_test(a_writer_does_not_stop_readers),
        cmocka_unit_test(gives_up_a_query_that_waits_for_a_lock),
        cmocka_unit_test(may_be_released_by_its_last_answer),
        cmocka_unit_test(makes_the_database_once_for_all_workers),
        cmocka_unit_test(starts_without_its_database_and_says_so_to_each_query),
    };
    return cmocka_run_group_tests(tests, start, stop);
}
