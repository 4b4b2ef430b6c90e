/*
 * sqlite: the driver of SQLite; a pool of threads for each backend, each with a connection
 * (sqlite_conn).
 *
 * Thread: each backend is one loop's.
 */
#ifndef RTCACHE_BACKEND_SQLITE_H
#define RTCACHE_BACKEND_SQLITE_H

#include "backend/backend.h"

extern const struct backend_driver sqlite_driver;

#endif
