/*
 * state_writer: writes one file of the state folder, which is there whole or not at all.
 *
 *   new (NAME.rtcache-new) --block, block, ..--> finish: end block, fsync, rename to NAME, and
 *                                   |                    fsync of the folder
 *                                   `--> abort: nothing is left
 *
 * Shape: blocks are gathered up to STATE_WRITE_BYTES; one write(2) each. What is written is handed
 * to the disk as it comes, so that not more than some 16 MiB of it wait there (a disk that is slow
 * then slows down this writer, and not everybody who writes). Thread: one at a time.
 * Errors: ERR_IO with name, byte and reason; the first one stays, and each later call returns it.
 */
#ifndef RTCACHE_STATE_STATE_WRITER_H
#define RTCACHE_STATE_STATE_WRITER_H

#include "state/block.h"
#include "state/state_dir.h"

#define STATE_WRITE_BYTES ((size_t)256 << 10)

struct state_writer;

/* d: borrowed until the end. One writer of a name at a time. */
int state_writer_new(struct state_writer **out, struct state_dir *d, const char *name,
                     struct err *e) MUST_USE;

/* One block; its body is copied. count: the records in it, which are summed up for the end. */
int state_writer_block(struct state_writer *w, enum block_type type, struct slice body,
                       uint32_t count, struct err *e) MUST_USE;

uint64_t state_writer_bytes(const struct state_writer *w); /* of the file, were it finished now */

/* w is freed, and on an error nothing is left, as after state_writer_abort. */
int state_writer_finish(struct state_writer *w, struct err *e) MUST_USE;
void state_writer_abort(struct state_writer *w); /* NULL is allowed */

#endif
