/* What becomes of a VM whose memory is short: a full collection, a look at what each script keeps
 * between its runs, and another VM in its place where that does not help. */
#include "bind/runtime_priv.h"

#include "script/kept.h"

#include <stdio.h>

/* Of the VM's memory. One load may use a half, and so may one script keep. */
static size_t half(const struct runtime *rt)
{
    return rt->vm->max / 2;
}

/* A quarter is left at least. */
static bool is_nearly_full(const struct runtime *rt)
{
    return rt->vm->used > rt->vm->max - rt->vm->max / 4;
}

/* Where garbage is collected in time, memory in use stays below the next look. */
size_t runtime_look_from(size_t max, size_t used)
{
    size_t first = max / 8 * 5, next = used + max / 4;
    return next > first ? next : first;
}

/* ---- who keeps what ---- */

struct looking {
    struct runtime *rt;
    struct kept kept;
};

/* What all scripts share. */
static void skip_shared(lua_State *L, struct looking *g)
{
    const int refs[] = {g->rt->api, g->rt->sandbox.new_env, g->rt->context, g->rt->error,
                        g->rt->answer_ref};
    lua_pushvalue(L, LUA_GLOBALSINDEX);
    kept_skip(L, &g->kept);
    lua_getfield(L, LUA_REGISTRYINDEX, "_LOADED");
    kept_skip(L, &g->kept);
    for (size_t i = 0; i < sizeof refs / sizeof *refs; i++) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, refs[i]);
        kept_skip(L, &g->kept);
    }
    for (size_t i = 0; i < g->rt->backend_count; i++) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, g->rt->known[i].ref);
        kept_skip(L, &g->kept);
    }
}

static int protected_look(lua_State *L)
{
    struct looking *g = lua_touserdata(L, 1);
    struct runtime *rt = g->rt;
    kept_init(L, &g->kept);
    skip_shared(L, g);
    for (int i = 0; i < rt->script_count; i++) {
        struct script *s = &rt->scripts[i];
        for (int what = 0; what < RUNTIME_WHATS; what++) {
            lua_rawgeti(L, LUA_REGISTRYINDEX, s->fn[what]);
            s->kept += kept_count(L, &g->kept);
        }
        if (s->kept > 0 && (rt->most < 0 || s->kept > rt->scripts[rt->most].kept))
            rt->most = i;
    }
    return 0;
}

static void see_who_keeps(struct runtime *rt)
{
    struct looking g = {.rt = rt};
    struct err e;
    if (vm_protect_past_max(rt->vm, protected_look, &g, &e) != 0)
        log_warn("script.look", "problem=%s", log_q(e.text));
    kept_fini(rt->vm->L, &g.kept);
}

/* ---- the look ---- */

void runtime_look(struct runtime *rt)
{
    struct err e;
    rt->most = -1;
    for (int i = 0; i < rt->script_count; i++)
        rt->scripts[i].kept = 0;
    rt->stats.collections++;
    if (vm_collect(rt->vm, &e) != 0)
        log_warn("script.collect", "problem=%s", log_q(e.text));
    rt->look_at = runtime_look_from(rt->vm->max, rt->vm->used);
    if (rt->vm->used <= half(rt) || rt->script_count == 0)
        return;
    see_who_keeps(rt);
    bool due = is_nearly_full(rt) || (rt->most >= 0 && runtime_keeps_too_much(rt, rt->most));
    if (!due || !rt->full)
        return;
    const struct runtime_full f = {
        .script = rt->most >= 0 ? rt->scripts[rt->most].file : NULL,
        .kept_bytes = rt->most >= 0 ? rt->scripts[rt->most].kept : 0,
        .used_bytes = rt->vm->used,
        .max_bytes = rt->vm->max,
    };
    rt->full(rt->full_arg, &f);
}

void runtime_tell_most(const struct runtime *rt, struct err *e)
{
    if (rt->most < 0 || rt->scripts[rt->most].kept < rt->run_bytes / 8)
        return; /* nobody who could be told of it */
    const struct script *s = &rt->scripts[rt->most];
    size_t n = strlen(e->text);
    snprintf(e->text + n, sizeof e->text - n, "; %s keeps %zu KiB between its loads", s->file,
             s->kept / 1024);
}

/* ---- another one in its place ---- */

void runtime_add_stats(struct runtime_stats *to, const struct runtime_stats *more)
{
    to->runs += more->runs;
    to->failures += more->failures;
    to->cpu_stops += more->cpu_stops;
    to->memory_stops += more->memory_stops;
    to->call_stops += more->call_stops;
    to->collections += more->collections;
    to->replaced += more->replaced;
    to->memory_bytes += more->memory_bytes;
    to->parked += more->parked;
}

void runtime_absorb(struct runtime *rt, const struct runtime *before)
{
    struct runtime_stats counts = before->stats; /* without its memory */
    counts.parked = 0;
    runtime_add_stats(&rt->stats, &counts);
}

void runtime_replace(struct runtime *rt, struct runtime *before)
{
    runtime_absorb(rt, before);
    runtime_carry_accounts(rt, before);
    before->stats = (struct runtime_stats){.parked = before->stats.parked};
    before->full = NULL;
    rt->stats.replaced++;
}

bool runtime_is_idle(const struct runtime *rt)
{
    return list_empty(&rt->runs);
}
