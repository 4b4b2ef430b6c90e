/*
 * life: the number of the server that has the folder: 1 for the first one, then one more each time.
 *
 * Shape: a file of state_writer.h with one block. Thread: one. Errors: ERR_IO. A file that is
 * damaged or gone begins with 1 again, at which no snapshot is of the life before.
 */
#ifndef RTCACHE_STATE_LIFE_H
#define RTCACHE_STATE_LIFE_H

#include "state/state_dir.h"

#include <stdint.h>

/* The next life, which is on the disk when it returns. */
int life_begin(struct state_dir *d, uint64_t *life, struct err *e) MUST_USE;
/* As if this one had not been: nothing was changed in it. */
int life_undo(struct state_dir *d, uint64_t life, struct err *e) MUST_USE;

#endif
