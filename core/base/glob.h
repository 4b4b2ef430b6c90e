/*
 * glob: one pattern of keys, compiled: literal bytes and stars.
 *
 * `*` matches any run of bytes, the empty one too; `\*` and `\\` are literal. Captures: every star
 * but the last takes the shortest run that lets the pattern match, the last one takes the rest. No
 * recursion and no backtracking: O(key bytes x segments) at worst.
 * Shape: the literal bytes without escapes, cut into stars + 1 segments: the first is the prefix,
 * the last the suffix, either may be empty. Thread: any, it is constant. Limits: GLOB_*.
 */
#ifndef RTCACHE_BASE_GLOB_H
#define RTCACHE_BASE_GLOB_H

#include "base/err.h"
#include "base/slice.h"

#define GLOB_MAX       256 /* bytes as written */
#define GLOB_STARS_MAX 8

struct glob {
    const char *text;                 /* borrowed */
    uint16_t end[GLOB_STARS_MAX + 1]; /* of segment i, within text */
    uint16_t stars;
};

struct glob_match {
    struct slice capture[GLOB_STARS_MAX]; /* borrowed from the key */
    unsigned captures;
};

/* Not empty, not too long, not too many stars, no lone backslash; ERR_CONFIG says which. */
int glob_check(struct slice pattern, struct err *e) MUST_USE;

/* pattern has passed glob_check; at most its size in bytes is written to room, which g borrows. */
void glob_compile(struct glob *g, struct slice pattern, char *room);

/* m may be NULL. */
bool glob_matches(const struct glob *g, struct slice key, struct glob_match *m);
/* The same, where the prefix is known to match. */
bool glob_matches_rest(const struct glob *g, struct slice key, struct glob_match *m);

static inline struct slice glob_segment(const struct glob *g, unsigned i)
{
    size_t start = i == 0 ? 0 : g->end[i - 1];
    return slice_of(g->text + start, g->end[i] - start);
}

static inline size_t glob_literal_bytes(const struct glob *g)
{
    return g->end[g->stars];
}

#endif
