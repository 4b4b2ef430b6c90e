#include "net/park.h"

#include "net/held.h"
#include "net/gather.h"

#include <stdlib.h>

#define DELIVER_EACH  64 /* waiters of one step, or fewer where their value is large: */
#define DELIVER_BYTES (256 * 1024)
#define LEAVE_EACH    16 /* requests of one step whose client has left */

struct request *request_new(const struct target *t, const struct ask *q)
{
    struct request *r = malloc(sizeof *r + q->key.size);
    if (!r)
        return NULL;
    memset(r, 0, sizeof *r);
    parked_init(&r->parked, q);
    memcpy(r->key, q->key.data, q->key.size);
    r->parked.ask.key.data = r->key;
    list_init(&r->ticket.link);
    r->target = *t;
    return r;
}

void request_free(struct request *r)
{
    free(r);
}

static size_t bytes_of(const struct request *r)
{
    return sizeof *r + r->parked.ask.key.size;
}

/* r was parked, is answered or abandoned, and goes. */
static void unpark(struct request *r)
{
    struct io *io = r->target.io;
    ev_timer_stop(io->worker.loop, &r->timer);
    if (r->target.conn)
        ticket_done(&r->ticket, r->target.conn);
    else
        list_remove(&r->ticket.link);
    metrics_observe(io->metrics, H_WAIT_US, (uint64_t)(io->now_us - r->parked_us));
    held_take(io, r->target.conn, LEDGER_REQUESTS, bytes_of(r));
    request_free(r);
    ticket_close(io);
}

static void arm(struct request *r, int64_t ms)
{
    struct ev_loop *loop = r->target.io->worker.loop;
    ev_timer_stop(loop, &r->timer);
    ev_timer_set(&r->timer, ms > 0 ? (double)ms / 1e3 : 0., 0.);
    ev_timer_start(loop, &r->timer);
}

static void close_value(struct answer *a, struct ask_verdict *v)
{
    struct facts f = facts_of_hit(v->status, &v->hit);
    f.err = v->status == STATUS_STALE_ERROR ? &v->err : NULL;
    answer_found(a, &v->hit, &f);
}

void park_answer_failure(const struct target *t, const struct ask *q, struct ask_verdict *v)
{
    struct io *io = t->io;
    struct answer a;
    answer_open(&a, t);
    if (ask_kept(&io->asker, q, io->now_ms, answer_ask_room(&a), v)) {
        close_value(&a, v);
        return;
    }
    answer_undo(&a);
    answer_error(t, &v->err);
}

/* Does what v says; a is open. */
static void follow(struct request *r, struct answer *a, struct ask_verdict *v)
{
    struct io *io = r->target.io;
    if (v->kind == VERDICT_REJOIN) {
        struct ask_loader l = io_loader_of(io, r->parked.ask.key);
        parked_rejoin(&io->asker, &r->parked, &l, io->now_ms, answer_ask_room(a), v);
    }
    switch (v->kind) {
    case VERDICT_VALUE: close_value(a, v); break;
    case VERDICT_ABSENT: {
        struct facts f = facts_of_hit(STATUS_NEGATIVE, &v->hit);
        answer_absent(a, &f);
        break;
    }
    case VERDICT_TIMER:
        answer_undo(a);
        arm(r, v->wait_ms);
        io_submit(io, v);
        return;
    case VERDICT_DUE: answer_undo(a); return;
    case VERDICT_FAILED:
        answer_undo(a);
        park_answer_failure(&r->target, &r->parked.ask, v);
        break;
    default:
        answer_undo(a);
        answer_error(&r->target, &v->err);
        break;
    }
    unpark(r);
}

static void park_on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct request *r = timer->data;
    struct io *io = r->target.io;
    struct answer a;
    struct ask_verdict v;
    io_read_clock(io);
    answer_open(&a, &r->target);
    parked_time(&io->asker, &r->parked, io->now_ms, answer_ask_room(&a), &v);
    follow(r, &a, &v);
}

/* ---- delivery and leaving ---- */

static void answer_outcome(const struct request *r, const struct flight *f)
{
    struct facts facts = {
        .status = f->outcome.end == END_FOUND ? STATUS_MISS : STATUS_NEGATIVE,
        .has_version = f->outcome.has_version,
        .version = f->outcome.version,
        .ttl_ms = f->outcome.ttl_ms == 0 ? STORE_FOREVER_MS : f->outcome.ttl_ms,
        .load_us = f->outcome.load_us,
    };
    if (f->outcome.end == END_ABSENT) {
        answer_nil(&r->target, &facts);
        return;
    }
    facts.tagged = f->outcome.value;
    facts.too_large = f->outcome.too_large;
    facts.largest = f->outcome.largest;
    answer_entry(&r->target, f->outcome.value, &facts);
}

static void deliver(struct request *r, const struct flight *f)
{
    struct io *io = r->target.io;
    struct conn *c = r->target.conn;
    struct ask_verdict v;
    parked_deliver(&io->asker, &r->parked, f, io->now_ms, c != NULL, &v);
    bool ends = v.kind == VERDICT_OUTCOME || v.kind == VERDICT_FAILED;
    if (ends && c && c->state == CONN_BROKEN && !r->target.gather) {
        unpark(r); /* nobody will read more of it */
        return;
    }
    if (v.kind == VERDICT_OUTCOME) {
        answer_outcome(r, f);
        unpark(r);
    } else {
        struct answer a;
        answer_open(&a, &r->target);
        follow(r, &a, &v);
    }
    if (ends && c)
        conn_grew(c);
}

/* Some of a slot's waiters. false: it has no more, and is gone. */
static bool deliver_some(struct message *m)
{
    struct flight_slot *slot = container_of(m, struct flight_slot, message);
    struct list *link;
    const struct entry *value = slot->flight->outcome.value;
    size_t each = value ? DELIVER_BYTES / (entry_value(value).size + 1) : DELIVER_EACH;
    each = each < 1 ? 1 : each < DELIVER_EACH ? each : DELIVER_EACH;
    for (size_t i = 0; i < each && (link = list_pop_front(&slot->waiters)); i++)
        deliver(
            container_of(container_of(link, struct waiter, link), struct request, parked.waiter),
            slot->flight);
    if (!list_empty(&slot->waiters))
        return true;
    flight_unref(slot->flight);
    return false;
}

static bool deliver_on_slice(struct slice_work *w)
{
    struct deliveries *d = container_of(w, struct deliveries, work);
    while (d->first) {
        struct message *m = d->first, *next = m->next;
        while (deliver_some(m))
            if (slices_over(&d->io->slices))
                return true;
        d->first = next;
    }
    return false;
}

void park_recv_delivery(struct message *m, void *owner)
{
    struct io *io = owner;
    struct deliveries *d = &io->deliveries;
    io_read_clock(io);
    bool more = deliver_some(m);
    while (more && d->at_once)
        more = deliver_some(m);
    if (!more)
        return;
    m->next = NULL;
    if (d->first)
        d->last->next = m;
    else
        d->first = m;
    d->last = m;
    slices_add(&io->slices, &d->work);
}

/* One whose client has left is taken from its flight. */
static void leave(struct request *r)
{
    struct gather *gather = r->target.gather;
    if (!parked_leave(&r->target.io->asker, &r->parked))
        return; /* its delivery frees it */
    unpark(r);
    if (gather)
        gather_release(gather);
}

static bool leave_on_slice(struct slice_work *w)
{
    struct departures *d = container_of(w, struct departures, work);
    struct list *link;
    for (unsigned n = 1; (link = list_pop_front(&d->requests)); n++) {
        leave(container_of(link, struct request, ticket.link));
        if (n % LEAVE_EACH == 0 && slices_over(&d->io->slices))
            return true;
    }
    return false;
}

static void leave_all(struct io *io)
{
    struct list *link;
    while ((link = list_pop_front(&io->departures.requests)))
        leave(container_of(link, struct request, ticket.link));
}

static void park_client_left(struct ticket *t, struct conn *c)
{
    struct request *r = container_of(t, struct request, ticket);
    struct io *io = c->io;
    held_part(c, bytes_of(r));
    r->target.conn = NULL;
    if (r->target.gather)
        gather_client_left(r->target.gather);
    list_push_back(&io->departures.requests, &t->link);
    if (io->deliveries.at_once)
        leave_all(io);
    else
        slices_add(&io->slices, &io->departures.work);
}

void park(struct request *r, int64_t wait_ms)
{
    static const struct ticket_kind kind = {
        .request = true, .owes = true, .left = park_client_left};
    struct io *io = r->target.io;
    struct conn *c = r->target.conn;
    r->parked_us = io->now_us;
    ticket_open(&r->ticket, &kind, c, r->target.notify);
    ev_timer_init(&r->timer, park_on_timer, 0., 0.);
    r->timer.data = r;
    arm(r, wait_ms);
    held_add(io, c, LEDGER_REQUESTS, bytes_of(r));
    if (r->target.gather)
        gather_account(r->target.gather);
}

void park_init(struct io *io)
{
    io->deliveries = (struct deliveries){.work.run = deliver_on_slice, .io = io};
    list_init(&io->deliveries.work.link);
    io->departures = (struct departures){.work.run = leave_on_slice, .io = io};
    list_init(&io->departures.work.link);
    list_init(&io->departures.requests);
}

void park_finish(struct io *io)
{
    struct deliveries *d = &io->deliveries;
    d->at_once = true;
    while (d->first) {
        struct message *m = d->first;
        d->first = m->next;
        while (deliver_some(m)) {
        }
    }
    leave_all(io);
}
