/*
 * reload: takes a configuration over on all threads or on none.
 *
 *   load and check --> snapshot and feeds_prepare --> PREPARE on every loader thread
 *        all well:    COMMIT there --> the I/O threads --> feeds_commit --> done
 *        one is not:  ABORT everywhere, and nothing has changed
 *
 * All that may fail comes before the first COMMIT. The scripts are compiled by the loader threads
 * themselves, beside the current ones. The I/O threads come after them: when the caller has its
 * answer, every later get uses the new configuration.
 * Thread: the main one. Limits: one at a time; requests that come meanwhile are answered by the
 * next.
 */
#ifndef RTCACHE_SERVER_RELOAD_H
#define RTCACHE_SERVER_RELOAD_H

#include "server/server.h"

int reload_new(struct reload **out, struct server *s, struct err *e) MUST_USE;
/* Before the threads end. A round that is under way goes no further, whichever step it is at, and
 * who asked for it hears that the server is going down. r may be NULL. */
void reload_stop(struct reload *r);
void reload_free(struct reload *r); /* no thread runs any more */

/* The first take-over, with the configuration the server was made of. done runs once. */
void reload_first(struct reload *r, void (*done)(struct server *s, const struct err *e));

/* From the file again. why: for the log ("SIGHUP", "file changed"). */
void reload_begin(struct reload *r, const char *why);

/* The same, unless what is on disk is what is in force. */
void reload_file_changed(struct reload *r);

/* A client's reload, as io_options wants it. */
void reload_recv_request(struct message *m, void *owner);

#endif
