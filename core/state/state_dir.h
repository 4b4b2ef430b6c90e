/*
 * state_dir: the folder in which a server keeps what outlives it. One server has it at a time.
 *
 *   DIR/lock                    held by flock(2) as long as the folder is open
 *   DIR/NAME                    a file that is whole
 *   DIR/NAME.rtcache-new        one that is being written
 *   DIR/NAME.rtcache-claimed    one that a start took out of the way before it read it
 *
 * All files are 0600 and reached from the folder's descriptor, never through a symbolic link. One
 * that belongs to somebody else, that others can write, or that is no plain file is refused.
 * Thread: any, but for open and close. Limits: names of STATE_NAME_MAX bytes.
 */
#ifndef RTCACHE_STATE_STATE_DIR_H
#define RTCACHE_STATE_STATE_DIR_H

#include "base/err.h"

#include <stdint.h>

#define STATE_NAME_MAX 100
#define STATE_NEW      ".rtcache-new"
#define STATE_CLAIMED  ".rtcache-claimed"

struct state_dir;

/* Makes the folder (0700; not the folders above it) where it is missing, locks it, and removes
 * what a server that died has left half written or claimed. ERR_CONFIG: the folder is in use by
 * another server, or is not safe; ERR_IO. */
int state_dir_open(struct state_dir **out, const char *path, struct err *e) MUST_USE;
/* Only for reading, beside a server that has it: nothing is made, locked, removed or written,
 * and its files may be anybody's. ERR_IO: it is not there, or may not be entered. */
int state_dir_look(struct state_dir **out, const char *path, struct err *e) MUST_USE;
void state_dir_close(struct state_dir *d); /* NULL is allowed */

/* What state_dir_open would say, as far as it can be looked at beside a server that has it. */
int state_dir_check(const char *path, struct err *e) MUST_USE;

const char *state_dir_path(const struct state_dir *d); /* borrowed until the close */

/* By the wall clock, when who had the folder before touched it last: so long it ran at least. 0:
 * nobody had it. */
int64_t state_dir_alive_wall_ms(const struct state_dir *d);
/* Says so for the next one; about once a second. Where the disk refuses, the time stays. */
void state_dir_touch(struct state_dir *d);

/* A descriptor for reading; *fd is -1 where there is no such file. */
int state_dir_read(struct state_dir *d, const char *name, int *fd, struct err *e) MUST_USE;
/* One for appending to a new file; what was there under that name is gone. */
int state_dir_create(struct state_dir *d, const char *name, int *fd, struct err *e) MUST_USE;
/* One for appending to, and cutting, a file that is there. */
int state_dir_append(struct state_dir *d, const char *name, int *fd, struct err *e) MUST_USE;

int state_dir_rename(struct state_dir *d, const char *from, const char *to, struct err *e) MUST_USE;
/* 0 as well where there is no such file. */
int state_dir_remove(struct state_dir *d, const char *name, struct err *e);
/* What was made, renamed and removed is so on the disk as well. */
int state_dir_sync(struct state_dir *d, struct err *e) MUST_USE;

/* Calls each with every name in the folder. */
int state_dir_each(struct state_dir *d, void (*each)(const char *name, void *arg), void *arg,
                   struct err *e) MUST_USE;

#endif
