#include "script/shape.h"

#include "wire/mp.h"

#include <stdlib.h>

/* Places in a metatable that no name has. */
#define MARK  0  /* a light userdata, which scripts cannot make */
#define NAMES -1 /* the set of the names */
#define WHOLE -2 /* of a row with bytes: its shape */

void shape_setup(lua_State *L, struct value_marks *m)
{
    lua_newtable(L);
    lua_createtable(L, 0, 1);
    lua_pushliteral(L, "v");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    m->shapes_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}

static __attribute__((noreturn)) void malformed(lua_State *L)
{
    luaL_error(L, "malformed bytes where a map should be");
    abort(); /* luaL_error does not return, which its type does not say */
}

static uint32_t open_map(lua_State *L, struct slice map, struct mp_reader *r)
{
    struct mp_token t = {.count = 0};
    *r = mp_reader_of(map);
    if (mp_next(r, &t) != MP_OK || t.type != MP_MAP)
        malformed(L);
    return t.count;
}

/* Pushes the packed names, one behind the other. */
static void push_names(lua_State *L, struct slice map)
{
    struct mp_reader r;
    uint32_t count = open_map(L, map, &r);
    luaL_Buffer b;
    luaL_buffinit(L, &b);
    for (uint32_t i = 0; i < count; i++) {
        struct slice name;
        if (mp_take(&r, &name) != MP_OK || mp_skip(&r) != MP_OK)
            malformed(L);
        luaL_addlstring(&b, name.data, name.size);
    }
    luaL_pushresult(&b);
}

static void new_metatable(lua_State *L, const struct value_marks *m, int places)
{
    lua_createtable(L, places, 4);
    lua_pushlightuserdata(L, (void *)(uintptr_t)m);
    lua_rawseti(L, -2, MARK);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
}

static void push_new(lua_State *L, const struct value_marks *m, struct slice map)
{
    struct mp_reader r;
    uint32_t count = open_map(L, map, &r);
    new_metatable(L, m, (int)count);
    lua_createtable(L, 0, (int)count);
    for (uint32_t i = 1; i <= count; i++) {
        struct mp_token t;
        if (mp_next(&r, &t) != MP_OK || (t.type != MP_STR && t.type != MP_BIN) ||
            mp_skip(&r) != MP_OK)
            malformed(L);
        lua_pushlstring(L, t.bytes.data, t.bytes.size);
        lua_pushvalue(L, -1);
        lua_rawget(L, -3);
        bool twice = !lua_isnil(L, -1);
        lua_pop(L, 1);
        if (twice)
            lua_pushboolean(L, 0);
        else
            lua_pushvalue(L, -1);
        lua_rawseti(L, -4, (int)i);
        lua_pushboolean(L, 1);
        lua_rawset(L, -3);
    }
    lua_rawseti(L, -2, NAMES);
}

void shape_push(lua_State *L, const struct value_marks *m, struct slice map)
{
    luaL_checkstack(L, 8, "a row's columns");
    lua_rawgeti(L, LUA_REGISTRYINDEX, m->shapes_ref);
    push_names(L, map);
    lua_pushvalue(L, -1);
    lua_rawget(L, -3);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        push_new(L, m, map);
        lua_pushvalue(L, -2);
        lua_pushvalue(L, -2);
        lua_rawset(L, -5);
    }
    lua_replace(L, -3);
    lua_pop(L, 1);
}

void shape_set(lua_State *L, const struct value_marks *m, int shape, struct slice map, bool bytes)
{
    int table = lua_gettop(L);
    struct mp_reader r;
    if (!bytes) {
        lua_pushvalue(L, shape);
        lua_setmetatable(L, table);
        return;
    }
    luaL_checkstack(L, 8, "a row's columns");
    uint32_t count = open_map(L, map, &r);
    new_metatable(L, m, 0);
    lua_pushvalue(L, shape);
    lua_rawseti(L, -2, WHOLE);
    for (uint32_t i = 1; i <= count; i++) {
        struct mp_token t;
        if (mp_skip(&r) != MP_OK || mp_next_whole(&r, &t) != MP_OK)
            malformed(L);
        if (t.type != MP_BIN)
            continue;
        lua_rawgeti(L, shape, (int)i);
        lua_rawget(L, table);
        lua_rawseti(L, -2, (int)i);
    }
    lua_setmetatable(L, table);
}

bool shape_is(lua_State *L, const struct value_marks *m)
{
    lua_rawgeti(L, -1, MARK);
    bool is = lua_type(L, -1) == LUA_TLIGHTUSERDATA && lua_touserdata(L, -1) == m;
    lua_pop(L, 1);
    return is;
}

void shape_open(lua_State *L, bool *bytes)
{
    lua_rawgeti(L, -1, WHOLE);
    *bytes = !lua_isnil(L, -1);
    if (!*bytes) {
        lua_pop(L, 1);
        lua_pushvalue(L, -1);
    }
}

bool shape_has(lua_State *L, int shape)
{
    lua_rawgeti(L, shape, NAMES);
    lua_pushvalue(L, -2);
    lua_rawget(L, -2);
    bool has = !lua_isnil(L, -1);
    lua_pop(L, 2);
    return has;
}
