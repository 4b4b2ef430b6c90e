/*
 * pg_target: where and how to connect, from a libpq connection string or URI.
 *
 * libpq looks up host names inside its connect, which blocks; so names are looked up first, on a
 * worker thread, and handed to it as addresses (hostaddr), the name beside it for TLS and .pgpass.
 * Thread: init, connect: the owner's loop; resolve: a worker (the target does not change).
 * Limits: PG_TARGET_HOSTS addresses; a host that comes from a service file is looked up by libpq.
 */
#ifndef RTCACHE_BACKEND_PG_TARGET_H
#define RTCACHE_BACKEND_PG_TARGET_H

#include "base/buf.h"

#include <libpq-fe.h>

#define PG_TARGET_HOSTS 32

struct pg_target {
    const char **keywords, **values; /* owned, with room for a few more; NULL ends them */
    int count;
    char *host, *port; /* owned: comma-separated as written; NULL where not given */
    bool has_names;    /* something to resolve */
    char user_timeout[24];
    PQconninfoOption *options;
};

/* Comma-separated lists of equal length. */
struct pg_hosts {
    struct buf host, hostaddr, port;
    int count;
};

/* ERR_CONFIG with libpq's complaint, without secrets. pg_target_fini is due after a failure too. */
int pg_target_init(struct pg_target *t, const char *url, int64_t connect_timeout_ms,
                   struct err *e) MUST_USE;
void pg_target_fini(struct pg_target *t);

/* Blocks. */
int pg_target_resolve(const struct pg_target *t, struct pg_hosts *hosts, struct err *e) MUST_USE;
void pg_target_hosts_fini(struct pg_hosts *hosts);

/* Begins a connect without waiting; hosts: NULL where there was nothing to resolve. NULL: no
 * memory. */
PGconn *pg_target_connect(const struct pg_target *t, const struct pg_hosts *hosts) MUST_USE;

#endif
