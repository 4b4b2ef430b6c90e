/* Without one of the allocations that it asks for, each part says so, and nothing is kept. No
 * server is asked. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend/backend.h"
#include "backend/postgres/pg_listen.h"
#include "backend/postgres/pg_log.h"
#include "backend/postgres/pg_options.h"
#include "backend/postgres/pg_pool.h"
#include "backend/postgres/postgres.h"

#include "faulty.h"

#include <ev.h>
#include <string.h>
#include <unistd.h>

static struct pg_conf own = {
    .url = "host=/nowhere,10.0.0.1 port=1,2 user=ann password=x",
    .pipeline = 64,
    .group = 16,
    .statements = 64,
    .prepared = true,
    .statement_age_ms = 10000,
    .connect_timeout_ms = 5000,
    .reconnect_base_ms = 20,
    .reconnect_cap_ms = 200,
};
static struct conf_backend conf = {
    .name = "main",
    .driver = &postgres_driver.conf,
    .own = &own,
    .feed = "changes",
    .pool = 3,
    .max_queue = 10,
    .max_result = 1 << 20,
};

/* libpq says nothing where it has no memory to. */
static void is_about_memory(int rc, const struct err *e)
{
    bool ours = rc == ERR_NOMEM && strstr(e->text, "no memory");
    bool libpqs =
        rc == ERR_CONFIG && (strstr(e->text, "no memory") || strstr(e->text, "out of memory"));
    if (!ours && !libpqs)
        fail_msg("%d: %s", rc, e->text);
    assert_int_equal(e->code, rc);
}

static void a_url_is_whole_or_refused(void **state)
{
    (void)state;
    int refusals = 0, rc = 0;
    struct pg_target t;
    struct err e;
    for (int64_t nth = 1;
         FAULTY_WITHOUT(nth, 0, rc = pg_target_init(&t, own.url, own.connect_timeout_ms, &e));
         nth++) {
        if (rc != 0)
            is_about_memory(rc, &e);
        refusals += rc != 0;
        pg_target_fini(&t);
    }
    assert_int_equal(rc, 0);
    assert_true(refusals > 1);
    refusals = 0;
    struct pg_hosts h;
    for (int64_t nth = 1; FAULTY_WITHOUT(nth, 0, rc = pg_target_resolve(&t, &h, &e)); nth++) {
        assert_int_equal(rc, ERR_NOMEM);
        assert_string_equal(e.text, "no memory for addresses");
        refusals++;
        pg_target_hosts_fini(&h);
    }
    assert_int_equal(refusals, 3);
    assert_int_equal(rc, 0);
    assert_string_equal(h.host.data, "/nowhere,10.0.0.1");
    pg_target_hosts_fini(&h);
    pg_target_fini(&t);
}

static void a_backend_is_whole_or_not_there(void **state)
{
    struct ev_loop *loop = *state;
    struct backend *b;
    struct err e;
    int rc = 0, refusals = 0;
    assert_int_equal(backend_new(&b, loop, &conf, 3, &e), 0); /* the loop has its room */
    backend_unref(b);
    for (int64_t nth = 1; FAULTY_WITHOUT(nth, 0, rc = backend_new(&b, loop, &conf, 3, &e)); nth++) {
        if (rc == 0) {
            backend_unref(b);
            continue;
        }
        is_about_memory(rc, &e);
        assert_int_equal(strncmp(e.text, "backend 'main': ", 16), 0);
        assert_null(b);
        refusals++;
    }
    assert_int_equal(rc, 0);
    assert_true(refusals > 2);
    backend_unref(b);
}

static void on_event(void *arg, const struct listen_up *up)
{
    (void)arg, (void)up;
}

static void a_feed_is_whole_or_not_there(void **state)
{
    struct ev_loop *loop = *state;
    const struct listen_events events = {.up = on_event};
    struct listen *l;
    struct err e;
    int rc = 0, refusals = 0;
    assert_int_equal(pg_listen_new(&l, loop, &conf, &events, &e), 0);
    listen_free(l);
    for (int64_t nth = 1; FAULTY_WITHOUT(nth, 0, rc = pg_listen_new(&l, loop, &conf, &events, &e));
         nth++) {
        if (rc == 0) {
            listen_free(l);
            continue;
        }
        is_about_memory(rc, &e);
        assert_null(l);
        refusals++;
    }
    assert_int_equal(rc, 0);
    assert_true(refusals > 1);
    listen_free(l);
}

/* A place to go on from is read with it, and given back with it. */
static void a_reader_of_a_log_is_whole_or_not_there(void **state)
{
    struct ev_loop *loop = *state;
    const struct listen_events events = {.up = on_event, .from = "nonsense"};
    struct listen *l;
    struct err e;
    int rc = 0, refusals = 0;
    own.feed_log = "shop.noted";
    own.log_keep_ms = 3600000;
    for (int64_t nth = 1; FAULTY_WITHOUT(nth, 1, rc = pg_log_new(&l, loop, &conf, &events, &e));
         nth++) {
        if (rc == 0) {
            listen_free(l);
            continue;
        }
        is_about_memory(rc, &e);
        assert_null(l);
        refusals++;
    }
    assert_int_equal(rc, 0);
    assert_true(refusals > 3);
    listen_free(l);
}

static void parameters_are_all_there_or_refused(void **state)
{
    (void)state;
    static const Oid types[] = {PG_TEXT, 1009, 1016, PG_JSONB};
    static const char packed[] = "\x94\xa1x\x92\xa1y\xc0\x92\x01\x02\x81\xa1k\x01";
    const char *const says[] = {"no memory for 4 parameters", "parameter $1: no memory for it",
                                "parameter $2: no memory for it", "parameter $3: no memory for it"};
    struct err e;
    int rc = 0;
    unsigned seen = 0;
    for (int64_t nth = 1;; nth++) {
        struct pg_params p = {.known = NULL};
        bool failed = FAULTY_WITHOUT(
            nth, 0, rc = pg_param_bind(&p, slice_of(packed, sizeof packed - 1), types, 4, &e));
        if (rc == 0) {
            assert_string_equal(p.values[3], "{\"k\":1}");
        } else {
            assert_int_equal(rc, ERR_NOMEM);
            assert_int_equal(e.code, ERR_NOMEM);
            for (size_t i = 0; i < sizeof says / sizeof *says; i++)
                seen |= (strcmp(e.text, says[i]) == 0) << i;
        }
        pg_param_fini(&p);
        if (!failed)
            break;
    }
    assert_int_equal(rc, 0);
    assert_int_equal(seen & 3, 3);
}

static void statements_are_there_or_refused(void **state)
{
    (void)state;
    struct pg_stmts s;
    struct pg_stmt *st;
    struct err e;
    int rc = 0;
    assert_true(FAULTY_WITHOUT(1, 0, rc = pg_stmt_init(&s, 5)));
    assert_int_equal(rc, ERR_NOMEM);
    pg_stmt_fini(&s);
    assert_int_equal(pg_stmt_init(&s, 5), 0);
    assert_true(FAULTY_WITHOUT(1, 0, rc = pg_stmt_add(&s, slice_str("SELECT 1"), &st, &e)));
    assert_int_equal(rc, ERR_NOMEM);
    assert_string_equal(e.text, "no memory for a statement");
    assert_int_equal(s.count, 0);
    assert_null(pg_stmt_find(&s, slice_str("SELECT 1")));
    pg_stmt_fini(&s);
}

/* So many types that the room for them grows, in an order that no list has. */
static void types_are_kept_or_refused(void **state)
{
    (void)state;
    struct pg_types t;
    pg_types_init(&t);
    int rc = 0, refusals = 0;
    for (uint32_t i = 0; i < 100; i++) {
        Oid type = 20000 + i * 37 % 100;
        char pair[16] = "\x91\x92\xcd";
        pair[3] = (char)(type >> 8);
        pair[4] = (char)type;
        pair[5] = (char)(i % 50);
        struct slice answer = slice_of(pair, 6);
        if (FAULTY_WITHOUT(1, 0, rc = pg_types_take(&t, answer))) {
            assert_int_equal(rc, ERR_NOMEM);
            assert_int_equal(t.count, i);
            assert_int_equal(pg_types_find(&t, type), PG_TEXT);
            refusals++;
            rc = pg_types_take(&t, answer);
        }
        assert_int_equal(rc, 0);
        assert_int_equal(pg_types_take(&t, answer), 0); /* twice is once */
        assert_int_equal(t.count, i + 1);
    }
    assert_int_equal(refusals, 4); /* room for 16, 32, 64, 128 */
    for (uint32_t i = 0; i < 100; i++) {
        Oid type = 20000 + i * 37 % 100;
        assert_int_equal(pg_types_find(&t, type), i % 50);
        assert_true(pg_types_know(&t, &type, 1));
    }
    assert_int_equal(pg_types_find(&t, 19999), PG_TEXT);
    assert_int_equal(pg_types_find(&t, 20100), PG_TEXT);
    assert_false(pg_types_know(&t, &(Oid){20100}, 1));
    assert_true(pg_types_know(&t, &(Oid){16383}, 1)); /* the server's own */
    assert_false(pg_types_know(&t, &(Oid){16384}, 1));
    pg_types_forget(&t);
    assert_int_equal(t.count, 0);
    assert_int_equal(t.generation, 1);
    pg_types_fini(&t);
}

static int answered;

static void on_done(struct call *q)
{
    (void)q;
    answered++;
}

static void a_query_is_taken_or_told(void **state)
{
    struct ev_loop *loop = *state;
    struct backend *b;
    struct err e;
    struct call q = {.text = slice_str("SELECT 1"), .done = on_done};
    struct backend_stats stats;
    conf.name = "main";
    assert_int_equal(backend_new(&b, loop, &conf, 1, &e), 0);
    faulty_fail_allocation(1, 0);
    backend_submit(b, &q);
    assert_true(faulty_calm());
    assert_int_equal(answered, 0); /* never inside */
    ev_run(loop, EVRUN_ONCE);
    assert_int_equal(answered, 1);
    assert_int_equal(q.code, ERR_NOMEM);
    assert_string_equal(q.err.text, "no memory for a query");
    assert_int_equal(q.fate, CALL_UNSENT);
    b->ops->read_stats(b, &stats);
    assert_int_equal(stats.queries, 1);
    assert_int_equal(stats.failures, 1);
    assert_int_equal(stats.queued, 0);
    buf_fini(&q.result);
    backend_unref(b);
}

static void on_signalled(struct pg_signal *s, const char *failure)
{
    (void)s, (void)failure;
    answered++;
}

static int next_descriptor(void)
{
    int fd = dup(0);
    close(fd);
    return fd;
}

/* A cancel that cannot be sent leaves no descriptor, and nothing that is waited for. */
static void a_cancel_is_on_its_way_or_not(void **state)
{
    struct ev_loop *loop = *state;
    struct pg_signal s;
    struct err e;
    int rc = 0, before = next_descriptor();
    pg_signal_init(&s, on_signalled);
    assert_true(FAULTY_WITHOUT(1, 0, rc = pg_signal_send(&s, loop, NULL, &e)));
    assert_int_equal(rc, ERR_NOMEM);
    assert_string_equal(e.text, "no memory for a cancel");
    assert_int_equal(pg_signal_send(&s, loop, NULL, &e), ERR_IO); /* of no connection */
    assert_string_equal(e.text, "no thread for a cancel: Cannot allocate memory");
    assert_false(pg_signal_active(&s));
    assert_int_equal(next_descriptor(), before);
    pg_signal_forget(&s, loop); /* there is none */
}

/* The driver's own question about types: those who would wait for it hear that it was not asked. */
static void a_question_about_types_is_asked_or_not(void **state)
{
    struct ev_loop *loop = *state;
    struct backend *b;
    struct err e;
    const Oid types[] = {PG_TEXT, 20001, 20000};
    assert_int_equal(backend_new(&b, loop, &conf, 1, &e), 0);
    struct pg_pool *p = (struct pg_pool *)b;
    bool waits = true;
    assert_false(pg_types_miss(p, types, 1));                              /* the server's own */
    assert_true(FAULTY_WITHOUT(1, 1, waits = pg_types_miss(p, types, 3))); /* its parameters */
    assert_false(waits);
    assert_false(p->types.asking);
    assert_true(FAULTY_WITHOUT(2, 0, waits = pg_types_miss(p, types, 3))); /* the call */
    assert_true(waits);
    assert_true(p->types.asking);
    ev_run(loop, EVRUN_ONCE);
    assert_false(p->types.asking);
    assert_int_equal(p->stats.failures, 1);
    assert_int_equal(p->conns[0].state, PG_CLOSED);
    assert_true(pg_types_miss(p, types, 3));
    assert_true(p->types.asking);
    assert_int_not_equal(p->conns[0].state, PG_CLOSED); /* it is on its way at once */
    assert_int_equal(p->queued, 1);
    assert_true(slice_eq_str(p->types.ask.params, "\x91\x92\xcd\x4e\x21\xcd\x4e\x20"));
    assert_true(pg_types_miss(p, types + 1, 1)); /* who comes later waits as well */
    assert_int_equal(p->queued, 1);
    backend_unref(b);
}

static int setup(void **state)
{
    *state = ev_default_loop(0);
    return *state ? 0 : -1;
}

static int teardown(void **state)
{
    ev_loop_destroy(*state);
    return 0;
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_url_is_whole_or_refused),
        cmocka_unit_test(a_backend_is_whole_or_not_there),
        cmocka_unit_test(a_feed_is_whole_or_not_there),
        cmocka_unit_test(a_reader_of_a_log_is_whole_or_not_there),
        cmocka_unit_test(parameters_are_all_there_or_refused),
        cmocka_unit_test(statements_are_there_or_refused),
        cmocka_unit_test(types_are_kept_or_refused),
        cmocka_unit_test(a_query_is_taken_or_told),
        cmocka_unit_test(a_cancel_is_on_its_way_or_not),
        cmocka_unit_test(a_question_about_types_is_asked_or_not),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
