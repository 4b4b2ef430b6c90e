/*
 * block: a piece of a file of the state folder, with a checksum that shows any byte that changed.
 *
 *   0      4       6     8    16      20     24    32    40
 *   | magic | format | type | seq | length | count | head | body | length bytes ...
 *
 * Shape: 40 bytes of header, little-endian, then the body. `seq` counts the blocks of its file (of
 * a journal: its batches), `count` is how many records the body has, and belongs to who packs it.
 * `head` is the XXH3-64 of the bytes before it, `body` that of the body with `head` as its seed. So
 * a length is known to be right before it is believed, and a body belongs to its header.
 * Pure: no I/O, no clock. Thread: any. Limits: BLOCK_BODY_MOST bytes of body.
 */
#ifndef RTCACHE_STATE_BLOCK_H
#define RTCACHE_STATE_BLOCK_H

#include "base/buf.h"

#define BLOCK_FORMAT    1
#define BLOCK_HEADER    40
#define BLOCK_BODY_MOST ((size_t)3 << 30)

/* Numbers are never used again for something else; a reader passes over a type that it does not
 * know. */
enum block_type {
    BLOCK_HEAD = 1,    /* of a snapshot: whatever its writer says of the whole */
    BLOCK_ENTRIES = 2, /* records of entries */
    BLOCK_FLOORS = 3,  /* records of floors */
    BLOCK_END = 4,     /* state_writer.h: how much stands before it */
    BLOCK_JOURNAL = 5, /* journal.h: how a file of the journal begins, */
    BLOCK_BATCH = 6,   /* its records, */
    BLOCK_NEXT = 7,    /* and that it is continued in the next file */
};

struct block {
    unsigned type; /* of enum block_type, or one that is not known yet */
    uint32_t count;
    uint64_t seq;
    struct slice body; /* borrowed from what was read */
};

/* Appends b. Errors: of buf_append, with nothing appended; ERR_TOO_LARGE: past BLOCK_BODY_MOST. */
int block_append(struct buf *out, const struct block *b) MUST_USE;

/* Appends one whose body lies in `out` already, behind BLOCK_HEADER bytes from `begin` on, whose
 * content does not matter: fills those. */
int block_close(struct buf *out, size_t begin, unsigned type, uint64_t seq,
                uint32_t count) MUST_USE;

enum block_read {
    BLOCK_READ,  /* *b is filled, *used bytes are its */
    BLOCK_SHORT, /* what is there is right and not the whole block: *used bytes are wanted in all */
    BLOCK_BAD,   /* e says what is wrong, and at which byte of it */
};

/* The block at the begin of `in`; any bytes may stand there. e may be NULL. */
enum block_read block_read(struct slice in, struct block *b, size_t *used, struct err *e) MUST_USE;

#endif
