/*
 * shape: what a table that was made of a packed map remembers of it, so that it is packed again as
 * it came: the order of its keys, and which of its strings were bytes (bin).
 *
 *   a shape, of {id, name}    metatable: [0] = marks, [1] = "id", [2] = "name", [-1] = their set
 *   of one row with bytes     metatable: [0] = marks, [-2] = its shape, [3] = the bytes that came
 *
 * Shape: tables with the same keys in the same order share one metatable, which a weak table finds
 * by the packed names; so the rows of a query cost a pointer each. A row that holds bytes has a
 * metatable of its own: Lua has one type of string, so which they were is known by their identity.
 * A map whose keys stand in the order of their bytes, and that holds no such bytes, has no shape:
 * it is the order in which maps are packed anyway.
 * Thread: the VM's. Limits: the VM's memory.
 */
#ifndef RTCACHE_SCRIPT_SHAPE_H
#define RTCACHE_SCRIPT_SHAPE_H

#include "script/value.h"

/* Raises. */
void shape_setup(lua_State *L, struct value_marks *m);

/* Pushes the shape of a packed map, whose keys are strings. Raises. */
void shape_push(lua_State *L, const struct value_marks *m, struct slice map);

/* The table on top of the stack was made of this map: gives it the shape below that, with the
 * bytes that the map holds where bytes is true. Raises. */
void shape_set(lua_State *L, const struct value_marks *m, int shape, struct slice map, bool bytes);

/* Whether the metatable on top of the stack is a shape's. */
bool shape_is(lua_State *L, const struct value_marks *m);

/* Where the metatable on top of the stack is a shape's: leaves that, and above it the shape whose
 * [1], [2], ... are the names; false is in the place of one that stood there before. *bytes: the
 * first has strings that were bytes. */
void shape_open(lua_State *L, bool *bytes);

/* Whether the key on top of the stack is a name of the shape at index. */
bool shape_has(lua_State *L, int shape);

#endif
