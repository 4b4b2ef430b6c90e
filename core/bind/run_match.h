/*
 * run_match: ctx.match: what the stars of the pattern matched, by number and by name.
 *
 * Shape: match[1] is always the text; match.id is the text too, but for an int star the number,
 * exact to 64 bits as rows give them. Thread: the loader loop's. Limits: GLOB_STARS_MAX.
 */
#ifndef RTCACHE_BIND_RUN_MATCH_H
#define RTCACHE_BIND_RUN_MATCH_H

#include "base/glob.h"
#include "script/value.h"

/* stars NULL: all of them are plain. Raises. */
void run_match_push(lua_State *L, const struct value_marks *m, const struct slice *captures,
                    unsigned count, const struct glob_star *stars);

#endif
