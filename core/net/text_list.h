/*
 * text_list: an argument that is one text or an array of them: tags, keys, patterns.
 *
 * Shape: a cursor over the packed argument, checked as a whole before the first is taken. str and
 * bin are both texts. Thread: any. Limits: those of the caller, and max_batch texts.
 */
#ifndef RTCACHE_NET_TEXT_LIST_H
#define RTCACHE_NET_TEXT_LIST_H

#include "net/params.h"

struct text_list {
    struct mp_reader at;
    uint32_t count; /* left */
};

/* What such an argument may be. */
struct text_list_rule {
    const char *what; /* of one, for messages: "tag" */
    size_t longest;   /* bytes of one; the shortest has 1 */
    uint32_t most;    /* 0: max_batch */
};

/* packed empty: none. ERR_BAD_REQUEST says which one is wrong. */
int text_list_of(struct text_list *out, const struct params *p, struct slice packed,
                 const struct text_list_rule *rule, struct err *e) MUST_USE;
/* false: there are no more. */
bool text_list_next(struct text_list *t, struct slice *text);

#endif
