#include "script/vm.h"

#include "base/clock.h"
#include "base/hash.h"

#include <luajit.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>

/* A step too short for the hook to fire is charged its wall time, but no more than this: most of
 * it may have been another process's. */
#define UNSEEN_MAX_US 1000

#define RESERVE_BYTES (64 * 1024)

static void on_count(lua_State *L, lua_Debug *ar);

struct vm *vm_of(lua_State *L)
{
    void *ud;
    lua_getallocf(L, &ud);
    return ud;
}

/* The first look is at the wall clock, which is cheap to read and never behind the CPU's. */
static bool deadline_passed(struct vm *vm)
{
    if (vm->budget_us == INT64_MAX)
        return false;
    if (!vm->started) {
        vm->started = true;
        int64_t unseen_us = clock_us() - vm->wall_start_us;
        if (unseen_us > UNSEEN_MAX_US)
            unseen_us = UNSEEN_MAX_US;
        vm->cpu_start_us = clock_thread_cpu_us() - unseen_us;
    }
    if (clock_us() - vm->wall_start_us < vm->budget_us)
        return false;
    return clock_thread_cpu_us() - vm->cpu_start_us >= vm->budget_us;
}

void vm_stop(struct vm *vm)
{
    vm->stopped = true;
    lua_sethook(vm->L, on_count, LUA_MASKCOUNT, 1);
}

bool vm_overdue(struct vm *vm)
{
    if (!vm->stopped && deadline_passed(vm))
        vm_stop(vm);
    return vm->stopped;
}

static int kind_of_block(size_t size)
{
    int kind = 0;
    while (kind < VM_BIG_KINDS - 1 && size >= VM_BIG_BYTES << (kind + 1))
        kind++;
    return kind;
}

/* Counts a block that has changed its size. */
static void count_block(struct vm *vm, size_t old_size, size_t new_size)
{
    if (old_size >= VM_BIG_BYTES)
        vm->big[kind_of_block(old_size)]--;
    if (new_size >= VM_BIG_BYTES)
        vm->big[kind_of_block(new_size)]++;
}

/* How many instructions may lie between two looks. */
static int wanted_interval(const struct vm *vm)
{
    int kind = VM_BIG_KINDS - 1;
    while (kind >= 0 && vm->big[kind] == 0)
        kind--;
    size_t every = kind < 0 ? VM_HOOK_EVERY : VM_WINDOW_BYTES / (VM_BIG_BYTES << (kind + 1));
    if (every < 1)
        return 1;
    return every < VM_HOOK_EVERY ? (int)every : VM_HOOK_EVERY;
}

static void set_interval(struct vm *vm, int every)
{
    vm->hook_every = every;
    lua_sethook(vm->L, on_count, LUA_MASKCOUNT, every);
}

static void on_count(lua_State *L, lua_Debug *ar)
{
    (void)ar;
    struct vm *vm = vm_of(L);
    if (!vm_overdue(vm))
        return;
    if (vm->where[0] == '\0')
        vm_where(L, vm->where, sizeof vm->where);
    if (lua_isyieldable(L))
        lua_yield(L, 0);
    else
        luaL_error(L, "stopped: its CPU time is over");
}

static bool is_reserved(const struct vm *vm, const void *p)
{
    return vm->reserve && (uintptr_t)p - (uintptr_t)vm->reserve < RESERVE_BYTES;
}

static void *take_reserve(struct vm *vm, size_t size)
{
    size_t rounded = (size + 15) & ~(size_t)15;
    if (!vm->reserve_open || rounded > RESERVE_BYTES - vm->reserve_used)
        return NULL;
    void *at = vm->reserve + vm->reserve_used;
    vm->reserve_used += rounded;
    return at;
}

/* realloc, with the reserve behind it; what came from there is given back with all of it. */
static void *resize(struct vm *vm, void *old, size_t old_size, size_t new_size)
{
    bool reserved = is_reserved(vm, old);
    void *data = realloc(reserved ? NULL : old, new_size);
    if (data && !reserved)
        return data;
    if (!data)
        data = take_reserve(vm, new_size);
    if (data && old)
        memcpy(data, old, old_size < new_size ? old_size : new_size);
    if (data && !reserved)
        free(old);
    return data;
}

int vm_reserve(struct vm *vm, struct err *e)
{
    if (!vm->reserve)
        vm->reserve = malloc(RESERVE_BYTES);
    if (!vm->reserve)
        return err_set(e, ERR_NOMEM, "no memory for a Lua state");
    vm->reserve_open = true;
    return 0;
}

void vm_reserve_end(struct vm *vm)
{
    vm->reserve_open = false;
    if (vm->reserve_used > 0)
        return;
    free(vm->reserve);
    vm->reserve = NULL;
}

/* Nearly all blocks are new and small: whether one of this size, not 0, needs no second thought. */
static bool is_small(const struct vm *vm, size_t size)
{
    return size - 1 < VM_LOOK_BYTES - 1 && size <= vm->block_max && vm->used + size <= vm->limit;
}

/* more: bytes beside those that are in use. */
static void *refuse(struct vm *vm, size_t more)
{
    vm->refused = true;
    if (vm->used <= vm->own_limit && more <= vm->own_limit - vm->used)
        vm->full = true;
    return NULL;
}

static void *allocate(void *ud, void *old, size_t old_size, size_t new_size)
{
    struct vm *vm = ud;
    if (!old && is_small(vm, new_size)) {
        void *block = malloc(new_size); /* what a realloc of NULL does is slower in jemalloc */
        if (block) {
            vm->used += new_size;
            return block;
        }
    }
    if (new_size == 0) {
        if (!is_reserved(vm, old))
            free(old);
        vm->used -= old_size;
        if (old_size >= VM_BIG_BYTES)
            count_block(vm, old_size, 0);
        return NULL;
    }
    if (new_size > old_size) {
        if (new_size > vm->block_max) {
            vm->refused = true;
            return NULL;
        }
        if (new_size - old_size > vm->limit || vm->used > vm->limit - (new_size - old_size))
            return refuse(vm, new_size - old_size);
        if (new_size >= VM_LOOK_BYTES && vm->L)
            vm_overdue(vm);
    }
    void *data = resize(vm, old, old_size, new_size);
    if (!data)
        return NULL;
    vm->used += new_size - old_size;
    count_block(vm, old_size, new_size);
    if (new_size >= VM_BIG_BYTES && vm->L && !vm->stopped && wanted_interval(vm) < vm->hook_every)
        set_interval(vm, wanted_interval(vm));
    return data;
}

static int on_panic(lua_State *L)
{
    const char *text = lua_tostring(L, -1);
    fprintf(stderr, "rtcached: an error outside of any protected call: %s\n", text ? text : "?");
    abort();
}

int vm_new(struct vm **out, size_t memory_max, struct err *e)
{
    *out = NULL;
    struct vm *vm = calloc(1, sizeof *vm);
    if (!vm)
        return err_set(e, ERR_NOMEM, "no memory for a Lua state");
    vm->max = memory_max;
    vm->limit = vm->own_limit = vm->block_max = SIZE_MAX;
    vm->budget_us = INT64_MAX;
    /* This LuaJIT crashes when an allocation fails inside lua_newstate: it has a reserve so long,
     * and is held to the limit only afterwards. */
    lua_State *L = NULL;
    if (memory_max >= RESERVE_BYTES && vm_reserve(vm, e) == 0)
        L = lua_newstate(allocate, vm);
    vm_reserve_end(vm);
    if (!L) {
        free(vm->reserve);
        free(vm);
        return err_set(e, ERR_NOMEM, "no memory for a Lua state within %zu bytes", memory_max);
    }
    vm->limit = memory_max;
    vm->L = L;
    lua_atpanic(L, on_panic);
    luaJIT_setmode(L, 0, LUAJIT_MODE_ENGINE | LUAJIT_MODE_OFF);
    set_interval(vm, VM_HOOK_EVERY);
    *out = vm;
    return 0;
}

void vm_free(struct vm *vm)
{
    if (!vm)
        return;
    vm->limit = vm->block_max = SIZE_MAX;
    lua_close(vm->L);
    free(vm->reserve);
    free(vm);
}

/* Nothing is collected inside an allocation: the collector has to keep ahead of the limit. */
static void tune_collector(struct vm *vm)
{
    bool tight = vm->used > vm->max / 2;
    if (tight == vm->tight)
        return;
    vm->tight = tight;
    lua_gc(vm->L, LUA_GCSETPAUSE, tight ? 110 : 200);
    lua_gc(vm->L, LUA_GCSETSTEPMUL, tight ? 400 : 200);
}

void vm_enter(struct vm *vm, int64_t budget_us, size_t bytes)
{
    tune_collector(vm);
    int every = wanted_interval(vm);
    if (every != vm->hook_every)
        set_interval(vm, every);
    vm->stopped = vm->refused = vm->full = vm->started = false;
    vm->where[0] = '\0';
    vm->stack_base = __builtin_frame_address(0);
    vm->wall_start_us = clock_us();
    vm->budget_us = budget_us;
    vm->used_start = vm->used;
    vm->own_limit = bytes < SIZE_MAX - vm->used ? vm->used + bytes : SIZE_MAX;
    vm->limit = vm->own_limit < vm->max ? vm->own_limit : vm->max;
}

struct vm_cost vm_leave(struct vm *vm)
{
    struct vm_cost cost = {
        .bytes = (int64_t)vm->used - (int64_t)vm->used_start,
        .stopped = vm->stopped,
        .refused = vm->refused,
        .full = vm->full,
    };
    if (vm->started) {
        cost.cpu_us = clock_thread_cpu_us() - vm->cpu_start_us;
    } else {
        int64_t wall_us = clock_us() - vm->wall_start_us;
        cost.cpu_us = wall_us < UNSEEN_MAX_US ? wall_us : UNSEEN_MAX_US;
    }
    vm->budget_us = INT64_MAX;
    vm->limit = vm->max;
    vm->own_limit = SIZE_MAX;
    if (vm->stopped) {
        vm->stopped = false;
        set_interval(vm, wanted_interval(vm));
    }
    return cost;
}

bool vm_has_stack(const struct vm *vm)
{
    const char here = 0;
    return (uintptr_t)vm->stack_base - (uintptr_t)&here < VM_STACK_MAX;
}

bool vm_charge(struct vm *vm, size_t bytes)
{
    if (bytes > vm->limit || vm->used > vm->limit - bytes) {
        refuse(vm, bytes);
        return false;
    }
    vm->used += bytes;
    return true;
}

void vm_discharge(struct vm *vm, size_t bytes)
{
    vm->used -= bytes;
}

int vm_protect(struct vm *vm, lua_CFunction fn, void *ud, struct err *e)
{
    int top = lua_gettop(vm->L);
    int rc = lua_cpcall(vm->L, fn, ud);
    if (rc == 0)
        return 0;
    const char *text = lua_type(vm->L, -1) == LUA_TSTRING ? lua_tostring(vm->L, -1) : NULL;
    if (rc == LUA_ERRMEM || (text && strcmp(text, "not enough memory") == 0))
        rc = err_set(e, ERR_NOMEM, "not enough memory: the Lua state holds %zu of %zu bytes",
                     vm->used, vm->max);
    else
        rc = err_set(e, ERR_SCRIPT, "%s", text ? text : "an error that is no text");
    lua_settop(vm->L, top);
    return rc;
}

int vm_protect_past_max(struct vm *vm, lua_CFunction fn, void *ud, struct err *e)
{
    size_t limit = vm->limit, block_max = vm->block_max;
    vm->limit = vm->block_max = SIZE_MAX;
    int rc = vm_protect(vm, fn, ud, e);
    vm->limit = limit;
    vm->block_max = block_max;
    return rc;
}

static int protected_collect(lua_State *L)
{
    lua_gc(L, LUA_GCCOLLECT, 0);
    return 0;
}

int vm_collect(struct vm *vm, struct err *e)
{
    return vm_protect_past_max(vm, protected_collect, NULL, e);
}

bool vm_position(lua_State *L, struct vm_position *out)
{
    lua_Debug ar;
    for (int level = 0; lua_getstack(L, level, &ar); level++) {
        lua_getinfo(L, "Sl", &ar);
        if (ar.source[0] == '@' && ar.currentline > 0) {
            memcpy(out->file, ar.short_src, sizeof ar.short_src);
            out->line = ar.currentline;
            return true;
        }
    }
    return false;
}

void vm_print_position(const struct vm_position *p, char *out, size_t size)
{
    if (p->line > 0)
        snprintf(out, size, "%s:%d", p->file, p->line);
    else
        snprintf(out, size, "%s", p->file);
}

bool vm_where(lua_State *L, char *out, size_t size)
{
    struct vm_position p;
    if (!vm_position(L, &p))
        return false;
    vm_print_position(&p, out, size);
    return true;
}

static uint64_t identity(lua_State *L, int index)
{
    if (lua_type(L, index) != LUA_TSTRING)
        return (uint64_t)(uintptr_t)lua_topointer(L, index);
    size_t size;
    const char *text = lua_tolstring(L, index, &size);
    return hash_bytes(text, size, 0) | 1;
}

void vm_note_thrown(lua_State *L, int index)
{
    struct vm *vm = vm_of(L);
    vm->thrown_id = identity(L, index);
    vm->thrown_where[0] = '\0';
    vm_where(L, vm->thrown_where, sizeof vm->thrown_where);
}

bool vm_was_thrown(lua_State *L, int index)
{
    uint64_t id = identity(L, index);
    return id != 0 && id == vm_of(L)->thrown_id;
}

int vm_fail(lua_State *L, const char *fmt, ...)
{
    char where[VM_WHERE_MAX];
    char text[ERR_TEXT_MAX];
    va_list args;
    va_start(args, fmt);
    vsnprintf(text, sizeof text, fmt, args);
    va_end(args);
    if (vm_where(L, where, sizeof where))
        lua_pushfstring(L, "%s: %s", where, text);
    else
        lua_pushstring(L, text);
    lua_error(L);
    abort(); /* lua_error does not return */
}
