/*
 * worker: a thread with a libev loop and a mailbox; what I/O and loader threads are made of.
 *
 * Life: worker_init, worker_start, (messages), worker_stop from inside, worker_join, worker_fini.
 * Signals are blocked in it: the main thread takes them.
 * Thread: init, start, join, fini: the one that made it; stop: the worker's own (from a message).
 */
#ifndef RTCACHE_SYS_WORKER_H
#define RTCACHE_SYS_WORKER_H

#include "base/err.h"
#include "sys/mailbox.h"

#include <assert.h>
#include <pthread.h>

struct worker {
    pthread_t thread;
    struct ev_loop *loop;
    struct mailbox mailbox;
    char name[16];
    bool started;
};

/* owner: handed to the messages. The loop exists from here on, the thread does not. */
int worker_init(struct worker *w, const char *name, unsigned index, void *owner,
                struct err *e) MUST_USE;
int worker_start(struct worker *w, struct err *e) MUST_USE;
void worker_stop(struct worker *w);
void worker_join(struct worker *w);
/* After join: receives the messages that came after the stop, then frees the loop. */
void worker_fini(struct worker *w);

/* The caller runs on w's thread; or w is not started, or joined, and belongs to who made it. */
bool worker_is_mine(const struct worker *w);

/* Stands where state of w's loop is touched: in builds with asserts (debug, sanitizers) the program
 * ends there when another thread does. */
static inline void worker_owns(const struct worker *w)
{
    assert(worker_is_mine(w) && "a loop's state belongs to its thread");
    (void)w;
}

#endif
