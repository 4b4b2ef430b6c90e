/*
 * writes: the writes of one loader thread: whose turn it is among those of a key, and of a loader.
 *
 *   writes_take --> key's turn (table by hash) --> queue of its loader --> write_run --> answered
 *
 * Thread: the loader thread's. Limits: max_writes in the air per loader, and max_write_queue that
 * wait on the thread, both shared out among loader threads.
 */
#ifndef RTCACHE_LOAD_WRITES_H
#define RTCACHE_LOAD_WRITES_H

#include "load/admission.h"
#include "load/write.h"

struct writes {
    struct thread_state *thread;
    struct edition *current; /* the thread's, whose loaders writes go to; NULL: none */
    struct list *buckets;    /* WRITES_BUCKETS of them: the first write of each key */
    struct list running;     /* in the air */
    struct list ended;       /* answered once what they have changed is in the journal */
    uint32_t waiting;        /* for their key, or for a place */
};

#define WRITES_BUCKETS 4096

int writes_init(struct writes *ws, struct thread_state *t, struct err *e) MUST_USE;
void writes_fini(struct writes *ws);
/* A write has come: it is answered in the end. */
void writes_take(struct writes *ws, struct write *w);
/* Its asker waits no longer: see loader_thread_give_up. */
void writes_give_up(struct writes *ws, struct write *w);
/* Those that wait in an admission of the edition before go to the current one. On shutdown they are
 * moved after thread->stopping is set, which answers them. */
void writes_move(struct writes *ws, struct admission *before);
void writes_shutdown(struct writes *ws);
/* Those that have ended are answered, behind one write to the journal: at the end of a turn, and
 * where none ends any more. */
void writes_tell_all(struct writes *ws);

#endif
