#include "bind/api.h"

#include "wire/json.h"
#include "base/clock.h"
#include "bind/method.h"
#include "bind/op.h"
#include "bind/run_answer.h"
#include "bind/run_many.h"
#include "script/packed.h"
#include "script/shape.h"
#include "store/store.h"
#include "wire/mpw.h"

#include <stdio.h>

#define SLEEP_MAX_S 3600.

static int api_sleep(lua_State *L)
{
    struct runtime *rt = runtime_upvalue(L);
    if (lua_type(L, 1) != LUA_TNUMBER)
        vm_fail(L, "rtcache.sleep takes seconds, not a %s", luaL_typename(L, 1));
    double seconds = lua_tonumber(L, 1);
    if (!(seconds >= 0 && seconds <= SLEEP_MAX_S))
        vm_fail(L, "rtcache.sleep takes 0 to %.0f seconds, not %.14g", SLEEP_MAX_S, seconds);
    op_check_may_wait(L, rt, &(struct op_asker){.prefix = "rtcache.", .what = "sleep"});
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
        if (strcmp(rt->known[i].name, name) == 0 && strlen(name) == lua_objlen(L, 1)) {
            lua_rawgeti(L, LUA_REGISTRYINDEX, rt->known[i].ref);
            return 1;
        }
    }
    char known[256] = "there is none";
    size_t used = 0;
    for (size_t i = 0; i < rt->backend_count && used < sizeof known - 1; i++) {
        int n =
            snprintf(known + used, sizeof known - used, "%s%s", i ? ", " : "", rt->known[i].name);
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
    if (lua_getmetatable(L, 1)) {
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

static void set_closure(lua_State *L, struct runtime *rt, const char *name, lua_CFunction fn)
{
    lua_pushlightuserdata(L, rt);
    lua_pushcclosure(L, fn, 1);
    lua_setfield(L, -2, name);
}

static void push_raw(lua_State *L, struct runtime *rt)
{
    static const luaL_Reg functions[] = {
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

void api_setup(lua_State *L, struct runtime *rt)
{
    method_push_metatable(L);
    lua_pushlightuserdata(L, rt);
    lua_createtable(L, 0, 2);
    set_closure(L, rt, "deadline_ms", api_deadline_ms);
    set_closure(L, rt, "answer", run_answer_lua);
    lua_pushcclosure(L, api_context_index, 2);
    lua_setfield(L, -2, "__index");
    rt->context = luaL_ref(L, LUA_REGISTRYINDEX);

    run_answer_setup(L, rt);

    method_push_metatable(L);
    lua_pushcfunction(L, api_error_tostring);
    lua_setfield(L, -2, "__tostring");
    rt->error = luaL_ref(L, LUA_REGISTRYINDEX);

    sandbox_push_api(L);
    push_raw(L, rt);
    method_push_verbs(L, rt);
    lua_setfield(L, -2, "drivers");
    lua_call(L, 1, 1);
    lua_getfield(L, -1, "drivers");
    method_make_backends(L, rt);
    lua_pop(L, 1);
    rt->api = luaL_ref(L, LUA_REGISTRYINDEX);
}
