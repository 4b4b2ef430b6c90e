/*
 * sqlite_options: what a backend of SQLite is configured with, beside what every backend has.
 *
 * Thread: any; a snapshot of the configuration owns it. Limits: the bounds in the table.
 */
#ifndef RTCACHE_BACKEND_SQLITE_OPTIONS_H
#define RTCACHE_BACKEND_SQLITE_OPTIONS_H

#include "conf/options.h"

/* conf_backend.own. */
struct sqlite_conf {
    const char *path;   /* absolute */
    const char *init;   /* SQL file that makes the database where there is none; or NULL */
    int64_t statements; /* prepared ones kept per connection, least recently used out */
    int64_t busy_timeout_ms;
};

extern const struct option sqlite_options[];

void sqlite_options_check(const struct conf_check *c, const struct conf_backend *b);
/* Its path. */
int sqlite_options_name_source(const struct conf_backend *b, struct buf *out) MUST_USE;

#endif
