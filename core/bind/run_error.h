/*
 * run_error: an error of a script (thrown, returned, or among the options of a key), read into a
 * run_result.
 *
 *   "a text"                          -> LOAD_FAILED script:line: a text
 *   {code = "NO_CREDIT", message = m} -> the script's own word: ERR_OWN with err.word
 *   {code = "MOVED"}                  -> SCRIPT_ERROR, which names the code and why it is refused
 *   an object with __tostring         -> its text, for which that runs within the script's bounds
 *
 * Thread: the loader loop's. Limits: a text is cut at ERR_TEXT_MAX, at a UTF-8 boundary, and has no
 * control characters; all __tostring of a run have the CPU time that it has left.
 */
#ifndef RTCACHE_BIND_RUN_ERROR_H
#define RTCACHE_BIND_RUN_ERROR_H

#include "bind/runtime_priv.h"

/* The error at index, which the script gave. May raise "not enough memory", as the next. */
void run_error_read_given(lua_State *L, const struct run *r, int index, struct run_result *out);
/* The value on top of L is what it threw. */
void run_error_read_thrown(lua_State *L, const struct run *r, struct run_result *out);

#endif
