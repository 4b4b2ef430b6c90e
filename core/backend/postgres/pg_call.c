#include "backend/postgres/pg_call.h"

#include "backend/postgres/pg_queue.h"

#include <stdlib.h>

struct pg_call *pg_call_new(struct pg_pool *p, struct call *q)
{
    call_reset(q, p->max_result);
    p->stats.queries++;
    struct pg_call *call = calloc(1, sizeof *call);
    if (!call) {
        pg_queue_end(p, q, err_set(&q->err, ERR_NOMEM, "no memory for a query"));
        return NULL;
    }
    call->q = q;
    q->driver = call;
    return call;
}

void pg_call_finish(struct pg_call *call, int code)
{
    struct pg_conn *c = call->conn;
    c->in_air--;
    if (call->stmt)
        pg_stmt_unref(call->stmt);
    if (call->q)
        pg_queue_end(c->pool, call->q, code);
    free(call);
}

void pg_call_renew(struct pg_call *call)
{
    struct call *q = call->q;
    call->redo = 0;
    call->doubt = PG_SURE;
    call->parses = false;
    buf_fini(&q->result);
    call_reset(q, call->conn->pool->max_result);
    q->driver = call;
}

void pg_call_give_back(struct pg_call *call)
{
    struct pg_pool *p = call->conn->pool;
    pg_call_renew(call);
    call->conn->in_air--;
    if (call->stmt)
        pg_stmt_unref(call->stmt);
    call->stmt = NULL;
    pg_queue_again(p, call);
}

void pg_call_await_types(struct pg_call *call)
{
    struct pg_pool *p = call->conn->pool;
    call->conn->in_air--;
    if (call->stmt)
        pg_stmt_unref(call->stmt);
    call->stmt = NULL;
    pg_queue_await_types(p, call);
}
