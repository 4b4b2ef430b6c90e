/*
 * params: the arguments of one call, taken in order, with errors that say which one is wrong.
 *
 * Shape: a cursor over the packed params; slices borrow from the input buffer. Thread: any.
 * Limits: keys of 1 to max_key bytes, values of at most max_value.
 */
#ifndef RTCACHE_NET_PARAMS_H
#define RTCACHE_NET_PARAMS_H

#include "conf/conf.h"
#include "store/store.h"
#include "wire/rpc.h"

struct params {
    const char *method;
    const struct conf *conf;
    struct mp_reader at;
    uint32_t left, index;      /* index of the next one, from 1 */
    const struct rpc_msg *msg; /* borrowed: its first one may be read already */
};

/* The times are in milliseconds, within the bounds of such an option of rtcache.conf. */
enum params_type { OPTION_TTL, OPTION_WAIT, OPTION_INT, OPTION_BOOL, OPTION_TEXT, OPTION_RAW };

/* One option a method knows; to: int64_t (TTL, WAIT, INT), bool or struct slice (RAW: one packed
 * value), untouched where not given. */
struct option_spec {
    const char *name;
    enum params_type type;
    void *to;
    bool *given; /* may be NULL */
};

void params_init(struct params *p, const char *method, const struct rpc_msg *m,
                 const struct conf *conf);
/* Whether it may be a key. */
static inline bool params_is_key(const struct params *p, const struct mp_token *t)
{
    return (t->type == MP_STR || t->type == MP_BIN) && t->bytes.size - 1 < (size_t)p->conf->max_key;
}
/* The first argument, where it was read with the message and is a key. */
static inline bool params_key_ahead(struct params *p, struct slice *key)
{
    const struct rpc_msg *m = p->msg;
    if (p->index != 1 || !m->behind_first || !params_is_key(p, &m->first))
        return false;
    p->at.at = m->behind_first;
    p->left--;
    p->index++;
    *key = m->first.bytes;
    return true;
}
/* ERR_BAD_KEY or ERR_BAD_REQUEST. */
int params_key(struct params *p, struct slice *key, struct err *e) MUST_USE;
/* The store's hash of the key that is the first argument: known where the message was looked at
 * ahead. */
static inline uint64_t params_hash(const struct params *p, const struct store *s, struct slice key)
{
    return p->msg->first_hash ? p->msg->first_hash : store_hash(s, key);
}
/* As many values as a request may hold beside those of a value that is stored: a text or an array
 * of them, and some that are refused one by one. */
static inline size_t params_tokens_max(const struct params *p)
{
    return 2 * (size_t)p->conf->max_batch + 1000;
}
/* Checks a key that is one token already (an element of get_many's array). */
int params_check_key(const struct params *p, const struct mp_token *t, struct slice *key,
                     struct err *e) MUST_USE;
int params_array(struct params *p, uint32_t *count, struct err *e) MUST_USE;
/* One whole well-formed value, as its bytes; ERR_TOO_LARGE past max_value. */
int params_value(struct params *p, struct slice *packed, struct err *e) MUST_USE;
/* One whole value, whatever it is. */
int params_raw(struct params *p, struct slice *packed, struct err *e) MUST_USE;
/* The trailing map, where there is one, and nothing after it. */
int params_options(struct params *p, const struct option_spec *specs, size_t count,
                   struct err *e) MUST_USE;

#endif
