/*
 * rights: what a user may ask for: by the group of a method, and by each text that a request names.
 *
 * Shape: whoever asks has a word of bits that need no further look (rights_at_once), which a
 * protocol tests against the method's; only what that refuses is looked at as a whole before its
 * method sees it. All are texts as the user gave them, of any protocol. Thread: any, it is pure.
 * Limits: those of the configuration.
 */
#ifndef RTCACHE_SERVE_RIGHTS_H
#define RTCACHE_SERVE_RIGHTS_H

#include "conf/conf.h"

#define RIGHT_ANYBODY 16U /* beside enum conf_right: who is not known yet, too */
#define RIGHTS_ALL    31U

/* The bits of methods that u may call whatever they name. u NULL: not authenticated. */
unsigned rights_at_once(const struct conf_user *u);

/* Whether the group of a method is among the user's: 0, ERR_UNAUTHENTICATED or ERR_DENIED. */
int rights_group(const struct conf_user *u, unsigned right, struct slice method,
                 struct err *e) MUST_USE;

enum rights_of { RIGHTS_OF_KEY, RIGHTS_OF_PATTERN, RIGHTS_OF_TAG };

/* Of a text that a method names. u NULL: there are no users. 0 or ERR_DENIED. */
int rights_text(const struct conf_user *u, struct slice method, enum rights_of what,
                struct slice text, struct err *e) MUST_USE;

bool rights_key(const struct conf_user *u, struct slice key);
/* Whether one of u's patterns matches whatever this one matches. false where that is not seen: it
 * takes u's stars for the pattern's stars, which is never wrong that way. */
bool rights_pattern(const struct conf_user *u, struct slice pattern);

#endif
