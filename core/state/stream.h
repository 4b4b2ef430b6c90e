/*
 * stream: the blocks of one file, from its begin to its end, whatever bytes it has.
 *
 * Shape: one block in memory at a time. The room for it grows once its header was found right and
 * the file is long enough for it. Thread: one at a time. Errors: their text has the file's name and
 * the byte in it.
 */
#ifndef RTCACHE_STATE_STREAM_H
#define RTCACHE_STATE_STREAM_H

#include "state/block.h"

struct stream {
    int fd;           /* owned; -1: closed */
    const char *name; /* borrowed */
    uint64_t size;    /* of the file, at the open */
    uint64_t at;      /* where the next block begins */
    uint64_t filled;  /* up to where the file has been read into `room` */
    uint64_t blocks;  /* that were read */
    struct buf room;  /* its last bytes are those before `filled` */
};

/* fd: handed over, at its begin, also where it fails. name: borrowed until the end. */
int stream_init(struct stream *s, int fd, const char *name, struct err *e) MUST_USE;
void stream_fini(struct stream *s);
/* To the begin. */
int stream_again(struct stream *s, struct err *e) MUST_USE;

enum stream_read {
    STREAM_BLOCK,
    STREAM_END,   /* the file ends where a block does */
    STREAM_TORN,  /* it ends inside of a block, which is right as far as it goes */
    STREAM_BAD,   /* bytes are not what was written */
    STREAM_FAILED /* a system call, or memory */
};

/* *b: borrowed until the next call. e is filled but for BLOCK and END. */
enum stream_read stream_next(struct stream *s, struct block *b, struct err *e) MUST_USE;

#endif
