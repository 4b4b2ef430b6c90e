/*
 * method: what scripts ask of a backend: a method for each verb of its driver.
 *
 *   db:row(sql, 7) --__index--> api.lua's function of the verb --> method_ask -> an op -> awaited
 *
 * Shape: a metatable for each driver that a backend of the configuration has, and in it a Lua
 * function for each verb that is not hidden, around a C function that knows its verb. A method that
 * there is not raises, and says which there are.
 * Thread: the loader loop's. Limits: parameters of a call of value_max bytes.
 */
#ifndef RTCACHE_BIND_METHOD_H
#define RTCACHE_BIND_METHOD_H

#include "bind/runtime_priv.h"

/* Pushes an array, by driver, of {methods = {name = function}, hidden = {...}}: (self, text, count,
 * ...) -> op. Raises. */
void method_push_verbs(lua_State *L, struct runtime *rt);
/* What api.lua made of that is on top: makes the backends' userdata. Raises. */
void method_make_backends(lua_State *L, struct runtime *rt);

/* A metatable that scripts cannot get at. */
void method_push_metatable(lua_State *L);

#endif
