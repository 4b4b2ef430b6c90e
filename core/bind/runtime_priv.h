/*
 * runtime_priv: what the files of bind/ share: the insides of a runtime and of a run.
 *
 * Shape: a runtime owns a VM, scripts by index, operations by slot, and the runs: alive, ready to
 * go on (woken while another one runs), and finished ones kept for their coroutine.
 * Thread: the loader loop's. Limits: RUNTIME_*.
 */
#ifndef RTCACHE_BIND_RUNTIME_PRIV_H
#define RTCACHE_BIND_RUNTIME_PRIV_H

#include "base/list.h"
#include "base/log.h"
#include "bind/run_turns.h"
#include "bind/runtime.h"
#include "script/sandbox.h"

#define RUNTIME_SPARE_MAX 256 /* finished runs whose coroutine waits for the next one */
#define RUNTIME_WHATS     4   /* enum run_what */

struct run_many;
struct op;

struct op_slot {
    struct op *op; /* NULL: free */
    uint32_t next; /* the next free one */
};

struct script {
    char *file; /* owned; as in the configuration; of SQL: where that stands */
    bool sql, jit;
    int fn[RUNTIME_WHATS];   /* registry references, LUA_NOREF where absent */
    int line[RUNTIME_WHATS]; /* where each is defined */
    uint64_t fingerprint;    /* of its text and of what it required meanwhile */
    size_t kept;             /* bytes between its runs, when that was looked at last */
    struct log_site log_site;
    struct run_account account;
};

/* What scripts know of a backend. */
struct runtime_backend {
    char *name; /* owned */
    int driver; /* in runtime.drivers */
    int ref;    /* its userdata in the registry */
};

struct runtime_driver {
    const struct backend_driver *of;
    const void *metatable; /* of its backends; the registry keeps it */
};

struct runtime {
    int refs;
    struct ev_loop *loop; /* NULL: nothing can be run */
    struct vm *vm;
    struct sandbox sandbox;
    int64_t run_cpu_us;
    size_t run_bytes; /* what one run may add to the VM */
    size_t value_max;
    int64_t run_calls;
    struct backend **backends;     /* referenced; NULL where loop is */
    struct runtime_backend *known; /* as many; owned */
    size_t backend_count;
    struct runtime_driver *drivers; /* of them, each once; owned */
    size_t driver_count;
    int api;                    /* what api.lua returned, in the registry */
    int context;                /* the metatable of ctx */
    int error;                  /* the metatable of error tables */
    const void *answer;         /* the metatable of what ctx:answer gives... */
    int answer_ref;             /* ...which the registry keeps */
    struct buf scratch, second; /* emptied by their users before use */
    struct log_site log_site;   /* of scripts that are being read */
    struct script *scripts;
    int script_count, script_room;
    struct op_slot *ops;
    uint32_t op_room, op_free; /* op_free: the first free slot, op_room: none */
    uint32_t op_serial;
    struct list runs, spare;
    struct run_turns turns;
    uint32_t spare_count;
    struct run *current; /* whose script runs now */
    int64_t reading_us;  /* CPU that is left for error objects of the run whose end is read */
    bool driving;        /* runs are being stepped further down the C stack */
    /* Where a method of a backend was looked up last, and by which coroutine: `return db:row(...)`
     * is a tail call, which leaves no frame to take the line from. */
    lua_State *lookup;
    struct vm_position lookup_position;
    struct run_result *many; /* the results of the keys of the run that ends now, and the room for
                                values that those before had; owned */
    unsigned many_room;
    size_t look_at; /* bytes of the VM from which on it is looked at: runtime_memory.c */
    int most;       /* the script that kept most then; -1: that is not known */
    void (*full)(void *arg, const struct runtime_full *f);
    void *full_arg;
    struct runtime_stats stats;
};

struct run {
    struct list link; /* runs, or spare */
    struct list turn; /* of runtime.turns, or alone */
    struct runtime *rt;
    lua_State *co;
    int co_ref;
    int arguments; /* on co, for its first resume; 0 afterwards */
    int script;
    enum run_what what;
    bool parked;
    enum run_effect effect;
    enum run_health health;
    struct run **out; /* run_start's, while it is on the stack */
    bool calls_over;  /* it asked for more queries than run_calls */
    int64_t cpu_left_us, bytes_left, calls;
    int64_t deadline_ms;
    struct list ops;
    struct entry *stored;  /* the request's; a reference */
    struct run_many *many; /* RUN_LOAD_MANY: its keys; owned */
    const void *values;    /* the address of ctx.values */
    const void *context;   /* the address of its ctx table */
    int bytes;             /* run_bytes.h: a table in the registry, or 0 */
    void (*done)(struct run *r, struct run_result *result, void *arg);
    void *arg;
};

/* Room for a script of that file, without functions; it is there once script_count is raised. Who
 * does not raise it frees its file; functions that it has by then go with the runtime. NULL: no
 * memory. */
struct script *runtime_room(struct runtime *rt, const char *file);

/* Lets the run go on: now, or when the one that runs now has parked or ended. */
void run_wake(struct run *r);

/* Memory was refused, or is becoming short: collects, finds out what each script keeps, and asks to
 * be replaced where that is due. A run that goes on meanwhile keeps what it has. */
void runtime_look(struct runtime *rt);
static inline bool runtime_is_short(const struct runtime *rt)
{
    return rt->vm->used > rt->look_at;
}
/* Whether the script keeps more than one may. */
static inline bool runtime_keeps_too_much(const struct runtime *rt, int script)
{
    return rt->scripts[script].kept > rt->run_bytes;
}
/* The bytes from which on a VM of max is looked at, where so many are in use after a look. */
size_t runtime_look_from(size_t max, size_t used);
/* Adds to an error about memory who keeps most of it. */
void runtime_tell_most(const struct runtime *rt, struct err *e);

/* Frees runs that were kept for their coroutine. */
void run_free_spare(struct runtime *rt);

/* "file:line" for messages about a run that have no position of their own: where its function is
 * defined. */
void run_position(const struct run *r, char *out, size_t size);

static inline struct runtime *runtime_upvalue(lua_State *L)
{
    return lua_touserdata(L, lua_upvalueindex(1));
}

/* The script whose code runs now, for positions and logs; NULL outside of runs. */
static inline struct script *runtime_script(struct runtime *rt)
{
    return rt->current ? &rt->scripts[rt->current->script] : NULL;
}

#endif
