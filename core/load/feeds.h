/*
 * feeds: the thread that listens to the databases, and the feeds of the configuration in force.
 *
 *   database --NOTIFY--> listen --> feed (decisions) --> change_*, live_feed
 *
 *   a reload: feeds_prepare --all threads use it--> feeds_commit, or feeds_drop
 *
 * A feed whose backend stays the same keeps its connection over a reload. The state of a backend's
 * feed (live.h) is one for the old snapshot and the new one, so a cut is seen by both; and what a
 * feed covers only from now on is not fresh when it hears of it, for nobody told it of gaps.
 * Thread: new, start, join, free: the main one; prepare, commit, drop: one at a time; stop: any;
 * the rest is its own thread's, which may wait for a name to be looked up. Limits: one connection
 * per feed.
 */
#ifndef RTCACHE_LOAD_FEEDS_H
#define RTCACHE_LOAD_FEEDS_H

#include "backend/backend.h"
#include "load/change.h"
#include "load/snapshot.h"

struct feeds;
struct feeds_change;

/* backend_listen, or what a test puts in its place. */
typedef int feeds_listen(struct listen **out, struct ev_loop *loop, const struct conf_backend *conf,
                         const struct listen_events *events, struct err *e);

int feeds_new(struct feeds **out, const struct changes *changes, feeds_listen *listen,
              struct err *e) MUST_USE;
int feeds_start(struct feeds *fs, struct err *e) MUST_USE;

/* All the memory that the feeds of s will need; a reference to s is taken. */
int feeds_prepare(struct feeds_change **out, struct snapshot *s, struct err *e) MUST_USE;
/* Its snapshot is in force on all threads, on the first of them since from_ms. c is handed over,
 * and nothing of it fails: a listen that cannot be made is tried again, and counts as down. */
void feeds_commit(struct feeds *fs, struct feeds_change *c, int64_t from_ms);
void feeds_drop(struct feeds_change *c); /* NULL is allowed */

/* Waits until something happens, and does what follows; only while its thread does not run. */
void feeds_turn(struct feeds *fs);
void feeds_stop(struct feeds *fs);
void feeds_join(struct feeds *fs);
void feeds_free(struct feeds *fs); /* NULL is allowed */

#endif
