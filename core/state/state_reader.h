/*
 * state_reader: reads a file of state_writer, block by block, and believes nothing of it.
 *
 * Shape: one block in memory at a time, whose room grows only once its header has been found right
 * and the file is long enough for it. Thread: one at a time.
 * Errors: ERR_IO: a system call failed; ERR_BAD_VALUE: the file is not whole, or a byte of it has
 * changed; the text has its name, the block and the byte. e is never NULL here.
 */
#ifndef RTCACHE_STATE_STATE_READER_H
#define RTCACHE_STATE_STATE_READER_H

#include "state/block.h"
#include "state/state_dir.h"

struct state_reader;

/* Takes the file NAME out of the way (it is NAME.rtcache-claimed from here on, also on the disk)
 * and opens it: no start ever finds it again, whatever becomes of this one. *out is NULL where
 * there is no such file. d: borrowed until the end. */
int state_claim(struct state_reader **out, struct state_dir *d, const char *name,
                struct err *e) MUST_USE;
/* Opens it where it is, and leaves it there. */
int state_reader_new(struct state_reader **out, struct state_dir *d, const char *name,
                     struct err *e) MUST_USE;

/* Reads all of it once, to its end block, and goes back to the begin: 0: it is whole. */
int state_reader_verify(struct state_reader *r, struct err *e) MUST_USE;

/* 1: *b is the next block, borrowed until the next call. 0: that was all, and the end block agrees
 * with what was read. */
int state_reader_next(struct state_reader *r, struct block *b, struct err *e) MUST_USE;

/* Goes back to the first block. */
int state_reader_rewind(struct state_reader *r, struct err *e) MUST_USE;

uint64_t state_reader_size(const struct state_reader *r); /* of the file */

/* It has its name again, as if it had never been claimed, and r is freed. */
int state_reader_give_back(struct state_reader *r, struct err *e) MUST_USE;
/* A file that was claimed is removed. NULL is allowed. */
void state_reader_free(struct state_reader *r);

#endif
