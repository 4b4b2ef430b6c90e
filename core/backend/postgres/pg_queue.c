#include "backend/postgres/pg_queue.h"

void pg_queue_end(struct pg_pool *p, struct call *q, int code)
{
    q->code = code;
    q->err.code = code;
    q->driver = NULL;
    if (code != 0) {
        p->stats.failures++;
        q->found = false;
        buf_clear(&q->result);
    }
    list_push_back(&p->ended, &q->link);
    if (!ev_is_active(&p->deliver))
        ev_idle_start(p->loop, &p->deliver);
}

/* What ends while done runs is for the next turn, so that a query that fails at once and is asked
 * again at once does not keep the loop. */
void pg_queue_deliver(struct pg_pool *p)
{
    struct list batch, *link;
    list_init(&batch);
    list_splice(&batch, &p->ended);
    ev_idle_stop(p->loop, &p->deliver);
    backend_ref(&p->base);
    while ((link = list_pop_front(&batch)) != NULL) {
        struct call *q = container_of(link, struct call, link);
        q->done(q);
    }
    backend_unref(&p->base);
}

void pg_queue_again(struct pg_pool *p, struct pg_call *call)
{
    call->state = PG_CALL_QUEUED;
    call->conn = NULL;
    list_push_front(&p->queue, &call->step.link);
    p->queued++;
}

void pg_queue_await_types(struct pg_pool *p, struct pg_call *call)
{
    call->state = PG_CALL_QUEUED;
    call->conn = NULL;
    list_push_back(&p->types.waiting, &call->step.link);
    p->queued++;
}

struct pg_call *pg_queue_pop(struct pg_pool *p)
{
    p->queued--;
    return container_of(list_pop_front(&p->queue), struct pg_call, step.link);
}
