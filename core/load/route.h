/*
 * route: from a key to its loader, by the most specific pattern.
 *
 * Patterns are globs (glob.h). Most specific first: longest literal prefix, then most literal
 * bytes, then the order given. O(key bytes x pattern segments) at worst; candidates are found by
 * their prefix. Shape: immutable after routes_new. Thread: any. Limits: GLOB_*.
 */
#ifndef RTCACHE_LOAD_ROUTE_H
#define RTCACHE_LOAD_ROUTE_H

#include "base/glob.h"

struct routes;

/* Checks one pattern: not empty, not too long, no more stars than captures, no lone backslash. */
int route_check(const char *pattern, struct err *e) MUST_USE;

/* patterns is read, not kept. ERR_CONFIG names the pattern; two that are equal are refused. */
int routes_new(struct routes **out, const char *const *patterns, size_t count,
               struct err *e) MUST_USE;
void routes_free(struct routes *r); /* NULL is allowed */

/* The index (in the order given to routes_new) of the key's loader, or -1. m may be NULL. */
int routes_match(const struct routes *r, struct slice key, struct glob_match *m);

#endif
