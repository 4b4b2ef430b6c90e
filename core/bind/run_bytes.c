#include "bind/run_bytes.h"

#include "wire/mp.h"

void run_bytes_note(lua_State *L, struct run *r, struct slice packed)
{
    struct mp_reader reader = mp_reader_of(packed);
    struct mp_token t;
    bool is_bytes = mp_next(&reader, &t) == MP_OK && t.type == MP_BIN;
    if (lua_type(L, -1) != LUA_TSTRING || (!is_bytes && !r->bytes))
        return;
    luaL_checkstack(L, 4, "a value");
    if (!r->bytes) {
        lua_newtable(L);
        r->bytes = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, r->bytes);
    lua_pushvalue(L, -2);
    if (is_bytes)
        lua_pushboolean(L, 1);
    else
        lua_pushnil(L);
    lua_rawset(L, -3);
    lua_pop(L, 1);
}

bool run_bytes_has(lua_State *L, const struct run *r, int index)
{
    if (!r->bytes || lua_type(L, index) != LUA_TSTRING)
        return false;
    lua_pushvalue(L, index);
    lua_rawgeti(L, LUA_REGISTRYINDEX, r->bytes);
    lua_insert(L, -2);
    lua_rawget(L, -2);
    bool has = lua_toboolean(L, -1);
    lua_pop(L, 2);
    return has;
}

void run_bytes_forget(struct run *r)
{
    if (r->bytes)
        luaL_unref(r->rt->vm->L, LUA_REGISTRYINDEX, r->bytes);
    r->bytes = 0;
}
