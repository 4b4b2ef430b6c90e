/*
 * session: who is at the other end, and what that one may: nobody yet, a user, or anybody where a
 * configuration has no users.
 *
 *   begin (a uid, where the wire tells one) --> nobody --become (a password fits)--> a user
 *     ^                                           ^                                    |
 *     `------- stays? another configuration ------'------------------------------------'
 *
 * Shape: embedded in a connection of any protocol. The user is the configuration's, borrowed until
 * another one is in force, of which session_stays is told before. Thread: the connection's.
 * Limits: max_auth_failures, by who counts them.
 */
#ifndef RTCACHE_SERVE_SESSION_H
#define RTCACHE_SERVE_SESSION_H

#include "conf/conf.h"

struct session {
    const struct conf_user *user; /* NULL: nobody yet, or there are no users */
    unsigned may;                 /* what needs no further look; rights.h */
    uint32_t failures;            /* passwords that did not fit */
    bool known;                   /* it is a user, or there are none */
};

/* uid: of the process at the other end; -1: that is not told. */
void session_begin(struct session *s, const struct conf *conf, int64_t uid);
/* u, or NULL, is who is there from now on. */
void session_become(struct session *s, const struct conf *conf, const struct conf_user *u);
/* Whether who is there now may not hear of what the one before subscribed to, were it u. */
bool session_is_another(const struct session *s, const struct conf_user *u);
/* The user whose password was found to fit `hash`, which may have been removed or changed since
 * then: NULL, with ERR_AUTH_FAILED. */
const struct conf_user *session_user(const struct conf *conf, struct slice name, const char *hash,
                                     struct err *e);
/* Another configuration is in force; before is still there. false: who is there has to go, for it
 * is a user no more, proves it otherwise, or subscribes and has other rights. It is nobody then. */
bool session_stays(struct session *s, const struct conf *before, const struct conf *now,
                   int64_t uid, bool subscribes);

#endif
