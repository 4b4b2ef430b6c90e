#include "script/packed.h"

#include "wire/mp.h"

struct packed {
    struct slice bytes; /* of the whole value */
    uint32_t count;     /* of columns, or of rows */
    bool indexed;       /* rows: the starts are known */
    uint32_t starts[];  /* rows: where each begins in bytes */
};

static const struct value_marks *marks(lua_State *L)
{
    return lua_touserdata(L, lua_upvalueindex(1));
}

/* The userdata at index where its metatable is that one, else NULL. */
static struct packed *to_packed(lua_State *L, int index, const void *metatable)
{
    if (lua_type(L, index) != LUA_TUSERDATA || !lua_getmetatable(L, index))
        return NULL;
    bool is = lua_topointer(L, -1) == metatable;
    lua_pop(L, 1);
    return is ? lua_touserdata(L, index) : NULL;
}

static struct packed *new_packed(lua_State *L, int metatable_ref, size_t more)
{
    struct packed *p = lua_newuserdata(L, sizeof *p + more);
    *p = (struct packed){.count = 0};
    lua_rawgeti(L, LUA_REGISTRYINDEX, metatable_ref);
    lua_setmetatable(L, -2);
    return p;
}

static uint32_t count_of(lua_State *L, struct slice packed, enum mp_type type)
{
    struct mp_reader r = mp_reader_of(packed);
    struct mp_token t = {.count = 0};
    if (mp_next(&r, &t) != MP_OK || t.type != type || t.count > (size_t)(r.end - r.at))
        luaL_error(L, "malformed bytes where %s should be", type == MP_MAP ? "a row" : "rows");
    return t.count;
}

void packed_push_row(lua_State *L, const struct value_marks *m, struct slice packed)
{
    uint32_t count = count_of(L, packed, MP_MAP);
    struct packed *p = new_packed(L, m->row_ref, packed.size);
    p->count = count;
    p->bytes = slice_of(memcpy((char *)(p + 1), packed.data, packed.size), packed.size);
}

void packed_push_rows(lua_State *L, const struct value_marks *m, struct slice packed)
{
    uint32_t count = count_of(L, packed, MP_ARRAY);
    size_t starts = count * sizeof(uint32_t);
    struct packed *p = new_packed(L, m->rows_ref, starts + packed.size);
    p->count = count;
    p->bytes = slice_of(memcpy((char *)p->starts + starts, packed.data, packed.size), packed.size);
}

bool packed_get(lua_State *L, const struct value_marks *m, int index, struct slice *out)
{
    if (lua_type(L, index) != LUA_TUSERDATA)
        return false;
    const struct packed *p = to_packed(L, index, m->row);
    if (!p)
        p = to_packed(L, index, m->rows);
    if (p)
        *out = p->bytes;
    return p != NULL;
}

bool packed_column(lua_State *L, struct slice row, struct slice name, struct slice *value)
{
    struct mp_reader r = mp_reader_of(row);
    struct mp_token t;
    int rc = mp_next(&r, &t);
    for (uint32_t left = rc == MP_OK ? t.count : 0; rc == MP_OK && left > 0; left--) {
        rc = mp_next(&r, &t);
        bool found = rc == MP_OK && t.type == MP_STR && slice_eq(t.bytes, name);
        if (rc == MP_OK)
            rc = found ? mp_take(&r, value) : mp_skip(&r);
        if (rc == MP_OK && found)
            return true;
    }
    if (rc != MP_OK)
        luaL_error(L, "malformed bytes where a row should be");
    return false;
}

/* row.name: nil where there is no such column. */
static int row_index(lua_State *L)
{
    const struct value_marks *m = marks(L);
    const struct packed *p = to_packed(L, 1, m->row);
    struct slice name, value;
    lua_settop(L, 2);
    if (p && lua_type(L, 2) == LUA_TSTRING) {
        name.data = lua_tolstring(L, 2, &name.size);
        if (packed_column(L, p->bytes, name, &value)) {
            value_unpack(L, m, value);
            return 1;
        }
    }
    lua_pushnil(L);
    return 1;
}

/* The metatable keeps writers and # away; what they are told. */
static int refuse_change(lua_State *L)
{
    vm_fail(L, "a packed row cannot be changed: rtcache.unpack makes a table of it");
}

static int refuse_length(lua_State *L)
{
    vm_fail(L, "a packed row has no length: its fields are read by name, as in row.id");
}

static void index_rows(lua_State *L, struct packed *p)
{
    struct mp_reader r = mp_reader_of(p->bytes);
    struct mp_token t;
    int rc = mp_next(&r, &t);
    for (uint32_t i = 0; i < p->count && rc == MP_OK; i++) {
        size_t start = (size_t)(r.at - p->bytes.data);
        rc = start <= UINT32_MAX ? mp_skip(&r) : MP_BAD;
        p->starts[i] = (uint32_t)start;
    }
    if (rc != MP_OK)
        luaL_error(L, "malformed bytes where rows should be");
    p->indexed = true;
}

static struct slice bytes_of_row(const struct packed *rows, uint32_t i)
{
    size_t start = rows->starts[i];
    size_t end = i + 1 < rows->count ? rows->starts[i + 1] : rows->bytes.size;
    return slice_of(rows->bytes.data + start, end - start);
}

bool packed_rows_open(lua_State *L, const struct value_marks *m, int index, uint32_t *count)
{
    struct packed *p = to_packed(L, index, m->rows);
    if (!p)
        return false;
    if (!p->indexed)
        index_rows(L, p);
    *count = p->count;
    return true;
}

struct slice packed_rows_at(lua_State *L, const struct value_marks *m, int index, uint32_t i)
{
    const struct packed *p = to_packed(L, index, m->rows);
    return p && i < p->count ? bytes_of_row(p, i) : slice_of("", 0);
}

/* Pushes row i, from 0, of the rows at stack index 1. */
static void push_row_of(lua_State *L, const struct value_marks *m, struct packed *rows, uint32_t i)
{
    if (!rows->indexed)
        index_rows(L, rows);
    struct slice bytes = bytes_of_row(rows, i);
    uint32_t count = count_of(L, bytes, MP_MAP);
    struct packed *p = new_packed(L, m->row_ref, 0);
    p->bytes = bytes;
    p->count = count;
    /* The rows' environment is a table that holds them; it becomes the row's. */
    lua_getfenv(L, 1);
    lua_rawgeti(L, -1, 1);
    bool held = lua_rawequal(L, -1, 1);
    lua_pop(L, 1);
    if (!held) {
        lua_pop(L, 1);
        lua_createtable(L, 1, 0);
        lua_pushvalue(L, 1);
        lua_rawseti(L, -2, 1);
        lua_pushvalue(L, -1);
        lua_setfenv(L, 1);
    }
    lua_setfenv(L, -2);
}

static int rows_index(lua_State *L)
{
    const struct value_marks *m = marks(L);
    struct packed *p = to_packed(L, 1, m->rows);
    lua_settop(L, 2);
    if (p && lua_type(L, 2) == LUA_TSTRING)
        vm_fail(L, "packed rows have no field \"%.64s\": a row of them has, as in rows[1].%.64s",
                lua_tostring(L, 2), lua_tostring(L, 2));
    lua_Number n = lua_type(L, 2) == LUA_TNUMBER ? lua_tonumber(L, 2) : 0;
    if (p && n >= 1 && n <= p->count && n == (lua_Number)(uint32_t)n)
        push_row_of(L, m, p, (uint32_t)n - 1);
    else
        lua_pushnil(L);
    return 1;
}

static int rows_length(lua_State *L)
{
    const struct packed *p = to_packed(L, 1, marks(L)->rows);
    lua_pushinteger(L, p ? (lua_Integer)p->count : 0);
    return 1;
}

static int packed_tostring(lua_State *L)
{
    const struct value_marks *m = marks(L);
    const struct packed *row = to_packed(L, 1, m->row), *rows = to_packed(L, 1, m->rows);
    const struct packed *p = row ? row : rows;
    if (!p)
        vm_fail(L, "this is no packed row");
    lua_pushfstring(L, row ? "packed row (%d columns)" : "packed rows (%d)", (int)p->count);
    return 1;
}

int packed_lua_unpack(lua_State *L)
{
    struct slice bytes;
    if (!packed_get(L, marks(L), 1, &bytes))
        vm_fail(L, "rtcache.unpack takes what db:packed_row or db:packed_rows returned, not a %s",
                luaL_typename(L, 1));
    value_unpack(L, marks(L), bytes);
    vm_overdue(vm_of(L));
    return 1;
}

void packed_cut(lua_State *L, struct slice row, struct slice *first, struct slice *rest,
                uint32_t *count)
{
    struct mp_reader r = mp_reader_of(row);
    struct mp_token t;
    *count = count_of(L, row, MP_MAP);
    if (*count == 0 || mp_next(&r, &t) != MP_OK || mp_skip(&r) != MP_OK ||
        mp_take(&r, first) != MP_OK)
        luaL_error(L, "malformed bytes where a row should be");
    *rest = slice_of(r.at, (size_t)(r.end - r.at));
    --*count;
}

/* In the shortest form, as every row has it; how many bytes. */
static size_t write_map_head(unsigned char head[5], uint32_t count)
{
    size_t size = count < 16 ? 1 : count <= UINT16_MAX ? 3 : 5;
    head[0] = (unsigned char)(size == 1 ? 0x80 | count : size == 3 ? 0xde : 0xdf);
    for (size_t i = 1; i < size; i++)
        head[i] = (unsigned char)(count >> 8 * (size - 1 - i));
    return size;
}

int packed_lua_cut_first(lua_State *L)
{
    const struct value_marks *m = marks(L);
    struct packed *p = to_packed(L, 1, m->rows);
    lua_Integer i = luaL_checkinteger(L, 2);
    struct slice first = {.size = 0}, rest = {.size = 0};
    uint32_t count;
    if (!p || i < 1 || i > p->count)
        vm_fail(L, "no such row");
    if (!p->indexed)
        index_rows(L, p);
    packed_cut(L, bytes_of_row(p, (uint32_t)i - 1), &first, &rest, &count);
    value_unpack(L, m, first);
    unsigned char head[5];
    size_t head_size = write_map_head(head, count);
    struct packed *row = new_packed(L, m->row_ref, head_size + rest.size);
    char *to = (char *)(row + 1);
    memcpy(to, head, head_size);
    if (rest.size > 0)
        memcpy(to + head_size, rest.data, rest.size);
    row->count = count;
    row->bytes = slice_of(to, head_size + rest.size);
    return 2;
}

static const void *make_metatable(lua_State *L, struct value_marks *m, const luaL_Reg *functions,
                                  int *ref)
{
    lua_createtable(L, 0, 5);
    for (; functions->name; functions++) {
        lua_pushlightuserdata(L, m);
        lua_pushcclosure(L, functions->func, 1);
        lua_setfield(L, -2, functions->name);
    }
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    const void *address = lua_topointer(L, -1);
    *ref = luaL_ref(L, LUA_REGISTRYINDEX);
    return address;
}

void packed_setup(lua_State *L, struct value_marks *m)
{
    static const luaL_Reg of_row[] = {
        {"__index", row_index},
        {"__newindex", refuse_change},
        {"__len", refuse_length},
        {"__tostring", packed_tostring},
        {NULL, NULL},
    };
    static const luaL_Reg of_rows[] = {
        {"__index", rows_index},
        {"__newindex", refuse_change},
        {"__len", rows_length},
        {"__tostring", packed_tostring},
        {NULL, NULL},
    };
    m->row = make_metatable(L, m, of_row, &m->row_ref);
    m->rows = make_metatable(L, m, of_rows, &m->rows_ref);
}
