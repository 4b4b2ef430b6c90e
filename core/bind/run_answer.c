#include "bind/run_answer.h"

#include "base/decimal.h"
#include "base/hash.h"
#include "base/show.h"
#include "bind/result.h"
#include "bind/run_many.h"
#include "script/packed.h"
#include "wire/mp.h"
#include "wire/mpw.h"

#include <stdio.h>

enum { ROWS = 1, ID, VERSION }; /* the fields of what ctx:answer gives */

/* A number has one spelling: "007" is a text, which a column of texts may hold beside "7". */
static struct answer_id id_of(struct slice text)
{
    struct answer_id id = {.text = text};
    id.whole = decimal_parse_printed(text, &id.number);
    return id;
}

static bool same_id(const struct answer_id *a, const struct answer_id *b)
{
    if (a->whole || b->whole)
        return a->whole && b->whole && a->number == b->number;
    return slice_eq(a->text, b->text);
}

static uint64_t hash_id(const struct answer_id *id)
{
    return id->whole ? hash_bytes(&id->number, sizeof id->number, 0) : hash_slice(id->text, 0);
}

/* ---- what the script is given ---- */

void run_answer_setup(lua_State *L, struct runtime *rt)
{
    lua_createtable(L, 0, 1);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
    rt->answer = lua_topointer(L, -1);
    rt->answer_ref = luaL_ref(L, LUA_REGISTRYINDEX);
}

void run_answer_push_ids(lua_State *L, const struct run *r)
{
    const struct run_many *m = r->many;
    int count = 0;
    lua_createtable(L, (int)m->count, 0);
    for (unsigned i = 0; i < m->count; i++) {
        if (m->keys[i].capture_count != 1)
            vm_fail(L, "ctx.ids is for a pattern with one star, this one has %d: use ctx.match",
                    (int)m->keys[i].capture_count);
        struct answer_id id = id_of(m->keys[i].captures[0]);
        if (!id.whole)
            continue;
        value_push_int(L, &r->rt->sandbox.marks, id.number);
        lua_rawseti(L, -2, ++count);
    }
}

static void check_column(lua_State *L, int index, const char *what)
{
    if (lua_type(L, index) != LUA_TSTRING)
        vm_fail(L, "ctx:answer takes the name of the %s's column, not a %s", what,
                luaL_typename(L, index));
}

/* The run whose ctx is at index 1. */
static const struct run *check_context(lua_State *L, const struct runtime *rt)
{
    const struct run *r = rt->current;
    if (!r || !r->many || lua_type(L, 1) != LUA_TTABLE || lua_topointer(L, 1) != r->context)
        vm_fail(L, "answer is a method of load_many's ctx: call it as ctx:answer(rows, \"id\")");
    return r;
}

/* Pushes an answer of the values from index 2 on. */
static int push_answer(lua_State *L, const struct runtime *rt)
{
    lua_createtable(L, VERSION, 0);
    for (int field = ROWS; field <= VERSION; field++) {
        lua_pushvalue(L, 1 + field);
        lua_rawseti(L, -2, field);
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, rt->answer_ref);
    lua_setmetatable(L, -2);
    return 1;
}

int run_answer_lua(lua_State *L)
{
    struct runtime *rt = runtime_upvalue(L);
    uint32_t count;
    if (lua_gettop(L) > 4)
        vm_fail(L, "ctx:answer takes the rows and the names of two columns: options by key stand "
                   "behind it, as in return ctx:answer(rows, \"id\"), options");
    lua_settop(L, 4);
    const struct run *r = check_context(L, rt);
    if (r->many->keys[0].capture_count != 1)
        vm_fail(L, "ctx:answer is for a pattern with one star, this one has %d",
                (int)r->many->keys[0].capture_count);
    if (lua_type(L, 2) != LUA_TTABLE && !packed_rows_open(L, &rt->sandbox.marks, 2, &count))
        vm_fail(L, "ctx:answer takes what db:rows or db:packed_rows gave, not a %s",
                luaL_typename(L, 2));
    check_column(L, 3, "id");
    if (!lua_isnil(L, 4))
        check_column(L, 4, "version");
    return push_answer(L, rt);
}

int run_answer_lua_placed(lua_State *L)
{
    struct runtime *rt = runtime_upvalue(L);
    lua_settop(L, 3);
    check_context(L, rt);
    lua_pushboolean(L, 0); /* in place of the id's column */
    lua_insert(L, 3);
    return push_answer(L, rt);
}

int run_answer_lua_captures(lua_State *L)
{
    struct runtime *rt = runtime_upvalue(L);
    const struct run_many *m = check_context(L, rt)->many;
    unsigned star = (unsigned)luaL_checkinteger(L, 2) - 1;
    lua_createtable(L, (int)m->count, 0);
    for (unsigned i = 0; i < m->count; i++) {
        struct slice text = {.size = 0};
        if (star < m->keys[i].capture_count)
            text = m->keys[i].captures[star];
        lua_pushlstring(L, text.size ? text.data : "", text.size);
        lua_rawseti(L, -2, (int)i + 1);
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, rt->sandbox.marks.array_ref);
    lua_setmetatable(L, -2);
    return 1;
}

/* ---- what it gives back ---- */

bool run_answer_is(lua_State *L, const struct run *r, int index)
{
    if (!lua_getmetatable(L, index))
        return false;
    bool is = lua_topointer(L, -1) == r->rt->answer;
    lua_pop(L, 1);
    return is;
}

/* The slot of the last key of that id, or the free one where it would be. */
static uint32_t *slot_of(const struct answer *a, const struct answer_id *id)
{
    uint32_t at = (uint32_t)hash_id(id) & a->mask;
    while (a->slots[at] != 0 && !same_id(&a->keys[a->slots[at] - 1].id, id))
        at = (at + 1) & a->mask;
    return &a->slots[at];
}

/* Pushes the block that holds the hash. */
static void hash_keys(struct answer *a)
{
    const struct run_many *m = a->r->many;
    uint32_t room = 4;
    while (!a->placed && room < m->count * 2)
        room *= 2;
    size_t keys = m->count * sizeof *a->keys;
    a->keys = lua_newuserdata(a->L, keys + room * sizeof *a->slots);
    a->slots = (uint32_t *)((char *)a->keys + keys);
    a->mask = room - 1;
    memset(a->slots, 0, room * sizeof *a->slots);
    for (uint32_t i = 0; i < m->count; i++) {
        if (a->placed) {
            a->keys[i] = (struct answer_key){.row = 0};
            continue;
        }
        a->keys[i] = (struct answer_key){.id = id_of(m->keys[i].captures[0])};
        uint32_t *slot = slot_of(a, &a->keys[i].id);
        a->keys[i].same = *slot;
        *slot = i + 1;
    }
}

static bool push_packed_column(const struct answer *a, struct slice row, struct slice name)
{
    struct slice value;
    if (!packed_column(a->L, row, name, &value))
        return false;
    value_unpack(a->L, &a->r->rt->sandbox.marks, value);
    return true;
}

/* Pushes a column of row i, from 0, whose name is field ID or VERSION; false, and nothing of use is
 * pushed: it has none of that name, or the row is neither a table nor packed. */
static bool push_column(const struct answer *a, uint32_t i, int field)
{
    lua_State *L = a->L;
    const struct value_marks *m = &a->r->rt->sandbox.marks;
    struct slice row, name = field == ID ? a->id : a->version;
    if (a->packed)
        return push_packed_column(a, packed_rows_at(L, m, a->rows, i), name);
    lua_rawgeti(L, a->rows, (int)i + 1);
    if (packed_get(L, m, -1, &row))
        return push_packed_column(a, row, name);
    if (lua_type(L, -1) != LUA_TTABLE)
        return false;
    lua_pushvalue(L, a->rows + field - ROWS); /* run_answer_open has pushed the fields */
    lua_rawget(L, -2);
    return !lua_isnil(L, -1);
}

/* A row's id. What is neither an integer nor a text (NULL) is none: the row is for no key. False:
 * it has no such column. */
static bool read_id(const struct answer *a, uint32_t i, struct answer_id *id)
{
    lua_State *L = a->L;
    struct slice text = {.size = 0};
    *id = (struct answer_id){.whole = false};
    if (!push_column(a, i, ID))
        return false;
    if (lua_type(L, -1) == LUA_TSTRING) {
        text.data = lua_tolstring(L, -1, &text.size);
        *id = id_of(text); /* it stays on the stack, so that the text lives */
    } else {
        id->whole = value_int(L, &a->r->rt->sandbox.marks, -1, &id->number);
    }
    return true;
}

const char *run_answer_other(const struct answer *a, char *out, size_t size)
{
    struct answer_id id;
    char text[SHOW_KEY_TEXT] = "no integer or text";
    if (read_id(a, a->other - 1, &id) && id.whole)
        snprintf(text, sizeof text, "%lld", (long long)id.number);
    else if (id.text.data)
        show_key(text, id.text);
    snprintf(out, size, "row %u of ctx:answer, whose \"%.64s\" is %s", (unsigned)a->other,
             a->id.data, text);
    return out;
}

/* Each row to the key in its first column. */
static bool place_by_number(const struct answer *a, struct run_result *out)
{
    for (uint32_t i = 0; i < a->count; i++) {
        struct slice first, rest;
        struct mp_token t;
        uint32_t columns;
        packed_cut(a->L, packed_rows_at(a->L, &a->r->rt->sandbox.marks, a->rows, i), &first, &rest,
                   &columns);
        struct mp_reader reader = mp_reader_of(first);
        if (mp_next(&reader, &t) != MP_OK || t.type != MP_INT || t.i < 1 ||
            t.i > a->r->many->count) {
            result_refuse(a->r, out, "row %u belongs to no key", (unsigned)i + 1);
            return false;
        }
        a->keys[t.i - 1] =
            (struct answer_key){.row = i + 1, .id = {.number = columns, .text = rest}};
    }
    return true;
}

/* Each row to the keys of its id; of several rows the first. */
static bool place_rows(struct answer *a, struct run_result *out)
{
    int top = lua_gettop(a->L);
    for (uint32_t i = 0; i < a->count; i++) {
        struct answer_id id;
        if (!read_id(a, i, &id)) {
            result_refuse(a->r, out, "ctx:answer: row %u has no column \"%.64s\"", (unsigned)i + 1,
                          a->id.data);
            return false;
        }
        uint32_t key = id.whole || id.text.data ? *slot_of(a, &id) : 0;
        if (key == 0 && a->other == 0)
            a->other = i + 1;
        for (; key != 0 && a->keys[key - 1].row == 0; key = a->keys[key - 1].same)
            a->keys[key - 1].row = i + 1;
        lua_settop(a->L, top);
    }
    return true;
}

bool run_answer_open(struct answer *a, lua_State *L, const struct run *r, int index,
                     struct run_result *out)
{
    char why[VALUE_WHY];
    size_t count = 0;
    *a = (struct answer){.L = L, .r = r};
    lua_rawgeti(L, index, ROWS);
    a->rows = lua_gettop(L);
    lua_rawgeti(L, index, ID);
    lua_rawgeti(L, index, VERSION);
    if (lua_type(L, -2) == LUA_TSTRING)
        a->id.data = lua_tolstring(L, -2, &a->id.size);
    if (lua_type(L, -1) == LUA_TSTRING)
        a->version.data = lua_tolstring(L, -1, &a->version.size);
    a->packed = packed_rows_open(L, &r->rt->sandbox.marks, a->rows, &a->count);
    a->placed = a->packed && lua_isboolean(L, -2);
    bool good = a->placed || a->id.data;
    if (!good || (!a->packed && lua_type(L, a->rows) != LUA_TTABLE)) {
        result_refuse(r, out, "load_many returned an answer of ctx:answer that was changed");
        return false;
    }
    if (!a->packed && !value_is_array(L, a->rows, &count, why, sizeof why)) {
        result_refuse(r, out, "ctx:answer: its rows: %s", why);
        return false;
    }
    if (!a->packed)
        a->count = (uint32_t)count;
    hash_keys(a);
    return a->placed ? place_by_number(a, out) : place_rows(a, out);
}

void run_answer_push(const struct answer *a, unsigned i)
{
    if (a->keys[i].row != 0 && !a->packed)
        lua_rawgeti(a->L, a->rows, (int)a->keys[i].row);
    else
        lua_pushnil(a->L);
}

void run_answer_take(const struct answer *a, unsigned i, struct run_result *out)
{
    if (a->keys[i].row == 0) {
        out->outcome = RUN_ABSENT;
        return;
    }
    struct slice row;
    int rc = 0;
    if (a->placed) {
        row = a->keys[i].id.text;
        rc = mpw_map(&out->value, (uint32_t)a->keys[i].id.number);
    } else {
        row = packed_rows_at(a->L, &a->r->rt->sandbox.marks, a->rows, a->keys[i].row - 1);
    }
    if (rc == 0)
        rc = mpw_raw(&out->value, row);
    result_taken(a->r, rc, out);
}

/* The version that a packed row has, where it is an integer; what else it is, Lua tells. */
static bool packed_version(const struct answer *a, unsigned i, int64_t *version)
{
    struct slice row, value;
    struct mp_token t;
    if (!a->packed)
        return false;
    row = packed_rows_at(a->L, &a->r->rt->sandbox.marks, a->rows, a->keys[i].row - 1);
    if (!packed_column(a->L, row, a->version, &value))
        return false;
    struct mp_reader reader = mp_reader_of(value);
    bool whole = mp_next(&reader, &t) == MP_OK && t.type == MP_INT;
    if (whole)
        *version = t.i;
    return whole;
}

void run_answer_version(const struct answer *a, unsigned i, struct run_result *out)
{
    bool wanted = a->version.size > 0 && !out->has_version &&
                  (out->outcome == RUN_FOUND || out->outcome == RUN_UNCHANGED);
    if (!wanted)
        return;
    if (packed_version(a, i, &out->version))
        out->has_version = true;
    else if (push_column(a, a->keys[i].row - 1, VERSION))
        (void)result_read_version(a->L, a->r, a->version.data, out);
    else
        result_refuse(a->r, out, "ctx:answer: the rows have no column \"%.64s\" for the version",
                      a->version.data);
}
