/*
 * sqlite_file: whether a path still leads to the file that a connection has open, as it was.
 *
 * SQLite looks at neither: a connection goes on with the file that it opened, also when another one
 * has its name by now (mv, a switched link, a folder that was moved away), and in WAL mode it keeps
 * its pages when somebody writes over the file (cp, a truncation), because only the WAL would tell
 * it of a change ("How To Corrupt An SQLite Database File", sqlite.org, sections 2 and 4).
 *
 *   look before the open --> kept by the connection --> looked at again before each query
 *
 * Shape: what stat(2) says. A checkpoint, whoever makes it, looks as a change too, and costs an
 * open. File times tick in some milliseconds: a file that was touched just before the look is taken
 * for changed as long as a second change could bear the same time.
 * Thread: any. Limits: none.
 */
#ifndef RTCACHE_BACKEND_SQLITE_FILE_H
#define RTCACHE_BACKEND_SQLITE_FILE_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct sqlite_file {
    bool there;
    bool fresh; /* touched so shortly before the look that another change may not show */
    dev_t dev;
    ino_t ino;
    off_t size;
    int64_t written_ns, changed_ns; /* mtime, ctime */
};

/* Of the file that path leads to, through links. */
struct sqlite_file sqlite_file_look(const char *path);
/* Whether a connection that was opened after `before` may be used after `now`. */
bool sqlite_file_unchanged(const struct sqlite_file *before, const struct sqlite_file *now);
/* Whether both are one file, whatever is in it. */
bool sqlite_file_is_same(const struct sqlite_file *a, const struct sqlite_file *b);

#endif
