/*
 * texts: an argument that is one text or an array of them: tags, keys, patterns.
 *
 * Shape: a cursor over the packed argument, checked as a whole before the first is taken. str and
 * bin are both texts. Thread: any. Limits: those of the caller, and max_batch texts.
 */
#ifndef RTCACHE_NET_TEXTS_H
#define RTCACHE_NET_TEXTS_H

#include "net/params.h"

struct texts {
    struct mp_reader at;
    uint32_t count; /* left */
};

/* What such an argument may be. */
struct texts_rule {
    const char *what; /* of one, for messages: "tag" */
    size_t longest;   /* bytes of one; the shortest has 1 */
    uint32_t most;    /* 0: max_batch */
};

/* packed empty: none. ERR_BAD_REQUEST says which one is wrong. */
int texts_of(struct texts *out, const struct params *p, struct slice packed,
             const struct texts_rule *rule, struct err *e) MUST_USE;
/* false: there are no more. */
bool texts_next(struct texts *t, struct slice *text);

#endif
