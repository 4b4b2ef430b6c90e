/*
 * feeds: the thread that listens to the databases, and the feeds of the configuration in force.
 *
 *   database --NOTIFY, log--> listen --> feed (decisions) --> change_*, live_feed
 *
 *   a reload: feeds_prepare --all threads use it--> feeds_commit, or feeds_drop
 *
 * A feed whose backend stays the same keeps its connection over a reload. The state of a backend's
 * feed (live.h) is one for the old snapshot and the new one, so a cut is seen by both; and what a
 * feed covers only from now on is not fresh when it hears of it, for nobody told it of gaps.
 *
 *   over a restart: feeds_position --a text that is kept--> feeds_resume, feeds_start
 *                   --all since then is in force--> caught_up(name, resumed)
 *
 * Thread: new, resume, tell, start, join, free: the main one; prepare, commit, drop: one at a time;
 * stop, position: any; the rest is its own thread's, which may wait for a name to be looked up.
 * Limits: one connection per feed; FEED_PLACE_MAX bytes of a position.
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

/* A feed is told of what it is to know before it answers: everything that changed since the
 * position that feeds_resume gave it is in force (resumed), or is lost to it and a gap. Called once
 * for each feed of the first configuration, at once where it was given none or cannot go on; for
 * one that was given a position not before its database was reached. On the feeds' thread. */
typedef void feeds_caught_up(void *arg, const char *name, bool resumed);
/* Before feeds_start. */
void feeds_tell(struct feeds *fs, feeds_caught_up *caught_up, void *arg);
/* Before feeds_start: the feed of the backend `name` goes on from there. Both are copied; a text
 * that its driver cannot read is none. ERR_NOMEM. */
int feeds_resume(struct feeds *fs, const char *name, struct slice text, struct err *e) MUST_USE;
/* Appends the text for feeds_resume: every change that was committed before it is in force here.
 * One line, that only the driver reads. false: the feed cannot go on from anywhere (it listens
 * with NOTIFY, was never up, or something is missing just now), or no memory; out is as it was. */
bool feeds_position(struct feeds *fs, const char *name, struct buf *out);

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
