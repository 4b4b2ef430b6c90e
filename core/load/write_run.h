/*
 * write_run: one write in the air: its script's save or remove, with a deadline.
 *
 *   write_run_begin --> script --> write_entry.c (what becomes of the entry) --> done
 *
 * With done it is gone. Thread: the loader thread's. Limits: write_timeout.
 */
#ifndef RTCACHE_LOAD_WRITE_RUN_H
#define RTCACHE_LOAD_WRITE_RUN_H

#include "load/binding.h"
#include "load/write.h"

struct write_run {
    struct list link; /* of those in the air */
    struct thread_state *thread;
    struct binding *binding; /* whose edition it holds a reference of */
    struct write *write;
    struct run *run;
    uint64_t since; /* marks_now when it began */
    struct write_token token;
    ev_timer deadline;
    void (*done)(struct write *w, struct binding *b, void *arg);
    void *arg;
};

static inline const char *write_method(const struct write *w)
{
    return w->what == WRITE_PUT ? "put" : "delete";
}

static inline enum run_what write_function(const struct write *w)
{
    return w->what == WRITE_PUT ? RUN_SAVE : RUN_REMOVE;
}

/* w has its key's turn and a place in the air; it goes into running. done: w has its outcome and is
 * the caller's again, perhaps before this returns. false: no memory; nothing has begun. */
bool write_run_begin(struct write *w, struct binding *b, struct list *running,
                     void (*done)(struct write *w, struct binding *b, void *arg), void *arg);
/* Ends the first of running with ERR_SHUTDOWN; done is called. */
void write_run_shutdown(struct list *running);

#endif
