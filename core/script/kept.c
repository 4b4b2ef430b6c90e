#include "script/kept.h"

#include <stdlib.h>
#include <string.h>

/* Bytes of LuaJIT's objects on 64 bits. */
#define STRING_BYTES   25
#define TABLE_BYTES    64
#define ELEMENT_BYTES  8
#define NODE_BYTES     24
#define FUNCTION_BYTES 40
#define UPVALUE_BYTES  56  /* the reference, and the upvalue if it is closed */
#define THREAD_BYTES   520 /* with the stack that it begins with */
#define USERDATA_BYTES 48
#define CDATA_BYTES    24

#define FIRST_ROOM 4096

/* ---- what was seen ---- */

static size_t place_of(const struct kept *k, uintptr_t p)
{
    size_t at = (size_t)((p >> 3) * UINT64_C(0x9e3779b97f4a7c15) >> 20) & (k->room - 1);
    while (k->seen[at] != 0 && k->seen[at] != p)
        at = (at + 1) & (k->room - 1);
    return at;
}

static bool grow(struct kept *k)
{
    struct kept wider = {.room = k->room ? k->room * 2 : FIRST_ROOM};
    wider.seen = calloc(wider.room, sizeof *wider.seen);
    if (!wider.seen)
        return false;
    for (size_t i = 0; i < k->room; i++)
        if (k->seen[i] != 0)
            wider.seen[place_of(&wider, k->seen[i])] = k->seen[i];
    free(k->seen);
    k->seen = wider.seen;
    k->room = wider.room;
    return true;
}

/* Whether p was not seen before, and is from now on. */
static bool note(struct kept *k, const void *address)
{
    uintptr_t p = (uintptr_t)address;
    if (p == 0 || k->count >= KEPT_OBJECTS || (k->count >= k->room / 2 && !grow(k)))
        return false;
    size_t at = place_of(k, p);
    if (k->seen[at] == p)
        return false;
    k->seen[at] = p;
    k->count++;
    return true;
}

/* ---- the walk ---- */

/* Without the elements of a table and the upvalues of a function, which are counted one by one. */
static size_t bytes_of(lua_State *L, int type)
{
    switch (type) {
    case LUA_TSTRING: return STRING_BYTES + lua_objlen(L, -1);
    case LUA_TTABLE: return TABLE_BYTES;
    case LUA_TFUNCTION: return FUNCTION_BYTES;
    case LUA_TUSERDATA: return USERDATA_BYTES + lua_objlen(L, -1);
    case LUA_TTHREAD: return THREAD_BYTES;
    default: return CDATA_BYTES;
    }
}

/* Takes the value on top, and counts it if it is new. Whether it has to be walked itself. */
static bool visit(lua_State *L, struct kept *k)
{
    int type = lua_type(L, -1);
    bool leaf = type == LUA_TSTRING || type == VM_TCDATA;
    bool inner =
        type == LUA_TTABLE || type == LUA_TFUNCTION || type == LUA_TUSERDATA || type == LUA_TTHREAD;
    if ((!leaf && !inner) || !note(k, lua_topointer(L, -1))) {
        lua_pop(L, 1);
        return false;
    }
    k->bytes += bytes_of(L, type);
    if (leaf) {
        lua_pop(L, 1);
        return false;
    }
    k->depth++;
    lua_rawseti(L, k->work, 2 * k->depth - 1);
    lua_pushnil(L); /* the key that its walk goes on from */
    lua_rawseti(L, k->work, 2 * k->depth);
    return true;
}

/* Whether the table's keys and values are weak. The metatable of the table at index is on top. */
static void read_mode(lua_State *L, bool *keys, bool *values)
{
    lua_pushliteral(L, "__mode");
    lua_rawget(L, -2);
    const char *mode = lua_type(L, -1) == LUA_TSTRING ? lua_tostring(L, -1) : "";
    *keys = strchr(mode, 'k') != NULL;
    *values = strchr(mode, 'v') != NULL;
    lua_pop(L, 1);
}

/* The table is below its key, which is on top. Goes on until there is something to be walked first,
 * and takes both. */
static void walk_table(lua_State *L, struct kept *k)
{
    int self = k->depth;
    bool weak_keys = false, weak_values = false;
    if (lua_getmetatable(L, -2)) {
        read_mode(L, &weak_keys, &weak_values);
        if (visit(L, k)) {
            lua_pop(L, 2);
            return;
        }
    }
    while (lua_next(L, -2)) {
        bool deeper = false;
        k->bytes += lua_type(L, -2) == LUA_TNUMBER ? ELEMENT_BYTES : NODE_BYTES;
        if (weak_values)
            lua_pop(L, 1);
        else
            deeper = visit(L, k);
        if (!weak_keys) {
            lua_pushvalue(L, -1);
            deeper = visit(L, k) || deeper;
        }
        if (deeper) {
            lua_rawseti(L, k->work, 2 * self);
            lua_pop(L, 1);
            return;
        }
    }
    lua_pop(L, 1);
    k->depth--;
}

static void walk_function(lua_State *L, struct kept *k)
{
    for (int i = 1; lua_getupvalue(L, -1, i); i++) {
        k->bytes += UPVALUE_BYTES;
        visit(L, k);
    }
}

/* Of a coroutine that does not run: the functions that it is in, and their locals. */
static void walk_thread(lua_State *L, struct kept *k)
{
    lua_State *co = lua_tothread(L, -1);
    lua_Debug ar;
    if (co == L)
        return;
    for (int level = 0; lua_getstack(co, level, &ar); level++) {
        lua_getinfo(co, "f", &ar);
        lua_xmove(co, L, 1);
        visit(L, k);
        for (int i = 1; lua_getlocal(co, &ar, i); i++) {
            lua_xmove(co, L, 1);
            k->bytes += ELEMENT_BYTES;
            visit(L, k);
        }
    }
}

/* What is on top of the work has no elements of its own: its parts take its place. */
static void walk_other(lua_State *L, struct kept *k)
{
    k->depth--;
    if (lua_type(L, -1) == LUA_TFUNCTION)
        walk_function(L, k);
    else if (lua_type(L, -1) == LUA_TTHREAD)
        walk_thread(L, k);
    else if (lua_getmetatable(L, -1))
        visit(L, k);
    lua_getfenv(L, -1);
    visit(L, k);
    lua_pop(L, 1);
}

static void walk(lua_State *L, struct kept *k)
{
    while (k->depth > 0) {
        lua_rawgeti(L, k->work, 2 * k->depth - 1);
        if (lua_type(L, -1) == LUA_TTABLE) {
            lua_rawgeti(L, k->work, 2 * k->depth);
            walk_table(L, k);
        } else {
            walk_other(L, k);
        }
    }
}

/* ---- */

void kept_init(lua_State *L, struct kept *k)
{
    *k = (struct kept){0};
    lua_gc(L, LUA_GCSTOP, 0);
    luaL_checkstack(L, LUA_MINSTACK, "a walk");
    lua_newtable(L);
    k->work = lua_gettop(L);
}

size_t kept_count(lua_State *L, struct kept *k)
{
    k->bytes = 0;
    if (visit(L, k))
        walk(L, k);
    return k->bytes;
}

void kept_skip(lua_State *L, struct kept *k)
{
    (void)kept_count(L, k);
}

void kept_fini(lua_State *L, struct kept *k)
{
    lua_gc(L, LUA_GCRESTART, 0);
    free(k->seen);
    k->seen = NULL;
}
