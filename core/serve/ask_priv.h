/* What ask.c and parked.c share. */
#ifndef RTCACHE_SERVE_ASK_PRIV_H
#define RTCACHE_SERVE_ASK_PRIV_H

#include "serve/ask.h"

/* For a flight of the key that nobody is on yet, as a plain read asks for it. */
struct join_request ask_join_request(const struct asker *by, const struct ask *q,
                                     const struct ask_loader *l, int64_t now_ms);
/* ABSENT: the key fits no row. */
void ask_misfit(const struct asker *by, struct ask_verdict *v);
/* What the look under the flight's lock found: VALUE or ABSENT. */
void ask_found(const struct asker *by, const struct join_result *joined, struct ask_verdict *v);

#endif
