/*
 * pg_pure_names: the functions of PostgreSQL that a statement which shares a transaction may call.
 *
 * Each gives the same for the same arguments and the same settings of the session, and does nothing
 * else: it neither sets, locks, waits, nor tells of the transaction, its time or its snapshot.
 * Thread: any.
 */
#ifndef RTCACHE_BACKEND_PG_PURE_NAMES_H
#define RTCACHE_BACKEND_PG_PURE_NAMES_H

#include <stdbool.h>

bool pg_pure_names_function(const char *name);

#endif
