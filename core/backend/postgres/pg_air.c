#include "backend/postgres/pg_air.h"

#include "backend/postgres/pg_call.h"

#include <stdlib.h>

bool pg_air_has_client(const struct pg_stmt *st)
{
    list_for_each (it, &st->waiting) {
        if (!container_of(it, struct pg_call, step.link)->own)
            return true;
    }
    return false;
}

void pg_air_fail_waiting(struct pg_stmt *st, const struct err *why)
{
    struct list *link;
    st->describing = false;
    while ((link = list_pop_front(&st->waiting)) != NULL) {
        struct pg_call *call = container_of(link, struct pg_call, step.link);
        if (call->doubt == PG_DOUBT_TYPES) { /* it has an error of its own */
            pg_call_finish(call, call->q->code);
        } else {
            call->q->err = *why;
            pg_call_finish(call, why->code);
        }
    }
}

void pg_air_fail(struct pg_conn *c, const struct err *why)
{
    struct list *link;
    c->at = NULL;
    c->grouped = 0;
    c->grouped_bytes = 0;
    c->full = false;
    c->group_failed = false;
    while ((link = list_pop_front(&c->steps)) != NULL) {
        struct pg_step *step = container_of(link, struct pg_step, link);
        struct pg_call *call = container_of(step, struct pg_call, step);
        struct pg_stmt *st = container_of(step, struct pg_stmt, step);
        switch (step->kind) {
        case PG_STEP_RUN:
            if (call->q && call->q->code == 0)
                call->q->err = *why;
            pg_call_finish(call, call->q ? call->q->err.code : 0);
            break;
        case PG_STEP_DESCRIBE:
            pg_air_fail_waiting(st, why);
            pg_stmt_unref(st);
            break;
        case PG_STEP_CLOSE: free(step); break;
        }
    }
}

/* What waits for a description with no error of its own. */
static void hand_over_waiting(struct pg_stmt *st)
{
    list_for_each_safe (link, next, &st->waiting) {
        struct pg_call *call = container_of(link, struct pg_call, step.link);
        if (call->doubt != PG_SURE)
            continue;
        list_remove(link);
        pg_call_give_back(call);
    }
}

void pg_air_hand_over(struct pg_conn *c)
{
    for (struct list *link = c->steps.prev, *prev; link != &c->steps; link = prev) {
        struct pg_step *step = container_of(link, struct pg_step, link);
        struct pg_call *call = container_of(step, struct pg_call, step);
        prev = link->prev;
        if (step->kind == PG_STEP_DESCRIBE)
            hand_over_waiting(container_of(step, struct pg_stmt, step));
        if (step->kind != PG_STEP_RUN || !call->q || !call->stmt->nameable || call->q->code != 0)
            continue;
        list_remove(link);
        pg_call_give_back(call);
    }
    c->at = NULL;
}
