/*
 * pg_options: what a backend of PostgreSQL is configured with, beside what every backend has.
 *
 * Thread: any; a snapshot of the configuration owns it. Limits: the bounds in the table.
 */
#ifndef RTCACHE_BACKEND_PG_OPTIONS_H
#define RTCACHE_BACKEND_PG_OPTIONS_H

#include "conf/options.h"

/* conf_backend.own. */
struct pg_conf {
    const char *url;           /* a libpq connection string or URI */
    int64_t pipeline;          /* queries in the air on one connection */
    int64_t group;             /* SELECTs that share a transaction */
    int64_t statements;        /* prepared ones kept per connection, least recently used out */
    bool prepared;             /* statements have names on the server */
    int64_t statement_age_ms;  /* what is known of a statement's types is no older */
    int64_t connection_age_ms; /* 0: for ever */
    int64_t connect_timeout_ms;
    int64_t reconnect_base_ms, reconnect_cap_ms;
    const char *feed_log; /* the table that the feed reads instead of listening; or NULL */
    int64_t feed_poll_ms, feed_poll_idle_ms;
    int64_t log_keep_ms;
};

extern const struct option pg_options[];

void pg_options_check(const struct conf_check *c, const struct conf_backend *b);
/* Of the url: hosts, ports, database, user, service and session options. */
int pg_options_name_source(const struct conf_backend *b, struct buf *out) MUST_USE;

#endif
