/*
 * pool: a few threads for work that blocks, owned by one loop.
 *
 *   owner loop -- pool_submit --> [queue] --> worker: task->work --> mailbox --> owner: task->done
 *
 * Guarantees: `work` runs on a worker, `done` on the owner's loop, once per submitted task, in the
 * order the works ended; after pool_free returns no callback runs any more.
 * Thread: submit, cancel, free: the owner's. Limits: `threads`; the queue is bounded by its users.
 */
#ifndef RTCACHE_SYS_POOL_H
#define RTCACHE_SYS_POOL_H

#include "base/err.h"
#include "base/list.h"
#include "sys/mailbox.h"

struct pool;

/* Embedded in its owner; borrowed by the pool from submit to done. */
struct pool_task {
    struct message message;                          /* the pool's */
    struct list link;                                /* the pool's */
    int state;                                       /* the pool's */
    _Atomic bool given_up;                           /* the pool's */
    struct pool *pool;                               /* the pool's */
    void (*work)(struct pool_task *t, void *worker); /* worker: what worker_new made, or NULL */
    void (*done)(struct pool_task *t);
};

struct pool_options {
    const char *name; /* of the threads, at most 11 bytes */
    unsigned threads;
    void *(*worker_new)(void *arg); /* runs on the worker at its start; may be NULL */
    void (*worker_free)(void *worker, void *arg);
    void *arg;
};

int pool_new(struct pool **out, struct ev_loop *loop, const struct pool_options *o,
             struct err *e) MUST_USE;
void pool_submit(struct pool *p, struct pool_task *t);
/* true: t had not begun, is out of the queue, and will not be called back; it is the caller's
 * again. false: it runs or has run, pool_given_up is true from now on, and done is still called. */
bool pool_cancel(struct pool *p, struct pool_task *t);
/* Whether the owner wants no outcome any more: for works that can stop early. Worker's or owner's.
 */
bool pool_given_up(const struct pool_task *t);
/* Waits for running works, delivers their done, drops queued tasks without a call. NULL is allowed.
 */
void pool_free(struct pool *p);

#endif
