/*
 * mpw: writes MessagePack into a buf, through msgpack-c's packer.
 *
 * Thread: the buf's owner. Errors: ERR_NOMEM, ERR_TOO_LARGE from the buf; what was written before a
 * failure stays: the caller remembers size and goes back to it.
 */
#ifndef RTCACHE_WIRE_MPW_H
#define RTCACHE_WIRE_MPW_H

#include "base/buf.h"

#include <stdint.h>

int mpw_nil(struct buf *b) MUST_USE;
int mpw_bool(struct buf *b, bool v) MUST_USE;
int mpw_int(struct buf *b, int64_t v) MUST_USE;   /* the shortest form */
int mpw_uint(struct buf *b, uint64_t v) MUST_USE; /* the shortest form */
int mpw_float(struct buf *b, double v) MUST_USE;  /* always float 64 */
/* A number without a type of its own, as a source's float and a script's number: an int where it is
 * integral and within 2^53, else a float. -0.0 is a float, NaN always the same eight bytes. */
int mpw_number(struct buf *b, double v) MUST_USE;
int mpw_array(struct buf *b, uint32_t count) MUST_USE;
int mpw_map(struct buf *b, uint32_t pairs) MUST_USE;
int mpw_str(struct buf *b, struct slice s) MUST_USE; /* the caller knows that it is UTF-8 */
int mpw_cstr(struct buf *b, const char *s) MUST_USE;
int mpw_bin(struct buf *b, struct slice s) MUST_USE;
int mpw_ext(struct buf *b, int8_t type, struct slice s) MUST_USE;
int mpw_text(struct buf *b, struct slice s) MUST_USE; /* str where s is valid UTF-8, else bin */
int mpw_raw(struct buf *b, struct slice packed) MUST_USE;

/* Overwrites the count of an array or map that was opened with mpw_*_open, whose header takes 5
 * bytes whatever the count, for callers that learn it last. at: the offset that open returned. */
int mpw_array_open(struct buf *b, size_t *at) MUST_USE;
int mpw_map_open(struct buf *b, size_t *at) MUST_USE;
void mpw_close(struct buf *b, size_t at, uint32_t count);
/* The same for an array, whose header becomes the shortest one, as mpw_array writes it: what stands
 * behind it moves. */
void mpw_array_close(struct buf *b, size_t at, uint32_t count);

#endif
