/*
 * address: where a server listens, and where a client finds it, as users write it.
 *
 *   "host:port"  "[v6]:port"  ":port"  "tls:" before one of these  "unix:/path"
 *
 * The one reader of these texts: the configuration's check, the start and the tool say the same of
 * a text. Names are not looked up here (sys/addr.h does). Shape: parts, copied out of the text.
 * Thread: any. Limits: ADDRESS_TEXT_MAX - 1 bytes of text, ADDRESS_PATH_MAX of a path.
 */
#ifndef RTCACHE_BASE_ADDRESS_H
#define RTCACHE_BASE_ADDRESS_H

#include "base/err.h"

#define ADDRESS_TEXT_MAX 128
#define ADDRESS_PATH_MAX 107 /* what fits in a sockaddr_un, with its NUL */

struct address {
    bool is_unix;
    bool tls;
    char host[ADDRESS_TEXT_MAX]; /* without brackets; "127.0.0.1" for ":port" */
    char port[8];                /* digits, 0 to 65535 */
    char path[ADDRESS_PATH_MAX + 1];
};

/* ERR_CONFIG says which part is wrong, and how it is written. */
int address_read(struct address *a, const char *text, struct err *e) MUST_USE;

#endif
