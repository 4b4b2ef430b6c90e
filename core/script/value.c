/* The marks that values are told by, and from MessagePack bytes to Lua values; pack.c packs. */
#include "script/shape.h"
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
    lua_newtable(L);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    return keep(L, ref);
}

void value_setup(lua_State *L, struct value_marks *m, int make, int kind)
{
    m->null = make_singleton(L, "null", &m->null_ref);
    m->unchanged = make_singleton(L, "unchanged", &m->unchanged_ref);
    m->absent = make_singleton(L, "absent", &m->absent_ref);
    m->array = make_mark(L, &m->array_ref);
    m->map = make_mark(L, &m->map_ref);
    m->bin = make_mark(L, &m->bin_ref);
    lua_newtable(L);
    lua_newtable(L);
    lua_pushliteral(L, "v");
    lua_setfield(L, -2, "__mode");
    lua_setmetatable(L, -2);
    m->wide_ref = luaL_ref(L, LUA_REGISTRYINDEX);
    m->bin_array = make_mark(L, &m->bin_array_ref);
    shape_setup(L, m);
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

bool value_is_absent(lua_State *L, const struct value_marks *m, int index)
{
    return lua_type(L, index) == LUA_TUSERDATA && lua_topointer(L, index) == m->absent;
}

/* Pushes a 64-bit number as cdata: one that the script holds already, if it is of this value. */
static void push_cdata(lua_State *L, const struct value_marks *m, uint64_t bits, bool is_signed)
{
    struct {
        uint64_t bits;
        uint64_t is_signed;
    } name = {bits, is_signed};
    lua_rawgeti(L, LUA_REGISTRYINDEX, m->wide_ref);
    lua_pushlstring(L, (const char *)&name, sizeof name);
    lua_pushvalue(L, -1);
    lua_rawget(L, -3);
    if (lua_isnil(L, -1)) {
        lua_pop(L, 1);
        lua_rawgeti(L, LUA_REGISTRYINDEX, m->make_cdata);
        lua_pushnumber(L, (lua_Number)(bits >> 32));
        lua_pushnumber(L, (lua_Number)(bits & UINT32_MAX));
        lua_pushboolean(L, is_signed);
        lua_call(L, 3, 1);
        lua_pushvalue(L, -1);
        lua_insert(L, -4); /* below the table and the name */
        lua_rawset(L, -3);
        lua_pop(L, 1);
    } else {
        lua_replace(L, -3);
        lua_pop(L, 1);
    }
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

#define NAMES VALUE_NAMES

/* One value on its way to a script. */
struct unpacker {
    lua_State *L;
    const struct value_marks *m;
    struct mp_reader at;
    int names;      /* where on the stack the names of the last row are, and behind them its shape;
                       0: there was none */
    uint32_t shape; /* the columns of the row whose shape that is; 0: there is none */
    struct slice name[NAMES]; /* their bytes, by column; size 0: none */
};

/* What is seen of a map's keys and values while they are unpacked. */
struct seen {
    struct slice last; /* the key before */
    bool texts;        /* all keys are strings of Lua: texts, or bytes */
    bool sorted;       /* by their bytes */
    bool bytes;        /* a value is bytes that would be taken for a text */
    bool same;         /* the names are those of the row before */
};

static void unpack_one(struct unpacker *u, int depth, bool row);

static void begin_table(struct unpacker *u, uint32_t count, int depth, const char *what)
{
    if (depth >= MP_DEPTH_MAX)
        luaL_error(u->L, "malformed bytes: nested deeper than %d", MP_DEPTH_MAX);
    if (count > (size_t)(u->at.end - u->at.at))
        luaL_error(u->L, "malformed bytes: %s of %f", what, (lua_Number)count);
    luaL_checkstack(u->L, 14, "a value"); /* the table, a key, a value and what makes it */
}

/* Whether the next value is of type bin. */
static bool is_bin(const struct unpacker *u)
{
    return u->at.at != u->at.end && (unsigned char)*u->at.at >= 0xc4 &&
           (unsigned char)*u->at.at <= 0xc6;
}

/* Whether the string on top of the stack could be a text as well. */
static bool like_text(lua_State *L)
{
    struct slice s;
    s.data = lua_tolstring(L, -1, &s.size);
    return mp_utf8_valid(s);
}

static void unpack_array(struct unpacker *u, uint32_t count, int depth)
{
    bool bytes = false, others = false;
    begin_table(u, count, depth, "an array");
    lua_createtable(u->L, (int)count, 0);
    for (uint32_t i = 1; i <= count; i++) {
        bool bin = is_bin(u);
        unpack_one(u, depth + 1, depth == 0);
        bytes = bytes || (bin && like_text(u->L));
        others = others || (!bin && lua_type(u->L, -1) == LUA_TSTRING);
        lua_rawseti(u->L, -2, (int)i);
    }
    bytes = bytes && !others;
    lua_rawgeti(u->L, LUA_REGISTRYINDEX, bytes ? u->m->bin_array_ref : u->m->array_ref);
    lua_setmetatable(u->L, -2);
}

/* The name of a row's column: nearly always that of the row before, which need not be looked up
 * among Lua's strings. */
static bool unpack_known_name(struct unpacker *u, uint32_t column, const struct mp_token *t)
{
    if (slice_eq(u->name[column], t->bytes)) {
        lua_pushvalue(u->L, u->names + (int)column);
        return true;
    }
    lua_pushlstring(u->L, t->bytes.data, t->bytes.size);
    lua_pushvalue(u->L, -1);
    lua_replace(u->L, u->names + (int)column);
    u->name[column] = t->bytes;
    return false;
}

static int order_of(struct slice a, struct slice b)
{
    size_t size = a.size < b.size ? a.size : b.size;
    int order = size ? memcmp(a.data, b.data, size) : 0;
    return order ? order : (a.size > b.size) - (a.size < b.size);
}

static void unpack_key(struct unpacker *u, uint32_t place, int depth, bool row, struct seen *seen)
{
    struct mp_reader ahead = u->at;
    struct mp_token t;
    if (mp_next(&ahead, &t) != MP_OK || (t.type != MP_STR && t.type != MP_BIN)) {
        seen->texts = seen->same = false;
        unpack_one(u, depth, false);
        if (lua_type(u->L, -1) == LUA_TNUMBER && lua_tonumber(u->L, -1) != lua_tonumber(u->L, -1))
            luaL_error(u->L, "a map whose key is not a number (NaN) cannot be shown to a script");
        return;
    }
    u->at = ahead;
    seen->sorted = seen->sorted && (place == 0 || order_of(seen->last, t.bytes) < 0);
    seen->last = t.bytes;
    if (row && place < NAMES && t.bytes.size > 0) {
        seen->same = unpack_known_name(u, place, &t) && seen->same;
        return;
    }
    seen->same = false;
    lua_pushlstring(u->L, t.bytes.data, t.bytes.size);
}

/* Gives the table on top of the stack, made of that map, what it is told by. */
static void mark_map(struct unpacker *u, struct slice map, uint32_t count, bool row,
                     const struct seen *seen)
{
    lua_State *L = u->L;
    int kept = u->names + NAMES;
    if (!seen->texts || (seen->sorted && !seen->bytes)) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, u->m->map_ref);
        lua_setmetatable(L, -2);
    } else if (row && seen->same && u->shape == count) {
        shape_set(L, u->m, kept, map, seen->bytes);
    } else {
        shape_push(L, u->m, map);
        if (row && count <= NAMES) {
            lua_pushvalue(L, -1);
            lua_replace(L, kept);
            u->shape = count;
        }
        lua_insert(L, -2);
        shape_set(L, u->m, lua_gettop(L) - 1, map, seen->bytes);
        lua_remove(L, -2);
    }
}

/* start: where it begins. */
static void unpack_map(struct unpacker *u, const char *start, uint32_t count, int depth, bool row)
{
    lua_State *L = u->L;
    struct seen seen = {.texts = true, .sorted = true, .same = true};
    begin_table(u, count, depth, "a map");
    lua_createtable(L, 0, (int)count);
    for (uint32_t i = 0; i < count; i++) {
        unpack_key(u, i, depth + 1, row, &seen);
        bool bin = is_bin(u);
        unpack_one(u, depth + 1, false);
        seen.bytes = seen.bytes || (bin && like_text(L));
        lua_rawset(L, -3);
    }
    mark_map(u, slice_of(start, (size_t)(u->at.at - start)), count, row, &seen);
}

/* row: it is an element of an array. */
static void unpack_one(struct unpacker *u, int depth, bool row)
{
    lua_State *L = u->L;
    struct mp_token t;
    const char *start = u->at.at;
    if (mp_next(&u->at, &t) != MP_OK)
        luaL_error(L, "malformed bytes where a value should be");
    switch (t.type) {
    case MP_NIL: value_push_null(L, u->m); break;
    case MP_BOOL: lua_pushboolean(L, t.b); break;
    case MP_INT: value_push_int(L, u->m, t.i); break;
    case MP_UINT: push_cdata(L, u->m, t.u, false); break;
    case MP_FLOAT: lua_pushnumber(L, t.d); break;
    case MP_STR:
    case MP_BIN: lua_pushlstring(L, t.bytes.data, t.bytes.size); break;
    case MP_ARRAY: unpack_array(u, t.count, depth); break;
    case MP_MAP: unpack_map(u, start, t.count, depth, row && u->names); break;
    case MP_EXT:
        luaL_error(L, "an extension type (%d) cannot be shown to a script", t.ext_type);
        break;
    }
}

static bool is_array(struct slice packed)
{
    struct mp_reader r = mp_reader_of(packed);
    struct mp_token t;
    return mp_next(&r, &t) == MP_OK && t.type == MP_ARRAY;
}

void value_unpack(lua_State *L, const struct value_marks *m, struct slice packed)
{
    struct unpacker u;
    u.L = L;
    u.m = m;
    u.at = mp_reader_of(packed);
    u.names = 0;
    u.shape = 0;
    luaL_checkstack(L, NAMES + 12, "a value");
    if (is_array(packed)) {
        memset(u.name, 0, sizeof u.name);
        u.names = lua_gettop(L) + 1;
        lua_settop(L, lua_gettop(L) + NAMES + 1);
    }
    unpack_one(&u, 0, false);
    if (u.at.at != u.at.end)
        luaL_error(L, "malformed bytes after a value");
    if (u.names) {
        lua_replace(L, u.names);
        lua_settop(L, u.names);
    }
}
