/*
 * server: the wiring of everything; the only folder that knows all others.
 *
 *   main thread (signals, listeners, reload, expiry)
 *     I/O threads -- store, flights -- loader threads
 *
 * Life: server_new (binds, drops privileges, makes the threads) -> server_run (takes the
 * configuration over, accepts, until a signal) -> server_free. Thread: the main one.
 */
#ifndef RTCACHE_SERVER_SERVER_H
#define RTCACHE_SERVER_SERVER_H

#include "load/feeds.h"
#include "load/loader_thread.h"
#include "load/snapshot.h"
#include "net/io_thread.h"
#include "server/account.h"
#include "server/notify.h"
#include "store/store.h"
#include "sys/addr.h"

#define SERVER_THREADS_MAX   64 /* of a kind; the most of io_threads and loader_threads */
#define SERVER_LISTENERS_MAX (4 * CONF_LISTEN_MAX) /* a name may have several addresses */

struct reload;
struct restart;
struct verifier;
struct watch;

struct listener {
    ev_io accepting;
    struct server *server;
    struct addr addr;
    char text[160]; /* as bound, with the real port */
    int fd;         /* -1: closed, or no more of ours */
    bool handed;    /* by the service manager, whose it stays */
    bool listed;    /* it stands in `listen`; of what was handed over */
};

struct server {
    struct ev_loop *loop;
    struct mailbox control;
    struct conf *conf;         /* of the start; its threads and addresses hold until the end */
    struct snapshot *snapshot; /* in force; NULL before the first take-over */
    struct store *store;
    size_t beside; /* bytes that were resident beside the store when it started */
    struct marks *marks;
    struct flights *flights;
    struct news_hub *news;
    struct ledger *ledger; /* of the I/O threads */
    struct changes changes;
    struct tier *tier;  /* NULL: there is none */
    struct changes own; /* of the main thread, with its lane */
    struct journal_lane lane;
    struct feeds *feeds;
    struct loader_thread *loaders[SERVER_THREADS_MAX];
    struct mailbox *slots[SERVER_THREADS_MAX];
    struct io *ios[SERVER_THREADS_MAX];
    unsigned loader_count, io_count, next_io;
    struct addr_file socket_file; /* what those of Unix sockets are to be */
    struct listener listeners[SERVER_LISTENERS_MAX];
    unsigned listener_count;
    struct reload *reload;
    struct restart *restart; /* NULL: there is no folder of state */
    struct verifier *verifier;
    struct watch *watch;
    struct notify notify;
    struct message drained[SERVER_THREADS_MAX];
    unsigned undrained;
    ev_timer tick, drain_limit, accept_pause;
    ev_signal on_term, on_int, on_hup;
    int64_t started_ms;
    uint64_t generation;
    int exit_code;
    int spare_fd; /* given up to refuse politely when descriptors run out */
    int log_fd;
    bool draining;
};

/* conf is handed over. Errors are ready to print. */
int server_new(struct server **out, struct conf *conf, struct err *e) MUST_USE;
/* Until SIGTERM, SIGINT or a start that fails; the exit code. */
int server_run(struct server *s);
void server_free(struct server *s);

/* drain.c: stops accepting, lets what is parked end within drain_timeout, then leaves the loop. */
void drain_begin(struct server *s);

/* listen.c */
/* What listen_open would say, as far as it can be looked at beside a server that runs already. */
int listen_check(const struct conf *conf, struct err *e) MUST_USE;
/* Whether the process can give Unix sockets to unix_group. */
int listen_check_group(const struct conf *conf, struct err *e) MUST_USE;
/* Whether what was handed over and stands in no `listen` may be served by the configuration. */
int listen_check_reload(const struct server *s, const struct conf *conf, struct err *e) MUST_USE;
/* Unix sockets belong to the account. What a service manager has handed over is not bound again. */
int listen_open(struct server *s, const struct account *a, struct err *e) MUST_USE;
void listen_start(struct server *s);
/* Accepts who waits for it at sockets that are going to be closed. */
void listen_accept_rest(struct server *s);
void listen_close(struct server *s);

/* check.c: `rtcached --check`: every problem of a configuration and its scripts, one a line, to
 * out. The exit code. */
int check_file(const char *path, struct buf *out);

/* logfile.c: what the account can write, and what it makes there is its own. */
/* Whether the log could be written there; nothing is made. */
int logfile_check(const char *path, struct account *a, struct err *e) MUST_USE;
/* Opens the configured log. */
int logfile_open(struct server *s, const struct conf *conf, struct account *a,
                 struct err *e) MUST_USE;
/* The same once the server is who it is to be: after the file was moved away. */
int logfile_reopen(struct server *s, const struct conf *conf, struct err *e) MUST_USE;

#endif
