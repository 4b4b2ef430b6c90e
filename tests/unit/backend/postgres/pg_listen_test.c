/* What is heard of a database: that it is up, what it tells, what it has missed, and that it is
 * down. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend/listen.h"
#include "backend/postgres/pg_listen.h"
#include "log_taken.h"
#include "pg_fixture.h"

#include <sys/socket.h>
#include <sys/un.h>

struct ear {
    struct fixture *f;
    PGconn *pg; /* another session, asked in between */
    struct listen *l;
    int ups, downs, beats, words;
    struct identity identity;
    char missed[LISTEN_MISSED], why[300], word[3][40];
    bool held;
    uint64_t wal_end;
};

static void on_up(void *arg, const struct listen_up *up)
{
    struct ear *e = arg;
    e->ups++;
    e->identity = *up->identity;
    snprintf(e->missed, sizeof e->missed, "%s", up->missed);
    assert_false(up->resumed || up->polls); /* it is told by the source */
}

static void on_notified(void *arg, struct slice payload)
{
    struct ear *e = arg;
    snprintf(e->word[e->words % 3], sizeof e->word[0], "%.*s", SLICE_ARG(payload));
    e->words++;
}

static void on_beaten(void *arg, const struct listen_beat *beat)
{
    struct ear *e = arg;
    e->beats++;
    snprintf(e->missed, sizeof e->missed, "%s", beat->missed);
    e->held = beat->held;
    e->wal_end = beat->wal_end;
    assert_int_equal(beat->lag_ms, -1);
}

static void on_down(void *arg, const char *why)
{
    struct ear *e = arg;
    e->downs++;
    snprintf(e->why, sizeof e->why, "%s", why);
}

static int begin_to_listen(struct ear *e, struct err *err)
{
    const struct listen_events events = {
        .up = on_up, .notified = on_notified, .beaten = on_beaten, .down = on_down, .arg = e};
    e->f->conf.own = &e->f->own;
    return pg_listen_new(&e->l, e->f->loop, &e->f->conf, &events, err);
}

static void ear_open(struct ear *e, const char *channel)
{
    struct err err;
    e->f->conf.feed = channel;
    if (begin_to_listen(e, &err) != 0)
        fail_msg("%s", err.text);
}

/* Until it is up for the nth time. */
static void wait_up(struct ear *e, int n)
{
    fixture_wait(e->f, &e->ups, n);
}

static void beat(struct ear *e, const char *payload, bool ask_held)
{
    assert_true(listen_notify(e->l, payload, ask_held));
    fixture_wait(e->f, &e->beats, e->beats + 1);
}

/* The value of a query, asked by the other session; valid until the next one. */
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

static int with_ear(void **state)
{
    struct fixture *f = *state;
    struct ear *e = calloc(1, sizeof *e);
    fixture_configure(f);
    f->own.reconnect_base_ms = 20;
    f->own.reconnect_cap_ms = 100;
    e->f = f;
    e->pg = PQconnectdb(f->server->url);
    *state = e;
    log_taken_begin(LOG_INFO);
    return PQstatus(e->pg) == CONNECTION_OK ? 0 : -1;
}

static int without_ear(void **state)
{
    struct ear *e = *state;
    log_taken_end();
    listen_free(e->l);
    PQfinish(e->pg);
    *state = e->f;
    free(e);
    return 0;
}

static void it_is_up_with_the_servers_identity(void **state)
{
    struct ear *e = *state;
    char line[200];
    ear_open(e, "changes");
    assert_false(listen_notify(e->l, "too early", false));
    wait_up(e, 1);
    assert_string_equal(
        e->identity.system,
        ask_beside(e, "SELECT system_identifier::text FROM pg_catalog.pg_control_system()"));
    assert_string_equal(e->identity.timeline, "00000001");
    assert_string_equal(e->identity.started,
                        ask_beside(e, "SELECT (extract(epoch FROM pg_postmaster_start_time()) * "
                                      "1000000)::bigint::text"));
    assert_true(e->identity.wal_end > 0);
    assert_string_equal(e->missed, "0/0");
    snprintf(line, sizeof line,
             "info  feed.up backend=main channel=\"changes\" identity=%s/00000001",
             e->identity.system);
    log_taken_has(line);
    assert_int_equal(e->downs, 0);
}

static void what_is_notified_is_heard_in_its_order(void **state)
{
    struct ear *e = *state;
    ear_open(e, "odd \"Channel\"");
    wait_up(e, 1);
    ask_beside(e, "SELECT pg_notify('odd \"Channel\"', 'one'), pg_notify('other', 'no'), "
                  "pg_notify('odd \"Channel\"', ''), pg_notify('odd \"Channel\"', 'three')");
    fixture_wait(e->f, &e->words, 3);
    assert_string_equal(e->word[0], "one");
    assert_string_equal(e->word[1], "");
    assert_string_equal(e->word[2], "three");
}

static void its_own_word_comes_back_and_a_beat_with_it(void **state)
{
    struct ear *e = *state;
    ear_open(e, "changes");
    wait_up(e, 1);
    for (int i = 1; i <= 3; i++) {
        assert_true(listen_notify(e->l, "alive", false));
        assert_false(listen_notify(e->l, "not yet", false));
        fixture_wait(e->f, &e->beats, i);
        fixture_wait(e->f, &e->words, i);
        assert_string_equal(e->word[(i - 1) % 3], "alive");
        assert_string_equal(e->missed, "0/0");
        assert_false(e->held);
        assert_true(e->wal_end >= e->identity.wal_end);
    }
    assert_int_equal(e->beats, 3);
    assert_null(strstr(log_taken(), "feed.heartbeat"));
}

/* Triggers leave word in a sequence, for what they could not tell. */
static void what_was_missed_is_told_at_the_start_and_with_each_beat(void **state)
{
    struct ear *e = *state;
    ask_beside(e, "CREATE SCHEMA one CREATE SEQUENCE rtcache_missed");
    ask_beside(e, "SELECT nextval('one.rtcache_missed')");
    ear_open(e, "changes");
    wait_up(e, 1);
    assert_string_equal(e->missed, "1/1");
    ask_beside(e, "CREATE SCHEMA two CREATE SEQUENCE rtcache_missed START 40");
    beat(e, "a", false);
    assert_string_equal(e->missed, "1/1");
    ask_beside(e, "SELECT nextval('two.rtcache_missed')");
    beat(e, "b", true);
    assert_string_equal(e->missed, "41/2");
    assert_false(e->held);
    ask_beside(e, "BEGIN");
    ask_beside(e, "SELECT nextval('two.rtcache_missed'), txid_current()");
    beat(e, "c", true);
    assert_true(e->held);
    assert_string_equal(e->missed, "42/2");
    beat(e, "d", false); /* nobody asks */
    assert_false(e->held);
    ask_beside(e, "ROLLBACK");
    beat(e, "e", true);
    assert_false(e->held);
    ask_beside(e, "BEGIN READ ONLY"); /* who only looks holds nothing */
    ask_beside(e, "SELECT last_value FROM two.rtcache_missed");
    beat(e, "f", true);
    assert_false(e->held);
    ask_beside(e, "ROLLBACK");
    ask_beside(e, "DROP SCHEMA one, two CASCADE");
}

static void a_dropped_one_is_down_once_and_comes_back(void **state)
{
    struct ear *e = *state;
    ear_open(e, "changes");
    listen_drop(e->l, "too early"); /* it is not up */
    wait_up(e, 1);
    for (int i = 1; i <= 2; i++) {
        listen_drop(e->l, "nobody \"answers\"");
        assert_int_equal(e->downs, i);
        assert_string_equal(e->why, "nobody \"answers\"");
        assert_false(listen_notify(e->l, "down", false));
        listen_drop(e->l, "again");
        assert_int_equal(e->downs, i);
        wait_up(e, i + 1);
        beat(e, "up", false);
    }
    assert_int_equal(log_taken_count("warn  feed.down backend=main retry_ms=20 reason=\"nobody "
                                     "\\\"answers\\\"\""),
                     2);
    assert_null(strstr(log_taken(), "too early"));
}

/* The waits double up to their cap, and begin anew once it was up. */
static void a_server_that_is_gone_is_asked_for_again(void **state)
{
    struct ear *e = *state;
    ear_open(e, "changes");
    wait_up(e, 1);
    for (int round = 1; round <= 2; round++) {
        assert_int_equal(pg_server_stop(e->f->server, "immediate"), 0);
        fixture_wait(e->f, &e->downs, round);
        assert_int_equal(strncmp(e->why, "the feed's connection broke: ", 29), 0);
        while (log_taken_count("retry_ms=100 ") < 2 * round)
            ev_run(e->f->loop, EVRUN_ONCE);
        assert_int_equal(log_taken_count("retry_ms=20 reason=\"the feed's connection broke: "),
                         round);
        assert_int_equal(log_taken_count("retry_ms=40 reason=\"the feed cannot connect: "), round);
        assert_int_equal(log_taken_count("retry_ms=80 reason=\"the feed cannot connect: "), round);
        assert_int_equal(e->downs, round);
        assert_int_equal(pg_server_start(e->f->server), 0);
        wait_up(e, round + 1);
        beat(e, "up", false);
    }
    PQfinish(e->pg);
    e->pg = NULL;
}

static void a_server_that_says_nothing_has_connect_timeout(void **state)
{
    struct ear *e = *state;
    struct sockaddr_un path = {.sun_family = AF_UNIX};
    char folder[] = "/tmp/rtcache-mute-XXXXXX", url[128];
    assert_non_null(mkdtemp(folder));
    snprintf(path.sun_path, sizeof path.sun_path, "%s/.s.PGSQL.5432", folder);
    int fd = socket(AF_UNIX, SOCK_STREAM, 0);
    assert_int_equal(bind(fd, (struct sockaddr *)&path, sizeof path), 0);
    assert_int_equal(listen(fd, 5), 0);
    snprintf(url, sizeof url, "postgresql:///x?host=%s", folder);
    e->f->own.url = url;
    e->f->own.connect_timeout_ms = 50;
    ear_open(e, "changes");
    while (log_taken_count("reason=\"the feed was not up within connect_timeout\"") < 2)
        ev_run(e->f->loop, EVRUN_ONCE);
    assert_int_equal(e->downs, 0);
    assert_int_equal(e->ups, 0);
    listen_free(e->l);
    e->l = NULL;
    close(fd);
    unlink(path.sun_path);
    rmdir(folder);
}

static void a_name_is_looked_up_at_every_try(void **state)
{
    struct ear *e = *state;
    e->f->own.url = "host=localhost,127.0.0.1 port=1,1 user=x password=geheim";
    ear_open(e, "changes");
    while (log_taken_count("reason=\"the feed cannot connect: ") < 2)
        ev_run(e->f->loop, EVRUN_ONCE);
    log_taken_has("127.0.0.1");
    assert_null(strstr(log_taken(), "geheim"));
    assert_int_equal(e->downs, 0);
    listen_free(e->l);
    e->f->own.url = "host=no.such.name.invalid";
    ear_open(e, "changes");
    while (log_taken_count("reason=\"host name no.such.name.invalid: ") < 2)
        ev_run(e->f->loop, EVRUN_ONCE);
    log_taken_has("feed.down backend=main retry_ms=20 reason=\"host name");
    log_taken_has("feed.down backend=main retry_ms=40 reason=\"host name");
}

static void a_part_that_may_not_be_read_is_unknown(void **state)
{
    struct ear *e = *state;
    char url[300];
    ask_beside(e, "CREATE ROLE limited LOGIN");
    ask_beside(e, "REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC");
    ask_beside(e, "REVOKE SELECT ON pg_sequences FROM PUBLIC");
    snprintf(url, sizeof url, "postgresql:///postgres?host=%s&user=limited", e->f->server->folder);
    e->f->own.url = url;
    ear_open(e, "changes");
    wait_up(e, 1);
    assert_string_equal(e->identity.system, "");
    assert_string_equal(e->identity.timeline, "00000001");
    assert_string_equal(e->missed, "");
    log_taken_has("info  feed.identity backend=main reason=\"42501 permission denied for function "
                  "pg_control_system\"");
    log_taken_has("channel=\"changes\" identity=?/00000001");
    beat(e, "alive", true); /* nothing is asked of what cannot be read */
    assert_string_equal(e->missed, "");
    assert_false(e->held);
    assert_true(e->wal_end > 0);
    ask_beside(e, "GRANT EXECUTE ON FUNCTION pg_control_system() TO PUBLIC");
    ask_beside(e, "GRANT SELECT ON pg_sequences TO PUBLIC");
    ask_beside(e, "DROP ROLE limited");
}

static void a_beat_that_is_refused_leaves_it_up(void **state)
{
    struct ear *e = *state;
    char payload[9000];
    memset(payload, 'x', sizeof payload);
    payload[sizeof payload - 1] = '\0';
    ear_open(e, "changes");
    wait_up(e, 1);
    assert_true(listen_notify(e->l, payload, false));
    while (log_taken_count("feed.heartbeat") == 0)
        ev_run(e->f->loop, EVRUN_ONCE);
    log_taken_has("warn  feed.heartbeat backend=main reason=\"22023 payload string too long\"");
    while (!listen_notify(e->l, "short", false))
        ev_run(e->f->loop, EVRUN_ONCE);
    fixture_wait(e->f, &e->words, 1);
    fixture_wait(e->f, &e->beats, 1);
    assert_int_equal(e->downs, 0);
}

static void a_url_that_cannot_be_read_is_an_error(void **state)
{
    struct ear *e = *state;
    struct err err;
    static const char *const bad[] = {"host=x nope", "host=x port=0"}; /* libpq's word, and ours */
    for (int i = 0; i < 2; i++) {
        e->f->own.url = bad[i];
        e->l = (struct listen *)e;
        assert_int_equal(begin_to_listen(e, &err), ERR_CONFIG);
        assert_null(e->l);
        assert_int_equal(strncmp(err.text, "the url cannot be read: ", 24), 0);
    }
}

/* At once, while it connects, while it asks, and when it is up: nothing is told any more. */
static void it_may_end_at_every_step(void **state)
{
    struct ear *e = *state;
    for (int steps = 0; e->ups == 0; steps++) {
        ear_open(e, "changes");
        for (int i = 0; i < steps && e->ups == 0; i++)
            ev_run(e->f->loop, EVRUN_ONCE);
        listen_free(e->l);
        e->l = NULL;
    }
    ev_run(e->f->loop, EVRUN_NOWAIT);
    assert_int_equal(e->ups, 1);
    assert_int_equal(e->downs, 0);
}

#define EAR(name) cmocka_unit_test_setup_teardown(name, with_ear, without_ear)

static struct fixture *shared;

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
        EAR(it_is_up_with_the_servers_identity),
        EAR(what_is_notified_is_heard_in_its_order),
        EAR(its_own_word_comes_back_and_a_beat_with_it),
        EAR(what_was_missed_is_told_at_the_start_and_with_each_beat),
        EAR(a_dropped_one_is_down_once_and_comes_back),
        EAR(a_server_that_says_nothing_has_connect_timeout),
        EAR(a_name_is_looked_up_at_every_try),
        EAR(a_part_that_may_not_be_read_is_unknown),
        EAR(a_beat_that_is_refused_leaves_it_up),
        EAR(a_url_that_cannot_be_read_is_an_error),
        EAR(it_may_end_at_every_step),
        EAR(a_server_that_is_gone_is_asked_for_again),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
