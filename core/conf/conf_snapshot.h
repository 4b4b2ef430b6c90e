/*
 * conf_snapshot: a configuration upon another one; for conf_rows.
 *
 * Thread: any.
 */
#ifndef RTCACHE_CONF_CONF_SNAPSHOT_H
#define RTCACHE_CONF_CONF_SNAPSHOT_H

#include "conf/arena.h"
#include "conf/conf.h"

/* A copy of base, whose strings and lists it shares, with an arena for what is to be other in it.
 * With one reference; it holds one of base. NULL: no memory. */
struct conf *conf_snapshot_upon(struct conf *base, struct arena **arena);

#endif
