/*
 * fingerprint: whether a loader of another life of the server is the one that there is now.
 *
 *   script and what it required as it was read | sql, version | backend's source, primary's source
 *                                        --> 64 bits, equal where the loader gives the same values
 *
 * What only says how values are kept or how the source is reached (ttl, pool, passwords) is not in
 * it. Shape: XXH3-64; not keyed, so that it is equal in the next process. Thread: any, once the
 * loader threads have read the scripts of the snapshot. Limits: what a script requires only as it
 * runs is not seen.
 */
#ifndef RTCACHE_LOAD_FINGERPRINT_H
#define RTCACHE_LOAD_FINGERPRINT_H

#include "load/snapshot.h"

/* ERR_NOMEM. */
int fingerprint_of(const struct snapshot *s, size_t loader, uint64_t *out, struct err *e) MUST_USE;

/* Of the backend's source alone: for positions of feeds. */
int fingerprint_of_source(const struct conf *conf, size_t backend, uint64_t *out,
                          struct err *e) MUST_USE;

#endif
