/*
 * rights_walk: a look at all that a message names, one text after the other, against its user's
 * rights (serve/rights.h).
 *
 * Shape: what is no text, or more than the method takes, passes: the method refuses it. Thread:
 * any, it is pure. Limits: max_batch texts.
 */
#ifndef RTCACHE_NET_RIGHTS_WALK_H
#define RTCACHE_NET_RIGHTS_WALK_H

#include "serve/rights.h"
#include "wire/rpc.h"

/* What the first argument of a method names. */
enum rights_names {
    NAMES_NOTHING,
    NAMES_KEY,
    NAMES_KEYS, /* an array, or one */
    NAMES_TAGS,
    NAMES_PATTERN,
    NAMES_WISHES, /* of subscribe: a map of keys, patterns and tags */
};

/* Of a method that is not among those that its user may call at once. 0, or ERR_UNAUTHENTICATED or
 * ERR_DENIED. A request whose arguments are of a wrong type, or more than max_batch, passes: the
 * method refuses it. */
int rights_check(const struct conf_user *u, unsigned right, enum rights_names names,
                 const struct rpc_msg *m, size_t max_batch, struct err *e) MUST_USE;

/* That in parts, for a request that names very many, whose group was looked at. All is borrowed
 * from the message. */
struct rights_walk {
    struct slice method;
    struct mp_reader at;
    size_t max_batch, tokens;
    uint32_t names, texts; /* that are left: of the map of wishes, and of what is looked at */
    enum rights_of what;
};
void rights_begin(struct rights_walk *w, enum rights_names names, const struct rpc_msg *m,
                  size_t max_batch);
/* One text. false: that was all, with *rc 0, or ERR_DENIED. */
bool rights_step(struct rights_walk *w, const struct conf_user *u, int *rc, struct err *e);

#endif
