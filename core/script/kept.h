/*
 * kept: how many bytes of a VM are reached from some value: what a script keeps in its module.
 *
 *   kept_init -> kept_skip(what all scripts share) -> kept_count(a script's functions) ... -> fini
 *
 * Shape: a walk over tables, metatables, environments, upvalues and the locals of coroutines, depth
 * first; a set of the addresses that were seen, outside of the VM. Weak references hold nothing.
 * What two scripts share is the first one's. Sizes are those of LuaJIT's objects without spare
 * room: a floor. Thread: the VM's, between runs, inside vm_protect_past_max. Limits: KEPT_OBJECTS;
 * what is beyond is not counted. 50 to 200 ns an object.
 */
#ifndef RTCACHE_SCRIPT_KEPT_H
#define RTCACHE_SCRIPT_KEPT_H

#include "script/vm.h"

#define KEPT_OBJECTS ((size_t)2 * 1000 * 1000)

struct kept {
    uintptr_t *seen; /* open addressing; 0: free */
    size_t room, count;
    int work; /* the place on the stack of the table of objects that are being walked */
    int depth;
    size_t bytes;
};

/* Leaves a table on the stack, and the collector stopped until kept_fini. Raises, as the next two
 * do: kept_fini then gives back what is held outside of the VM. */
void kept_init(lua_State *L, struct kept *k);
/* Takes the value on top; what is reached from it counts for nobody. */
void kept_skip(lua_State *L, struct kept *k);
/* Takes the value on top; bytes that are reached from it and were not seen before. */
size_t kept_count(lua_State *L, struct kept *k);
void kept_fini(lua_State *L, struct kept *k); /* also after a raise, with another L */

#endif
