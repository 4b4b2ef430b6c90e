#include "script/pack_keys.h"

#include "script/shape.h"

#include <stdlib.h>

int64_t pack_keys_count(lua_State *L, int index, bool any)
{
    int64_t count = 0;
    lua_pushnil(L);
    while (lua_next(L, index)) {
        lua_pop(L, 1);
        int type = lua_type(L, -1);
        if (type != LUA_TSTRING && !(any && (type == LUA_TNUMBER || type == LUA_TBOOLEAN))) {
            lua_pop(L, 1);
            return -1;
        }
        count++;
    }
    return count;
}

static int compare(const void *left, const void *right)
{
    const struct pack_key *a = left, *b = right;
    if (a->type != b->type) /* Lua numbers its types in the order that is wanted */
        return a->type < b->type ? -1 : 1;
    if (a->type != LUA_TSTRING)
        return (a->number > b->number) - (a->number < b->number);
    size_t size = a->text.size < b->text.size ? a->text.size : b->text.size;
    int order = size ? memcmp(a->text.data, b->text.data, size) : 0;
    return order ? order : (a->text.size > b->text.size) - (a->text.size < b->text.size);
}

static void sort_few(struct pack_key *keys, uint32_t count)
{
    for (uint32_t i = 1; i < count; i++) {
        struct pack_key key = keys[i];
        uint32_t at = i;
        for (; at > 0 && compare(&keys[at - 1], &key) > 0; at--)
            keys[at] = keys[at - 1];
        keys[at] = key;
    }
}

/* Keeps a copy of the key on top of the stack. */
static void keep(struct pack_keys *k)
{
    lua_State *L = k->L;
    struct pack_key *key = &k->keys[k->count++];
    *key = (struct pack_key){.type = lua_type(L, -1), .place = k->count};
    if (key->type == LUA_TSTRING)
        key->text.data = lua_tolstring(L, -1, &key->text.size);
    else
        key->number = key->type == LUA_TNUMBER ? lua_tonumber(L, -1) : lua_toboolean(L, -1);
    lua_pushvalue(L, -1);
    if (k->table)
        lua_rawseti(L, k->table, (int)key->place);
    /* else the walk goes on from the copy, and the key itself stays below */
}

void pack_keys_sort(struct pack_keys *k, lua_State *L, int index, int64_t count, int shape)
{
    k->L = L;
    k->base = lua_gettop(L);
    k->table = 0;
    k->count = 0;
    k->keys = k->few;
    luaL_checkstack(L, PACK_KEYS_FEW + 8, "a value to pack");
    if (count > PACK_KEYS_FEW) {
        k->keys = lua_newuserdata(L, (size_t)count * sizeof *k->keys);
        lua_createtable(L, (int)count, 0);
        k->table = lua_gettop(L);
    }
    lua_pushnil(L);
    while (lua_next(L, index)) {
        lua_pop(L, 1);
        if (!shape || lua_type(L, -1) != LUA_TSTRING || !shape_has(L, shape))
            keep(k);
    }
    if (k->table)
        qsort(k->keys, k->count, sizeof *k->keys, compare);
    else
        sort_few(k->keys, k->count);
}

void pack_keys_push(const struct pack_keys *k, uint32_t i)
{
    if (k->table)
        lua_rawgeti(k->L, k->table, (int)k->keys[i].place);
    else
        lua_pushvalue(k->L, k->base + (int)k->keys[i].place);
}
