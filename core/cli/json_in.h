/*
 * json_in: JSON text as packed MessagePack: what json_out writes, read back.
 *
 * Integers stay integers, to 64 bits; what no integer and no float is exactly is refused
 * (json_number.h), never rounded; {"$bin": "base64"} and
 * {"$ext": [type, "base64"]} are bin and ext; members keep their order. Thread: any.
 * Limits: nesting MP_DEPTH_MAX, as the server takes a value.
 */
#ifndef RTCACHE_CLI_JSON_IN_H
#define RTCACHE_CLI_JSON_IN_H

#include "base/buf.h"
#include "wire/mp.h"

/* ERR_BAD_VALUE with line and column, ERR_TOO_LARGE, ERR_NOMEM; out is as before then. */
int json_in_pack(struct buf *out, struct slice text, struct err *e) MUST_USE;

#endif
