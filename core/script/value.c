#include "script/value.h"

#include "wire/mp.h"

#define EXACT_MAX (INT64_C(1) << 53)

static const void *keep(lua_State *L, int *ref)
{
    const void *address = lua_topointer(L, -1);
    *ref = luaL_ref(L, LUA_REGISTRYINDEX);
    return address;
}

static int name_tostring(lua_State *L)
{
    lua_pushvalue(L, lua_upvalueindex(1));
    return 1;
}

static const void *make_singleton(lua_State *L, const char *name, int *ref)
{
    lua_newuserdata(L, 1);
    lua_createtable(L, 0, 2);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    lua_pushstring(L, name);
    lua_pushcclosure(L, name_tostring, 1);
    lua_setfield(L, -2, "__tostring");
    lua_setmetatable(L, -2);
    return keep(L, ref);
}

static const void *make_mark(lua_State *L, int *ref)
{
    lua_createtable(L, 0, 1);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    return keep(L, ref);
}

void value_setup(lua_State *L, struct value_marks *m, int make, int kind)
{
    m->null = make_singleton(L, "null", &m->null_ref);
    m->unchanged = make_singleton(L, "unchanged", &m->unchanged_ref);
    m->array = make_mark(L, &m->array_ref);
    m->map = make_mark(L, &m->map_ref);
    m->bin = make_mark(L, &m->bin_ref);
    lua_pushvalue(L, make);
    m->make_cdata = luaL_ref(L, LUA_REGISTRYINDEX);
    lua_pushvalue(L, kind);
    m->kind_of_cdata = luaL_ref(L, LUA_REGISTRYINDEX);
}

void value_push_null(lua_State *L, const struct value_marks *m)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, m->null_ref);
}

bool value_is_null(lua_State *L, const struct value_marks *m, int index)
{
    return lua_type(L, index) == LUA_TUSERDATA && lua_topointer(L, index) == m->null;
}

bool value_is_unchanged(lua_State *L, const struct value_marks *m, int index)
{
    return lua_type(L, index) == LUA_TUSERDATA && lua_topointer(L, index) == m->unchanged;
}

static void push_cdata(lua_State *L, const struct value_marks *m, uint64_t bits, bool is_signed)
{
    lua_rawgeti(L, LUA_REGISTRYINDEX, m->make_cdata);
    lua_pushnumber(L, (lua_Number)(bits >> 32));
    lua_pushnumber(L, (lua_Number)(bits & UINT32_MAX));
    lua_pushboolean(L, is_signed);
    lua_call(L, 3, 1);
}

void value_push_int(lua_State *L, const struct value_marks *m, int64_t v)
{
    if (v >= -EXACT_MAX && v <= EXACT_MAX)
        lua_pushnumber(L, (lua_Number)v);
    else
        push_cdata(L, m, (uint64_t)v, true);
}

bool value_int(lua_State *L, const struct value_marks *m, int index, int64_t *out)
{
    if (lua_type(L, index) == LUA_TNUMBER) {
        double d = lua_tonumber(L, index);
        if (!(d >= -(double)EXACT_MAX && d <= (double)EXACT_MAX) || d != (double)(int64_t)d)
            return false;
        *out = (int64_t)d;
        return true;
    }
    if (lua_type(L, index) != VM_TCDATA)
        return false;
    index = index < 0 ? lua_gettop(L) + index + 1 : index;
    lua_rawgeti(L, LUA_REGISTRYINDEX, m->kind_of_cdata);
    lua_pushvalue(L, index);
    lua_call(L, 1, 1);
    int kind = (int)lua_tointeger(L, -1);
    lua_pop(L, 1);
    memcpy(out, lua_topointer(L, index), kind ? sizeof *out : 0);
    return kind == 1 || (kind == 2 && *out >= 0);
}

static void unpack_one(lua_State *L, const struct value_marks *m, struct mp_reader *r, int depth);

static void check_table(lua_State *L, const struct mp_reader *r, uint32_t count, int depth,
                        const char *what)
{
    if (depth >= MP_DEPTH_MAX)
        luaL_error(L, "malformed bytes: nested deeper than %d", MP_DEPTH_MAX);
    if (count > (size_t)(r->end - r->at))
        luaL_error(L, "malformed bytes: %s of %f", what, (lua_Number)count);
}

static void unpack_array(lua_State *L, const struct value_marks *m, struct mp_reader *r,
                         uint32_t count, int depth)
{
    check_table(L, r, count, depth, "an array");
    lua_createtable(L, (int)count, 0);
    for (uint32_t i = 1; i <= count; i++) {
        unpack_one(L, m, r, depth + 1);
        lua_rawseti(L, -2, (int)i);
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, m->array_ref);
    lua_setmetatable(L, -2);
}

static void unpack_map(lua_State *L, const struct value_marks *m, struct mp_reader *r,
                       uint32_t count, int depth)
{
    check_table(L, r, count, depth, "a map");
    lua_createtable(L, 0, (int)count);
    for (uint32_t i = 0; i < count; i++) {
        unpack_one(L, m, r, depth + 1);
        if (lua_type(L, -1) == LUA_TNUMBER && lua_tonumber(L, -1) != lua_tonumber(L, -1))
            luaL_error(L, "a map whose key is not a number (NaN) cannot be shown to a script");
        unpack_one(L, m, r, depth + 1);
        lua_rawset(L, -3);
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, m->map_ref);
    lua_setmetatable(L, -2);
}

static void unpack_one(lua_State *L, const struct value_marks *m, struct mp_reader *r, int depth)
{
    struct mp_token t;
    if (mp_next(r, &t) != MP_OK)
        luaL_error(L, "malformed bytes where a value should be");
    luaL_checkstack(L, 6, "a value");
    switch (t.type) {
    case MP_NIL: value_push_null(L, m); break;
    case MP_BOOL: lua_pushboolean(L, t.b); break;
    case MP_INT: value_push_int(L, m, t.i); break;
    case MP_UINT: push_cdata(L, m, t.u, false); break;
    case MP_FLOAT: lua_pushnumber(L, t.d); break;
    case MP_STR:
    case MP_BIN: lua_pushlstring(L, t.bytes.data, t.bytes.size); break;
    case MP_ARRAY: unpack_array(L, m, r, t.count, depth); break;
    case MP_MAP: unpack_map(L, m, r, t.count, depth); break;
    case MP_EXT:
        luaL_error(L, "an extension type (%d) cannot be shown to a script", t.ext_type);
        break;
    }
}

void value_unpack(lua_State *L, const struct value_marks *m, struct slice packed)
{
    struct mp_reader r = mp_reader_of(packed);
    unpack_one(L, m, &r, 0);
    if (r.at != r.end)
        luaL_error(L, "malformed bytes after a value");
}
