#include "net/park.h"

#include "base/show.h"
#include "net/many.h"
#include "wire/mpw.h"

#include <stdlib.h>

#define AGAIN_FIRST_MS 10 /* doubles up to 32 times that */
#define DELIVER_EACH   64 /* waiters of one step */
#define LEAVE_EACH     16 /* requests of one step whose client has left */

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
        conn_unparked(r->target.conn);
    metrics_observe(io->metrics, H_WAIT_US, (uint64_t)(io->now_us - r->parked_us));
    request_free(r);
    io_unparked(io);
}

static void arm(struct request *r, enum park_timer what, int64_t ms)
{
    struct ev_loop *loop = r->target.io->worker.loop;
    r->timer_is = what;
    ev_timer_stop(loop, &r->timer);
    ev_timer_set(&r->timer, ms > 0 ? (double)ms / 1e3 : 0., 0.);
    ev_timer_start(loop, &r->timer);
}

static bool is_too_old(const struct target *t, bool has_version, int64_t version)
{
    return t->has_min && !(has_version && version >= t->min_version);
}

/* What is stored and may be served when a load did not come through. */
static bool answer_kept(const struct target *t, struct slice key, uint64_t hash,
                        const struct err *why)
{
    struct io *io = t->io;
    struct answer a;
    struct hit hit;
    answer_open(&a, t);
    enum lookup found = store_get(io->options.store, key, hash, io->now_ms, WANT_STALE | WANT_KEPT,
                                  answer_room(&a), &hit);
    bool there = found == LOOKUP_FRESH || found == LOOKUP_STALE || found == LOOKUP_KEPT;
    if (!there || is_too_old(t, hit.has_version, hit.version)) {
        answer_undo(&a);
        entry_unref(hit.entry);
        return false;
    }
    struct facts f = facts_of_hit(found == LOOKUP_FRESH ? STATUS_HIT : STATUS_STALE_ERROR, &hit);
    f.err = found == LOOKUP_FRESH ? NULL : why;
    metrics_hit(io->metrics, hit.owner, found == LOOKUP_FRESH ? HIT_FRESH : HIT_STALE_ERROR);
    answer_found(&a, &hit, &f);
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
            (long long)r->wait_ms);
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
    enum lookup found = store_get(io->options.store, request_key(r), r->hash, io->now_ms,
                                  WANT_STALE, answer_room(&a), &hit);
    bool there = (found == LOOKUP_FRESH || found == LOOKUP_STALE) &&
                 !is_too_old(&r->target, hit.has_version, hit.version);
    if (!there || !flights_leave(io->options.flights, &r->waiter)) {
        answer_undo(&a);
        entry_unref(hit.entry);
        if (there)
            return; /* its delivery is under way */
        arm(r, PARK_HARD, r->deadline_ms - io->now_ms);
        return;
    }
    struct facts f = facts_of_hit(found == LOOKUP_FRESH ? STATUS_HIT : STATUS_STALE, &hit);
    metrics_hit(io->metrics, hit.owner, found == LOOKUP_FRESH ? HIT_FRESH : HIT_STALE);
    answer_found(&a, &hit, &f);
    unpark(r);
}

/* The result was older than the request's min_version: the source is asked again, a little later
 * each time, until the deadline. Other waiters were content. */
static void park_again(struct request *r)
{
    int64_t wait_ms = AGAIN_FIRST_MS << (r->agains < 5 ? r->agains : 5);
    r->agains++;
    if (r->target.io->now_ms + wait_ms < r->deadline_ms) {
        arm(r, PARK_AGAIN, wait_ms);
        return;
    }
    char text[SHOW_KEY_TEXT];
    struct err e;
    err_set(&e, ERR_STALE_SOURCE, "%s: the source has no version of %lld or above within %lld ms",
            show_key(text, request_key(r)), (long long)r->target.min_version,
            (long long)r->wait_ms);
    answer_error(&r->target, &e);
    unpark(r);
}

/* What the second look found. */
static void answer_hit(struct request *r, struct answer *a, struct join_result *joined)
{
    struct io *io = r->target.io;
    bool negative = joined->lookup == LOOKUP_NEGATIVE;
    metrics_hit(io->metrics, joined->hit.owner, negative ? HIT_NEGATIVE : HIT_FRESH);
    if (negative)
        a->rc |= mpw_nil(a->out);
    struct facts f = facts_of_hit(negative ? STATUS_NEGATIVE : STATUS_HIT, &joined->hit);
    answer_found(a, &joined->hit, &f);
    unpark(r);
}

/* A request that was on a flight goes to the key's next one, unless it can be answered by now. */
static void park_rejoin(struct request *r)
{
    struct io *io = r->target.io;
    int loader;
    struct answer a;
    struct join_result joined = {0};
    struct join_request q = {
        .key = request_key(r),
        .hash = r->hash,
        .now_ms = io->now_ms,
        .generation = io->snapshot->generation,
        .max_waiters = snapshot_policy(io->snapshot, request_key(r), &loader)->max_waiters,
        .slot = io->options.index,
        .waiter = &r->waiter,
        .wait_until_ms = r->deadline_ms,
        .reload = r->target.strict,
        .min_version = r->target.has_min ? &r->target.min_version : NULL,
        .primary = r->agains > 0,
    };
    if (route_is_misfit(loader)) { /* since a reload */
        answer_misfit(&r->target);
        unpark(r);
        return;
    }
    answer_open(&a, &r->target);
    q.out = a.out;
    q.held = answer_holds(&a);
    enum join join = loader < 0 ? JOIN_NOMEM : flights_join(io->options.flights, &q, &joined);
    if (join == JOIN_HIT) {
        answer_hit(r, &a, &joined);
        return;
    }
    answer_undo(&a);
    if (join == JOIN_STARTED || join == JOIN_PARKED) {
        r->joined = join == JOIN_PARKED;
        arm(r, PARK_HARD, r->deadline_ms - io->now_ms);
        if (join == JOIN_STARTED || joined.promote)
            io_submit(io, &joined);
        return;
    }
    char text[SHOW_KEY_TEXT];
    if (join != JOIN_BACKOFF)
        err_set(&joined.err, loader < 0 ? ERR_NO_LOADER : ERR_OVERLOADED,
                "%s: the source could not be asked again", show_key(text, request_key(r)));
    park_answer_failure(&r->target, request_key(r), r->hash, &joined.err);
    unpark(r);
}

static void park_on_timer(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct request *r = timer->data;
    io_read_clock(r->target.io);
    switch (r->timer_is) {
    case PARK_SOFT: park_on_soft(r); break;
    case PARK_HARD: park_on_deadline(r); break;
    case PARK_AGAIN: park_rejoin(r); break;
    }
}

void park(struct request *r, int64_t soft_ms, int64_t hard_ms)
{
    struct io *io = r->target.io;
    struct conn *c = r->target.conn;
    bool soft = soft_ms >= 0;
    r->parked_us = io->now_us;
    r->wait_ms = hard_ms;
    r->deadline_ms = io->now_ms + hard_ms;
    list_push_back(&c->parked, &r->link);
    c->parked_count++;
    io->parked_count++;
    ev_timer_init(&r->timer, park_on_timer, 0., 0.);
    r->timer.data = r;
    arm(r, soft ? PARK_SOFT : PARK_HARD, soft && soft_ms < hard_ms ? soft_ms : hard_ms);
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
    case END_FOUND:
        facts.tagged = f->value;
        facts.too_large = f->too_large;
        facts.largest = f->largest;
        answer_entry(&r->target, f->value, &facts);
        break;
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

/* Whether it is below the request's min_version. That there is no such row proves nothing where the
 * source lags (its primary is asked then), or the load began before the request came. */
static bool is_too_old_outcome(const struct request *r, const struct flight *f)
{
    if (f->end == END_ABSENT && !f->has_version)
        return r->target.has_min && (f->replica || r->joined);
    if (f->end == END_ABSENT)
        return is_too_old(&r->target, true, f->version);
    return f->end == END_FOUND && is_too_old(&r->target, f->has_version, f->version);
}

static void deliver(struct request *r, const struct flight *f)
{
    if (f->overtaken && r->waiter.seq > f->since && r->target.conn) {
        metrics_inc(r->target.io->metrics, M_REJOINED);
        park_rejoin(r);
    } else if (r->target.conn && is_too_old_outcome(r, f)) {
        park_again(r);
    } else {
        answer_outcome(r, f);
        unpark(r);
    }
}

/* Some of a slot's waiters. false: it has no more, and is gone. */
static bool deliver_some(struct message *m)
{
    struct flight_slot *slot = container_of(m, struct flight_slot, message);
    struct list *link;
    for (int i = 0; i < DELIVER_EACH && (link = list_pop_front(&slot->waiters)); i++)
        deliver(container_of(container_of(link, struct waiter, link), struct request, waiter),
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
    struct many *many = r->target.many;
    if (r->timer_is != PARK_AGAIN && !flights_leave(r->target.io->options.flights, &r->waiter))
        return; /* its delivery frees it */
    unpark(r);
    if (many)
        many_release(many);
}

static bool leave_on_slice(struct slice_work *w)
{
    struct departures *d = container_of(w, struct departures, work);
    struct list *link;
    for (unsigned n = 1; (link = list_pop_front(&d->requests)); n++) {
        leave(container_of(link, struct request, link));
        if (n % LEAVE_EACH == 0 && slices_over(&d->io->slices))
            return true;
    }
    return false;
}

static void leave_all(struct io *io)
{
    struct list *link;
    while ((link = list_pop_front(&io->departures.requests)))
        leave(container_of(link, struct request, link));
}

void park_client_left(struct conn *c)
{
    struct io *io = c->io;
    if (list_empty(&c->parked))
        return;
    list_for_each (link, &c->parked) {
        struct request *r = container_of(link, struct request, link);
        r->target.conn = NULL;
        if (r->target.many)
            many_client_left(r->target.many);
    }
    c->parked_count = 0;
    list_splice(&io->departures.requests, &c->parked);
    if (io->deliveries.at_once)
        leave_all(io);
    else
        slices_add(&io->slices, &io->departures.work);
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
