/*
 * loader_priv: what loader.c, gate.c and load.c share; nobody else includes it.
 *
 *   loader --- set (a snapshot's runtime, backends and gates; the current one and those whose loads
 * last)
 *                `-- gate (one per loader of the configuration) --- queue of loads, loads in the
 * air
 *
 * Thread: the loader thread's.
 */
#ifndef RTCACHE_LOAD_LOADER_PRIV_H
#define RTCACHE_LOAD_LOADER_PRIV_H

#include "base/list.h"
#include "base/rng.h"
#include "bind/runtime.h"
#include "load/breaker.h"
#include "load/loader.h"
#include "load/write.h"
#include "metrics/metrics.h"
#include "store/entry.h"
#include "sys/worker.h"

struct loader_set {
    struct list link; /* loader->sets */
    struct loader *loader;
    int refs; /* one for being current or prepared, one per load */
    struct snapshot *snapshot;
    struct runtime *runtime;
    struct backend **backends;
    struct gate *gates; /* by index of the configuration */
};

struct gate {
    struct loader_set *set;
    const struct conf_loader *conf;
    struct loader_counters *counters;
    struct breaker breaker;
    struct list foreground, background; /* queued loads */
    uint32_t in_flight, queued;
    uint32_t max_loads, max_queue; /* this thread's share */
    int script, backend, primary;  /* -1: none */
    int feed;                      /* the backend whose feed tells of changes; -1: none */
    bool pumping;
    struct list writes; /* that wait for a place in the air */
    uint32_t writing, max_writes, max_write_queue;
    bool pumping_writes;
};

struct load {
    struct list link; /* of its gate's queue, or of loader->running */
    struct gate *gate;
    struct flight *flight; /* one reference */
    struct run *run;       /* while a script runs */
    struct entry *stored;  /* what the store held when it began, for ctx.value; or NULL */
    struct hit stored_hit;
    int64_t queued_us, started_us, deadline_ms;
    int attempt;
    unsigned belows;   /* answers that were below the floor */
    bool from_primary; /* since the first of them, or from the start */
    bool waited;       /* it could not begin at once */
    ev_timer deadline, retry;
};

struct loader {
    struct worker worker;
    struct loader_options options;
    struct list sets;
    struct loader_set *current, *prepared;
    struct list running; /* loads in the air */
    struct {
        struct list *buckets; /* WRITE_BUCKETS of them: the first write of each key */
        struct list running;  /* in the air */
        uint32_t waiting;     /* for their key, or for a place */
    } writes;
    struct metrics *metrics;
    struct rng rng;
    struct message begin, stop;
    ev_timer telling; /* its backends' and scripts' numbers, to the snapshot */
    bool stopping;
};

#define WRITE_BUCKETS 4096

struct loader_set *loader_set_ref(struct loader_set *set);
void loader_set_unref(struct loader_set *set);

/* gate.c: admission. A load passes through gate_admit once and, where it began, through gate_left
 * once, before its waiters hear of its end, so that who asks for the counters then sees them
 * without it. */
void gate_init(struct gate *g, struct loader_set *set, size_t index);
void gate_admit(struct gate *g, struct load *ld);
void gate_left(struct gate *g);
/* The feed that tells of changes is cut: what is loaded does not count as fresh. */
bool gate_is_cut(const struct gate *g);
/* Begins queued loads while there is room, foreground first. */
void gate_pump(struct gate *g);
/* The next queued load, out of its queue; NULL where there is none. */
struct load *gate_pop_queued(struct gate *g);

/* load.c: one load, from a flight to its end. */
struct load *load_new(struct gate *g, struct flight *f); /* NULL: no memory */
void load_begin(struct load *ld);
/* Ends ld (queued or in the air) without a result, and frees it; no word of it reaches the gate. */
void load_refuse(struct load *ld, const struct err *err);
void load_shutdown(struct load *ld);
/* A packed array of tags, as slots. */
void load_read_tags(const struct marks *m, const struct buf *packed, struct entry_tags *out);
/* A queued load gives its flight back and is gone. */
struct flight *load_give_back(struct load *ld);

/* write.c. On shutdown the gates' queues are moved after loader->stopping is set, which answers
 * them. */
int writes_init(struct loader *l, struct err *e) MUST_USE;
void writes_fini(struct loader *l);
/* Begins queued writes while there is room. */
void writes_pump(struct gate *g);
/* Those that wait in a gate of the set before go to the current one. */
void writes_move(struct loader *l, struct gate *before);
void writes_shutdown(struct loader *l);

/* Ends the flight with o, unless o is below its floor; then wake its waiters, which drops the
 * load's reference. */
void loader_end(struct loader *l, struct flight *f, struct outcome *o, struct verdict *v);
void loader_wake(struct loader *l, struct flight *f);
void loader_refuse_flight(struct loader *l, struct flight *f, const struct err *err);

#endif
