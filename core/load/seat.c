#include "load/seat.h"

#include "base/clock.h"

#include <stdlib.h>

/* What comes in one turn of the loop came together: the clock is read once for all of it. */
static int64_t came_us(struct thread_state *t)
{
    if (t->came_us == 0)
        t->came_us = clock_us();
    return t->came_us;
}

struct seat *seat_new(struct binding *b, struct flight *f)
{
    struct seat *seat = malloc(sizeof *seat);
    if (!seat)
        return NULL;
    struct thread_state *t = binding_thread(b);
    *seat = (struct seat){.binding = b, .flight = f, .turn = t->turn, .queued_us = came_us(t)};
    list_init(&seat->link);
    f->seat = seat;
    edition_ref(b->edition);
    return seat;
}

void seat_move(struct seat *seat, struct binding *b)
{
    struct thread_state *t = binding_thread(b);
    edition_ref(b->edition);
    edition_unref(seat->binding->edition);
    seat->binding = b;
    seat->turn = t->turn;
    seat->queued_us = came_us(t);
}

struct flight *seat_take_flight(struct seat *seat)
{
    struct flight *f = seat->flight;
    f->seat = NULL;
    seat->flight = NULL;
    return f;
}

void seat_free(struct seat *seat)
{
    list_remove(&seat->link);
    entry_unref(seat->stored);
    edition_unref(seat->binding->edition);
    free(seat);
}

void seat_refuse(struct seat *seat, const struct err *err)
{
    answers_refuse(&binding_thread(seat->binding)->answers, seat_take_flight(seat), err);
    seat_free(seat);
}

/* What was invalidated since an earlier attempt is not there any more. */
void seat_take_stored(struct seat *seat)
{
    const struct flight *f = seat->flight;
    entry_unref(seat->stored);
    enum lookup had =
        store_get(binding_thread(seat->binding)->store, flight_key(f), f->hash, clock_ms(),
                  WANT_PEEK | WANT_STALE | WANT_KEPT | WANT_CANDIDATE, NULL, &seat->stored_hit);
    bool there = had != LOOKUP_MISS && had != LOOKUP_NEGATIVE;
    seat->stored = there ? seat->stored_hit.entry : NULL;
}
