#include "load/answers.h"

#include "base/clock.h"
#include "base/show.h"

#include <stdlib.h>

int answers_init(struct answers *a, struct flights *flights, struct mailbox *const *slots,
                 unsigned slot_count, struct err *e)
{
    *a = (struct answers){.flights = flights, .slots = slots, .slot_count = slot_count};
    a->boxes = calloc(slot_count, sizeof *a->boxes);
    return a->boxes ? 0 : err_set(e, ERR_NOMEM, "no memory for the answers of a loader thread");
}

void answers_fini(struct answers *a)
{
    free(a->boxes);
    a->boxes = NULL;
}

void answers_end(struct answers *a, struct flight *f, struct outcome *o, int64_t now_ms,
                 struct verdict *v)
{
    o->generation = a->generation;
    flights_end(a->flights, f, o, now_ms, v);
    bool lasts = o->end == END_FOUND || (o->end == END_ABSENT && o->ttl_ms > 0);
    if (!v->below && !v->stored && !v->wasted && v->too_large == 0 && o->store && lasts)
        metrics_inc(a->metrics, M_LOADS_VOIDED);
}

void answers_tell_all(struct answers *a)
{
    if (a->held == 0)
        return;
    a->held = 0;
    for (unsigned i = 0; i < a->slot_count; i++)
        outbox_flush(&a->boxes[i], a->slots[i]);
}

void answers_wake(struct answers *a, struct flight *f)
{
    for (unsigned i = 0; i < a->slot_count; i++)
        if (!list_empty(&f->slots[i].waiters))
            outbox_add(&a->boxes[i], &f->slots[i].message);
    flight_unref(f);
    if (a->held++ == 0)
        a->since_us = clock_us();
    if (a->held == ANSWERS_HELD)
        answers_tell_all(a);
}

void answers_tell(struct answers *a)
{
    if (a->held > 0 && clock_us() - a->since_us > ANSWERS_HELD_US)
        answers_tell_all(a);
}

void answers_refuse(struct answers *a, struct flight *f, const struct err *err)
{
    struct err with_key = *err;
    char key[SHOW_KEY_TEXT];
    err_prefix(&with_key, "%s", show_key(key, flight_key(f)));
    struct outcome o = {.end = END_REFUSED, .err = &with_key};
    struct verdict v;
    answers_end(a, f, &o, clock_ms(), &v);
    answers_wake(a, f);
}
