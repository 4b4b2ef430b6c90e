#include "bind/method.h"

#include "bind/op.h"
#include "conf/conf.h"
#include "wire/mpw.h"

#include <stdio.h>

#define NAMES_MAX 64

struct database {
    int index;
};

/* Upvalues of a verb's function, after the runtime. */
enum { OF_DRIVER = 2, OF_VERB };

/* Counts a call of the run that runs now. One too many ends the run, which cannot catch it. */
static void check_calls(lua_State *L, struct runtime *rt, const struct op_asker *a)
{
    struct run *r = rt->current;
    if (rt->run_calls == 0 || ++r->calls <= rt->run_calls)
        return;
    if (!r->calls_over)
        vm_print_position(&a->where, rt->vm->where, sizeof rt->vm->where);
    r->calls_over = true;
    vm_stop(rt->vm);
    op_fail_at(L, a, "%s%s: more than %lld calls of backends", a->prefix, a->what,
               (long long)rt->run_calls);
}

/* Whether the value is a backend of this driver; NULL: it is none. */
static const struct database *to_database(lua_State *L, const struct runtime_driver *driver,
                                          int index)
{
    if (lua_type(L, index) != LUA_TUSERDATA || !lua_getmetatable(L, index))
        return NULL;
    bool is = lua_topointer(L, -1) == driver->metatable;
    lua_pop(L, 1);
    return is ? lua_touserdata(L, index) : NULL;
}

/* ---- looking a method up ---- */

/* There is none of the name that is on top. */
static int no_method(lua_State *L, const struct runtime *rt, const struct runtime_driver *driver)
{
    const char *names[NAMES_MAX], *name = lua_tostring(L, -1);
    const struct database *db = to_database(L, driver, 1);
    char all[256] = "";
    size_t count = 0;
    for (const struct verb *v = driver->of->verbs; v->name && count < NAMES_MAX; v++) {
        size_t used = strlen(all);
        if (v->hidden)
            continue;
        names[count] = v->name;
        snprintf(all + used, sizeof all - used, "%s%s", count++ ? ", " : "", v->name);
    }
    const char *near = conf_nearest(name, names, count);
    vm_fail(L, "the backend \"%.64s\" has no method \"%.64s\"; its driver, %s, has %s%s%s%s",
            db ? rt->known[db->index].name : "?", name, driver->of->conf.name, all,
            near ? "; did you mean \"" : "", near ? near : "", near ? "\"?" : "");
}

/* Looks a method up and notes where that was asked. Upvalues: the runtime, the methods, the driver.
 */
static int method_lua_index(lua_State *L)
{
    struct runtime *rt = runtime_upvalue(L);
    lua_settop(L, 2);
    lua_pushvalue(L, 2);
    lua_rawget(L, lua_upvalueindex(2));
    rt->lookup = vm_position(L, &rt->lookup_position) ? L : NULL;
    if (!lua_isnil(L, -1) || lua_type(L, 2) != LUA_TSTRING)
        return 1;
    lua_settop(L, 2);
    return no_method(L, rt, lua_touserdata(L, lua_upvalueindex(3)));
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

/* ---- calling it ---- */

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

/* What is wrong with the arguments, which are self, the text, and count more. */
static void check_arguments(lua_State *L, const struct verb *v, int count, const struct op_asker *a)
{
    if (lua_type(L, 2) != LUA_TSTRING)
        op_fail_at(L, a, "db:%s: %s is a %s, not a string", v->name, v->text, luaL_typename(L, 2));
    if (!v->bytes && strlen(lua_tostring(L, 2)) != lua_objlen(L, 2))
        op_fail_at(L, a, "db:%s: %s has a NUL byte", v->name, v->text);
    if (count < v->least || (v->most != VERB_ANY && count > v->most))
        op_fail_at(L, a, "db:%s: %d argument%s: it is called as db:%s(%s)", v->name, count + 1,
                   count == 0 ? "" : "s", v->name, v->takes);
}

/* (self, text, count, ...) -> op */
static int method_ask(lua_State *L)
{
    struct runtime *rt = runtime_upvalue(L);
    const struct runtime_driver *driver = lua_touserdata(L, lua_upvalueindex(OF_DRIVER));
    int verb = (int)lua_tointeger(L, lua_upvalueindex(OF_VERB));
    const struct verb *v = &driver->of->verbs[verb];
    struct op_asker asker = {.prefix = "db:", .what = v->name, .placed = true};
    struct err e;
    take_position(L, rt, &asker.where);
    const struct database *db = to_database(L, driver, 1);
    if (!db)
        op_fail_at(L, &asker,
                   "%s is a method of a backend: call it with a colon, as db:%s(%s), on one whose "
                   "driver is %s",
                   v->name, v->name, v->takes, driver->of->conf.name);
    int count = (int)luaL_checkinteger(L, 3);
    check_arguments(L, v, count, &asker);
    op_check_may_wait(L, rt, &asker);
    check_calls(L, rt, &asker);
    lua_settop(L, 3 + count);
    if (pack_parameters(L, rt, 4, count, &e) != 0)
        op_fail_at(L, &asker, "db:%s: %s", v->name, e.text);
    struct op_request q = {
        .backend = db->index, .verb = verb, .of = v, .params = &rt->scratch, .where = &asker.where};
    q.text.data = lua_tolstring(L, 2, &q.text.size);
    if (!op_call(L, rt, &q))
        op_fail_at(L, &asker, "db:%s: not enough memory for a call of %zu bytes", v->name,
                   q.text.size);
    return 1;
}

/* ---- making them ---- */

void method_push_metatable(lua_State *L)
{
    lua_createtable(L, 0, 4);
    lua_pushboolean(L, 0);
    lua_setfield(L, -2, "__metatable");
}

static void push_driver(lua_State *L, struct runtime *rt, struct runtime_driver *driver)
{
    lua_newtable(L);
    lua_newtable(L);
    lua_newtable(L); /* driver, methods, hidden */
    for (int i = 0; driver->of->verbs[i].name; i++) {
        const struct verb *v = &driver->of->verbs[i];
        lua_pushlightuserdata(L, rt);
        lua_pushlightuserdata(L, driver);
        lua_pushinteger(L, i);
        lua_pushcclosure(L, method_ask, 3);
        lua_setfield(L, v->hidden ? -2 : -3, v->name);
    }
    lua_setfield(L, -3, "hidden");
    lua_setfield(L, -2, "methods");
}

void method_push_verbs(lua_State *L, struct runtime *rt)
{
    lua_createtable(L, (int)rt->driver_count, 0);
    for (size_t i = 0; i < rt->driver_count; i++) {
        push_driver(L, rt, &rt->drivers[i]);
        lua_rawseti(L, -2, (int)i + 1);
    }
}

static int method_lua_tostring(lua_State *L)
{
    const struct runtime *rt = runtime_upvalue(L);
    const struct database *db = to_database(L, lua_touserdata(L, lua_upvalueindex(2)), 1);
    if (!db)
        vm_fail(L, "this is no backend");
    lua_pushfstring(L, "backend %s", rt->known[db->index].name);
    return 1;
}

/* Pushes the metatable of a driver's backends; its methods are on top. */
static void push_metatable_of(lua_State *L, struct runtime *rt, struct runtime_driver *driver)
{
    method_push_metatable(L);
    driver->metatable = lua_topointer(L, -1);
    lua_pushlightuserdata(L, rt);
    lua_pushvalue(L, -3);
    lua_pushlightuserdata(L, driver);
    lua_pushcclosure(L, method_lua_index, 3);
    lua_setfield(L, -2, "__index");
    lua_pushlightuserdata(L, rt);
    lua_pushlightuserdata(L, driver);
    lua_pushcclosure(L, method_lua_tostring, 2);
    lua_setfield(L, -2, "__tostring");
}

void method_make_backends(lua_State *L, struct runtime *rt)
{
    int made = lua_gettop(L);
    for (size_t d = 0; d < rt->driver_count; d++) {
        lua_rawgeti(L, made, (int)d + 1);
        lua_getfield(L, -1, "methods");
        push_metatable_of(L, rt, &rt->drivers[d]);
        for (size_t i = 0; i < rt->backend_count; i++) {
            if (rt->known[i].driver != (int)d)
                continue;
            struct database *db = lua_newuserdata(L, sizeof *db);
            db->index = (int)i;
            lua_pushvalue(L, -2);
            lua_setmetatable(L, -2);
            rt->known[i].ref = luaL_ref(L, LUA_REGISTRYINDEX);
        }
        luaL_ref(L, LUA_REGISTRYINDEX); /* keeps the metatable, and so its address */
        lua_settop(L, made);
    }
}
