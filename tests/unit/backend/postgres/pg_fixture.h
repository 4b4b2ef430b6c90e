/*
 * pg_fixture: a backend on a loop of its own against a pg_server, and queries that are waited for.
 */
#ifndef RTCACHE_TESTS_BACKEND_PG_FIXTURE_H
#define RTCACHE_TESTS_BACKEND_PG_FIXTURE_H

#include "backend/backend.h"
#include "backend/postgres/pg_options.h"
#include "backend/postgres/pg_pool.h"
#include "backend/postgres/postgres.h"
#include "backend/sql.h"
#include "pg_server.h"
#include "wire/json.h"
#include "wire/mp.h"
#include "wire/mpw.h"

#include <stdint.h>

#define WATCHDOG_S 60 /* a test that hangs fails, and says so */

struct fixture {
    struct pg_server *server;
    struct ev_loop *loop;
    struct backend *backend;
    struct conf_backend conf;
    struct pg_conf own;
};

/* A query and its answer. */
struct ask {
    struct call q;
    struct buf params;
    int done;
    struct ask *next; /* asked when this one is done */
    struct backend *backend;
};

static inline void fixture_configure(struct fixture *f)
{
    f->own = (struct pg_conf){
        .url = f->server->url,
        .pipeline = 64,
        .group = 16,
        .statements = 64,
        .prepared = true,
        .statement_age_ms = 10000,
        .connect_timeout_ms = 5000,
        .reconnect_base_ms = 20,
        .reconnect_cap_ms = 200,
    };
    f->conf = (struct conf_backend){
        .name = "main",
        .driver = &postgres_driver.conf,
        .own = &f->own,
        .pool = 2,
        .max_queue = 100000,
        .max_result = 1 << 20,
    };
}

static inline void fixture_on_watchdog(struct ev_loop *loop, struct ev_timer *timer, int events)
{
    (void)loop, (void)timer, (void)events;
    fail_msg("nothing happened for %d s", WATCHDOG_S);
}

/* Runs the loop until *count reaches want. */
static inline void fixture_wait(struct fixture *f, const int *count, int want)
{
    struct ev_timer watchdog;
    ev_now_update(f->loop);
    ev_timer_init(&watchdog, fixture_on_watchdog, WATCHDOG_S, 0);
    ev_timer_start(f->loop, &watchdog);
    while (*count < want)
        ev_run(f->loop, EVRUN_ONCE);
    ev_timer_stop(f->loop, &watchdog);
}

static inline void ask_done(struct call *q)
{
    struct ask *a = container_of(q, struct ask, q);
    a->done++;
    if (a->next)
        backend_submit(a->backend, &a->next->q);
    ev_break(ev_default_loop(0), EVBREAK_ONE);
}

/* params: JSON text of an array, or NULL. */
static inline void ask_init(struct ask *a, enum call_shape shape, const char *sql,
                            const char *params)
{
    memset(a, 0, sizeof *a);
    buf_init(&a->params, 0);
    if (params)
        assert_int_equal(json_to_mp(slice_str(params), &a->params, NULL), 0);
    a->q.text = slice_str(sql);
    a->q.params = buf_slice(&a->params);
    a->q.shape = shape;
    a->q.done = ask_done;
}

static inline void ask_fini(struct ask *a)
{
    buf_fini(&a->params);
    buf_fini(&a->q.result);
}

static inline void ask_send(struct fixture *f, struct ask *a)
{
    a->backend = f->backend;
    backend_submit(f->backend, &a->q);
}

static inline void ask_wait(struct fixture *f, struct ask *a)
{
    ask_send(f, a);
    fixture_wait(f, &a->done, 1);
}

/* The result as JSON; "nothing" where no row was found. */
static inline void result_is(const struct call *q, const char *want)
{
    struct buf text;
    struct err e;
    if (q->code != 0)
        fail_msg("%s %s", err_name(q->code), q->err.text);
    buf_init(&text, 0);
    if ((q->shape == CALL_ROW || q->shape == CALL_VALUE) && !q->found)
        assert_int_equal(buf_append(&text, "nothing", 7), 0);
    else if (json_from_mp(buf_slice(&q->result), &text, &e) != 0)
        fail_msg("%s", e.text);
    assert_int_equal(buf_append(&text, "", 1), 0);
    assert_string_equal(text.data, want);
    buf_fini(&text);
}

static inline void gives(struct fixture *f, enum call_shape shape, const char *sql,
                         const char *params, const char *want)
{
    struct ask a;
    ask_init(&a, shape, sql, params);
    ask_wait(f, &a);
    result_is(&a.q, want);
    ask_fini(&a);
}

/* part: what the message holds */
static inline void fails(struct fixture *f, enum call_shape shape, const char *sql,
                         const char *params, int code, const char *part)
{
    struct ask a;
    ask_init(&a, shape, sql, params);
    ask_wait(f, &a);
    assert_string_equal(err_name(a.q.code), err_name(code));
    assert_int_equal(a.q.err.code, code);
    if (!strstr(a.q.err.text, part))
        fail_msg("'%s' is not in '%s'", part, a.q.err.text);
    ask_fini(&a);
}

static inline void fixture_open(struct fixture *f, unsigned share)
{
    struct err e;
    f->conf.own = &f->own; /* also where the fixture is a copy */
    if (backend_new(&f->backend, f->loop, &f->conf, share, &e) != 0)
        fail_msg("%s", e.text);
}

/* The fixture with the settings of fixture_configure, and a backend with so many connections. */
static inline struct fixture *opened(void **state, unsigned share)
{
    struct fixture *f = *state;
    fixture_configure(f);
    fixture_open(f, share);
    return f;
}

static inline struct backend_stats stats(const struct fixture *f)
{
    struct backend_stats s;
    f->backend->ops->read_stats(f->backend, &s);
    return s;
}

/* As if it had been shown that every statement so far reads tables alone. */
static inline void fixture_share(const struct fixture *f)
{
    struct pg_pool *p = (struct pg_pool *)f->backend;
    for (unsigned i = 0; i < p->conn_count; i++)
        list_for_each (it, &p->conns[i].stmts.lru) {
            struct pg_stmt *st = container_of(it, struct pg_stmt, lru);
            st->pure.state = PG_PURE_NEVER; /* nobody asks, and takes it back */
            st->plain = true;
        }
}

static inline void fixture_close(struct fixture *f)
{
    backend_unref(f->backend);
    f->backend = NULL;
}

static inline int fixture_setup(void **state)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->server = pg_server_new();
    if (!f->server) {
        free(f);
        return -1;
    }
    f->loop = ev_default_loop(0);
    fixture_configure(f);
    *state = f;
    return 0;
}

static inline int fixture_teardown(void **state)
{
    struct fixture *f = *state;
    pg_server_free(f->server);
    ev_loop_destroy(f->loop);
    free(f);
    return 0;
}

#endif
