/*
 * pg_log: a feed of PostgreSQL that reads a table, to which triggers write what changed.
 *
 *   open --> identity's parts --> poll --> up --wait--> poll --notified..., moved--wait--> ...
 *                                   '--> its place does not hold: down, up
 *
 * Each poll tells of the rows of transactions that the place (pg_place) does not have, and the
 * place moves once all of them were told of. So a cut leaves no gap: what came meanwhile is told
 * of before `up`. A place that does not hold (another history, another log, purged) is a gap, and
 * the next one begins now. On a standby a row may be read twice after a cut, elsewhere never.
 * The server takes old rows out, where it may, and where the database takes writes.
 * Thread: its loop's; looking a host name up blocks it. Limits: feed_poll to feed_poll_idle
 * between two polls, three times feed_heartbeat for an answer; ROWS_A_TURN of a turn of the loop,
 * however many a poll finds; PG_LOG_TWICE transactions that are kept apart.
 */
#ifndef RTCACHE_BACKEND_PG_LOG_H
#define RTCACHE_BACKEND_PG_LOG_H

#include "backend/listen.h"
#include "base/err.h"
#include "conf/conf.h"

#include <ev.h>

/* b is borrowed for its life: its feed_log is the table, its feed the channel of its rows. It
 * begins to connect at once. */
int pg_log_new(struct listen **out, struct ev_loop *loop, const struct conf_backend *b,
               const struct listen_events *events, struct err *e) MUST_USE;

#endif
