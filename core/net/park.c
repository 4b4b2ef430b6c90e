#include "net/park.h"

#include "base/clock.h"
#include "base/show.h"
#include "net/many.h"
#include "wire/mpw.h"

#include <stdlib.h>

static struct slice request_key(const struct request *r)
{
    return slice_of(r->key, r->key_size);
}

struct request *request_new(const struct target *t, struct slice key, uint64_t hash)
{
    struct request *r = malloc(sizeof *r + key.size);
    if (!r)
        return NULL;
    memset(r, 0, sizeof *r);
    list_init(&r->waiter.link);
    list_init(&r->link);
    r->target = *t;
    r->hash = hash;
    r->key_size = (uint32_t)key.size;
    memcpy(r->key, key.data, key.size);
    return r;
}

void request_free(struct request *r)
{
    free(r);
}

/* r was parked, is answered or abandoned, and goes. */
static void unpark(struct request *r)
{
    struct io *io = r->target.io;
    ev_timer_stop(io->worker.loop, &r->timer);
    list_remove(&r->link);
    if (r->target.conn)
        r->target.conn->parked_count--;
    metrics_observe(io->metrics, H_WAIT_US, (uint64_t)(clock_us() - r->parked_us));
    request_free(r);
    io_unparked(io);
}

/* What is stored and may be served when a load did not come through. */
static bool answer_kept(const struct target *t, struct slice key, uint64_t hash,
                        const struct err *why)
{
    struct io *io = t->io;
    struct answer a;
    struct hit hit;
    answer_open(&a, t);
    enum lookup found =
        store_get(io->options.store, key, hash, io->now_ms, WANT_STALE | WANT_KEPT, a.out, &hit);
    if (found != LOOKUP_FRESH && found != LOOKUP_STALE && found != LOOKUP_KEPT) {
        answer_undo(&a);
        return false;
    }
    if (hit.entry) {
        a.rc |= mpw_raw(a.out, entry_value(hit.entry));
        entry_unref(hit.entry);
    }
    struct facts f = facts_of_hit(found == LOOKUP_FRESH ? STATUS_HIT : STATUS_STALE_ERROR, &hit);
    f.err = found == LOOKUP_FRESH ? NULL : why;
    metrics_inc(io->metrics, found == LOOKUP_FRESH ? M_HITS : M_HITS_STALE_ERROR);
    answer_close(&a, &f);
    return true;
}

void park_answer_failure(const struct target *t, struct slice key, uint64_t hash,
                         const struct err *why)
{
    if (t->strict || why->code == ERR_NO_LOADER || !answer_kept(t, key, hash, why))
        answer_error(t, why);
}

/* ---- the timer ---- */

static void park_on_deadline(struct request *r)
{
    struct io *io = r->target.io;
    if (!flights_leave(io->options.flights, &r->waiter))
        return; /* its delivery is under way */
    metrics_inc(io->metrics, M_TIMEOUTS);
    char text[SHOW_KEY_TEXT];
    struct err e;
    err_set(&e, ERR_TIMEOUT, "%s: no answer within %lld ms", show_key(text, request_key(r)),
            (long long)(r->deadline_ms - r->parked_us / 1000));
    park_answer_failure(&r->target, request_key(r), r->hash, &e);
    unpark(r);
}

/* stale_wait is over: the stale value, if it is still there, else the wait goes on to the deadline.
 */
static void park_on_soft(struct request *r)
{
    struct io *io = r->target.io;
    struct answer a;
    struct hit hit;
    answer_open(&a, &r->target);
    enum lookup found =
        store_get(io->options.store, request_key(r), r->hash, io->now_ms, WANT_STALE, a.out, &hit);
    bool there = found == LOOKUP_FRESH || found == LOOKUP_STALE;
    if (!there || !flights_leave(io->options.flights, &r->waiter)) {
        answer_undo(&a);
        entry_unref(hit.entry);
        if (there)
            return; /* its delivery is under way */
        r->soft = false;
        double left = (double)(r->deadline_ms - io->now_ms) / 1e3;
        ev_timer_set(&r->timer, left > 0 ? left : 0., 0.);
        ev_timer_start(io->worker.loop, &r->timer);
        return;
    }
    if (hit.entry) {
        a.rc |= mpw_raw(a.out, entry_value(hit.entry));
        entry_unref(hit.entry);
    }
    struct facts f = facts_of_hit(found == LOOKUP_FRESH ? STATUS_HIT : STATUS_STALE, &hit);
    metrics_inc(io->metrics, found == LOOKUP_FRESH ? M_HITS : M_HITS_STALE);
    answer_close(&a, &f);
    unpark(r);
}

static void park_on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct request *r = timer->data;
    r->target.io->now_ms = clock_ms();
    if (r->soft)
        park_on_soft(r);
    else
        park_on_deadline(r);
}

void park(struct request *r, int64_t soft_ms, int64_t hard_ms)
{
    struct io *io = r->target.io;
    struct conn *c = r->target.conn;
    r->parked_us = clock_us();
    r->deadline_ms = io->now_ms + hard_ms;
    r->soft = soft_ms >= 0;
    int64_t first_ms = r->soft && soft_ms < hard_ms ? soft_ms : hard_ms;
    list_push_back(&c->parked, &r->link);
    c->parked_count++;
    io->parked_count++;
    ev_timer_init(&r->timer, park_on_timer, (double)first_ms / 1e3, 0.);
    r->timer.data = r;
    ev_timer_start(io->worker.loop, &r->timer);
}

/* ---- delivery and leaving ---- */

static void answer_outcome(struct request *r, const struct flight *f)
{
    struct facts facts = {
        .status = STATUS_MISS,
        .has_version = f->has_version,
        .version = f->version,
        .ttl_ms = f->ttl_ms == 0 ? STORE_FOREVER_MS : f->ttl_ms,
        .load_us = f->load_us,
    };
    struct err e;
    switch (f->end) {
    case END_FOUND: answer_value(&r->target, entry_value(f->value), &facts); break;
    case END_ABSENT:
        facts.status = STATUS_NEGATIVE;
        answer_nil(&r->target, &facts);
        break;
    case END_FAILED:
    case END_REFUSED:
        flight_error(f, &e);
        park_answer_failure(&r->target, request_key(r), r->hash, &e);
        break;
    }
}

void park_recv_delivery(struct message *m, void *owner)
{
    struct io *io = owner;
    struct flight_slot *slot = container_of(m, struct flight_slot, message);
    io->now_ms = clock_ms();
    struct list *link;
    while ((link = list_pop_front(&slot->waiters))) {
        struct request *r =
            container_of(container_of(link, struct waiter, link), struct request, waiter);
        answer_outcome(r, slot->flight);
        unpark(r);
    }
    flight_unref(slot->flight);
}

void park_client_left(struct conn *c)
{
    struct list *link;
    while ((link = list_pop_front(&c->parked))) {
        struct request *r = container_of(link, struct request, link);
        struct target gone = r->target;
        c->parked_count--;
        r->target.conn = NULL;
        if (r->target.many)
            many_client_left(r->target.many);
        if (!flights_leave(c->io->options.flights, &r->waiter))
            continue; /* its delivery frees it */
        unpark(r);
        if (gone.many)
            many_release(gone.many);
    }
}
