#include "net/io_thread.h"

#include "base/clock.h"
#include "base/log.h"
#include "net/auth.h"
#include "net/conn_tls.h"
#include "net/held.h"
#include "net/park.h"
#include "net/subscribe.h"
#include "serve/subscriptions.h"
#include "sys/sock.h"

#include <stdlib.h>
#include <unistd.h>

#define SWEEP_SECONDS 0.4 /* who has left is known after two of them */
#define DRAIN_SECONDS 0.02
#define UNREAD_READS  16 /* of a socket that is closed at once */
#define SWEEP_EACH    32 /* connections between two looks at the clock */

static void flush_outboxes(struct io *io)
{
    for (unsigned i = 0; i < io->options.loader_count; i++)
        loader_thread_flush(io->options.loaders[i], &io->outboxes[i]);
}

static __attribute__((noinline)) void io_run_slices(struct io *io)
{
    io_read_clock(io);
    slices_run(&io->slices);
}

/* Answers that were made outside their connection's turn go out before the loop sleeps. */
static void io_on_flush(struct ev_loop *loop, ev_prepare *watcher, int events)
{
    (void)loop, (void)events;
    struct io *io = watcher->data;
    struct list *link;
    io->shaken = 0;
    io->grown = false;
    io->slices.turn_us = 0;
    if (__builtin_expect(!list_empty(&io->slices.waiting), 0))
        io_run_slices(io);
    flush_outboxes(io);
    if (__builtin_expect(journal_waits(&io->lane), 0))
        journal_flush(&io->lane);
    while ((link = list_pop_front(&io->dirty)))
        conn_flush(container_of(link, struct conn, dirty));
}

static void sweep_unknown(struct conn *c)
{
    metrics_inc(c->io->metrics, M_CONNECTIONS_UNKNOWN);
    log_info("conn.auth_timeout", "id=%llu", (unsigned long long)c->id);
    conn_close(c);
}

static void sweep_unread(struct conn *c)
{
    metrics_inc(c->io->metrics, M_CONNECTIONS_UNREAD);
    log_warn("conn.unread", "id=%llu bytes=%zu", (unsigned long long)c->id, conn_unread(c));
    conn_close(c);
}

static void sweep_slow(struct conn *c)
{
    metrics_inc(c->io->metrics, M_CONNECTIONS_SLOW);
    log_warn("conn.slow", "id=%llu bytes=%zu", (unsigned long long)c->id, c->in.size);
    conn_close(c);
}

/* Closes c where its time is over. */
static void sweep_conn(struct conn *c, int64_t now_ms)
{
    struct io *io = c->io;
    int64_t idle_ms = io->snapshot->conf->idle_timeout_ms;
    if (conn_lingered(c, now_ms) || (c->tls && conn_tls_is_late(c, now_ms)) ||
        conn_is_deserted(c) || (io->draining && conn_drained(c, now_ms))) {
        conn_close(c);
    } else if (auth_is_overdue(c, now_ms)) {
        sweep_unknown(c);
    } else if (conn_is_slow(c, now_ms)) {
        sweep_slow(c);
    } else if (conn_is_unread(c, now_ms)) {
        sweep_unread(c);
    } else if (idle_ms > 0 && c->active_ms <= now_ms - idle_ms && c->parked_count == 0 &&
               !c->subscriber) {
        metrics_inc(io->metrics, M_CONNECTIONS_IDLE);
        log_info("conn.idle", "id=%llu idle_ms=%lld", (unsigned long long)c->id,
                 (long long)idle_ms);
        conn_close(c);
    }
}

static bool sweep_on_slice(struct slice_work *w)
{
    struct io *io = container_of(w, struct io, sweeping);
    int64_t now_ms = clock_ms();
    struct list *link;
    for (unsigned n = 1; (link = list_walk_next(&io->swept)); n++) {
        sweep_conn(container_of(link, struct conn, link), now_ms);
        if (n % SWEEP_EACH == 0 && slices_over(&io->slices))
            return true;
    }
    return false;
}

static void io_on_sweep(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop, (void)events;
    struct io *io = watcher->data;
    if (io->snapshot)
        held_sweep(io);
    if (list_empty(&io->conns) || !list_empty(&io->sweeping.link))
        return;
    list_walk_begin(&io->swept, &io->conns);
    slices_add(&io->slices, &io->sweeping);
}

int io_new(struct io **out, const struct io_options *o, struct err *e)
{
    *out = NULL;
    struct io *io = calloc(1, sizeof *io);
    if (!io)
        return err_set(e, ERR_NOMEM, "no memory for an I/O thread");
    io->options = *o;
    changes_of_thread(&io->changes, o->changes, &io->lane);
    io->options.changes = &io->changes;
    io->rng.state = o->seed;
    io->asker = (struct asker){
        .store = o->store,
        .flights = o->flights,
        .marks = o->changes->marks,
        .rng = &io->rng,
        .slot = o->index,
    };
    list_init(&io->conns);
    list_init(&io->dirty);
    io->read_room = malloc(IO_READ_BYTES);
    io->outboxes = calloc(o->loader_count, sizeof *io->outboxes);
    int rc = io->read_room && io->outboxes ? worker_init(&io->worker, "io", o->index, io, e)
                                           : err_set(e, ERR_NOMEM, "no memory for an I/O thread");
    if (rc != 0) {
        free(io->read_room);
        free(io->outboxes);
        free(io);
        return rc;
    }
    ev_prepare_init(&io->flush, io_on_flush);
    io->flush.data = io;
    ev_prepare_start(io->worker.loop, &io->flush);
    ev_timer_init(&io->sweep, io_on_sweep, SWEEP_SECONDS, SWEEP_SECONDS);
    io->sweep.data = io;
    ev_timer_start(io->worker.loop, &io->sweep);
    slices_init(&io->slices, io->worker.loop);
    telling_init(&io->telling, io);
    park_init(io);
    held_init(io);
    io->sweeping.run = sweep_on_slice;
    list_init(&io->sweeping.link);
    *out = io;
    return 0;
}

static void io_recv_begin(struct message *m, void *owner)
{
    (void)m;
    struct io *io = owner;
    io->metrics = io->asker.metrics = metrics_mine();
}

int io_start(struct io *io, struct err *e)
{
    io->begin.recv = io_recv_begin;
    mailbox_send(&io->worker.mailbox, &io->begin);
    return worker_start(&io->worker, e);
}

/* ---- messages ---- */

struct adoption {
    struct message message;
    int fd;
    bool tls;
    const struct protocol *protocol;
};

static void io_recv_adopt(struct message *m, void *owner)
{
    struct io *io = owner;
    struct adoption *a = container_of(m, struct adoption, message);
    if (io->worker.started && io->snapshot && !io->draining) {
        conn_open(io, a->fd, a->tls, a->protocol);
    } else {
        close(a->fd);
        io_closed(io, metrics_mine());
    }
    free(a);
}

void io_adopt(struct io *io, int fd, bool tls, const struct protocol *protocol)
{
    struct adoption *a = malloc(sizeof *a);
    if (!a) {
        close(fd);
        io_closed(io, metrics_mine());
        return;
    }
    a->fd = fd;
    a->tls = tls;
    a->protocol = protocol;
    a->message.recv = io_recv_adopt;
    mailbox_send(&io->worker.mailbox, &a->message);
}

/* With one value more it stays within max_output, at which a connection is closed. */
static size_t out_pause_of(const struct conf *conf)
{
    size_t most = (size_t)conf->max_output, pause = CONN_OUT_PAUSE;
    size_t beside = conf->max_value < conf->max_output ? most - (size_t)conf->max_value : 0;
    pause = most / 2 < pause ? most / 2 : pause;
    return beside < pause ? beside : pause;
}

static void io_recv_change(struct message *m, void *owner)
{
    struct io *io = owner;
    struct io_change *c = container_of(m, struct io_change, message);
    struct snapshot *before = io->snapshot;
    io->snapshot = snapshot_ref(c->snapshot);
    io->out_pause = out_pause_of(io->snapshot->conf);
    ledger_tell_limit(io->options.ledger, (size_t)io->snapshot->conf->client_memory);
    if (before)
        auth_changed(io, before->conf);
    snapshot_unref(before);
    c->message.recv = c->answered;
    mailbox_send(c->answer_to, &c->message);
}

void io_change(struct io *io, struct io_change *c)
{
    c->io = io;
    c->message.recv = io_recv_change;
    mailbox_send(&io->worker.mailbox, &c->message);
}

struct drain {
    struct message message;
    struct message *drained;
};

static void io_recv_drain(struct message *m, void *owner)
{
    struct io *io = owner;
    struct drain *d = container_of(m, struct drain, message);
    io->draining = true;
    io->drain_ms = clock_ms();
    list_for_each (link, &io->conns) {
        conn_drain(container_of(link, struct conn, link));
    }
    io->drained = d->drained;
    free(d);
    ev_timer_set(&io->sweep, 0., DRAIN_SECONDS);
    ev_timer_again(io->worker.loop, &io->sweep);
    tickets_drain(io);
}

void io_drain(struct io *io, struct message *drained)
{
    struct drain *d = malloc(sizeof *d);
    if (!d) {
        mailbox_send(io->options.control, drained);
        return;
    }
    d->drained = drained;
    d->message.recv = io_recv_drain;
    mailbox_send(&io->worker.mailbox, &d->message);
}

/* What stands unread in the socket would reset it as it is closed, and take away answers that are
 * on their way. */
static void drop_unread(struct io *io, struct conn *c)
{
    for (int i = 0; i < UNREAD_READS; i++)
        if (sock_recv(c->reading.fd, io->read_room, IO_READ_BYTES) <= 0)
            break;
}

static void io_recv_stop(struct message *m, void *owner)
{
    (void)m;
    struct io *io = owner;
    io_read_clock(io);
    /* The loader threads have ended every load by now: what they delivered is answered by messages
     * before this one. What is written already goes out as far as the sockets take it. */
    park_finish(io);
    list_for_each_safe (link, next, &io->conns) {
        struct conn *c = container_of(link, struct conn, link);
        conn_advance(c, CONN_FINISHING);
        conn_flush(c);
    }
    list_for_each_safe (left, after, &io->conns) {
        struct conn *c = container_of(left, struct conn, link);
        drop_unread(io, c);
        conn_close(c);
    }
    flush_outboxes(io); /* to loader threads that drop them */
    worker_stop(&io->worker);
}

void io_stop(struct io *io)
{
    io->stop.recv = io_recv_stop;
    mailbox_send(&io->worker.mailbox, &io->stop);
}

void io_join(struct io *io)
{
    worker_join(&io->worker);
}

void io_free(struct io *io)
{
    if (!io)
        return;
    ev_prepare_stop(io->worker.loop, &io->flush);
    ev_timer_stop(io->worker.loop, &io->sweep);
    slices_stop(&io->slices);
    held_stop(io);
    worker_fini(&io->worker);
    telling_fini(&io->telling);
    subscribe_fini(io);
    subscriptions_free(io->subscriptions);
    snapshot_unref(io->snapshot);
    buf_fini(&io->spare);
    buf_fini(&io->sink);
    buf_fini(&io->spare_sealed);
    journal_lane_fini(&io->lane);
    free(io->plain_room);
    free(io->read_room);
    free(io->outboxes);
    free(io);
}
