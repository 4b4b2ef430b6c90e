/*
 * value: Lua values to MessagePack bytes and back.
 *
 *   nil <-> nothing   rtcache.null <-> nil   number <-> int (integral, within 2^53) or float
 *   int64/uint64 cdata <-> int past 2^53   string <-> str or bin   table <-> array or map
 *
 * Shape: one walk of the value, O(bytes); a table is an array where its keys are 1..n, a map where
 * they are strings; {} is an array. Tables that came from MessagePack, rtcache.array and
 * rtcache.map carry a marking metatable that decides. A map's keys are packed in the order in which
 * they came (shape.h), and behind them, by their bytes, those that came from nowhere: so a value is
 * always the same bytes. docs/loaders.md has the table of types.
 * Thread: the VM's. Limits: nesting MP_DEPTH_MAX, size as the buf's maximum.
 */
#ifndef RTCACHE_SCRIPT_VALUE_H
#define RTCACHE_SCRIPT_VALUE_H

#include "base/buf.h"
#include "script/vm.h"

/* The objects that values are told by: addresses of Lua objects that the registry keeps. */
struct value_marks {
    const void *null, *unchanged;    /* userdata */
    const void *absent;              /* userdata */
    const void *array, *map, *bin;   /* metatables */
    const void *bin_array;           /* the metatable of an array whose strings were bytes */
    int null_ref, unchanged_ref;     /* in the registry */
    int absent_ref, wide_ref;        /* in the registry */
    int array_ref, map_ref, bin_ref; /* in the registry */
    int bin_array_ref, shapes_ref;   /* in the registry; shape.h */
    int kind_of_cdata, make_cdata;   /* Lua functions in the registry */
    const void *row, *rows;          /* metatables of packed.h */
    int row_ref, rows_ref;           /* in the registry */
};

/* Makes the marks. make: at stack index, function(high, low) -> int64 cdata, function(high, low)
 * -> uint64 cdata, and kind: function(cdata) -> 1 (int64), 2 (uint64) or 0. Raises. */
void value_setup(lua_State *L, struct value_marks *m, int make, int kind);

#define VALUE_NAMES     16 /* columns of rows whose names are kept */
#define VALUE_NAME_SIZE 40 /* of a packed one */

/* The names of the map that was packed last, by place, as rows of one query share them. All zero
 * begins. Good as long as the maps that it was used for are alive and no script has run. */
struct value_names {
    struct value_name {
        const char *at; /* Lua's string, which its address tells */
        size_t size;
        char packed[VALUE_NAME_SIZE];
    } name[VALUE_NAMES];
    const void *shape; /* of these, where they were all that was in it; or NULL */
    uint32_t columns;
    struct value_step { /* what a walk over it meets first, second... */
        const void *name;
        uint32_t place;
    } step[VALUE_NAMES];
};

/* Packs the value at index. names: of the maps before it, or NULL. root names it in errors
 * ("value"). May raise only "not enough memory". ERR_BAD_VALUE with the path to the culprit,
 * ERR_TOO_LARGE, ERR_NOMEM; out may then hold a part.
 */
int value_pack_row(lua_State *L, const struct value_marks *m, int index, struct value_names *names,
                   const char *root, struct buf *out, struct err *e) MUST_USE;
int value_pack(lua_State *L, const struct value_marks *m, int index, const char *root,
               struct buf *out, struct err *e) MUST_USE;

/* Pushes the value of packed. A nil pushes rtcache.null. Raises, also where packed is malformed. */
void value_unpack(lua_State *L, const struct value_marks *m, struct slice packed);

#define VALUE_WHY 160

/* Whether the table at index has the keys 1 to *count and no other: what packs as an array, and all
 * that takes one. Where it has not, why names the first that is missing, or one that is too much.
 */
bool value_is_array(lua_State *L, int index, size_t *count, char *why, size_t size);

/* A number within 2^53. Past it an int64 or uint64 cdata, of which there is one for each value as
 * long as a script holds it: so two that are equal are the same key of a table. */
void value_push_int(lua_State *L, const struct value_marks *m, int64_t v);

/* Whether the value at index is an exact integer of int64: a number integral within 2^53, or a
 * cdata. May raise "not enough memory". */
bool value_int(lua_State *L, const struct value_marks *m, int index, int64_t *out);

void value_push_null(lua_State *L, const struct value_marks *m);
bool value_is_null(lua_State *L, const struct value_marks *m, int index);
bool value_is_unchanged(lua_State *L, const struct value_marks *m, int index);
bool value_is_absent(lua_State *L, const struct value_marks *m, int index);

#endif
