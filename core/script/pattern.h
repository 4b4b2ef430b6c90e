/*
 * pattern: Lua's string patterns, matched within a budget of steps.
 *
 * Shape: a backtracking matcher over the pattern's text; classes, sets, captures, positions, %b, %f
 * and back-references as the Lua 5.1 manual has them (5.2's %g and %f too). Time: a pattern can
 * take exponential time, so every step is counted, and `overdue` is asked every PATTERN_LOOK steps.
 * Thread: any. Limits: PATTERN_CAPTURES captures, PATTERN_DEPTH nested attempts.
 */
#ifndef RTCACHE_SCRIPT_PATTERN_H
#define RTCACHE_SCRIPT_PATTERN_H

#include "base/slice.h"

#define PATTERN_CAPTURES 32
#define PATTERN_DEPTH    200
#define PATTERN_LOOK     10000

struct pattern_capture {
    const char *at;
    ptrdiff_t size; /* or one of the two below */
};

enum { PATTERN_OPEN = -1, PATTERN_POSITION = -2 };

struct pattern {
    struct slice subject, pattern;
    struct pattern_capture capture[PATTERN_CAPTURES];
    int captures;
    const char *problem; /* static text: the pattern is malformed, or the time is over */
    unsigned steps, depth;
    bool (*overdue)(void *arg); /* whether to give up; NULL: never */
    void *arg;
};

void pattern_init(struct pattern *p, struct slice subject, struct slice pattern,
                  bool (*overdue)(void *arg), void *arg);

/* The end of a match that begins at `at`, or NULL: no match, or problem is set. An anchor (^) is
 * the caller's, as is a capture that was opened and not closed. */
const char *pattern_match(struct pattern *p, const char *at);

/* The first match at `at` or later: its begin, and its end in *end; NULL as above. */
const char *pattern_search(struct pattern *p, const char *at, bool anchored, const char **end);

/* Whether the pattern has no special character, so that a plain search does. */
bool pattern_is_plain(struct slice pattern);

/* The first occurrence of text in s, or NULL. Linear. */
const char *pattern_find_plain(struct slice s, struct slice text);

#endif
