#include "bind/run_many.h"
#include "bind/run_match.h"
#include "bind/op.h"
#include "bind/result.h"
#include "bind/run_bytes.h"
#include "bind/run_error.h"
#include "base/clock.h"
#include "store/store.h"

#include <stdio.h>
#include <stdlib.h>

static const char *const argument_names[RUNTIME_WHATS] = {"load", "load_many", "save", "remove"};

static void forget_coroutine(struct run *r)
{
    luaL_unref(r->rt->vm->L, LUA_REGISTRYINDEX, r->co_ref);
    r->co_ref = LUA_NOREF;
    r->co = NULL;
}

void run_free_spare(struct runtime *rt)
{
    struct list *link;
    while ((link = list_pop_front(&rt->spare)) != NULL)
        free(container_of(link, struct run, link));
    rt->spare_count = 0;
}

/* Everything but memory is gone from r already: keeps it where its coroutine can be used again. */
static void release(struct run *r)
{
    struct runtime *rt = r->rt;
    if (r->co && rt->spare_count < RUNTIME_SPARE_MAX) {
        rt->spare_count++;
        list_push_back(&rt->spare, &r->link);
    } else {
        if (r->co)
            forget_coroutine(r);
        free(r);
    }
    runtime_unref(rt);
}

/* Takes r out of everything that could wake it. */
static void detach(struct run *r)
{
    op_drop_all(r);
    list_remove(&r->turn);
    list_remove(&r->link);
    if (r->parked)
        r->rt->stats.parked--;
    r->parked = false;
    run_bytes_forget(r);
    entry_unref(r->stored);
    r->stored = NULL;
    run_many_free(r->many);
    r->many = NULL;
}

static struct run *acquire(struct runtime *rt)
{
    struct list *link = list_pop_front(&rt->spare);
    struct run *r;
    if (link) {
        rt->spare_count--;
        r = container_of(link, struct run, link);
    } else {
        r = calloc(1, sizeof *r);
        if (!r)
            return NULL;
        r->co_ref = LUA_NOREF;
    }
    r->rt = runtime_ref(rt);
    list_push_back(&rt->runs, &r->link);
    list_init(&r->turn);
    list_init(&r->ops);
    return r;
}

struct preparing {
    struct run *r;
    const struct run_request *q;
};

/* The key is below the ctx that is on top. */
static void set_context(lua_State *L, struct run *r, const struct run_request *q)
{
    lua_pushvalue(L, -2);
    lua_setfield(L, -2, "key");
    run_match_push(L, &r->rt->sandbox.marks, q->captures, q->capture_count, q->stars);
    lua_setfield(L, -2, "match");
    if (q->has_version) {
        value_push_int(L, &r->rt->sandbox.marks, q->version);
        lua_setfield(L, -2, "version");
    }
}

static void push_context(lua_State *L, struct run *r, const struct run_request *q)
{
    struct runtime *rt = r->rt;
    lua_createtable(L, 0, 8);
    if (r->many)
        run_many_set_context(L, r, q);
    else
        set_context(L, r, q);
    lua_pushstring(L, q->pattern ? q->pattern : "");
    lua_setfield(L, -2, "pattern");
    lua_pushinteger(L, q->attempt);
    lua_setfield(L, -2, "attempt");
    if (q->backend >= 0) {
        lua_rawgeti(L, LUA_REGISTRYINDEX, rt->known[q->backend].ref);
        lua_setfield(L, -2, "db");
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, rt->context);
    lua_setmetatable(L, -2);
    r->context = lua_topointer(L, -1);
}

static int protected_prepare(lua_State *L)
{
    struct preparing *p = lua_touserdata(L, 1);
    struct run *r = p->r;
    if (!r->co) {
        lua_State *co = lua_newthread(L);
        r->co_ref = luaL_ref(L, LUA_REGISTRYINDEX);
        r->co = co;
    }
    lua_rawgeti(L, LUA_REGISTRYINDEX, r->rt->scripts[r->script].fn[r->what]);
    if (r->many)
        run_many_push_keys(L, r->many);
    else
        lua_pushlstring(L, p->q->key.data, p->q->key.size);
    push_context(L, r, p->q);
    r->arguments = 2;
    if (r->what == RUN_SAVE) { /* save(key, value, ctx) */
        value_unpack(L, &r->rt->sandbox.marks, p->q->input);
        lua_insert(L, -2);
        r->arguments = 3;
    }
    lua_xmove(L, r->co, 1 + r->arguments);
    return 0;
}

/* Where there is no memory for it, once more after a full collection. */
static int prepare(struct preparing *p, struct err *e)
{
    struct runtime *rt = p->r->rt;
    int rc = vm_protect(rt->vm, protected_prepare, p, e);
    if (rc != ERR_NOMEM)
        return rc;
    runtime_look(rt);
    rc = vm_protect(rt->vm, protected_prepare, p, e);
    if (rc == ERR_NOMEM)
        runtime_tell_most(rt, e);
    return rc;
}

struct reading {
    struct run *r;
    struct run_result *out;
    int status;
};

static int protected_read(lua_State *L)
{
    struct reading *g = lua_touserdata(L, 1);
    lua_State *co = g->r->co;
    int count = g->status == 0 ? lua_gettop(co) : 1;
    if (count > 3) {
        lua_settop(co, 3);
        count = 3;
    }
    lua_xmove(co, L, count);
    if (g->status == 0)
        result_read(L, g->r, count, g->out);
    else
        run_error_read_thrown(L, g->r, g->out);
    return 0;
}

/* Why a step was the last one, where it is not what the script returned or threw. */
static bool read_bound(struct run *r, struct vm_cost cost, int status, struct run_result *out)
{
    struct runtime *rt = r->rt;
    char where[VM_WHERE_MAX];
    if (status == 0 && !r->calls_over && !cost.stopped && r->cpu_left_us > 0)
        return false;
    run_position(r, where, sizeof where);
    if (r->calls_over) {
        if (rt->vm->where[0] != '\0')
            snprintf(where, sizeof where, "%s", rt->vm->where);
        rt->stats.call_stops++;
        err_set(&out->err, ERR_SCRIPT,
                "%s: stopped after %lld calls of backends (script_calls), by one load", where,
                (long long)rt->run_calls);
        return true;
    }
    if (cost.stopped || r->cpu_left_us <= 0) {
        if (rt->vm->where[0] != '\0' && cost.stopped)
            snprintf(where, sizeof where, "%s", rt->vm->where);
        rt->stats.cpu_stops++;
        err_set(&out->err, ERR_SCRIPT, "%s: stopped after %lld ms of CPU", where,
                (long long)(rt->run_cpu_us / 1000));
        return true;
    }
    if (status == LUA_YIELD) {
        err_set(&out->err, ERR_SCRIPT, "%s: yielded outside of a coroutine of its own", where);
        return true;
    }
    const char *text =
        status != 0 && lua_type(r->co, -1) == LUA_TSTRING ? lua_tostring(r->co, -1) : "";
    if (status == LUA_ERRMEM || (cost.refused && strstr(text, "not enough memory"))) {
        vm_where(r->co, where, sizeof where);
        rt->stats.memory_stops++;
        out->full = cost.full;
        err_set(&out->err, ERR_SCRIPT,
                "%s: not enough memory: one load may use %zu KiB, all scripts %zu KiB", where,
                rt->run_bytes / 1024, rt->vm->max / 1024);
        return true;
    }
    return false;
}

/* What the run ended with, where no bound ended it. */
static void read_result(struct run *r, int status, struct run_result *out)
{
    struct reading g = {.r = r, .out = out, .status = status};
    struct err e;
    r->rt->reading_us = r->cpu_left_us;
    if (vm_protect(r->rt->vm, protected_read, &g, &e) == 0)
        return;
    out->outcome = RUN_FAILED;
    out->err = e;
    out->full = e.code == ERR_NOMEM;
    out->retryable = err_retryable(e.code);
}

/* That takes its time. Who pays for it: the script that keeps most, or that of the run where it
 * took much, and not one that happened to come when memory was short. */
static void look_for(const struct run *r)
{
    struct runtime *rt = r->rt;
    bool took_much = r->bytes_left < (int64_t)(rt->run_bytes / 4 * 3);
    int64_t began_us = clock_thread_cpu_us();
    runtime_look(rt);
    int who = rt->most >= 0 ? rt->most : r->script;
    if (rt->most >= 0 || took_much)
        run_turns_charge(rt, who, clock_thread_cpu_us() - began_us);
}

/* The run holds nothing any more. Memory that is short is looked at, and a load whose script keeps
 * more than it may has failed. */
static void look(struct run *r, struct run_result *out)
{
    struct runtime *rt = r->rt;
    look_for(r);
    if (out->outcome == RUN_FAILED && strstr(out->err.text, "not enough memory"))
        runtime_tell_most(rt, &out->err);
    bool loads = r->what == RUN_LOAD || r->what == RUN_LOAD_MANY;
    if (out->outcome == RUN_FAILED || !loads || !runtime_keeps_too_much(rt, r->script))
        return;
    char where[VM_WHERE_MAX];
    run_position(r, where, sizeof where);
    rt->stats.memory_stops++;
    result_drop_many(out);
    out->outcome = RUN_FAILED;
    out->retryable = false;
    err_set(&out->err, ERR_SCRIPT,
            "%s: not enough memory: %s keeps %zu KiB between its loads, and may keep %zu KiB",
            where, rt->scripts[r->script].file, rt->scripts[r->script].kept / 1024,
            rt->run_bytes / 1024);
}

/* r holds nothing any more, and is told to whom it concerns. */
static void tell(struct run *r, struct run_result *result)
{
    if (result->outcome == RUN_FAILED)
        r->rt->stats.failures++;
    if (r->out)
        *r->out = NULL;
    r->done(r, result, r->arg);
    result_fini(result);
    release(r);
}

static void end(struct run *r, struct vm_cost cost, int status)
{
    struct run_result result;
    result_init(&result, r->rt->value_max);
    bool bound = read_bound(r, cost, status, &result);
    if (!bound)
        read_result(r, status, &result);
    if (result.outcome == RUN_FAILED)
        result_drop_many(&result);
    detach(r);
    run_turns_ended(r->rt, r->script, r->rt->run_cpu_us - r->cpu_left_us);
    result.effect = r->effect;
    result.health = r->health;
    if (status == 0 && !bound)
        lua_settop(r->co, 0);
    else
        forget_coroutine(r);
    if (bound || cost.refused || result.full || runtime_is_short(r->rt))
        look(r, &result);
    tell(r, &result);
}

void runtime_end_runs(struct runtime *rt)
{
    runtime_ref(rt);
    while (!list_empty(&rt->runs)) {
        struct run *r = container_of(rt->runs.next, struct run, link);
        struct run_result result;
        result_init(&result, rt->value_max);
        result.full = result.retryable = true;
        err_set(&result.err, ERR_NOMEM, "the memory of all scripts was full, and not for this run");
        detach(r);
        result.effect = r->effect;
        result.health = r->health;
        forget_coroutine(r);
        tell(r, &result);
    }
    runtime_unref(rt);
}

static void step(struct run *r)
{
    struct runtime *rt = r->rt;
    if (r->parked) {
        r->parked = false;
        rt->stats.parked--;
    }
    rt->current = r;
    rt->lookup = NULL;
    vm_enter(rt->vm, r->cpu_left_us, r->bytes_left > 0 ? (size_t)r->bytes_left : 0);
    int status = lua_resume(r->co, r->arguments);
    struct vm_cost cost = vm_leave(rt->vm);
    rt->current = NULL;
    r->arguments = 0;
    r->cpu_left_us -= cost.cpu_us;
    run_turns_had(rt, r->script, cost.cpu_us);
    r->bytes_left -= cost.bytes;
    if (r->bytes_left > (int64_t)rt->run_bytes)
        r->bytes_left = (int64_t)rt->run_bytes;
    bool waits = status == LUA_YIELD && !cost.stopped && r->cpu_left_us > 0 &&
                 lua_gettop(r->co) > 0 && sandbox_is_park(r->co, 1);
    if (!waits) {
        end(r, cost, status);
        return;
    }
    lua_settop(r->co, 0);
    r->parked = true;
    rt->stats.parked++;
    if (cost.refused || runtime_is_short(rt))
        look_for(r);
}

/* NULL: none may go on in this turn. */
static struct run *next_ready(struct runtime *rt)
{
    return rt->turns.left_us > 0 ? run_turns_ready(rt) : NULL;
}

/* Steps first, and then the runs that are ready, while the turn lasts; unless that is what is going
 * on already further down the stack. */
static void drive(struct runtime *rt, struct run *first)
{
    rt->driving = true;
    runtime_ref(rt);
    for (struct run *r = first; r; r = next_ready(rt))
        step(r);
    rt->driving = false;
    runtime_unref(rt);
}

void run_wake(struct run *r)
{
    struct runtime *rt = r->rt;
    if (!list_empty(&r->turn))
        return;
    if (!rt->driving && run_turns_are_free(rt, r->script))
        drive(rt, r);
    else
        run_turns_add(rt, r);
}

void runtime_go_on(struct runtime *rt)
{
    struct run *r = rt->driving ? NULL : run_turns_next(rt);
    if (r)
        drive(rt, r);
}

static int check_request(const struct runtime *rt, const struct run_request *q, struct err *e)
{
    if (!rt->loop)
        return err_set(e, ERR_INTERNAL, "this runtime was made to check scripts, not to run them");
    if (q->script < 0 || q->script >= rt->script_count)
        return err_set(e, ERR_INTERNAL, "no script of index %d", q->script);
    if (q->what == RUN_LOAD_MANY && q->key_count == 0)
        return err_set(e, ERR_INTERNAL, "load_many for no keys");
    if (!runtime_has(rt, q->script, q->what))
        return err_set(e, ERR_SCRIPT, "%s: it cannot be run for \"%s\"",
                       rt->scripts[q->script].file, argument_names[q->what]);
    return 0;
}

int run_start(struct run **out, struct runtime *rt, const struct run_request *q, struct err *e)
{
    *out = NULL;
    int rc = check_request(rt, q, e);
    if (rc != 0)
        return rc;
    struct run *r = acquire(rt);
    if (!r)
        return err_set(e, ERR_NOMEM, "no memory for a run");
    r->script = q->script;
    r->what = q->what;
    r->effect = EFFECT_NONE;
    r->health = HEALTH_UNKNOWN;
    r->calls_over = false;
    r->calls = 0;
    r->done = q->done;
    r->arg = q->arg;
    r->deadline_ms = q->deadline_ms;
    r->cpu_left_us = rt->run_cpu_us;
    r->bytes_left = (int64_t)rt->run_bytes;
    r->stored = q->stored ? entry_ref(q->stored) : NULL;
    struct preparing p = {.r = r, .q = q};
    if (q->what == RUN_LOAD_MANY && !(r->many = run_many_new(q)))
        rc = err_set(e, ERR_NOMEM, "no memory for a run of %u keys", q->key_count);
    if (rc == 0)
        rc = prepare(&p, e);
    if (rc != 0) {
        detach(r);
        release(r);
        return rc;
    }
    rt->stats.runs++;
    *out = r;
    r->out = out;
    if (q->in_turn && !rt->driving)
        drive(rt, r);
    else
        run_wake(r);
    if (*out)
        r->out = NULL;
    return 0;
}

enum run_health run_time_out(struct run *r)
{
    op_out_of_time(r);
    enum run_health health = r->health;
    (void)run_cancel(r);
    return health;
}

enum run_effect run_cancel(struct run *r)
{
    detach(r);
    enum run_effect effect = r->effect;
    forget_coroutine(r);
    release(r);
    return effect;
}
