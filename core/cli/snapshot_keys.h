/*
 * snapshot_keys: the keys of a snapshot that a server has written, as a list for `warm`.
 *
 *   the answer to `snapshot` --find--> file, bytes --write--> a key a line, the most wanted first
 *
 * How wanted an entry is has few classes: it is among those that were read again (in_main), how
 * often it was read lately (frequency), and whether it was read since it was stored. The file is
 * read once to see which classes there are, and once more for each of them, so that memory does
 * not grow with the number of keys: SNAPSHOT_KEYS_CLASSES + 1 times at most. In a class keys
 * stand as in the file. An absence is no key to be loaded, and is left out.
 * Thread: its owner's, which it blocks. Limits: one block of the file in memory (state_reader.h).
 */
#ifndef RTCACHE_CLI_SNAPSHOT_KEYS_H
#define RTCACHE_CLI_SNAPSHOT_KEYS_H

#include "base/err.h"
#include "base/slice.h"
#include "state/state_dir.h"
#include "store/record.h"

#include <stdint.h>
#include <stdio.h>

#define SNAPSHOT_KEYS_CLASSES 16
#define SNAPSHOT_KEYS_PATH    4096 /* with the byte behind it */

struct snapshot_keys {
    char folder[SNAPSHOT_KEYS_PATH];
    char name[STATE_NAME_MAX + 1];
    uint64_t bytes; /* that the server has written */
};

/* Out of the map that the server answers. ERR_PROTOCOL: it names no file. */
int snapshot_keys_find(struct snapshot_keys *k, struct slice answer, struct err *e) MUST_USE;

/* ERR_IO: the file cannot be read here, is another one than the server has written, or the output
 * cannot be written; ERR_BAD_VALUE: it is damaged, and the keys before the damage are written;
 * ERR_NOMEM. */
int snapshot_keys_write(const struct snapshot_keys *k, FILE *out, struct err *e) MUST_USE;

/* 0: the least wanted. */
unsigned snapshot_keys_class(const struct record *r);

#endif
