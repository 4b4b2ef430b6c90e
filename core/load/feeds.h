/*
 * feeds: the thread that listens to the databases, and the feeds of the configuration in force.
 *
 *   database --NOTIFY--> listen --> feed (decisions) --> change_*, snapshot->feeds
 *
 * A feed whose backend stays the same keeps its connection over a reload.
 * Thread: new, start, join, free: the main one; change, stop: any; the rest is its own thread's,
 * which may wait for a name to be looked up. Limits: one connection per feed.
 */
#ifndef RTCACHE_LOAD_FEEDS_H
#define RTCACHE_LOAD_FEEDS_H

#include "load/change.h"
#include "load/snapshot.h"

struct feeds;

int feeds_new(struct feeds **out, const struct changes *changes, struct err *e) MUST_USE;
int feeds_start(struct feeds *fs, struct err *e) MUST_USE;
/* The configuration in force from now on; a reference is taken. */
void feeds_change(struct feeds *fs, struct snapshot *s);
void feeds_stop(struct feeds *fs);
void feeds_join(struct feeds *fs);
void feeds_free(struct feeds *fs); /* NULL is allowed */

#endif
