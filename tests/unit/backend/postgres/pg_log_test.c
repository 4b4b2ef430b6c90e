/* What is read from a log's table: rows by their commits, from where it was left, and what is told
 * where that cannot be. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend/listen.h"
#include "backend/postgres/pg_log.h"
#include "log_taken.h"
#include "pg_fixture.h"

struct ear {
    struct fixture *f;
    PGconn *pg; /* another session, asked in between */
    struct listen *l;
    int ups, downs, beats, moves, words, words_before_up;
    bool resumed, held;
    int64_t lag_ms;
    char system[24], missed[LISTEN_MISSED], why[300], all[500], position[500];
};

static void on_up(void *arg, const struct listen_up *up)
{
    struct ear *e = arg;
    e->ups++;
    e->resumed = up->resumed;
    e->words_before_up = e->words;
    assert_true(up->polls);
    snprintf(e->system, sizeof e->system, "%s", up->identity->system);
    snprintf(e->missed, sizeof e->missed, "%s", up->missed);
}

static void on_notified(void *arg, struct slice payload)
{
    struct ear *e = arg;
    size_t n = strlen(e->all);
    snprintf(e->all + n, sizeof e->all - n, "%.*s ", SLICE_ARG(payload));
    e->words++;
}

static void on_beaten(void *arg, const struct listen_beat *beat)
{
    struct ear *e = arg;
    e->beats++;
    e->held = beat->held;
    e->lag_ms = beat->lag_ms;
    assert_true(beat->wal_end > 0);
    snprintf(e->missed, sizeof e->missed, "%s", beat->missed);
}

static void on_moved(void *arg)
{
    struct ear *e = arg;
    struct buf out;
    buf_init(&out, 0);
    if (listen_position(e->l, &out))
        snprintf(e->position, sizeof e->position, "%.*s", (int)out.size, out.data);
    buf_fini(&out);
    e->moves++;
}

static void on_down(void *arg, const char *why)
{
    struct ear *e = arg;
    e->downs++;
    snprintf(e->why, sizeof e->why, "%s", why);
}

static int begin_to_read(struct ear *e, const char *from, struct err *err)
{
    const struct listen_events events = {.up = on_up,
                                         .notified = on_notified,
                                         .beaten = on_beaten,
                                         .moved = on_moved,
                                         .down = on_down,
                                         .arg = e,
                                         .from = from};
    return pg_log_new(&e->l, e->f->loop, &e->f->conf, &events, err);
}

static void ear_open(struct ear *e, const char *from)
{
    struct err err;
    if (begin_to_read(e, from, &err) != 0)
        fail_msg("%s", err.text);
    assert_true(listen_has_positions(e->l));
}

static const char *ask_beside(struct ear *e, const char *sql)
{
    static char text[200];
    PGresult *res = PQexec(e->pg, sql);
    ExecStatusType status = PQresultStatus(res);
    if (status != PGRES_TUPLES_OK && status != PGRES_COMMAND_OK)
        fail_msg("%s: %s", sql, PQresultErrorMessage(res));
    snprintf(text, sizeof text, "%s", PQntuples(res) > 0 ? PQgetvalue(res, 0, 0) : "");
    PQclear(res);
    return text;
}

static void write_row(struct ear *e, const char *channel, const char *event)
{
    char sql[200];
    snprintf(sql, sizeof sql, "INSERT INTO noted (channel, e) VALUES ('%s', '%s')", channel, event);
    ask_beside(e, sql);
}

static struct fixture *shared;

static int with_ear(void **state)
{
    struct fixture *f = shared;
    struct ear *e = calloc(1, sizeof *e);
    fixture_configure(f);
    f->own.feed_log = "noted";
    f->own.feed_poll_ms = 5;
    f->own.feed_poll_idle_ms = 20;
    f->own.log_keep_ms = 3600000;
    f->conf.feed = "changes";
    f->conf.feed_heartbeat_ms = 10000;
    e->f = f;
    e->pg = PQconnectdb(f->server->url);
    *state = e;
    log_taken_begin(LOG_INFO);
    if (PQstatus(e->pg) != CONNECTION_OK)
        return -1;
    ask_beside(e, "CREATE TABLE noted (channel text, e text, xid xid8 DEFAULT "
                  "pg_current_xact_id())");
    ask_beside(e, "CREATE TABLE noted_meta AS SELECT 'one' AS id, 0::bigint AS purged_below");
    ask_beside(e, "CREATE TABLE purges (keep interval, most int)");
    ask_beside(e, "CREATE FUNCTION noted_purge(i interval, n int) RETURNS bigint LANGUAGE sql AS "
                  "$$ INSERT INTO purges VALUES (i, n); SELECT 0::bigint $$");
    return 0;
}

static int without_ear(void **state)
{
    struct ear *e = *state;
    log_taken_end();
    listen_free(e->l);
    ask_beside(e, "DROP TABLE noted, noted_meta, purges; DROP FUNCTION noted_purge");
    PQfinish(e->pg);
    free(e);
    return 0;
}

static void rows_of_its_channel_are_told(void **state)
{
    struct ear *e = *state;
    write_row(e, "changes", "before"); /* nobody listened */
    ear_open(e, NULL);
    assert_false(listen_notify(e->l, "x", false)); /* the polls are its heartbeats */
    fixture_wait(e->f, &e->ups, 1);
    assert_false(e->resumed);
    assert_string_equal(e->system,
                        ask_beside(e, "SELECT system_identifier::text FROM pg_control_system()"));
    assert_string_equal(e->missed, "0/0");
    log_taken_has("feed.up backend=main channel=\"changes\" log=\"noted\" identity=");
    log_taken_has(" resumed=false\n");
    write_row(e, "changes", "one");
    write_row(e, "other", "no");
    write_row(e, "changes", "two");
    fixture_wait(e->f, &e->words, 2);
    assert_string_equal(e->all, "one two ");
    fixture_wait(e->f, &e->beats, 1);
    assert_true(e->lag_ms >= 0);
    assert_false(e->held);
    assert_int_equal(e->downs, 0);
}

/* By its commit, not by when it began. */
static void a_transaction_that_ends_late_is_told_when_it_has(void **state)
{
    struct ear *e = *state;
    ear_open(e, NULL);
    fixture_wait(e->f, &e->ups, 1);
    PGconn *late = PQconnectdb(e->f->server->url);
    PQclear(PQexec(late, "BEGIN"));
    PQclear(PQexec(late, "INSERT INTO noted (channel, e) VALUES ('changes', 'late')"));
    write_row(e, "changes", "early");
    fixture_wait(e->f, &e->words, 1);
    int moves = e->moves;
    fixture_wait(e->f, &e->moves, moves + 2);
    assert_string_equal(e->all, "early ");
    PQclear(PQexec(late, "COMMIT"));
    fixture_wait(e->f, &e->words, 2);
    assert_string_equal(e->all, "early late ");
    moves = e->moves;
    fixture_wait(e->f, &e->moves, moves + 2);
    assert_int_equal(e->words, 2); /* each once */
    PQfinish(late);
}

static void it_goes_on_from_where_it_was(void **state)
{
    struct ear *e = *state;
    char position[500];
    ear_open(e, NULL);
    fixture_wait(e->f, &e->moves, 1);
    write_row(e, "changes", "one");
    fixture_wait(e->f, &e->words, 1);
    int moves = e->moves;
    fixture_wait(e->f, &e->moves, moves + 1);
    snprintf(position, sizeof position, "%s", e->position);
    listen_free(e->l);
    write_row(e, "changes", "two");
    write_row(e, "changes", "three");
    e->all[0] = '\0';
    ear_open(e, position);
    fixture_wait(e->f, &e->ups, 2);
    assert_true(e->resumed);
    assert_int_equal(e->words_before_up, 3); /* all that came meanwhile */
    assert_string_equal(e->all, "two three ");
    log_taken_has(" resumed=true\n");
    listen_drop(e->l, "nobody \"answers\"");
    assert_int_equal(e->downs, 1);
    assert_string_equal(e->why, "nobody \"answers\"");
    listen_drop(e->l, "again"); /* it is down */
    assert_int_equal(e->downs, 1);
    write_row(e, "changes", "four");
    fixture_wait(e->f, &e->ups, 3);
    assert_true(e->resumed);
    assert_string_equal(e->all, "two three four ");
}

static void what_is_no_position_means_from_now_on(void **state)
{
    struct ear *e = *state;
    write_row(e, "changes", "before");
    ear_open(e, "nonsense");
    log_taken_has("warn  feed.position backend=main reason=\"it is none of a log\"\n");
    fixture_wait(e->f, &e->ups, 1);
    assert_false(e->resumed);
    assert_int_equal(e->words, 0);
}

static void a_gap_is_told_with_its_reason(void **state)
{
    static const struct {
        const char *change, *why;
    } gaps[] = {
        {"UPDATE noted_meta SET id = 'two'", "the log is another one, or somebody emptied it"},
        {"UPDATE noted_meta SET purged_below = (pg_current_xact_id()::text::bigint + 1000)",
         "what was not read yet is purged"},
    };
    struct ear *e = *state;
    ear_open(e, NULL);
    fixture_wait(e->f, &e->ups, 1);
    for (int i = 0; i < 2; i++) {
        char line[200];
        int downs = e->downs, ups = e->ups;
        ask_beside(e, gaps[i].change);
        fixture_wait(e->f, &e->downs, downs + 1);
        assert_string_equal(e->why, gaps[i].why);
        snprintf(line, sizeof line, "warn  feed.gap backend=main reason=\"%s\"\n", gaps[i].why);
        log_taken_has(line);
        fixture_wait(e->f, &e->ups, ups + 1);
        assert_false(e->resumed);
    }
}

static void a_log_without_its_row_is_down(void **state)
{
    struct ear *e = *state;
    ask_beside(e, "DELETE FROM noted_meta");
    ear_open(e, NULL);
    while (log_taken_count("reason=\"the log's table of one row has none\"") < 2)
        ev_run(e->f->loop, EVRUN_ONCE);
    assert_int_equal(e->ups, 0);
    ask_beside(e, "INSERT INTO noted_meta VALUES ('one', 0)");
    fixture_wait(e->f, &e->ups, 1);
    ask_beside(e, "ALTER TABLE noted RENAME TO gone");
    fixture_wait(e->f, &e->downs, 1);
    assert_string_equal(e->why, "42P01 relation \"noted\" does not exist");
    ask_beside(e, "ALTER TABLE gone RENAME TO noted");
    fixture_wait(e->f, &e->ups, 2);
    assert_true(e->resumed);
}

/* After a second at the earliest, and with what it is told to keep. */
static void old_rows_are_purged(void **state)
{
    struct ear *e = *state;
    e->f->own.log_keep_ms = 5000;
    ear_open(e, NULL);
    fixture_wait(e->f, &e->ups, 1);
    int moves = e->moves;
    while (strcmp(ask_beside(e, "SELECT count(*) FROM purges"), "0") == 0)
        fixture_wait(e->f, &e->moves, ++moves);
    assert_string_equal(ask_beside(e, "SELECT keep || ' ' || most FROM purges"), "00:00:05 10000");
    moves = e->moves;
    fixture_wait(e->f, &e->moves, moves + 1); /* and the polls go on */
    assert_int_equal(e->downs, 0);
}

static void what_is_no_name_is_refused(void **state)
{
    struct ear *e = *state;
    struct err err;
    e->f->own.feed_log = "a.b.c.d";
    e->l = (struct listen *)e;
    assert_int_not_equal(begin_to_read(e, NULL, &err), 0);
    assert_null(e->l);
    e->f->own.feed_log = "noted";
    e->f->own.url = "host=x port=0";
    assert_int_equal(begin_to_read(e, NULL, &err), ERR_CONFIG);
    assert_null(e->l);
}

#define EAR(name) cmocka_unit_test_setup_teardown(name, with_ear, without_ear)

static int setup(void **state)
{
    int rc = fixture_setup(state);
    shared = *state;
    return rc;
}

static int teardown(void **state)
{
    *state = shared;
    return fixture_teardown(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        EAR(rows_of_its_channel_are_told),  EAR(a_transaction_that_ends_late_is_told_when_it_has),
        EAR(it_goes_on_from_where_it_was),  EAR(what_is_no_position_means_from_now_on),
        EAR(a_gap_is_told_with_its_reason), EAR(a_log_without_its_row_is_down),
        EAR(old_rows_are_purged),           EAR(what_is_no_name_is_refused),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
