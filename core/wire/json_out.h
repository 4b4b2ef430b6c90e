/*
 * json_out: packed MessagePack as JSON text, for people and for pipes.
 *
 *   integers   exact, all 64 bits          str    a string
 *   float      shortest exact; always with a point or exponent; NaN and infinities are null
 *   bin        {"$bin": "base64"}          ext    {"$ext": [type, "base64"]}
 *   map keys   a str is itself, anything else its own JSON text
 *
 * Shape: one pass with a stack of its own. Control characters are escaped, the C1 ones too, so that
 * a value cannot steer a terminal. Thread: any.
 * Limits: nesting MP_DEPTH_MAX + MP_DEPTH_EXTRA; the buf's maximum.
 */
#ifndef RTCACHE_WIRE_JSON_OUT_H
#define RTCACHE_WIRE_JSON_OUT_H

#include "base/buf.h"

enum json_out_style { JSON_OUT_COMPACT, JSON_OUT_PRETTY };

/* Appends the first value of packed. ERR_PROTOCOL (no MessagePack), ERR_TOO_LARGE, ERR_NOMEM; out
 * is as before then. */
int json_out_value(struct buf *out, struct slice packed, enum json_out_style style) MUST_USE;

#endif
