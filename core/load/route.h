/*
 * route: from a key to its loader, by the most specific pattern.
 *
 * A pattern is literal bytes and `*`, each of which matches any run of bytes, the empty one too;
 * `\*` and `\\` are literal. Most specific first: longest literal prefix, then most literal bytes,
 * then the order given. Captures: every `*` but the last takes the shortest run that lets the
 * pattern match, the last one takes the rest. No recursion, no backtracking over more than the
 * segments: O(key bytes x pattern segments) at worst; candidates are found by their prefix. Shape:
 * immutable after routes_new. Thread: any. Limits: ROUTE_*.
 */
#ifndef RTCACHE_LOAD_ROUTE_H
#define RTCACHE_LOAD_ROUTE_H

#include "base/err.h"
#include "base/slice.h"

#define ROUTE_PATTERN_MAX  256
#define ROUTE_CAPTURES_MAX 8

struct routes;

struct route_match {
    struct slice capture[ROUTE_CAPTURES_MAX]; /* borrowed from the key */
    unsigned captures;
};

/* Checks one pattern: not empty, not too long, no more stars than captures, no lone backslash. */
int route_check(const char *pattern, struct err *e) MUST_USE;

/* patterns is read, not kept. ERR_CONFIG names the pattern; two that are equal are refused. */
int routes_new(struct routes **out, const char *const *patterns, size_t count,
               struct err *e) MUST_USE;
void routes_free(struct routes *r); /* NULL is allowed */

/* The index (in the order given to routes_new) of the key's loader, or -1. m may be NULL. */
int routes_match(const struct routes *r, struct slice key, struct route_match *m);

#endif
