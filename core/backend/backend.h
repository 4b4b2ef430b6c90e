/*
 * backend: a source of data behind one small interface, without Lua.
 *
 *   bind --backend_submit(call)--> driver --(socket or worker thread)--> call->done(call)
 *
 * Shape: each driver has a folder of its own, which the table of drivers in backend.c alone knows;
 * the configuration is read with that table, and a backend's part of it says which driver it is.
 * Thread: one loader loop owns a backend and every query of it; done runs on that loop, never
 * inside backend_submit. Limits: conf_backend's pool, max_queue, max_result, and the
 * driver's own.
 */
#ifndef RTCACHE_BACKEND_BACKEND_H
#define RTCACHE_BACKEND_BACKEND_H

#include "backend/listen.h"
#include "backend/verb.h"
#include "base/err.h"
#include "conf/conf_driver.h"

#include <ev.h>

struct backend;

struct backend_stats {
    uint64_t queries, failures, connects, disconnects, cancels, timeouts;
    uint64_t groups, groups_failed; /* postgres: transactions of more than one SELECT */
    uint64_t reruns;                /* postgres: for rows that were too many to take at once */
    uint64_t descriptions;          /* postgres: statements described, again or the first time */
    uint64_t stale;                 /* postgres: queries run again by a newer description */
    uint64_t lost;                  /* postgres: queries run again for their name was not there */
    uint64_t retired;               /* postgres: connections closed for their age */
    uint64_t grown;                 /* postgres: connections closed for a row's size */
    uint32_t connections, idle, in_flight, queued;
    uint32_t statements_shared, statements_alone; /* postgres: by what was shown of them */
    uint32_t unprepared; /* postgres: threads that have given up names, for a pooler's sake */
};

struct backend_ops {
    void (*submit)(struct backend *b, struct call *q);
    void (*cancel)(struct backend *b, struct call *q);
    /* NULL: nothing is known of a call before it has run. */
    bool (*answer)(struct backend *b, struct call *q);
    void (*free)(struct backend *b);
    void (*read_stats)(const struct backend *b, struct backend_stats *out);
};

/* What makes backends of a driver; its folder has one, and backend.c a line for it. */
struct backend_driver {
    struct conf_driver conf; /* its name and its options */
    const struct verb *verbs;
    int (*open)(struct backend **out, struct ev_loop *loop, const struct conf_backend *conf,
                unsigned share, struct err *e);
    /* NULL: nothing can be heard of its sources. conf is borrowed for the life of *out. */
    int (*listen)(struct listen **out, struct ev_loop *loop, const struct conf_backend *conf,
                  const struct listen_events *events, struct err *e);
};

/* The drivers that there are, as conf_load takes them; NULL ends them. Each is the `conf` of a
 * struct backend_driver, as is that of every conf_backend. */
extern const struct conf_driver *const backend_drivers[];

static inline const struct backend_driver *backend_driver_of(const struct conf_backend *conf)
{
    return container_of(conf->driver, const struct backend_driver, conf);
}

/* The head of every driver's own struct. */
struct backend {
    const struct backend_ops *ops;
    const char *name; /* owned by the driver's struct */
    int refs;         /* one loop's: not atomic */
};

/* Makes a backend of conf's driver on this loop. share: this loop's part of the pool, at least 1.
 * It does not wait for the database: a database that is down is an error of each query, not of
 * this. */
int backend_new(struct backend **out, struct ev_loop *loop, const struct conf_backend *conf,
                unsigned share, struct err *e) MUST_USE;

/* Hears of changes in conf's source (its feed says where) from now on, as it can be reached;
 * ERR_CONFIG where the driver cannot. conf is borrowed for the life of *out. */
int backend_listen(struct listen **out, struct ev_loop *loop, const struct conf_backend *conf,
                   const struct listen_events *events, struct err *e) MUST_USE;

static inline struct backend *backend_ref(struct backend *b)
{
    b->refs++;
    return b;
}

/* The last reference closes connections and ends threads; no query may be in the air then. */
static inline void backend_unref(struct backend *b)
{
    if (b && --b->refs == 0)
        b->ops->free(b);
}

static inline void backend_submit(struct backend *b, struct call *q)
{
    b->ops->submit(b, q);
}

/* Answers q from what the driver knows, at once: q has its outcome, the source was not asked, and
 * done will not be called. false: q is untouched, and has to be submitted. */
static inline bool backend_answer(struct backend *b, struct call *q)
{
    return b->ops->answer && b->ops->answer(b, q);
}

/* Gives q up: done will not be called, q may be released at once (its result too), and its fate
 * stands. The database is told to stop; the connection is used again only when it is drained. */
static inline void backend_cancel(struct backend *b, struct call *q)
{
    b->ops->cancel(b, q);
}

#endif
