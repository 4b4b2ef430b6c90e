#include "bind/runtime_priv.h"

#include "bind/api.h"

#include <stdlib.h>

/* Which of rt's drivers it is; there is room for one more. */
static int driver_index(struct runtime *rt, const struct backend_driver *driver)
{
    for (size_t i = 0; i < rt->driver_count; i++)
        if (rt->drivers[i].of == driver)
            return (int)i;
    rt->drivers[rt->driver_count] = (struct runtime_driver){.of = driver};
    return (int)rt->driver_count++;
}

/* Leaves rt in a state that runtime_unref can take, whatever fails. */
static int copy_backends(struct runtime *rt, const struct runtime_options *o, struct err *e)
{
    size_t count = o->backend_count;
    if (count == 0)
        return 0;
    rt->known = calloc(count, sizeof *rt->known);
    rt->drivers = calloc(count, sizeof *rt->drivers);
    struct backend **backends = o->loop ? calloc(count, sizeof(struct backend *)) : NULL;
    if (!rt->known || !rt->drivers || (o->loop && !backends)) {
        free(backends);
        return err_set(e, ERR_NOMEM, "no memory for the scripts' backends");
    }
    for (size_t i = 0; i < count && backends; i++)
        backends[i] = backend_ref(o->backends[i]);
    rt->backends = backends;
    rt->backend_count = count;
    for (size_t i = 0; i < count; i++) {
        rt->known[i].driver = driver_index(rt, backend_driver_of(&o->backend_confs[i]));
        rt->known[i].name = strdup(o->backend_confs[i].name);
        if (!rt->known[i].name)
            return err_set(e, ERR_NOMEM, "no memory for the scripts' backends");
    }
    return 0;
}

static int protected_setup(lua_State *L)
{
    struct runtime *rt = lua_touserdata(L, 1);
    api_setup(L, rt);
    /* The registry's list of free references exists from here on: letting one go takes no memory,
     * so it needs no protection. */
    lua_pushboolean(L, 1);
    luaL_unref(L, LUA_REGISTRYINDEX, luaL_ref(L, LUA_REGISTRYINDEX));
    return 0;
}

int runtime_new(struct runtime **out, const struct runtime_options *o, struct err *e)
{
    *out = NULL;
    struct runtime *rt = calloc(1, sizeof *rt);
    if (!rt)
        return err_set(e, ERR_NOMEM, "no memory for a runtime");
    rt->refs = 1;
    rt->loop = o->loop;
    rt->run_cpu_us = o->run_cpu_ms * 1000;
    rt->run_bytes = o->memory_max / 2;
    rt->value_max = o->value_max;
    rt->run_calls = o->run_calls;
    list_init(&rt->runs);
    run_turns_init(&rt->turns);
    list_init(&rt->spare);
    buf_init(&rt->scratch, o->value_max);
    buf_init(&rt->second, o->value_max);
    rt->most = -1;
    rt->look_at = SIZE_MAX;
    rt->full = o->full;
    rt->full_arg = o->arg;
    int rc = copy_backends(rt, o, e);
    if (rc == 0)
        rc = vm_new(&rt->vm, o->memory_max, e);
    if (rc == 0) {
        rt->vm->block_max =
            o->value_max > RUNTIME_BLOCK_MAX / 4 ? o->value_max * 4 : RUNTIME_BLOCK_MAX;
        rc = sandbox_init(&rt->sandbox, rt->vm, o->scripts_dir, o->lua_dir,
                          o->again ? &o->again->sandbox : NULL, e);
    }
    if (rc == 0)
        rc = vm_protect(rt->vm, protected_setup, rt, e);
    rt->look_at = runtime_look_from(o->memory_max, 0);
    if (rc != 0) {
        runtime_unref(rt);
        return rc;
    }
    *out = rt;
    return 0;
}
