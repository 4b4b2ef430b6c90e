/*
 * tier_json: a packed value as the JSON that people read in the table's column `value`.
 *
 *   what JSONB takes   as the tool prints it, bytes as {"$bin": "base64"}
 *   anything else      {"$unfit": "a string with a NUL byte"}: `packed` has the value
 *
 * Thread: any. Limits: TIER_JSON_MAX bytes of packed value; what is longer is a mark too.
 */
#ifndef RTCACHE_TIER_TIER_JSON_H
#define RTCACHE_TIER_TIER_JSON_H

#include "base/buf.h"

#define TIER_JSON_MAX ((size_t)1 << 20)

/* Appends JSON, whatever the value is. ERR_NOMEM, ERR_TOO_LARGE: of out, which then is as it was.
 */
int tier_json_put(struct buf *out, struct slice packed) MUST_USE;

#endif
