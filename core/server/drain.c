/* SIGTERM: no new connections, and new requests are refused; what is parked ends within
 * drain_timeout, and each connection is closed when nothing is pending for it. Passwords that wait
 * for their turn are told at once. */
#include "server/server.h"

#include "base/log.h"
#include "server/restart.h"
#include "server/verifier.h"

static void drain_end(struct server *s)
{
    ev_timer_stop(s->loop, &s->drain_limit);
    ev_break(s->loop, EVBREAK_ALL);
}

static void drain_on_limit(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct server *s = timer->data;
    log_warn("server.drain_timeout", "io_threads_waiting=%u", s->undrained);
    drain_end(s);
}

static void drain_recv_drained(struct message *m, void *owner)
{
    (void)m;
    struct server *s = owner;
    if (--s->undrained == 0)
        drain_end(s);
}

void drain_begin(struct server *s)
{
    restart_stop(s->restart);          /* a second time: of the last snapshot, too */
    if (s->draining || !s->snapshot) { /* a second signal does not wait */
        drain_end(s);
        return;
    }
    s->draining = true;
    listen_accept_rest(s);
    listen_close(s);
    notify_stopping(&s->notify);
    int64_t limit_ms = s->snapshot->conf->drain_timeout_ms;
    log_info("server.draining", "limit_ms=%lld", (long long)limit_ms);
    ev_timer_init(&s->drain_limit, drain_on_limit, (double)limit_ms / 1e3, 0.);
    s->drain_limit.data = s;
    ev_timer_start(s->loop, &s->drain_limit);
    s->undrained = s->io_count;
    for (unsigned i = 0; i < s->io_count; i++) {
        s->drained[i].recv = drain_recv_drained;
        io_drain(s->ios[i], &s->drained[i]);
    }
    verifier_drain(s->verifier); /* what stands behind an auth is taken by threads that drain */
}
