/*
 * sqlite_init: makes a database from a file of SQL statements.
 *
 * Shape: the statements run on a new file beside `path`, which takes its name when it is complete
 * and on disk; where somebody else was faster, theirs stays. So a crash leaves no half-made
 * database (but perhaps a file "path.new-..."), and threads and processes at once do not clash.
 * Thread: any that may block. Limits: SQLITE_INIT_MAX bytes of SQL.
 */
#ifndef RTCACHE_BACKEND_SQLITE_INIT_H
#define RTCACHE_BACKEND_SQLITE_INIT_H

#include "base/err.h"

#define SQLITE_INIT_MAX (256U << 20)

/* ERR_BACKEND_DOWN with "file:line: SQLite's message", or with the system's reason. */
int sqlite_init_make(const char *path, const char *sql_file, struct err *e) MUST_USE;

#endif
