/*
 * registry_look: asks the registry's table for its rows.
 *
 *   begin(conf) --SELECT--> backend --answer, error, or timeout--> done(rows) or done(error)
 *
 * Shape: a backend of its own, with one connection, which is kept from look to look.
 * Thread: the main one, whose loop it never holds up. Limits: one at a time; the registry's
 * `timeout`, REGISTRY_LOOK_BYTES of an answer.
 */
#ifndef RTCACHE_SERVER_REGISTRY_LOOK_H
#define RTCACHE_SERVER_REGISTRY_LOOK_H

#include "backend/backend.h"
#include "server/registry_rows.h"

#define REGISTRY_LOOK_BYTES ((int64_t)4 << 20)

struct registry_look {
    struct ev_loop *loop;
    struct conf *of; /* whose table it asks; one reference; NULL: of none yet */
    struct backend *backend;
    struct buf sql;
    struct call call;
    bool asking, sent; /* sent: the backend has the call */
    ev_timer limit;
    /* rows are handed over; NULL: e says why. Never from inside registry_look_begin. */
    void (*done)(struct registry_look *l, struct registry_rows *rows, const struct err *e);
};

void registry_look_init(struct registry_look *l, struct ev_loop *loop,
                        void (*done)(struct registry_look *l, struct registry_rows *rows,
                                     const struct err *e));
/* None is under way; conf has a registry. */
void registry_look_begin(struct registry_look *l, struct conf *conf);
/* Whether conf has the table that was asked last, at the same place. */
bool registry_look_is_of(const struct registry_look *l, const struct conf *conf);
/* Gives up what is under way, and closes the connection. May be used again. */
void registry_look_close(struct registry_look *l);

#endif
