/*
 * json: JSON text to packed MessagePack and back (jansson does the parsing).
 *
 * Integers of int64 are exact, larger ones become float 64; objects become maps with string keys.
 * Thread: any. Limits: nesting as mp.h's MP_DEPTH_MAX; size as the buf's maximum.
 */
#ifndef RTCACHE_WIRE_JSON_H
#define RTCACHE_WIRE_JSON_H

#include "base/buf.h"

/* ERR_BACKEND where text is no JSON (with jansson's position), ERR_TOO_LARGE, ERR_NOMEM. */
int json_to_mp(struct slice text, struct buf *out, struct err *e) MUST_USE;
/* One packed value as JSON text; bin is an error (ERR_BAD_VALUE), as is a map key that is no str.
 */
int json_from_mp(struct slice packed, struct buf *out, struct err *e) MUST_USE;

#endif
