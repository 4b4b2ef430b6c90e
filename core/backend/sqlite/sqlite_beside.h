/*
 * sqlite_beside: the files beside a database that SQLite finds by its name, the WAL and its index.
 *
 *   a.db (new, by mv)    a.db-wal (of the old a.db)    --> SQLite plays the one into the other
 *
 * They belong to the file that had the name when they were made. So what a connection found beside
 * its file is kept for the whole process, for the next one that opens the name may be another
 * worker's, or another loader thread's, that has never seen the file before.
 * Shape: a list under one lock, an item for each path. Thread: any. Limits: the paths that were
 * ever opened; without memory a path is not remembered.
 */
#ifndef RTCACHE_BACKEND_SQLITE_BESIDE_H
#define RTCACHE_BACKEND_SQLITE_BESIDE_H

#include "backend/sqlite/sqlite_file.h"

/* A connection has opened path, which is without links; database: what was there just before. */
void sqlite_beside_look(const char *path, const struct sqlite_file *database);
/* Before path is opened, and before its connection is closed: where it has gone to another file, or
 * to none, removes the WAL and its index, where they still are those that were seen. Else SQLite
 * would play the changes of the one file into the other, and cut an index to which other
 * connections of this process hold on. Returns whether it has gone. */
bool sqlite_beside_drop(const char *path);

#endif
