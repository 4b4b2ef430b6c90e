/* The loaders that are SQL in the configuration: script/sql_loader.lua makes their functions. */
#include "bind/runtime_priv.h"

#include <stdio.h>
#include <stdlib.h>

struct making {
    struct runtime *rt;
    const struct conf_loader *loader;
    struct script *script;
    size_t backend; /* that it asks, in rt->known */
};

/* The SQL of a loader, and the stars of its pattern. */
struct pattern {
    struct glob_star stars[GLOB_STARS_MAX];
    unsigned count;
};

/* Pushes the SQL as an array of its texts and, between two, a parameter's number. */
static void push_pieces(lua_State *L, const char *sql, const struct pattern *p)
{
    int count = 0, number;
    const char *at, *end;
    lua_newtable(L);
    for (; (at = conf_sql_next(sql, &end, &number)) != NULL; sql = end) {
        lua_pushlstring(L, sql, (size_t)(at - sql));
        lua_rawseti(L, -2, ++count);
        number = conf_sql_number(slice_of(at, (size_t)(end - at)), number, p->stars, p->count);
        lua_pushinteger(L, number);
        lua_rawseti(L, -2, ++count);
    }
    lua_pushstring(L, sql);
    lua_rawseti(L, -2, ++count);
}

/* Pushes the names of int stars, by their number: these are parameters as integers. */
static void push_integers(lua_State *L, const struct pattern *p)
{
    lua_newtable(L);
    for (unsigned i = 0; i < p->count; i++) {
        if (p->stars[i].type != GLOB_INT)
            continue;
        lua_pushlstring(L, p->stars[i].name.data, p->stars[i].name.size);
        lua_rawseti(L, -2, (int)i + 1);
    }
}

/* Pushes the hidden verbs of the loader's backend; api: the place of what api.lua returned. */
static void push_hidden(lua_State *L, const struct making *g, int api)
{
    lua_getfield(L, api, "drivers");
    lua_rawgeti(L, -1, g->rt->known[g->backend].driver + 1);
    lua_getfield(L, -1, "hidden");
    lua_replace(L, -3);
    lua_pop(L, 1);
}

static int protected_make(lua_State *L)
{
    struct making *g = lua_touserdata(L, 1);
    const struct conf_loader *l = g->loader;
    struct pattern p;
    p.count = glob_stars(slice_str(l->pattern), p.stars);
    sandbox_push_sql_loader(L);
    lua_rawgeti(L, LUA_REGISTRYINDEX, g->rt->api);
    lua_getfield(L, -1, "rtcache");
    lua_getfield(L, -2, "internal");
    push_hidden(L, g, -3);
    lua_remove(L, -4);
    lua_call(L, 3, 1);
    lua_pushstring(L, l->version); /* nil where it is NULL */
    lua_pushinteger(L, conf_sql_parameters(l->sql, p.stars, p.count));
    push_pieces(L, l->sql, &p);
    push_integers(L, &p);
    lua_call(L, 4, 2);
    g->script->fn[RUN_LOAD_MANY] = luaL_ref(L, LUA_REGISTRYINDEX);
    g->script->fn[RUN_LOAD] = luaL_ref(L, LUA_REGISTRYINDEX);
    return 0;
}

/* With jit a file is another script than without. */
static int add_script(struct runtime *rt, const struct conf_loader *l, int *script, struct err *e)
{
    int rc = l->jit ? sandbox_jit_on(&rt->sandbox, e) : 0;
    if (rc == 0)
        rc = runtime_add_script(rt, l->script, script, e);
    sandbox_jit_off(&rt->sandbox);
    return rc;
}

/* The configuration was read with the check that there is one, and that it speaks SQL. */
static int find_backend(struct making *g, struct err *e)
{
    const struct conf_loader *l = g->loader;
    const struct runtime *rt = g->rt;
    for (; g->backend < rt->backend_count; g->backend++) {
        const struct runtime_backend *b = &rt->known[g->backend];
        if (l->backend && strcmp(b->name, l->backend) == 0 &&
            rt->drivers[b->driver].of->conf.speaks_sql)
            return 0;
    }
    return err_set(e, ERR_CONFIG, "%s: there is no backend \"%s\" that speaks SQL", l->script,
                   l->backend ? l->backend : "");
}

int runtime_add_loader(struct runtime *rt, const struct conf_loader *l, int *script, struct err *e)
{
    if (!l->sql)
        return add_script(rt, l, script, e);
    struct making g = {.rt = rt, .loader = l};
    int rc = find_backend(&g, e);
    if (rc != 0)
        return rc;
    const char *slash = strrchr(l->file, '/');
    struct script *s = runtime_room(rt, slash ? slash + 1 : l->file);
    if (!s)
        return err_set(e, ERR_NOMEM, "%s: no memory for it", l->script);
    s->sql = true;
    s->line[RUN_LOAD] = s->line[RUN_LOAD_MANY] = l->line;
    g.script = s;
    rc = vm_protect(rt->vm, protected_make, &g, e);
    if (rc != 0) {
        err_prefix(e, "%s", l->script);
        free(s->file);
        return rc;
    }
    *script = rt->script_count++;
    return 0;
}
