#include "server/registry_look.h"

#include "backend/sql.h"

#include <string.h>

static void end(struct registry_look *l, struct registry_rows *rows, const struct err *e)
{
    l->asking = l->sent = false;
    ev_timer_stop(l->loop, &l->limit);
    l->done(l, rows, e);
}

static void on_answer(struct call *q)
{
    struct registry_look *l = container_of(q, struct registry_look, call);
    struct registry_rows *rows = NULL;
    struct err e = q->err;
    if (q->code == 0)
        (void)!registry_rows_read(&rows, buf_slice(&q->result), &e);
    buf_fini(&q->result);
    end(l, rows, rows ? NULL : &e);
}

/* The result of a call that was given up is its owner's as well. */
static void give_up(struct registry_look *l)
{
    if (!l->sent)
        return;
    backend_cancel(l->backend, &l->call);
    buf_fini(&l->call.result);
    l->sent = false;
}

/* Also where there is nobody to be asked. */
static void on_limit(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct registry_look *l = timer->data;
    struct err e = l->call.err;
    if (l->sent)
        err_set(&e, ERR_TIMEOUT, "no answer within %lld ms (timeout)",
                (long long)l->of->registry.timeout_ms);
    give_up(l);
    end(l, NULL, &e);
}

static int open_source(struct registry_look *l, struct conf *conf, struct err *e)
{
    if (l->backend)
        return 0;
    struct conf_backend b = conf->backends[conf_backend_index(conf, conf->registry.backend)];
    b.max_result = REGISTRY_LOOK_BYTES;
    buf_clear(&l->sql);
    int rc = registry_rows_query(&l->sql, conf->registry.table, e);
    return rc != 0 ? rc : backend_new(&l->backend, l->loop, &b, 1, e);
}

void registry_look_begin(struct registry_look *l, struct conf *conf)
{
    struct err e;
    int64_t limit_ms = conf->registry.timeout_ms;
    conf_ref(conf); /* the backend borrows from the first of them, and has the last while it asks */
    conf_unref(l->of);
    l->of = conf;
    l->asking = true;
    l->call = (struct call){.verb = SQL_ROWS, .shape = CALL_ROWS, .done = on_answer};
    l->sent = open_source(l, conf, &e) == 0;
    if (l->sent) {
        l->call.text = slice_of(l->sql.data, l->sql.size - 1);
        backend_submit(l->backend, &l->call);
    } else {
        l->call.err = e;
        limit_ms = 0;
    }
    ev_now_update(l->loop);
    ev_timer_set(&l->limit, (double)limit_ms / 1e3, 0.);
    ev_timer_start(l->loop, &l->limit);
}

bool registry_look_is_of(const struct registry_look *l, const struct conf *conf)
{
    const struct conf *of = l->of;
    if (!of || !conf->registry.backend)
        return false;
    int i = conf_backend_index(of, of->registry.backend);
    int k = conf_backend_index(conf, conf->registry.backend);
    return conf_backend_same(&of->backends[i], &conf->backends[k]) &&
           strcmp(of->registry.table, conf->registry.table) == 0;
}

void registry_look_init(struct registry_look *l, struct ev_loop *loop,
                        void (*done)(struct registry_look *l, struct registry_rows *rows,
                                     const struct err *e))
{
    *l = (struct registry_look){.loop = loop, .done = done};
    buf_init(&l->sql, 0);
    ev_timer_init(&l->limit, on_limit, 0., 0.);
    l->limit.data = l;
}

void registry_look_close(struct registry_look *l)
{
    ev_timer_stop(l->loop, &l->limit);
    give_up(l);
    backend_unref(l->backend);
    conf_unref(l->of);
    buf_fini(&l->sql);
    buf_init(&l->sql, 0);
    l->backend = NULL;
    l->of = NULL;
    l->asking = false;
}
