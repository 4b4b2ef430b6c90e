/*
 * base64: bytes as JSON text and back (RFC 4648, section 4, with padding).
 *
 * Thread: any. Limits: the buf's.
 */
#ifndef RTCACHE_WIRE_BASE64_H
#define RTCACHE_WIRE_BASE64_H

#include "base/buf.h"

int base64_encode(struct buf *out, struct slice bytes) MUST_USE;
/* ERR_BAD_VALUE where text is not base64 with its padding. */
int base64_decode(struct buf *out, struct slice text) MUST_USE;

#endif
