/*
 * job: one request of many parts, done in slices (slices.h).
 *
 *   dispatch --> job_start: the first slice, at once --.--> done and answered
 *                                                       `--> it is copied, with its arguments; the
 *            connection takes no further message; a slice a turn; then the connection goes on
 *
 * So what comes behind it on its connection stays behind it, and other connections are served
 * meanwhile. Shape: a method's job begins with a struct job and lies on its stack until it has to
 * go on. Thread: the connection's. Limits: one job a connection; its arguments are at most one
 * frame.
 */
#ifndef RTCACHE_NET_JOB_H
#define RTCACHE_NET_JOB_H

#include "net/answer.h"

struct job;

/* Of one method. */
struct job_kind {
    size_t size; /* of its struct, which begins with a struct job */
    /* A small part. false: that was the last one, and the request is answered, or another job of
     * it begun. */
    bool (*step)(struct job *j);
    /* It has been copied: what it borrows of the arguments at `from` lies at `to` now. */
    void (*moved)(struct job *j, const char *from, const char *to);
    /* Its client has left before the last step; NULL: nothing is to be done. */
    void (*drop)(struct job *j);
};

struct job {
    struct slice_work work;
    const struct job_kind *kind;
    struct ticket ticket;
    struct target target;
    char *input;  /* the copy; owned */
    size_t bytes; /* of both copies */
};

/* j->kind and j->target are set, the rest of j is 0. input: all that it borrows. */
void job_start(struct job *j, struct slice input);

static inline void job_move_reader(struct mp_reader *r, const char *from, const char *to)
{
    if (!r->at)
        return;
    size_t at = (size_t)(r->at - from), end = (size_t)(r->end - from);
    *r = (struct mp_reader){.at = to + at, .end = to + end};
}

static inline void job_move_slice(struct slice *s, const char *from, const char *to)
{
    if (s->size > 0)
        s->data = to + (s->data - from);
}

#endif
