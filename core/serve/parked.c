#include "serve/parked.h"

#include "base/show.h"
#include "load/route.h"
#include "serve/ask_priv.h"

#include <string.h>

#define AGAIN_FIRST_MS 10 /* doubles up to 32 times that */

void parked_init(struct parked *t, const struct ask *q)
{
    memset(t, 0, sizeof *t);
    list_init(&t->waiter.link);
    t->ask = *q;
}

static void wait_on(struct parked *t, int64_t now_ms, struct ask_verdict *v)
{
    t->timer = PARKED_HARD;
    v->kind = VERDICT_TIMER;
    v->wait_ms = t->deadline_ms - now_ms;
}

/* stale_wait is over: the stale value, if it is still there, else the wait goes on to the deadline.
 */
static void soft_is_over(const struct asker *by, struct parked *t, int64_t now_ms,
                         struct ask_room room, struct ask_verdict *v)
{
    const struct ask *q = &t->ask;
    enum lookup found = store_get(by->store, q->key, q->hash, now_ms, WANT_STALE,
                                  room.held ? NULL : room.out, &v->hit);
    bool there = (found == LOOKUP_FRESH || found == LOOKUP_STALE) &&
                 !ask_is_below(q, v->hit.has_version, v->hit.version);
    if (!there) {
        entry_unref(v->hit.entry);
        wait_on(t, now_ms, v);
    } else if (!flights_leave(by->flights, &t->waiter)) {
        entry_unref(v->hit.entry);
        v->kind = VERDICT_DUE;
    } else {
        bool fresh = found == LOOKUP_FRESH;
        metrics_hit(by->metrics, v->hit.owner, fresh ? HIT_FRESH : HIT_STALE);
        v->kind = VERDICT_VALUE;
        v->status = fresh ? STATUS_HIT : STATUS_STALE;
    }
}

static void deadline_is_over(const struct asker *by, struct parked *t, struct ask_verdict *v)
{
    char text[SHOW_KEY_TEXT];
    if (!flights_leave(by->flights, &t->waiter)) {
        v->kind = VERDICT_DUE;
        return;
    }
    metrics_inc(by->metrics, M_TIMEOUTS);
    err_set(&v->err, ERR_TIMEOUT, "%s: no answer within %lld ms", show_key(text, t->ask.key),
            (long long)t->wait_ms);
    v->kind = VERDICT_FAILED;
}

void parked_time(const struct asker *by, struct parked *t, int64_t now_ms, struct ask_room room,
                 struct ask_verdict *v)
{
    v->flight = NULL;
    switch (t->timer) {
    case PARKED_SOFT: soft_is_over(by, t, now_ms, room, v); break;
    case PARKED_HARD: deadline_is_over(by, t, v); break;
    case PARKED_AGAIN: v->kind = VERDICT_REJOIN; break;
    }
}

void parked_rejoin(const struct asker *by, struct parked *t, const struct ask_loader *l,
                   int64_t now_ms, struct ask_room room, struct ask_verdict *v)
{
    struct join_request r = ask_join_request(by, &t->ask, l, now_ms);
    struct join_result joined = {0};
    char text[SHOW_KEY_TEXT];
    v->flight = NULL;
    if (route_is_misfit(l->index)) { /* since a reload */
        ask_misfit(by, v);
        return;
    }
    r.waiter = &t->waiter;
    r.wait_until_ms = t->deadline_ms;
    r.primary = t->agains > 0;
    r.out = room.out;
    r.held = room.held;
    enum join join = l->index < 0 ? JOIN_NOMEM : flights_join(by->flights, &r, &joined);
    if (join == JOIN_HIT) {
        ask_found(by, &joined, v);
        return;
    }
    if (join == JOIN_STARTED || join == JOIN_PARKED) {
        t->joined = join == JOIN_PARKED;
        v->flight = joined.flight;
        v->promote = joined.promote;
        wait_on(t, now_ms, v);
        return;
    }
    v->kind = VERDICT_FAILED;
    if (join == JOIN_BACKOFF)
        v->err = joined.err;
    else
        err_set(&v->err, l->index < 0 ? ERR_NO_LOADER : ERR_OVERLOADED,
                "%s: the source could not be asked again", show_key(text, t->ask.key));
}

/* The result was older than min_version: the source is asked again, a little later each time, until
 * the deadline. Other waiters were content. */
static void wait_again(struct parked *t, int64_t now_ms, struct ask_verdict *v)
{
    int64_t wait_ms = AGAIN_FIRST_MS << (t->agains < 5 ? t->agains : 5);
    char text[SHOW_KEY_TEXT];
    t->agains++;
    if (now_ms + wait_ms < t->deadline_ms) {
        t->timer = PARKED_AGAIN;
        v->kind = VERDICT_TIMER;
        v->wait_ms = wait_ms;
        return;
    }
    err_set(&v->err, ERR_STALE_SOURCE,
            "%s: the source has no version of %lld or above within %lld ms",
            show_key(text, t->ask.key), (long long)t->ask.min_version, (long long)t->wait_ms);
    v->kind = VERDICT_ERROR;
}

/* Whether it is below min_version. That there is no such row proves nothing where the source lags
 * (its primary is asked then), or the load began before the read came. */
static bool is_below(const struct parked *t, const struct flight *f)
{
    if (f->outcome.end == END_ABSENT && !f->outcome.has_version)
        return t->ask.has_min && (f->outcome.replica || t->joined);
    if (f->outcome.end == END_ABSENT)
        return ask_is_below(&t->ask, true, f->outcome.version);
    return f->outcome.end == END_FOUND &&
           ask_is_below(&t->ask, f->outcome.has_version, f->outcome.version);
}

void parked_deliver(const struct asker *by, struct parked *t, const struct flight *f,
                    int64_t now_ms, bool here, struct ask_verdict *v)
{
    v->flight = NULL;
    if (here && f->outcome.overtaken && t->waiter.seq > f->token.since) {
        metrics_inc(by->metrics, M_REJOINED);
        v->kind = VERDICT_REJOIN;
    } else if (here && is_below(t, f)) {
        wait_again(t, now_ms, v);
    } else if (f->outcome.end == END_FOUND || f->outcome.end == END_ABSENT) {
        v->kind = VERDICT_OUTCOME;
    } else {
        flight_error(f, &v->err);
        v->kind = VERDICT_FAILED;
    }
}

bool parked_leave(const struct asker *by, struct parked *t)
{
    return t->timer == PARKED_AGAIN || flights_leave(by->flights, &t->waiter);
}
