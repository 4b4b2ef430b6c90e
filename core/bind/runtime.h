/*
 * runtime: the loader scripts of one configuration on one loader thread, and the runs of them.
 *
 *   run_start -> coroutine -> db:row(...) -> parked on a query -> resumed -> ... -> request->done
 *
 * A runtime is one LuaJIT VM with its sandbox, compiled scripts and backends. A reload makes a new
 * runtime; the old one lives until its last run has ended. Backends are shared by reference.
 * Thread: one loader loop's, every function. Limits: memory of the VM, CPU and calls of a run
 * (runtime_options), RUNTIME_BLOCK_MAX or four times value_max for one string or table; a run past
 * a bound fails alone, naming script and line.
 */
#ifndef RTCACHE_BIND_RUNTIME_H
#define RTCACHE_BIND_RUNTIME_H

#include "backend/backend.h"
#include "base/buf.h"
#include "base/err.h"
#include "base/glob.h"

#include <ev.h>

struct entry; /* store/store.h */
#define RUNTIME_BLOCK_MAX ((size_t)16 * 1024 * 1024)

struct runtime;
struct run;

/* Why a VM is to be replaced. */
struct runtime_full {
    const char *script; /* that keeps most between its runs; NULL: none is known to keep any */
    size_t kept_bytes;
    size_t used_bytes, max_bytes; /* of the VM, after a full collection */
};

struct runtime_options {
    struct ev_loop *loop;    /* NULL: compile and validate only, nothing can be run */
    const char *scripts_dir; /* absolute; scripts and what they require */
    const char *lua_dir;     /* absolute; more modules to require; may not exist */
    size_t memory_max;       /* bytes of the whole VM */
    int64_t run_cpu_ms;      /* CPU of one run, all its resumes together */
    int64_t run_calls;       /* calls of one run; 0: any number */
    size_t value_max;        /* bytes of one packed result */
    struct backend *const
        *backends; /* by index of the configuration; borrowed by this call, which refs them */
    /* Their names and drivers, as many; borrowed by this call. With loop NULL too, where backends
     * is NULL. */
    const struct conf_backend *backend_confs;
    size_t backend_count;
    /* The VM stays nearly full, or a script keeps more than one may: runtime_replace is due. NULL:
     * nobody replaces it. */
    void (*full)(void *arg, const struct runtime_full *f);
    void *arg;
    /* Its scripts' texts are read as that one read them, not from their files. NULL: none. */
    const struct runtime *again;
};

int runtime_new(struct runtime **out, const struct runtime_options *o, struct err *e) MUST_USE;
/* Compiles and runs the script's main chunk once and checks what it returns: a table with at least
 * a function `load` (or load_many), and nothing but load, load_many, save, remove, which are
 * functions. *script: its index; the same file gives the same index. Errors carry file:line. */
int runtime_add_script(struct runtime *rt, const char *file, int *script, struct err *e) MUST_USE;

/* The script or the SQL of a configured loader; SQL gives an index of its own each time, with a
 * load and a load_many. */
int runtime_add_loader(struct runtime *rt, const struct conf_loader *l, int *script,
                       struct err *e) MUST_USE;

enum run_what { RUN_LOAD, RUN_LOAD_MANY, RUN_SAVE, RUN_REMOVE };

bool runtime_has(const struct runtime *rt, int script, enum run_what what);
/* Of the script's text and that of what it required when it was read: equal where those are. */
uint64_t runtime_fingerprint(const struct runtime *rt, int script);

struct runtime *runtime_ref(struct runtime *rt);
/* A run holds a reference of its own. NULL is allowed. */
void runtime_unref(struct runtime *rt);

/* rt has the scripts of before, and takes its place: counts go on, and before asks for no other.
 * What runs there may end there. */
void runtime_replace(struct runtime *rt, struct runtime *before);
/* Whether no run of it is left. */
bool runtime_is_idle(const struct runtime *rt);
/* Fails each run that is left, as one that the VM had no room for. */
void runtime_end_runs(struct runtime *rt);
/* Adds what was counted of before since it was replaced. */
void runtime_absorb(struct runtime *rt, const struct runtime *before);

/* A turn of the loop begins. In it runs that are woken go on at once, for so long in all, unless
 * their script had more of the thread than others; the rest waits for runtime_go_on. Never called:
 * all go on at once. */
void runtime_turn(struct runtime *rt, int64_t us);
/* Whether a run waits, and runtime_ahead_us of its script, which is the least. */
bool runtime_waits(const struct runtime *rt, int64_t *ahead_us);
/* That run goes on. */
void runtime_go_on(struct runtime *rt);
/* How much more of the thread than others that wait the script has had; 0: not worth speaking of.
 */
int64_t runtime_ahead_us(const struct runtime *rt, int script);
/* It had nothing to do until now: it has no time to make up for. */
void runtime_awake(struct runtime *rt, int script);
/* What each script had on the thread goes on where its text is the same. */
void runtime_carry_accounts(struct runtime *rt, const struct runtime *before);

struct runtime_stats {
    uint64_t runs, failures, cpu_stops, memory_stops, call_stops;
    uint64_t collections; /* full ones, because memory was short */
    uint64_t replaced;    /* VMs that were full, and another took their place */
    uint64_t memory_bytes;
    uint32_t parked; /* runs that wait for a backend or a sleep */
};
void runtime_read_stats(const struct runtime *rt, struct runtime_stats *out);
void runtime_add_stats(struct runtime_stats *to, const struct runtime_stats *more);

enum run_outcome {
    RUN_FOUND,     /* value; of a save: the row as it is now, to be stored */
    RUN_ABSENT,    /* return nil */
    RUN_DONE,      /* save and remove: it is done, and there is no value: nothing, nil or true, and
                      perhaps options (a version) beside true; load_many: see many */
    RUN_FAILED,    /* thrown, or nil, err */
    RUN_UNCHANGED, /* rtcache.unchanged */
};

/* What the queries of a run may have done to their sources, a SELECT as well as any other: it may
 * call what writes. */
enum run_effect {
    EFFECT_NONE,    /* none was sent, or an error of the source undid each */
    EFFECT_SOME,    /* at least one ran, and all that were sent have been answered */
    EFFECT_UNKNOWN, /* one was sent that was not answered */
};

/* What the queries of a run said of their sources' health. */
enum run_health {
    HEALTH_UNKNOWN, /* nothing was asked */
    HEALTH_GOOD,    /* each was answered: also an error about a key, or the script's SQL, is one */
    HEALTH_BAD,     /* one failed because its source is down, out of time or overloaded */
};

/* What a run ended with; valid during done only. */
struct run_result {
    enum run_outcome outcome;
    struct buf value; /* packed */
    enum run_effect effect;
    enum run_health health;
    bool full;      /* RUN_FAILED: the VM had no room where the run itself might have had more. It
                       was emptied, or has been replaced: worth one more run */
    bool retryable; /* RUN_FAILED: err_retryable(err.code), unless the script's error said otherwise
                     */
    /* From the options table that a loader may return beside the value; -1 / false where not given.
     */
    int64_t ttl_ms, stale_ttl_ms;
    bool has_version, no_store; /* no_store: cache = false */
    int64_t version;
    bool has_tags;   /* the script said which tags it has, if any */
    struct buf tags; /* a packed array of str; empty: none */
    /* RUN_LOAD_MANY with RUN_DONE: one for each key, in the order of run_request.keys: RUN_FOUND,
     * RUN_ABSENT, RUN_UNCHANGED, or RUN_FAILED for this key alone. */
    struct run_result *many;
    unsigned many_count;
    bool unsaid;    /* RUN_ABSENT of one key of many: there was no word of it */
    bool apart;     /* RUN_FAILED of one key of many: there was no word of it, and one of a key that
                       nobody asked for. Asked for alone it may be answered */
    bool divisible; /* RUN_FAILED of a RUN_LOAD_MANY: one key may have failed it for all */
    bool poisoned; /* RUN_FAILED of a RUN_LOAD_MANY: the script suspects one key (rtcache.poison) */
    int poison;    /* which one, or -1 where it cannot say */
    /* RUN_FAILED: "script:line: what"; code LOAD_FAILED for nil, err and error(), SCRIPT_ERROR for
     * a runtime fault or a bound, BAD_VALUE with the path inside the value, or the code of the
     * backend's error where the script did not catch it. The last: not written where not needed. */
    struct err err;
};

/* One key of a RUN_LOAD_MANY. */
struct run_key {
    struct slice key;             /* borrowed until run_start returns */
    const struct slice *captures; /* of its pattern; borrowed as long */
    unsigned capture_count;
    struct entry *stored; /* what is stored, for ctx.values; the run takes a reference of its own;
                             NULL: nothing */
    bool has_version;     /* of what is stored, for ctx.versions */
    int64_t version;
};

/* All slices are borrowed until run_start returns. */
struct run_request {
    enum run_what what;
    int script;
    /* RUN_LOAD_MANY, at least one, each key once; key, captures, stored and version are not used
     * then. */
    const struct run_key *keys;
    unsigned key_count;
    struct slice key;
    const struct slice *captures; /* ctx.match */
    unsigned capture_count;
    const struct glob_star *stars; /* of the pattern, as many as captures; valid until done or
                                      run_cancel; NULL: all of them are plain */
    int backend;                   /* index for ctx.db, or -1 */
    const char *pattern;           /* of the loader, for messages */
    int attempt;                   /* ctx.attempt, from 1 */
    int64_t deadline_ms;  /* clock_ms; ctx:deadline_ms() is what is left. The caller enforces it */
    struct entry *stored; /* what is stored, for ctx.value (decoded when asked for); the run takes a
                             reference of its own; NULL: nothing */
    bool has_version;     /* ctx.version: of what is stored; of a write: what its client has seen */
    int64_t version;
    struct slice input; /* RUN_SAVE: the value to be saved, packed */
    bool in_turn;       /* the caller saw whose turn it is (runtime_ahead_us): it begins at once */
    /* Called once, unless the run is cancelled; perhaps before run_start returns. r is the run,
     * which ends with the call. */
    void (*done)(struct run *r, struct run_result *result, void *arg);
    void *arg;
};

/* ERR_NOMEM where it could not begin (done is not called). *out is valid until done or run_cancel;
 * it is NULL if done was called already. */
int run_start(struct run **out, struct runtime *rt, const struct run_request *q,
              struct err *e) MUST_USE;

/* Drops the coroutine, cancels its queries; done is not called. What they may have done. */
enum run_effect run_cancel(struct run *r);
/* The same, because its time is over. */
enum run_health run_time_out(struct run *r);

#endif
