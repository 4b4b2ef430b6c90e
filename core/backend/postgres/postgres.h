/*
 * postgres: the driver of PostgreSQL; one pool of connections (pg_pool) for each backend.
 *
 * Thread: each backend is one loop's.
 */
#ifndef RTCACHE_BACKEND_POSTGRES_H
#define RTCACHE_BACKEND_POSTGRES_H

#include "backend/backend.h"

extern const struct backend_driver postgres_driver;

#endif
