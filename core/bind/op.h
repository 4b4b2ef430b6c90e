/*
 * op: what a coroutine waits for: a query or a sleep.
 *
 *   op_call / op_sleep -> a number for Lua -> (settles: run_wake) -> op_take
 *
 * Shape: about 900 bytes and the call's text and parameters, counted against the VM's memory.
 * Lua knows an op by a number of slot and serial, so that a number kept too long finds nothing.
 * Thread: the loader loop's. Limits: OP_MAX at once in a runtime; an op ends with its run.
 */
#ifndef RTCACHE_BIND_OP_H
#define RTCACHE_BIND_OP_H

#include "bind/runtime_priv.h"

#define OP_MAX (1u << 20)

struct op_request {
    int backend;
    int verb; /* in the driver's table, of which the next is one */
    const struct verb *of;
    struct slice text;
    struct buf *params;              /* taken over: it is empty afterwards */
    const struct vm_position *where; /* for errors */
};

/* Who asks for something that takes a while: printed only for an error. */
struct op_asker {
    const char *prefix, *what; /* "db:" and "row" */
    bool placed;               /* false: at the place that the stack shows */
    struct vm_position where;
};

/* Raises a text with the position in front. */
void op_fail_at(lua_State *L, const struct op_asker *a, const char *fmt, ...)
    __attribute__((format(printf, 3, 4), noreturn));
/* Raises unless the code that runs may wait. */
void op_check_may_wait(lua_State *L, struct runtime *rt, const struct op_asker *a);

/* Pushes the number of a new op of the current run. False where there is no memory for it. */
bool op_call(lua_State *L, struct runtime *rt, const struct op_request *q) MUST_USE;
bool op_sleep(lua_State *L, struct runtime *rt, double seconds) MUST_USE;

/* Lua functions with the runtime as upvalue. */
int op_lua_settled(lua_State *L);
int op_lua_take(lua_State *L); /* the result, or raises the error table; the op is gone */
int op_lua_drop(lua_State *L);

/* Time is over for r: what has not been answered tells of a source that is slow. */
void op_out_of_time(struct run *r);
/* Cancels and frees every op of r. */
void op_drop_all(struct run *r);

#endif
