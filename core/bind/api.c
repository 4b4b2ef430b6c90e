#include "bind/api.h"

#include "wire/json.h"
#include "base/clock.h"
#include "bind/op.h"
#include "bind/run_answer.h"
#include "bind/run_many.h"
#include "script/packed.h"
#include "script/shape.h"
#include "store/store.h"
#include "wire/mpw.h"

#include <stdio.h>
#include <stdlib.h>

#define SLEEP_MAX_S 3600.

struct database {
    int index;
};

/* Who asks for something that takes a while: printed only for an error. */
struct asked {
    const char *prefix, *what; /* "db:" and "row" */
    bool placed;               /* false: at the place that the stack shows */
    struct vm_position where;
};

/* Raises a text with the position in front. */
__attribute__((format(printf, 3, 4), noreturn)) static void
fail_at(lua_State *L, const struct asked *a, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX], where[VM_WHERE_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (!a->placed)
        vm_fail(L, "%s", text);
    vm_print_position(&a->where, where, sizeof where);
    lua_pushfstring(L, "%s: %s", where, text);
    lua_error(L);
    abort(); /* lua_error does not return */
}

/* Raises unless the code that runs may wait. */
static void check_may_wait(lua_State *L, struct runtime *rt, const struct asked *a)
{
    if (!rt->current)
        fail_at(L, a, "%s%s cannot be called while the script is read, only while a load runs",
                a->prefix, a->what);
    if (!lua_isyieldable(L))
        fail_at(L, a,
                "%s%s cannot wait here: inside a function that string.gsub, table.sort or a "
                "__tostring calls back",
                a->prefix, a->what);
}

/* Counts a query of the run that runs now. One too many ends the run, which cannot catch it. */
static void check_calls(lua_State *L, struct runtime *rt, const struct asked *a)
{
    struct run *r = rt->current;
    if (rt->run_calls == 0 || ++r->calls <= rt->run_calls)
        return;
    if (!r->calls_over)
        vm_print_position(&a->where, rt->vm->where, sizeof rt->vm->where);
    r->calls_over = true;
    vm_stop(rt->vm);
    fail_at(L, a, "%s%s: more than %lld calls of backends", a->prefix, a->what,
            (long long)rt->run_calls);
}

static const struct database *to_database(lua_State *L, const struct runtime *rt, int index)
{
    if (lua_type(L, index) != LUA_TUSERDATA || !lua_getmetatable(L, index))
        return NULL;
    bool is = lua_topointer(L, -1) == rt->database;
    lua_pop(L, 1);
    return is ? lua_touserdata(L, index) : NULL;
}

/* Looks a method up and notes where that was asked. */
static int api_database_index(lua_State *L)
{
    struct runtime *rt = runtime_upvalue(L);
    lua_settop(L, 2);
    lua_rawget(L, lua_upvalueindex(2));
    rt->lookup = vm_position(L, &rt->lookup_position) ? L : NULL;
    return 1;
}

/* The line of the script that calls a method now. */
static void take_position(lua_State *L, struct runtime *rt, struct vm_position *out)
{
    bool looked_up = rt->lookup == L;
    rt->lookup = NULL;
    if (looked_up)
        *out = rt->lookup_position;
    else if (!vm_position(L, out)) {
        const struct script *s = runtime_script(rt);
        snprintf(out->file, sizeof out->file, "%s", s ? s->file : "?");
        out->line = s ? s->line[rt->current->what] : 0;
    }
}

static int pack_parameters(lua_State *L, struct runtime *rt, int first, int count, struct err *e)
{
    struct buf *b = &rt->scratch;
    buf_clear(b);
    if (count == 0)
        return 0;
    int rc = mpw_array(b, (uint32_t)count);
    if (rc != 0)
        return err_set(e, rc, "no memory for the parameters");
    for (int i = 0; i < count && rc == 0; i++) {
        size_t before = b->size;
        rc = value_pack(L, &rt->sandbox.marks, first + i, "parameter", b, e);
        if (rc != 0) { /* once more, for a text that says which one */
            char name[32];
            snprintf(name, sizeof name, "parameter %d", i + 1);
            b->size = before;
            rc = value_pack(L, &rt->sandbox.marks, first + i, name, b, e);
        }
    }
    return rc;
}

/* (shape, self, sql, count, ...) -> op */
static int api_query(lua_State *L)
{
    static const struct {
        const char *name;
        enum call_shape shape;
        bool packed, plain;
    } methods[] = {
        {"row", CALL_ROW, false, false},          {"rows", CALL_ROWS, false, false},
        {"value", CALL_VALUE, false, false},      {"exec", CALL_COUNT, false, false},
        {"packed_row", CALL_ROW, true, false},    {"packed_rows", CALL_ROWS, true, false},
        {"types", CALL_TYPES, false, false}, /* from here on: no script gets at them */
        {"batch_types", CALL_TYPES, false, true}, {"batch_rows", CALL_ROWS, true, true},
    };
    struct runtime *rt = runtime_upvalue(L);
    struct asked asked = {.prefix = "db:", .what = luaL_checkstring(L, 1), .placed = true};
    struct err e;
    take_position(L, rt, &asked.where);
    const char *shape = asked.what;
    const struct database *db = to_database(L, rt, 2);
    if (!db)
        fail_at(L, &asked, "%s is a method of a backend: call it with a colon, as db:%s(sql, ...)",
                shape, shape);
    if (lua_type(L, 3) != LUA_TSTRING)
        fail_at(L, &asked, "db:%s: the SQL text is a %s, not a string", shape,
                lua_isnone(L, 3) ? "nil" : luaL_typename(L, 3));
    if (strlen(lua_tostring(L, 3)) != lua_objlen(L, 3))
        fail_at(L, &asked, "db:%s: the SQL text has a NUL byte", shape);
    check_may_wait(L, rt, &asked);
    check_calls(L, rt, &asked);
    int count = (int)luaL_checkinteger(L, 4);
    lua_settop(L, 4 + count);
    if (pack_parameters(L, rt, 5, count, &e) != 0)
        fail_at(L, &asked, "db:%s: %s", shape, e.text);
    struct op_request q = {.backend = db->index, .params = &rt->scratch, .where = &asked.where};
    for (size_t i = 0; i < sizeof methods / sizeof *methods; i++) {
        if (strcmp(methods[i].name, shape) == 0) {
            q.shape = methods[i].shape;
            q.packed = methods[i].packed;
            q.plain = methods[i].plain;
        }
    }
    q.sql.data = lua_tolstring(L, 3, &q.sql.size);
    if (!op_query(L, rt, &q))
        fail_at(L, &asked, "db:%s: not enough memory for a query of %zu bytes", shape, q.sql.size);
    return 1;
}

static int api_sleep(lua_State *L)
{
    struct runtime *rt = runtime_upvalue(L);
    if (lua_type(L, 1) != LUA_TNUMBER)
        vm_fail(L, "rtcache.sleep takes seconds, not a %s", luaL_typename(L, 1));
    double seconds = lua_tonumber(L, 1);
    if (!(seconds >= 0 && seconds <= SLEEP_MAX_S))
        vm_fail(L, "rtcache.sleep takes 0 to %.0f seconds, not %.14g", SLEEP_MAX_S, seconds);
    check_may_wait(L, rt, &(struct asked){.prefix = "rtcache.", .what = "sleep"});
    if (!op_sleep(L, rt, seconds))
        vm_fail(L, "rtcache.sleep: not enough memory");
    return 1;
}

static int api_backend(lua_State *L)
{
    struct runtime *rt = runtime_upvalue(L);
    if (lua_type(L, 1) != LUA_TSTRING)
        vm_fail(L, "rtcache.backend takes a backend's name, not a %s", luaL_typename(L, 1));
    const char *name = lua_tostring(L, 1);
    for (size_t i = 0; i < rt->backend_count; i++) {
        if (strcmp(rt->backend_names[i], name) == 0 && strlen(name) == lua_objlen(L, 1)) {
            lua_rawgeti(L, LUA_REGISTRYINDEX, rt->backend_refs[i]);
            return 1;
        }
    }
    char known[256] = "there is none";
    size_t used = 0;
    for (size_t i = 0; i < rt->backend_count && used < sizeof known - 1; i++) {
        int n = snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "",
                         rt->backend_names[i]);
        used += n > 0 ? (size_t)n : 0;
    }
    vm_fail(L, "no backend is called \"%.64s\"; known: %s", name, known);
}

static int api_log(lua_State *L)
{
    struct runtime *rt = runtime_upvalue(L);
    struct script *script = runtime_script(rt);
    char where[VM_WHERE_MAX] = "?";
    if (!vm_where(L, where, sizeof where) && rt->current)
        run_position(rt->current, where, sizeof where);
    log_write(script ? &script->log_site : &rt->log_site, (enum log_level)luaL_checkinteger(L, 1),
              "script.log", "script=%s text=%s", log_q(where), log_q(luaL_checkstring(L, 2)));
    return 0;
}

static int api_now(lua_State *L)
{
    lua_pushnumber(L, (lua_Number)clock_wall_ms() / 1000.);
    return 1;
}

static int mark(lua_State *L, int ref, const char *name)
{
    lua_settop(L, 1);
    if (lua_isnil(L, 1)) {
        lua_newtable(L);
        lua_replace(L, 1);
    }
    if (lua_type(L, 1) != LUA_TTABLE)
        vm_fail(L, "rtcache.%s takes a table, not a %s", name, luaL_typename(L, 1));
    lua_rawgeti(L, LUA_REGISTRYINDEX, ref);
    lua_setmetatable(L, 1);
    return 1;
}

static int api_array(lua_State *L)
{
    return mark(L, runtime_upvalue(L)->sandbox.marks.array_ref, "array");
}

static int api_map(lua_State *L)
{
    /* A row is a map already, and stays one with columns in order. */
    if (lua_type(L, 1) == LUA_TTABLE && lua_getmetatable(L, 1)) {
        bool row = shape_is(L, &runtime_upvalue(L)->sandbox.marks);
        lua_settop(L, 1);
        if (row)
            return 1;
    }
    return mark(L, runtime_upvalue(L)->sandbox.marks.map_ref, "map");
}

static int api_bin(lua_State *L)
{
    if (lua_type(L, 1) != LUA_TSTRING)
        vm_fail(L, "rtcache.bin takes a string, not a %s", luaL_typename(L, 1));
    lua_settop(L, 1);
    lua_createtable(L, 1, 0);
    lua_insert(L, 1);
    lua_rawseti(L, 1, 1);
    lua_rawgeti(L, LUA_REGISTRYINDEX, runtime_upvalue(L)->sandbox.marks.bin_ref);
    lua_setmetatable(L, 1);
    return 1;
}

static int api_json_encode(lua_State *L)
{
    struct runtime *rt = runtime_upvalue(L);
    struct err e;
    luaL_checkany(L, 1);
    buf_clear(&rt->scratch);
    buf_clear(&rt->second);
    int rc = value_pack(L, &rt->sandbox.marks, 1, "value", &rt->scratch, &e);
    if (rc == 0)
        rc = json_from_mp(buf_slice(&rt->scratch), &rt->second, &e);
    vm_overdue(rt->vm);
    if (rc != 0)
        vm_fail(L, "rtcache.json.encode: %s", e.text);
    lua_pushlstring(L, rt->second.data, rt->second.size);
    return 1;
}

static int api_json_decode(lua_State *L)
{
    struct runtime *rt = runtime_upvalue(L);
    struct err e;
    if (lua_type(L, 1) != LUA_TSTRING)
        vm_fail(L, "rtcache.json.decode takes a string, not a %s", luaL_typename(L, 1));
    struct slice text;
    text.data = lua_tolstring(L, 1, &text.size);
    buf_clear(&rt->scratch);
    if (text.size > rt->value_max * 4)
        vm_fail(L,
                "rtcache.json.decode: a text of %zu bytes; at most four times max_value are taken",
                text.size);
    int rc = json_to_mp(text, &rt->scratch, &e);
    vm_overdue(rt->vm);
    if (rc != 0)
        vm_fail(L, "rtcache.json.decode: %s", e.text);
    value_unpack(L, &rt->sandbox.marks, buf_slice(&rt->scratch));
    vm_overdue(rt->vm);
    return 1;
}

/* Pushes a field of ctx that is made when it is asked for; false: there is none of that name. */
static bool push_late_field(lua_State *L, struct runtime *rt, const struct run *r, const char *name)
{
    if (!r->many && r->stored && strcmp(name, "value") == 0)
        value_unpack(L, &rt->sandbox.marks, entry_value(r->stored));
    else if (r->many && strcmp(name, "match") == 0)
        run_many_push_match(L, r->rt, r->many);
    else if (r->many && strcmp(name, "ids") == 0)
        run_answer_push_ids(L, r);
    else
        return false;
    return true;
}

/* Upvalues: the runtime, and the methods. */
static int api_context_index(lua_State *L)
{
    struct runtime *rt = runtime_upvalue(L);
    struct run *r = rt->current;
    const char *name = lua_type(L, 2) == LUA_TSTRING ? lua_tostring(L, 2) : "";
    lua_settop(L, 2);
    if (r && lua_topointer(L, 1) == r->context && push_late_field(L, rt, r, name)) {
        lua_pushvalue(L, 2);
        lua_pushvalue(L, -2);
        lua_rawset(L, 1);
        return 1;
    }
    lua_rawget(L, lua_upvalueindex(2));
    return 1;
}

static int api_deadline_ms(lua_State *L)
{
    struct run *r = runtime_upvalue(L)->current;
    if (!r || lua_type(L, 1) != LUA_TTABLE || lua_topointer(L, 1) != r->context)
        vm_fail(L, "deadline_ms is a method of this load's ctx: call it as ctx:deadline_ms()");
    int64_t left_ms = r->deadline_ms - clock_ms();
    lua_pushnumber(L, left_ms > 0 ? (lua_Number)left_ms : 0);
    return 1;
}

static int api_error_tostring(lua_State *L)
{
    luaL_checktype(L, 1, LUA_TTABLE);
    lua_settop(L, 1);
    lua_getfield(L, 1, "where");
    lua_getfield(L, 1, "message");
    lua_pushfstring(L, "%s: %s", lua_tostring(L, 2) ? lua_tostring(L, 2) : "?",
                    lua_tostring(L, 3) ? lua_tostring(L, 3) : "?");
    return 1;
}

static int api_database_tostring(lua_State *L)
{
    struct runtime *rt = runtime_upvalue(L);
    const struct database *db = to_database(L, rt, 1);
    if (!db)
        vm_fail(L, "this is no backend");
    lua_pushfstring(L, "backend %s", rt->backend_names[db->index]);
    return 1;
}

static void set_closure(lua_State *L, struct runtime *rt, const char *name, lua_CFunction fn)
{
    lua_pushlightuserdata(L, rt);
    lua_pushcclosure(L, fn, 1);
    lua_setfield(L, -2, name);
}

static void push_raw(lua_State *L, struct runtime *rt)
{
    static const luaL_Reg functions[] = {
        {"query", api_query},
        {"sleep", api_sleep},
        {"settled", op_lua_settled},
        {"take", op_lua_take},
        {"drop", op_lua_drop},
        {"backend", api_backend},
        {"log", api_log},
        {"now", api_now},
        {"array", api_array},
        {"map", api_map},
        {"bin", api_bin},
        {"poison", run_many_lua_poison},
        {"placed", run_answer_lua_placed},
        {"captures", run_answer_lua_captures},
        {"json_encode", api_json_encode},
        {"json_decode", api_json_decode},
    };
    lua_newtable(L);
    sandbox_add_primitives(L);
    for (size_t i = 0; i < sizeof functions / sizeof *functions; i++)
        set_closure(L, rt, functions[i].name, functions[i].func);
    lua_pushlightuserdata(L, &rt->sandbox.marks);
    lua_pushcclosure(L, packed_lua_unpack, 1);
    lua_setfield(L, -2, "unpack");
    lua_pushlightuserdata(L, &rt->sandbox.marks);
    lua_pushcclosure(L, packed_lua_cut_first, 1);
    lua_setfield(L, -2, "cut_first");
    lua_rawgeti(L, LUA_REGISTRYINDEX, rt->sandbox.marks.null_ref);
    lua_setfield(L, -2, "null");
    lua_rawgeti(L, LUA_REGISTRYINDEX, rt->sandbox.marks.unchanged_ref);
    lua_setfield(L, -2, "unchanged");
    lua_rawgeti(L, LUA_REGISTRYINDEX, rt->sandbox.marks.absent_ref);
    lua_setfield(L, -2, "absent");
}

/* A metatable that scripts cannot get at. */
static void push_metatable(lua_State *L)
{
    lua_createtable(L, 0, 4);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
}

/* The methods are on top of the stack. */
static void make_databases(lua_State *L, struct runtime *rt)
{
    push_metatable(L);
    rt->database = lua_topointer(L, -1);
    lua_pushlightuserdata(L, rt);
    lua_pushvalue(L, -3);
    lua_pushcclosure(L, api_database_index, 2);
    lua_setfield(L, -2, "__index");
    set_closure(L, rt, "__tostring", api_database_tostring);
    for (size_t i = 0; i < rt->backend_count; i++) {
        struct database *db = lua_newuserdata(L, sizeof *db);
        db->index = (int)i;
        lua_pushvalue(L, -2);
        lua_setmetatable(L, -2);
        rt->backend_refs[i] = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    luaL_ref(L, LUA_REGISTRYINDEX); /* keeps the metatable, and so its address */
}

void api_setup(lua_State *L, struct runtime *rt)
{
    push_metatable(L);
    lua_pushlightuserdata(L, rt);
    lua_createtable(L, 0, 2);
    set_closure(L, rt, "deadline_ms", api_deadline_ms);
    set_closure(L, rt, "answer", run_answer_lua);
    lua_pushcclosure(L, api_context_index, 2);
    lua_setfield(L, -2, "__index");
    rt->context = luaL_ref(L, LUA_REGISTRYINDEX);

    run_answer_setup(L, rt);

    push_metatable(L);
    lua_pushcfunction(L, api_error_tostring);
    lua_setfield(L, -2, "__tostring");
    rt->error = luaL_ref(L, LUA_REGISTRYINDEX);

    sandbox_push_api(L);
    push_raw(L, rt);
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "db");
    make_databases(L, rt);
    lua_pushvalue(L, -2);
    rt->api = luaL_ref(L, LUA_REGISTRYINDEX);
}
