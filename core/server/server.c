#include "server/server.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/rng.h"
#include "load/prefetch.h"
#include "net/park.h"
#include "net/telling.h"
#include "server/reload.h"
#include "server/restart.h"
#include "server/verifier.h"
#include "server/watch.h"

#include <assert.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <unistd.h>

#define TICK_MOST 20000 /* entries expired, and entries judged by patterns, per tick */

static void server_on_tick(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct server *s = timer->data;
    struct ahead room[PREFETCH_TICK_MAX];
    struct aheads due = {.items = room, .max = PREFETCH_TICK_MAX};
    const struct prefetcher p = {
        .flights = s->flights, .loaders = s->loaders, .loader_count = s->loader_count};
    store_tick(s->store, clock_ms(), TICK_MOST, s->draining ? NULL : &due);
    prefetch_run(&p, s->snapshot, &due, clock_ms());
    store_sweep(s->store, clock_ms(), TICK_MOST);
}

static void server_on_term(struct ev_loop *loop, ev_signal *signal, int events)
{
    (void)loop, (void)events;
    struct server *s = signal->data;
    log_info("server.signal", "signal=%d", signal->signum);
    drain_begin(s);
}

static void server_on_hup(struct ev_loop *loop, ev_signal *signal, int events)
{
    (void)loop, (void)events;
    struct server *s = signal->data;
    struct err e;
    if (s->snapshot && logfile_reopen(s, s->snapshot->conf, &e) != 0)
        log_error("log.reopen_failed", "error=%s", log_q(e.text));
    reload_begin(s->reload, "SIGHUP");
}

static void server_on_change(void *arg)
{
    struct server *s = arg;
    if (s->snapshot && s->snapshot->conf->watch)
        reload_file_changed(s->reload);
}

/* ---- parts ---- */

static void raise_descriptor_limit(const struct conf *conf)
{
    struct rlimit limit;
    if (getrlimit(RLIMIT_NOFILE, &limit) != 0)
        return;
    rlim_t before = limit.rlim_cur;
    limit.rlim_cur = limit.rlim_max;
    if (setrlimit(RLIMIT_NOFILE, &limit) != 0)
        limit.rlim_cur = before;
    if (limit.rlim_cur < (rlim_t)conf->max_connections + 64)
        log_warn("server.descriptors", "limit=%llu max_connections=%lld",
                 (unsigned long long)limit.rlim_cur, (long long)conf->max_connections);
}

/* What root alone can do, and what is made for the user that the server is from then on. */
static int open_and_become(struct server *s, struct err *e)
{
    struct account account;
    int rc = account_of(s->conf, &account, e);
    if (rc == 0)
        rc = logfile_open(s, s->conf, &account, e);
    if (rc == 0)
        rc = notify_init(&s->notify, s->loop, e);
    if (rc == 0)
        rc = listen_open(s, &account, e);
    if (rc == 0)
        rc = account_become(&account, e);
    return rc;
}

static int make_store(struct server *s, struct err *e)
{
    int rc = marks_new(&s->marks, (size_t)s->conf->tag_slots, rng_os(), e);
    if (rc != 0)
        return rc;
    uint64_t seed = rng_os();
    bool kept = restart_seed(s->restart, &seed);
    struct store_options so = {
        .memory_bytes = (size_t)s->conf->memory_bytes,
        .shards = (unsigned)s->conf->shards,
        .seed = seed,
        .now_ms = s->started_ms,
        .marks = s->marks,
        .globs_max = (unsigned)s->conf->max_globs,
    };
    rc = store_new(&s->store, &so, e);
    if (rc == 0)
        rc = ledger_new(&s->ledger, s->io_count, e);
    if (rc != 0)
        return rc;
    ledger_tell_limit(s->ledger, (size_t)s->conf->client_memory);
    struct flights_options fo = {
        .store = s->store,
        .marks = s->marks,
        .shards = (unsigned)s->conf->shards,
        .slots = s->io_count,
        .failed_max = (size_t)s->conf->failed_keys,
        .floors_max = (size_t)s->conf->floors,
        /* With a folder of state it is known once that is read. */
        .lossy_until_ms = kept ? INT64_MIN : s->started_ms + s->conf->floor_ttl_ms,
        .seed = rng_os(),
        .deliver = park_recv_delivery,
        .admits = shed_admits_result,
        .budget = s->ledger,
    };
    rc = flights_new(&s->flights, &fo, e);
    if (rc == 0)
        rc = news_hub_new(&s->news, s->slots, s->io_count, (size_t)s->conf->max_notices,
                          telling_recv_news, e);
    if (rc == 0 && s->conf->tier.backend)
        rc = tier_new(&s->tier, &s->conf->tier, s->marks, s->loader_count, e);
    s->changes = (struct changes){
        .store = s->store,
        .flights = s->flights,
        .marks = s->marks,
        .news = s->news,
        .tier = s->tier,
    };
    changes_of_thread(&s->own, &s->changes, &s->lane);
    return rc;
}

static int make_threads(struct server *s, struct err *e)
{
    int rc = 0;
    for (unsigned i = 0; i < s->io_count && rc == 0; i++) {
        struct io_options o = {
            .index = i,
            .io_count = s->io_count,
            .store = s->store,
            .flights = s->flights,
            .changes = &s->changes,
            .loaders = s->loaders,
            .loader_count = s->loader_count,
            .started_ms = s->started_ms,
            .seed = rng_os(),
            .control = &s->control,
            .recv_reload = reload_recv_request,
            .recv_snapshot = restart_recv_request,
            .kept = restart_numbers(s->restart),
            .recv_auth = verifier_recv,
            .recv_auth_left = verifier_recv_left,
            .ledger = s->ledger,
        };
        rc = io_new(&s->ios[i], &o, e);
        if (rc == 0)
            s->slots[i] = io_mailbox(s->ios[i]);
    }
    for (unsigned i = 0; i < s->loader_count && rc == 0; i++) {
        struct loader_thread_options o = {
            .index = i,
            .flights = s->flights,
            .store = s->store,
            .changes = &s->changes,
            .tier = s->tier,
            .slots = s->slots,
            .slot_count = s->io_count,
            .seed = rng_os(),
        };
        rc = loader_thread_new(&s->loaders[i], &o, e);
    }
    if (rc == 0)
        rc = feeds_new(&s->feeds, &s->changes, backend_listen, e);
    if (rc == 0 && !s->restart) /* else once it is known where they go on from */
        rc = feeds_start(s->feeds, e);
    for (unsigned i = 0; i < s->loader_count && rc == 0; i++)
        rc = loader_thread_start(s->loaders[i], e);
    for (unsigned i = 0; i < s->io_count && rc == 0; i++)
        rc = io_start(s->ios[i], e);
    return rc;
}

static void start_signal(struct server *s, ev_signal *watcher, int signum,
                         void (*on_signal)(struct ev_loop *, ev_signal *, int))
{
    ev_signal_init(watcher, on_signal, signum);
    watcher->data = s;
    ev_signal_start(s->loop, watcher);
}

/* One that comes from here on is late: what it asks for is under way, and without a watcher it
 * would kill the process in the middle of that. */
static void stop_signals(struct server *s)
{
    sigset_t late;
    sigemptyset(&late);
    sigaddset(&late, SIGTERM);
    sigaddset(&late, SIGINT);
    sigaddset(&late, SIGHUP);
    pthread_sigmask(SIG_BLOCK, &late, NULL);
    ev_signal_stop(s->loop, &s->on_term);
    ev_signal_stop(s->loop, &s->on_int);
    ev_signal_stop(s->loop, &s->on_hup);
}

static void make_loop(struct server *s)
{
    s->loop = ev_default_loop(EVFLAG_AUTO);
    if (!s->loop)
        return;
    mailbox_init(&s->control, s->loop, s);
    signal(SIGPIPE, SIG_IGN);
    start_signal(s, &s->on_term, SIGTERM, server_on_term);
    start_signal(s, &s->on_int, SIGINT, server_on_term);
    start_signal(s, &s->on_hup, SIGHUP, server_on_hup);
    ev_timer_init(&s->tick, server_on_tick, STORE_TICK_MS / 1e3, STORE_TICK_MS / 1e3);
    s->tick.data = s;
}

int server_new(struct server **out, struct conf *conf, struct err *e)
{
    *out = NULL;
    struct server *s = calloc(1, sizeof *s);
    if (!s) {
        conf_unref(conf);
        return err_set(e, ERR_NOMEM, "no memory for the server");
    }
    s->conf = conf;
    s->started_ms = clock_ms();
    assert(conf->io_threads <= SERVER_THREADS_MAX && conf->loader_threads <= SERVER_THREADS_MAX);
    s->io_count = (unsigned)conf->io_threads;
    s->loader_count = (unsigned)conf->loader_threads;
    s->log_fd = s->notify.fd = -1;
    s->spare_fd = open("/dev/null", O_RDONLY | O_CLOEXEC);
    make_loop(s);
    int rc = s->loop ? 0 : err_set(e, ERR_IO, "no event loop could be made");
    if (rc == 0)
        rc = open_and_become(s, e);
    raise_descriptor_limit(conf);
    if (rc == 0)
        rc = restart_open(&s->restart, s, e);
    if (rc == 0)
        rc = make_store(s, e);
    if (rc == 0)
        rc = verifier_new(&s->verifier, s, e);
    if (rc == 0)
        rc = make_threads(s, e);
    if (rc == 0)
        rc = reload_new(&s->reload, s, e);
    if (rc == 0)
        rc = watch_new(&s->watch, s->loop, server_on_change, s, e);
    if (rc != 0) {
        server_free(s);
        return rc;
    }
    *out = s;
    return 0;
}

/* ---- life ---- */

static void open_doors(struct server *s)
{
    ev_timer_start(s->loop, &s->tick);
    listen_start(s);
    for (unsigned i = 0; i < s->listener_count; i++)
        printf("listening on %s\n", s->listeners[i].text);
    printf("ready\n");
    fflush(stdout);
    notify_ready(&s->notify);
    log_info("server.ready",
             "version=%s pid=%d conf=%s loaders=%zu io_threads=%u loader_threads=%u",
             RTCACHE_VERSION, (int)getpid(), log_q(s->conf->file), s->snapshot->conf->loader_count,
             s->io_count, s->loader_count);
}

static void server_on_first(struct server *s, const struct err *e)
{
    if (e) {
        fprintf(stderr, "rtcached: %s\n", e->text);
        s->exit_code = 1;
        ev_break(s->loop, EVBREAK_ALL);
        return;
    }
    restart_begin(s->restart, open_doors, s);
}

/* The one order of ending, from whatever is under way: first what the main thread would still ask
 * of the others, for nothing may be sent to one that has ended; then loads, whose waiters hear of
 * it from I/O threads that still run; then those. */
static void stop_threads(struct server *s)
{
    reload_stop(s->reload);
    if (s->feeds) {
        feeds_stop(s->feeds);
        feeds_join(s->feeds);
    }
    for (unsigned i = 0; i < s->loader_count && s->loaders[i]; i++)
        loader_thread_stop(s->loaders[i]);
    for (unsigned i = 0; i < s->loader_count && s->loaders[i]; i++)
        loader_thread_join(s->loaders[i]);
    for (unsigned i = 0; i < s->io_count && s->ios[i]; i++)
        io_stop(s->ios[i]);
    for (unsigned i = 0; i < s->io_count && s->ios[i]; i++)
        io_join(s->ios[i]);
}

int server_run(struct server *s)
{
    reload_first(s->reload, server_on_first);
    if (s->exit_code == 0) /* it may have failed before there was a loop to break */
        ev_run(s->loop, 0);
    listen_close(s);
    restart_stop(s->restart);
    stop_threads(s);
    restart_end(s->restart);
    log_info("server.stopped", "exit=%d", s->exit_code);
    return s->exit_code;
}

void server_free(struct server *s)
{
    if (!s)
        return;
    listen_close(s);
    stop_threads(s);
    /* The last messages of the I/O threads, while their mailboxes are there for the answers. */
    if (s->loop)
        mailbox_drain(&s->control);
    verifier_free(s->verifier);
    watch_free(s->watch);
    notify_fini(&s->notify);
    feeds_free(s->feeds);
    for (unsigned i = 0; i < s->loader_count; i++)
        loader_thread_free(s->loaders[i]);
    for (unsigned i = 0; i < s->io_count; i++)
        io_free(s->ios[i]);
    journal_lane_fini(&s->lane);
    restart_free(s->restart); /* what they noted is in its journal */
    if (s->loop) {
        stop_signals(s);
        ev_timer_stop(s->loop, &s->tick);
        mailbox_fini(&s->control);
    }
    ledger_free(s->ledger);
    reload_free(s->reload);
    tier_free(s->tier);
    flights_free(s->flights);
    store_free(s->store);
    marks_free(s->marks);
    news_hub_free(s->news);
    snapshot_unref(s->snapshot);
    conf_unref(s->conf);
    log_setup(2, log_level_now());
    if (s->log_fd >= 0)
        close(s->log_fd);
    if (s->spare_fd >= 0)
        close(s->spare_fd);
    if (s->loop)
        ev_loop_destroy(s->loop);
    free(s);
}
