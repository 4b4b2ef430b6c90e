/*
 * route: from a key to its loader, by the most specific pattern.
 *
 * Patterns are globs (glob.h). Most specific first: longest literal prefix, then most literal
 * bytes, then the narrower stars, then the order given. A key that no pattern takes, but that fits
 * one if its stars were plain, is a misfit: it can be no row, so it is absent without a load.
 * O(key bytes x pattern bytes) at worst; candidates are found by their prefix. Shape: immutable
 * after routes_new. Thread: any. Limits: GLOB_*.
 */
#ifndef RTCACHE_LOAD_ROUTE_H
#define RTCACHE_LOAD_ROUTE_H

#include "base/glob.h"

struct routes;

#define ROUTE_NONE   (-1)
#define ROUTE_MISFIT (-2) /* less the index of the loader whose types the key does not fit */

static inline bool route_is_misfit(int route)
{
    return route <= ROUTE_MISFIT;
}

/* Checks one pattern, as glob_check. */
int route_check(const char *pattern, struct err *e) MUST_USE;

/* patterns is read, not kept. ERR_CONFIG names the pattern; two that match the same keys are
 * refused. */
int routes_new(struct routes **out, const char *const *patterns, size_t count,
               struct err *e) MUST_USE;
void routes_free(struct routes *r); /* NULL is allowed */

/* The index (in the order given to routes_new) of the key's loader, or one of ROUTE_*, which are
 * below 0. m may be NULL. */
int routes_match(const struct routes *r, struct slice key, struct glob_match *m);

/* What the stars of that loader's pattern take of a key that it is known to match. */
void routes_capture(const struct routes *r, int loader, struct slice key, struct glob_match *m);

#endif
