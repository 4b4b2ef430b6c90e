/*
 * packed: a row, or rows, of a database as a Lua value that holds the packed bytes themselves.
 *
 *   db:packed_row(...)  -> userdata, row.name decodes that one field
 *   db:packed_rows(...) -> userdata, #rows and rows[i], which is a row
 *
 * Shape: one userdata with the bytes behind its head, so that the collector and the VM's memory
 * count them as they count a string; a row of rows refers to its parent's bytes and keeps it alive.
 * A field is found by walking the row, O(bytes before it); rows[i] is O(1) from the second time on.
 * Thread: the VM's. Limits: the VM's memory.
 */
#ifndef RTCACHE_SCRIPT_PACKED_H
#define RTCACHE_SCRIPT_PACKED_H

#include "script/value.h"

/* Makes the metatables and their marks. Raises. */
void packed_setup(lua_State *L, struct value_marks *m);

/* Pushes a copy of the bytes: a map, and an array of maps. Raises, also where they are not. */
void packed_push_row(lua_State *L, const struct value_marks *m, struct slice packed);
void packed_push_rows(lua_State *L, const struct value_marks *m, struct slice packed);

/* Whether the value at index is one of these; *out: its bytes, borrowed while it is alive. */
bool packed_get(lua_State *L, const struct value_marks *m, int index, struct slice *out);

/* Whether the value at index is packed rows; *count: how many. Raises where they are malformed. */
bool packed_rows_open(lua_State *L, const struct value_marks *m, int index, uint32_t *count);
/* Row i, from 0, of packed rows that were opened, empty where there is none; borrowed while they
 * are alive. */
struct slice packed_rows_at(lua_State *L, const struct value_marks *m, int index, uint32_t i);
/* The value of a row's column, where it has one of that name. Raises where it is malformed. */
bool packed_column(lua_State *L, struct slice row, struct slice name, struct slice *value);

/* A row without its first column: *first is that one's value, *rest the pairs after it, *count how
 * many. Raises where there is none. */
void packed_cut(lua_State *L, struct slice row, struct slice *first, struct slice *rest,
                uint32_t *count);

/* rtcache.unpack, with the marks as upvalue: (row or rows) -> the tables that db:row and db:rows
 * give. */
int packed_lua_unpack(lua_State *L);

/* With the marks as upvalue: (rows, i) -> the first field of rows[i], a row of the others. */
int packed_lua_cut_first(lua_State *L);

#endif
