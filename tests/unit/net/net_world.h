/*
 * net_world: an I/O thread, in the test's own, with the store, the flights and a loader thread
 * behind it. net_client.h has clients for it.
 *
 * Its messages to the main thread are kept for the test. Nothing waits for time: each step is a
 * turn of the loop, and who waits for an answer makes turns until it is there, or the test has
 * hung. The look at all connections is had by net_sweep alone. At the end nothing may be written
 * down, counted or open any more.
 */
#ifndef RTCACHE_TESTS_NET_WORLD_H
#define RTCACHE_TESTS_NET_WORLD_H

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "conf/loaded.h"

#include "base/log.h"
#include "net/auth.h"
#include "net/conn.h"
#include "net/io_thread.h"
#include "net/job.h"
#include "net/park.h"
#include "net/rpc.h"
#include "serve/subscriptions.h"
#include "wire/json.h"
#include "wire/mpw.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/mman.h>
#include <sys/socket.h>

#define NET_TURNS   20000
#define NET_SECONDS 30. /* a test that takes so long hangs */

struct net_world {
    struct marks *marks;
    struct store *store;
    struct flights *flights;
    struct news_hub *news;
    struct changes changes;
    struct ledger *ledger;
    struct mailbox *slots[1], control;
    struct snapshot *snapshot;
    uint64_t generation;
    struct loader_thread *loaders[1];
    struct io *io;
    struct io_reload *reload;       /* what was asked of the main thread last */
    struct auth_request *auth;      /* and that */
    struct auth_request *auth_left; /* whose client has left */
    bool changed, drained;
    bool crowded; /* nothing has its first slice at once */
    ev_check crowding;
    ev_timer hanging;
    bool hangs;
    int log; /* what is logged goes to a file in memory */
    off_t logged;
    char text[1 << 16];
    uint64_t counted[M_COUNT]; /* before it began */
};

/* ---- the main thread ---- */

static inline struct net_world *net_of(void *owner)
{
    return owner;
}

static inline void net_recv_reload(struct message *m, void *owner)
{
    net_of(owner)->reload = container_of(m, struct io_reload, message);
}

static inline void net_recv_auth(struct message *m, void *owner)
{
    net_of(owner)->auth = container_of(m, struct auth_request, message);
}

static inline void net_recv_auth_left(struct message *m, void *owner)
{
    net_of(owner)->auth_left = container_of(m, struct auth_request, left);
}

static inline void net_recv_changed(struct message *m, void *owner)
{
    (void)m;
    net_of(owner)->changed = true;
}

static inline void net_recv_drained(struct message *m, void *owner)
{
    (void)m;
    net_of(owner)->drained = true;
}

static inline void net_on_check(struct ev_loop *loop, ev_check *watcher, int events)
{
    (void)loop, (void)events;
    struct net_world *w = watcher->data;
    if (w->crowded)
        w->io->slices.turn_us = 1;
}

static inline void net_on_hanging(struct ev_loop *loop, ev_timer *watcher, int events)
{
    (void)loop, (void)events;
    ((struct net_world *)watcher->data)->hangs = true;
}

/* A turn of the loop, which does not wait. */
static inline void net_turn(struct net_world *w)
{
    ev_run(w->io->worker.loop, EVRUN_NOWAIT);
}

static inline void net_goes_on(const struct net_world *w)
{
    if (w->hangs)
        fail_msg("it waits for what does not come");
}

/* One that waits for an event. */
static inline void net_wait(struct net_world *w)
{
    ev_run(w->io->worker.loop, EVRUN_ONCE);
    net_goes_on(w);
}

/* A look at all connections. */
static inline void net_sweep(struct net_world *w)
{
    ev_feed_event(w->io->worker.loop, &w->io->sweep, EV_TIMER);
    net_turn(w);
    while (!list_empty(&w->io->sweeping.link))
        net_turn(w);
    net_turn(w);
    net_goes_on(w);
}

static inline void net_edition(struct net_world *w, enum edition_step step)
{
    struct edition_change c = {.thread = w->loaders[0],
                               .step = step,
                               .snapshot = w->snapshot,
                               .answer_to = &w->control,
                               .answered = net_recv_changed};
    w->changed = false;
    loader_thread_change(w->loaders[0], &c);
    while (!w->changed)
        net_wait(w);
    if (c.rc != 0)
        fail_msg("%s", c.err.text);
}

/* The configuration that this text is comes into force. */
static inline void net_configure(struct net_world *w, const char *text)
{
    struct err e;
    struct snapshot *before = w->snapshot;
    if (snapshot_new(&w->snapshot, load(text), ++w->generation, before, &e) != 0)
        fail_msg("%s", e.text);
    net_edition(w, EDITION_PREPARE);
    net_edition(w, EDITION_COMMIT);
    struct io_change c = {
        .snapshot = w->snapshot, .answer_to = &w->control, .answered = net_recv_changed};
    w->changed = false;
    io_change(w->io, &c);
    while (!w->changed)
        net_wait(w);
    snapshot_unref(before);
}

/* ---- its life ---- */

static inline void net_open(struct net_world *w)
{
    struct err e;
    struct io_options o = {
        .io_count = 1,
        .store = w->store,
        .flights = w->flights,
        .changes = &w->changes,
        .loaders = w->loaders,
        .loader_count = 1,
        .ledger = w->ledger,
        .started_ms = clock_ms(),
        .seed = 1,
        .control = &w->control,
        .recv_reload = net_recv_reload,
        .recv_auth = net_recv_auth,
        .recv_auth_left = net_recv_auth_left,
    };
    assert_int_equal(io_new(&w->io, &o, &e), 0);
    w->io->metrics = w->io->asker.metrics = metrics_mine();
    w->slots[0] = io_mailbox(w->io);
    mailbox_init(&w->control, w->io->worker.loop, w);
    ev_check_init(&w->crowding, net_on_check);
    w->crowding.data = w;
    ev_set_priority(&w->crowding, EV_MAXPRI);
    ev_check_start(w->io->worker.loop, &w->crowding);
    ev_timer_stop(w->io->worker.loop, &w->io->sweep);
    ev_timer_init(&w->hanging, net_on_hanging, NET_SECONDS, 0.);
    w->hanging.data = w;
    ev_timer_start(w->io->worker.loop, &w->hanging);
    struct loader_thread_options lo = {
        .flights = w->flights,
        .store = w->store,
        .changes = &w->changes,
        .slots = w->slots,
        .slot_count = 1,
        .seed = 1,
    };
    assert_int_equal(loader_thread_new(&w->loaders[0], &lo, &e), 0);
    assert_int_equal(loader_thread_start(w->loaders[0], &e), 0);
}

/* What was logged since the last call. */
static inline const char *net_logged(struct net_world *w)
{
    ssize_t n = pread(w->log, w->text, sizeof w->text - 1, w->logged);
    assert_true(n >= 0);
    w->logged += n;
    w->text[n] = '\0';
    return w->text;
}

/* text: of rtcache.conf. */
static inline struct net_world *net_new(const char *text)
{
    struct net_world *w = calloc(1, sizeof *w);
    assert_non_null(w);
    assert_int_equal(folder_make(NULL), 0);
    w->log = memfd_create("log", MFD_CLOEXEC);
    log_setup(w->log, LOG_DEBUG);
    assert_int_equal(marks_new(&w->marks, 65536, 3, NULL), 0);
    struct store_options so = {.memory_bytes = 16 << 20,
                               .shards = 1,
                               .seed = 1,
                               .now_ms = clock_ms(),
                               .marks = w->marks,
                               .globs_max = 8};
    assert_int_equal(store_new(&w->store, &so, NULL), 0);
    assert_int_equal(ledger_new(&w->ledger, 1, NULL), 0);
    struct flights_options fo = {
        .store = w->store,
        .marks = w->marks,
        .shards = 1,
        .slots = 1,
        .failed_max = 100,
        .floors_max = 100,
        .seed = 7,
        .deliver = park_recv_delivery,
        .admits = shed_admits_result,
        .budget = w->ledger,
    };
    assert_int_equal(flights_new(&w->flights, &fo, NULL), 0);
    assert_int_equal(news_hub_new(&w->news, w->slots, 1, 100, telling_recv_news, NULL), 0);
    w->changes = (struct changes){
        .store = w->store, .flights = w->flights, .marks = w->marks, .news = w->news};
    net_open(w);
    net_configure(w, text);
    (void)net_logged(w);
    for (int i = 0; i < M_COUNT; i++)
        w->counted[i] = atomic_load(&w->io->metrics->counters[i]);
    return w;
}

/* Turns until nothing is under way. */
static inline void net_settle(struct net_world *w)
{
    for (int i = 0; i < NET_TURNS; i++) {
        net_turn(w);
        if (w->io->tickets == 0 && list_empty(&w->io->slices.waiting) && !w->io->telling.first)
            return;
    }
    fail_msg("%zu tickets do not end", w->io->tickets);
}

/* Nothing is held for anybody but connections that are open and idle. */
static inline void net_holds_nothing(struct net_world *w)
{
    for (int kind = 0; kind < LEDGER_KINDS; kind++)
        if (kind != LEDGER_CONNECTIONS)
            assert_int_equal(ledger_kind_held(w->ledger, (enum ledger_kind)kind), 0);
    assert_int_equal(ledger_unread(w->ledger), 0);
    assert_int_equal(ledger_results(), 0);
    assert_int_equal(w->io->leaving_bytes, 0);
}

static inline void net_free(struct net_world *w)
{
    struct ev_loop *loop = w->io->worker.loop;
    while (!list_empty(&w->io->conns))
        net_wait(w);
    loader_thread_stop(w->loaders[0]);
    loader_thread_join(w->loaders[0]);
    net_settle(w);
    net_holds_nothing(w);
    assert_int_equal(ledger_held(w->ledger), 0);
    assert_int_equal(ledger_connections(w->ledger), 0);
    assert_int_equal(ledger_read(&w->ledger->places), 0);
    io_stop(w->io);
    ev_run(loop, 0);
    ev_check_stop(loop, &w->crowding);
    ev_timer_stop(loop, &w->hanging);
    loader_thread_free(w->loaders[0]);
    mailbox_fini(&w->control);
    io_free(w->io);
    ledger_free(w->ledger);
    flights_free(w->flights);
    store_free(w->store);
    marks_free(w->marks);
    news_hub_free(w->news);
    snapshot_unref(w->snapshot);
    log_setup(STDERR_FILENO, LOG_INFO);
    close(w->log);
    assert_int_equal(folder_remove(NULL), 0);
    free(w);
}

/* What was counted since it began. */
static inline uint64_t net_count(struct net_world *w, enum metric_counter id)
{
    return atomic_load(&w->io->metrics->counters[id]) - w->counted[id];
}

#endif
