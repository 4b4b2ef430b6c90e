/*
 * result: what a loader returned or threw, read into a run_result.
 *
 * Thread: the loader loop's. Limits: value_max of the runtime.
 */
#ifndef RTCACHE_BIND_RESULT_H
#define RTCACHE_BIND_RESULT_H

#include "bind/runtime_priv.h"

void result_init(struct run_result *out, size_t value_max);
void result_fini(struct run_result *out);

/* The count values on top of L are what the run's function returned. May raise "not enough
 * memory". */
void result_read(lua_State *L, const struct run *r, int count, struct run_result *out);

/* The value on top of L is what it threw. May raise "not enough memory". */
void result_read_error(lua_State *L, const struct run *r, struct run_result *out);

#endif
