/*
 * vm: one LuaJIT state whose memory and CPU time are counted and bounded.
 *
 *   vm_enter(budget) -> lua_resume -> vm_leave(what it cost)
 *
 * Shape: the JIT compiler is off, because compiled loops never look at hooks. A count hook looks at
 * the deadline every VM_HOOK_EVERY instructions; past it, it fires at every instruction and yields
 * the coroutine away (it raises where a C function below forbids yielding), so that no pcall can
 * keep the script going. An allocation of VM_LOOK_BYTES looks at the deadline too. One instruction
 * can compare, copy or scan a whole string or table, a byte a nanosecond: the larger the largest
 * block that is alive, the more often the hook looks (VM_WINDOW_BYTES between two looks).
 * Thread: one loader thread's. Limits: `max` bytes for the whole state, `limit` for what runs now,
 * `block_max` for one block; an allocation past one fails with Lua's "not enough memory".
 */
#ifndef RTCACHE_SCRIPT_VM_H
#define RTCACHE_SCRIPT_VM_H

#include "base/err.h"

#include <lauxlib.h>
#include <lua.h>

#define VM_HOOK_EVERY   1000
#define VM_LOOK_BYTES   16384
#define VM_BIG_BYTES    ((size_t)64 * 1024) /* blocks from here on are counted by size */
#define VM_BIG_KINDS    16
#define VM_WINDOW_BYTES ((size_t)64 * 1024 * 1024)
#define VM_WHERE_MAX    128
#define VM_STACK_MAX    (256 * 1024) /* bytes of C stack for coroutines inside coroutines */

/* LuaJIT's type of int64 and uint64 values, which lua.h does not name. */
#define VM_TCDATA 10

struct vm {
    lua_State *L;
    size_t used, max, limit;
    size_t block_max;           /* SIZE_MAX in a new VM; the owner may lower it */
    uint32_t big[VM_BIG_KINDS]; /* living blocks of VM_BIG_BYTES << kind and more */
    int hook_every;             /* instructions between two looks at the deadline */
    size_t own_limit;           /* of `used`, for what runs now, whatever others hold */
    bool refused;               /* an allocation hit a limit since vm_enter */
    bool full;                  /* and what runs now had room left, but the state had none */
    bool stopped;               /* the deadline passed since vm_enter */
    bool started;               /* cpu_start_us is known */
    bool tight; /* the collector works harder, for more than half of max is in use */
    int64_t wall_start_us, cpu_start_us, budget_us;
    size_t used_start;
    char *reserve; /* stands in where an allocation fails; NULL: it fails */
    size_t reserve_used;
    bool reserve_open;
    char where[VM_WHERE_MAX]; /* "script:line" of the stop */
    const char *stack_base;   /* of the C stack, at vm_enter */
    /* What error() or assert() threw last, and where: tells it from a fault of the script. */
    uint64_t thrown_id;
    char thrown_where[VM_WHERE_MAX];
};

int vm_new(struct vm **out, size_t memory_max, struct err *e) MUST_USE;
void vm_free(struct vm *vm); /* NULL is allowed */

/* From here to vm_reserve_end an allocation that fails is made from a reserve of 64 KiB: for what
 * this LuaJIT does not survive otherwise, which is making a state and opening its ffi. */
int vm_reserve(struct vm *vm, struct err *e) MUST_USE;
void vm_reserve_end(struct vm *vm);

struct vm *vm_of(lua_State *L);

/* What runs from now on may use budget_us of CPU and so many more bytes. */
void vm_enter(struct vm *vm, int64_t budget_us, size_t bytes);

struct vm_cost {
    int64_t cpu_us;
    int64_t bytes;               /* below 0 when more was collected than allocated */
    bool stopped, refused, full; /* as in struct vm */
};
/* Lifts the bounds and says what was used since vm_enter. */
struct vm_cost vm_leave(struct vm *vm);

/* For C functions that work long on behalf of a script: whether its time is over. If so, the hook
 * is armed: the script stops at its next instruction. */
bool vm_overdue(struct vm *vm);

/* Ends what runs at its next instruction, as at the deadline. */
void vm_stop(struct vm *vm);

/* Whether the C stack has room for another coroutine inside the one that runs. */
bool vm_has_stack(const struct vm *vm);

/* Bytes held for a script outside of the state count too. False (and nothing is counted) past the
 * limit. */
bool vm_charge(struct vm *vm, size_t bytes);
void vm_discharge(struct vm *vm, size_t bytes);

/* Runs fn with ud as its only argument on the main state, protected and outside of a script's
 * bounds. ERR_NOMEM, or ERR_SCRIPT with the error's text. */
int vm_protect(struct vm *vm, lua_CFunction fn, void *ud, struct err *e) MUST_USE;
/* The same, past `max` too: for what gives memory back, or looks at who holds it. */
int vm_protect_past_max(struct vm *vm, lua_CFunction fn, void *ud, struct err *e) MUST_USE;

/* Collects all garbage, also where every byte of `max` is in use. The collector takes memory
 * itself, for a smaller table of strings; refused that in the middle of a cycle it never ends it.
 */
int vm_collect(struct vm *vm, struct err *e) MUST_USE;

/* A line of a script: taken often, printed only for an error. */
struct vm_position {
    char file[VM_WHERE_MAX];
    int line; /* 0: none is known */
};
/* The innermost frame of L that belongs to a script; false where there is none. */
bool vm_position(lua_State *L, struct vm_position *out);
void vm_print_position(const struct vm_position *p, char *out, size_t size); /* "script:line" */

/* Both at once. */
bool vm_where(lua_State *L, char *out, size_t size);

/* Notes that the script throws the value at index; and whether the value at index is that. */
void vm_note_thrown(lua_State *L, int index);
bool vm_was_thrown(lua_State *L, int index);

/* Raises a text with the script's position in front. */
int vm_fail(lua_State *L, const char *fmt, ...) __attribute__((format(printf, 2, 3), noreturn));

#endif
