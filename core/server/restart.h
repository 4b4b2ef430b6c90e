/*
 * restart: what the server keeps in its folder `state`, so that a restart is not noticed.
 *
 *   restart_open   the folder, its life, the snapshot's header (so: the seed of the store's hash)
 *   restart_begin  once scripts are read: floors, entries, journal ---> done, then clients come
 *   (serving)      every snapshot_every, or when asked: a snapshot
 *   restart_end    when all threads have ended: the last snapshot
 *
 * The files are read and written on a thread of its own; the loop goes on meanwhile. Without
 * `state` each step does nothing.
 * A life is one run of a server with the folder. Its number stands in the file `life`, which is on
 * the disk before the snapshot is read: a snapshot that is not of the life before is not whole
 * (P1), for what a life between acknowledged is not in it.
 * Thread: the main one. Limits: one snapshot at a time; who asks meanwhile gets the next one.
 */
#ifndef RTCACHE_SERVER_RESTART_H
#define RTCACHE_SERVER_RESTART_H

#include "server/server.h"

struct restart;

/* Before the store is made; the folder belongs to who the process is by now. *out NULL: there is
 * no `state`. A snapshot that cannot be read is told in the log, and the start is cold. */
int restart_open(struct restart **out, struct server *s, struct err *e) MUST_USE;
/* What the store has to hash with, so that floors are found again. */
bool restart_seed(const struct restart *r, uint64_t *seed);
struct keep_numbers *restart_numbers(struct restart *r);

/* done is called once from the loop, at once where r is NULL. */
void restart_begin(struct restart *r, void (*done)(struct server *s), struct server *s);
/* The drain begins: what is read or written is given up. */
void restart_stop(struct restart *r);
/* All threads have ended. Writes the last snapshot; the loop runs meanwhile, and ends it early
 * where restart_stop is called again. */
void restart_end(struct restart *r);
void restart_free(struct restart *r); /* NULL is allowed */

/* A client's `snapshot`, as io_options wants it. */
void restart_recv_request(struct message *m, void *owner);

#endif
