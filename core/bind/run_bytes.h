/*
 * run_bytes: which strings of a run db:value brought as bytes (bytea, BLOB), so that one that is
 * returned as the value is answered as bytes, as it is from a row. Lua has one type of string.
 *
 * Shape: a set in the registry, made with the first such string; gone with the run.
 * Thread: the loader loop's. Limits: the VM's memory.
 */
#ifndef RTCACHE_BIND_RUN_BYTES_H
#define RTCACHE_BIND_RUN_BYTES_H

#include "bind/runtime_priv.h"

/* The string on top of the stack was unpacked from these bytes. Raises. */
void run_bytes_note(lua_State *L, struct run *r, struct slice packed);
/* Whether the value at index is a string that came as bytes, and did not come as a text since. */
bool run_bytes_has(lua_State *L, const struct run *r, int index);
void run_bytes_forget(struct run *r);

#endif
