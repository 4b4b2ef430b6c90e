/*
 * pack_keys: the keys of a table in an order that is always the same: booleans, numbers by size,
 * strings by their bytes. Lua's own order depends on how a table was filled.
 *
 * Shape: the keys lie on Lua's stack, or in a table there where they are many; O(n log n).
 * Thread: the VM's. Limits: the VM's memory.
 */
#ifndef RTCACHE_SCRIPT_PACK_KEYS_H
#define RTCACHE_SCRIPT_PACK_KEYS_H

#include "script/value.h"

#define PACK_KEYS_FEW 32

struct pack_key {
    struct slice text; /* of a string */
    lua_Number number;
    int type;
    uint32_t place; /* on the stack, from base on, or in the table */
};

struct pack_keys {
    lua_State *L;
    int base, table; /* table: its index; 0: the keys are on the stack, above base */
    uint32_t count;
    struct pack_key *keys; /* sorted; few, or borrowed while the stack is as it was left */
    struct pack_key few[PACK_KEYS_FEW];
};

/* How many keys the table at index has; -1: one that is no string (any: nor a number or boolean).
 */
int64_t pack_keys_count(lua_State *L, int index, bool any);

/* Sorts the keys of the table at index, of which count said how many there are, without those of
 * the shape at that index (0: none). Leaves what it needs on the stack, for its user to take off.
 * Raises. */
void pack_keys_sort(struct pack_keys *k, lua_State *L, int index, int64_t count, int shape);

/* Pushes key i, from 0. */
void pack_keys_push(const struct pack_keys *k, uint32_t i);

#endif
