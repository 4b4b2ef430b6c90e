/*
 * pack_places: which tables are arrays, by one rule wherever an array is taken.
 *
 * Shape: one walk over the keys. Thread: the VM's. Limits: none.
 */
#ifndef RTCACHE_SCRIPT_PACK_PLACES_H
#define RTCACHE_SCRIPT_PACK_PLACES_H

#include <lua.h>
#include <stdbool.h>
#include <stddef.h>

/* What the keys of a table are, however Lua keeps them: the border that lua_objlen reports is any
 * one where there are holes. */
struct pack_places {
    size_t count, places; /* all, and the integers from 1 on among them */
    lua_Number last;      /* the largest of those */
};

/* Whether the key at index is one of an array: an integer from 1 on. */
bool pack_places_has(lua_State *L, int index);
struct pack_places pack_places_count(lua_State *L, int index);
/* Whether all of 1 to the last are there, and nothing else. */
bool pack_places_are_all(struct pack_places k);
/* Names the first element that is missing of one that has only places; as snprintf. */
int pack_places_print_hole(lua_State *L, int index, char *out, size_t size);

#endif
