/*
 * rights: what a user may ask for: by the method's group, and by the keys that a request names.
 *
 * Shape: a connection has a word of bits that need no further look (rights_at_once), which dispatch
 * tests against the method's; only what that refuses comes here, and is then looked at as a whole
 * before its method sees it. Thread: any, it is pure. Limits: those of the configuration.
 */
#ifndef RTCACHE_NET_RIGHTS_H
#define RTCACHE_NET_RIGHTS_H

#include "conf/conf.h"
#include "wire/rpc.h"

#define RIGHT_ANYBODY 16U /* beside enum conf_right: who is not known yet, too */
#define RIGHTS_ALL    31U

/* What the first argument of a method names. */
enum rights_names {
    NAMES_NOTHING,
    NAMES_KEY,
    NAMES_KEYS, /* an array, or one */
    NAMES_TAGS,
    NAMES_PATTERN,
    NAMES_WISHES, /* of subscribe: a map of keys, patterns and tags */
};

/* The bits of methods that u may call whatever they name. u NULL: not authenticated. */
unsigned rights_at_once(const struct conf_user *u);

/* Of a method that is not among these. 0, or ERR_UNAUTHENTICATED or ERR_DENIED. A request whose
 * arguments are of a wrong type, or more than max_batch, passes: the method refuses it. */
int rights_check(const struct conf_user *u, unsigned right, enum rights_names names,
                 const struct rpc_msg *m, size_t max_batch, struct err *e) MUST_USE;

/* The same in parts, for a request that names very many. First whether the group of the method is
 * among the user's: 0, ERR_UNAUTHENTICATED or ERR_DENIED. */
int rights_group(const struct conf_user *u, unsigned right, const struct rpc_msg *m,
                 struct err *e) MUST_USE;

/* Then one text after the other. All is borrowed from the message. */
struct rights_walk {
    struct slice method;
    struct mp_reader at;
    size_t max_batch, tokens;
    uint32_t names, texts; /* that are left: of the map of wishes, and of what is looked at */
    const char *what;      /* "key", "pattern" or "tag" */
};
void rights_begin(struct rights_walk *w, enum rights_names names, const struct rpc_msg *m,
                  size_t max_batch);
/* One text. false: that was all, with *rc 0, or ERR_DENIED. */
bool rights_step(struct rights_walk *w, const struct conf_user *u, int *rc, struct err *e);

/* Of a key or a pattern that a method finds in its arguments itself. u NULL: there are no users.
 * 0 or ERR_DENIED. */
int rights_check_text(const struct conf_user *u, struct slice method, bool pattern,
                      struct slice text, struct err *e) MUST_USE;

bool rights_key(const struct conf_user *u, struct slice key);
/* Whether one of u's patterns matches whatever this one matches. false where that is not seen: it
 * takes u's stars for the pattern's stars, which is never wrong that way. */
bool rights_pattern(const struct conf_user *u, struct slice pattern);

#endif
