/*
 * api: what scripts call: the table rtcache, ctx, and (method.h) the backends' methods.
 *
 * The part that waits is script/api.lua; here are the C functions below it.
 * Thread: the loader loop's. Limits: parameters of a call and JSON texts of value_max bytes.
 */
#ifndef RTCACHE_BIND_API_H
#define RTCACHE_BIND_API_H

#include "bind/runtime_priv.h"

/* Makes rt->api, rt->context, rt->error and the backends' userdata. Raises. */
void api_setup(lua_State *L, struct runtime *rt);

#endif
