#include "bind/runtime_priv.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const what_names[RUNTIME_WHATS] = {"load", "load_many", "save", "remove"};

struct runtime *runtime_ref(struct runtime *rt)
{
    rt->refs++;
    return rt;
}

static void runtime_free(struct runtime *rt)
{
    run_free_spare(rt);
    vm_free(rt->vm);
    sandbox_fini(&rt->sandbox);
    for (size_t i = 0; i < rt->backend_count; i++) {
        if (rt->backends)
            backend_unref(rt->backends[i]);
        free(rt->known[i].name);
    }
    for (int i = 0; i < rt->script_count; i++)
        free(rt->scripts[i].file);
    free(rt->backends);
    free(rt->known);
    free(rt->drivers);
    free(rt->scripts);
    free(rt->ops);
    for (unsigned i = 0; i < rt->many_room; i++)
        buf_fini(&rt->many[i].value);
    free(rt->many);
    buf_fini(&rt->scratch);
    buf_fini(&rt->second);
    free(rt);
}

void runtime_unref(struct runtime *rt)
{
    if (rt && --rt->refs == 0)
        runtime_free(rt);
}

/* Running a main chunk, which returns the table of functions. */
struct reading {
    struct runtime *rt;
    struct script *script;
    int chunk; /* in the registry */
    int rc;
    struct err *e;
};

static int bad_script(struct reading *g, const char *fmt, ...)
    __attribute__((format(printf, 2, 3)));

static int bad_script(struct reading *g, const char *fmt, ...)
{
    char text[ERR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    g->rc = err_set(g->e, ERR_SCRIPT, "%s:1: %s", g->script->file, text);
    return 0;
}

static int which_of(const char *name)
{
    for (int i = 0; i < RUNTIME_WHATS; i++)
        if (strcmp(name, what_names[i]) == 0)
            return i;
    return -1;
}

/* The table is on top of L. Keeps its functions. */
static int take_functions(lua_State *L, struct reading *g)
{
    int table = lua_gettop(L);
    if (lua_type(L, table) != LUA_TTABLE)
        return bad_script(g,
                          "the script returned a %s, not a table {load = function(key, ctx) ... "
                          "end}",
                          luaL_typename(L, table));
    lua_pushnil(L);
    while (lua_next(L, table)) {
        const char *name = lua_type(L, -2) == LUA_TSTRING ? lua_tostring(L, -2) : NULL;
        int which = name ? which_of(name) : -1;
        if (which < 0)
            return bad_script(g,
                              "the script's table has %s%s%s; it takes load, load_many, save and "
                              "remove",
                              name ? "\"" : "a key that is a ", name ? name : luaL_typename(L, -2),
                              name ? "\"" : "");
        if (lua_type(L, -1) != LUA_TFUNCTION)
            return bad_script(g, "%s is a %s, not a function", name, luaL_typename(L, -1));
        lua_Debug ar;
        lua_pushvalue(L, -1);
        lua_getinfo(L, ">S", &ar);
        g->script->line[which] = ar.linedefined;
        g->script->fn[which] = luaL_ref(L, LUA_REGISTRYINDEX);
    }
    if (g->script->fn[RUN_LOAD] == LUA_NOREF && g->script->fn[RUN_LOAD_MANY] == LUA_NOREF)
        return bad_script(g, "the script's table has no function \"load\" or \"load_many\"");
    return 0;
}

static void read_failure(struct reading *g, lua_State *co, int status, struct vm_cost cost)
{
    struct runtime *rt = g->rt;
    char where[VM_WHERE_MAX];
    snprintf(where, sizeof where, "%s:1", g->script->file);
    if (cost.stopped) {
        g->rc =
            err_set(g->e, ERR_SCRIPT, "%s: stopped after %lld ms of CPU",
                    rt->vm->where[0] ? rt->vm->where : where, (long long)(rt->run_cpu_us / 1000));
    } else if (status == LUA_YIELD) {
        bad_script(g, "the script yielded while it was read");
    } else if (status == LUA_ERRMEM) {
        vm_where(co, where, sizeof where);
        g->rc = err_set(g->e, ERR_SCRIPT, "%s: not enough memory: one script may use %zu KiB",
                        where, rt->run_bytes / 1024);
    } else if (lua_type(co, -1) == LUA_TSTRING) {
        const char *text = lua_tostring(co, -1);
        bool placed = strstr(text, ".lua:") != NULL;
        g->rc = err_set(g->e, ERR_SCRIPT, "%s%s%s", placed ? "" : where, placed ? "" : ": ", text);
    } else {
        bad_script(g, "the script threw a %s", luaL_typename(co, -1));
    }
}

static int protected_main(lua_State *L)
{
    struct reading *g = lua_touserdata(L, 1);
    struct vm *vm = g->rt->vm;
    lua_State *co = lua_newthread(L); /* kept by its place on the stack */
    lua_rawgeti(L, LUA_REGISTRYINDEX, g->chunk);
    lua_xmove(L, co, 1);
    vm_enter(vm, g->rt->run_cpu_us, g->rt->run_bytes);
    int status = lua_resume(co, 0);
    struct vm_cost cost = vm_leave(vm);
    if (status != 0 || cost.stopped) {
        read_failure(g, co, status, cost);
        return 0;
    }
    lua_settop(co, 1);
    lua_xmove(co, L, 1);
    return take_functions(L, g);
}

static bool grow_scripts(struct runtime *rt)
{
    if (rt->script_count < rt->script_room)
        return true;
    int room = rt->script_room ? rt->script_room * 2 : 8;
    struct script *scripts = realloc(rt->scripts, (size_t)room * sizeof *scripts);
    if (!scripts)
        return false;
    rt->scripts = scripts;
    rt->script_room = room;
    return true;
}

struct script *runtime_room(struct runtime *rt, const char *file)
{
    char *name = grow_scripts(rt) ? strdup(file) : NULL;
    if (!name)
        return NULL;
    struct script *s = &rt->scripts[rt->script_count];
    *s = (struct script){.file = name};
    run_account_init(&s->account, rt->run_cpu_us);
    for (int i = 0; i < RUNTIME_WHATS; i++)
        s->fn[i] = LUA_NOREF;
    return s;
}

int runtime_add_script(struct runtime *rt, const char *file, int *script, struct err *e)
{
    for (int i = 0; i < rt->script_count; i++) {
        const struct script *s = &rt->scripts[i];
        if (!s->sql && s->jit == rt->sandbox.jit && strcmp(s->file, file) == 0) {
            *script = i;
            return 0;
        }
    }
    struct script *s = runtime_room(rt, file);
    if (!s)
        return err_set(e, ERR_NOMEM, "%s: no memory for it", file);
    s->jit = rt->sandbox.jit;
    struct reading g = {.rt = rt, .script = s, .chunk = LUA_NOREF, .e = e};
    rt->sandbox.read = 0;
    int rc = sandbox_load(&rt->sandbox, file, rt->api, &g.chunk, e);
    if (rc == 0) {
        rc = vm_protect(rt->vm, protected_main, &g, e);
        luaL_unref(rt->vm->L, LUA_REGISTRYINDEX, g.chunk);
    }
    if (rc == 0)
        rc = g.rc;
    if (rc != 0) {
        free(s->file);
        return rc;
    }
    s->fingerprint = rt->sandbox.read;
    *script = rt->script_count++;
    return 0;
}

uint64_t runtime_fingerprint(const struct runtime *rt, int script)
{
    return rt->scripts[script].fingerprint;
}

bool runtime_has(const struct runtime *rt, int script, enum run_what what)
{
    return script >= 0 && script < rt->script_count && rt->scripts[script].fn[what] != LUA_NOREF;
}

void runtime_read_stats(const struct runtime *rt, struct runtime_stats *out)
{
    *out = rt->stats;
    out->memory_bytes = rt->vm->used;
}
