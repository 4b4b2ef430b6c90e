/*
 * loader_priv: what the files of a loader thread share; nobody else includes it.
 *
 *   flight --> seat --> queue of its gate, by class --> load: one run for one seat, or for many
 *
 *   loader --- set (a snapshot's runtime, backends, turns and gates)
 *                +-- turns (one per backend, one for loaders without): how many loads it bears
 *                `-- gate (one per loader of the configuration): queues, bounds, breaker
 *
 * Whatever may let a load begin (an arrival, an end) marks its turns; loads begin before
 * the loop sleeps, so that what arrived in one turn is known when their order, and who shares a
 * batch, is decided. Thread: the loader thread's.
 */
#ifndef RTCACHE_LOAD_LOADER_PRIV_H
#define RTCACHE_LOAD_LOADER_PRIV_H

#include "base/list.h"
#include "base/rng.h"
#include "bind/runtime.h"
#include "load/breaker.h"
#include "load/budget.h"
#include "load/limit.h"
#include "load/loader.h"
#include "load/pace.h"
#include "load/write.h"
#include "metrics/metrics.h"
#include "store/entry.h"
#include "sys/worker.h"

struct loader_set {
    struct list link; /* loader->sets */
    struct loader *loader;
    int refs; /* one for being current or prepared, one per seat */
    struct snapshot *snapshot;
    struct runtime *runtime;
    struct runtime *ending; /* whose place that took, while it has runs; or NULL */
    bool replacing;
    int64_t replace_from_ms; /* the last try failed: there is none before */
    struct backend **backends;
    struct turns *turns; /* by index of the backends; the last is for loaders without */
    struct gate *gates;  /* by index of the configuration */
};

struct turns {
    struct loader_set *set;
    struct list marked; /* loader->marked, or alone */
    struct list gates;  /* that have seats to begin; whose turn it is first */
    struct limit limit;
    uint32_t in_flight; /* loads */
};

/* Whom a queued seat goes behind. Within a class the first that came is the first to go. */
enum load_class {
    CLASS_SINGLE,
    CLASS_BULK, /* of a large get_many: takes turns with the singles */
    CLASS_REFRESH,
    CLASS_PREFETCH,
    CLASS_COUNT
};

struct gate {
    struct loader_set *set;
    struct turns *turns;
    struct list turn; /* turns->gates, or alone */
    const struct conf_loader *conf;
    struct glob_star stars[GLOB_STARS_MAX]; /* of its pattern */
    struct loader_counters *counters;
    struct breaker breaker;
    struct list queues[CLASS_COUNT];
    uint32_t counts[CLASS_COUNT];
    uint32_t queued; /* their sum */
    bool bulk_next;  /* whose turn it is where singles and bulk wait */
    bool ready;      /* what is queued may begin: it has waited for company long enough */
    uint64_t ready_turn;
    ev_timer window;
    struct pace pace;
    uint32_t in_flight, prefetching; /* loads; seats of CLASS_PREFETCH */
    uint32_t max_loads, max_queue;   /* this thread's share, as the next */
    uint32_t max_prefetching, max_prefetch_queue;
    uint32_t batch_max;           /* seats of one load; 1: its script does not take many */
    bool many_only;               /* the script has no function for one key */
    bool can_write;               /* it has one that writes */
    int script, backend, primary; /* -1: none */
    int feed;                     /* the backend whose feed tells of changes; -1: none */
    struct list writes;           /* that wait for a place in the air */
    uint32_t writing, max_writes, max_write_queue;
    bool pumping_writes;
};

/* One flight's place: in a queue of its gate, then in a load. */
struct seat {
    struct list link;
    struct gate *gate;
    struct flight *flight; /* one reference */
    struct load *load;     /* NULL while queued */
    enum load_class class;
    uint64_t turn; /* of the loader, when it came */
    int64_t queued_us;
    struct entry *stored; /* what the store held when the attempt began, for ctx.value; or NULL */
    struct hit stored_hit;
    bool apart;    /* while results are taken: it is to be asked for again, with fewer others */
    uint32_t part; /* of its load; see load.c */
};

struct loader {
    struct worker worker;
    struct loader_options options;
    struct list sets;
    struct loader_set *current, *prepared;
    struct list running; /* loads in the air */
    struct list marked;  /* turns in which loads may begin */
    uint64_t turn;       /* of the loop */
    ev_prepare starting;
    ev_idle unfinished; /* active where a turn did not begin all that could */
    struct {
        struct outbox *boxes; /* by slot: flights that have ended, their waiters not yet told */
        uint32_t held;
        int64_t since_us;    /* when the first of them came */
        ev_prepare turn_end; /* they are told then at the latest */
    } answers;
    struct budget budget;
    struct {
        struct list *buckets; /* WRITE_BUCKETS of them: the first write of each key */
        struct list running;  /* in the air */
        uint32_t waiting;     /* for their key, or for a place */
    } writes;
    struct metrics *metrics;
    struct rng rng;
    struct message begin, stop;
    int64_t started_ms;
    ev_timer telling; /* its backends' and scripts' numbers, to the snapshot */
    bool stopping;
};

#define WRITE_BUCKETS 4096

/* loader_set.c. With one reference, in loader->sets; *out is NULL on failure. */
int loader_set_new(struct loader_set **out, struct loader *l, struct snapshot *snapshot,
                   struct err *e) MUST_USE;
struct loader_set *loader_set_ref(struct loader_set *set);
void loader_set_unref(struct loader_set *set); /* NULL is allowed */
void loader_set_carry(struct loader_set *set, const struct loader_set *before);
/* Reads the scripts of the set into a new runtime, whose indexes the gates have then. again: one
 * that has them, whose place it takes; NULL: none. */
int loader_set_read(struct loader_set *set, const struct runtime *again, struct runtime **out,
                    struct err *e) MUST_USE;

/* loader_vm.c: runtime_options.full of the set at arg. */
void loader_vm_full(void *arg, const struct runtime_full *f);
/* Lets the one that was replaced go, once its last run has ended. */
void loader_vm_reap(struct loader_set *set);
void loader_vm_read_stats(const struct loader_set *set, struct runtime_stats *out);

/* gate.c: admission, queues, and who goes next. */
void gate_init(struct gate *g, struct loader_set *set, size_t index);
void gate_fini(struct gate *g); /* nothing is queued */
/* Its script is read: whether it takes many keys at once. */
void gate_know_script(struct gate *g, const struct runtime *rt);
/* Takes over the flight's reference. */
void gate_admit(struct gate *g, struct flight *f);
/* Somebody waits for a flight that came for nobody. */
void gate_promote(struct seat *seat);
static inline struct loader_facts *gate_facts(const struct gate *g)
{
    return &g->set->snapshot->facts[g - g->set->gates];
}
/* The feed that tells of changes is cut: what is loaded does not count as fresh. */
bool gate_is_cut(const struct gate *g);
/* Of what may begin now; CLASS_COUNT: nothing may. */
enum load_class gate_first_class(const struct gate *g);
/* Begins a load of those, or, where its breaker is open, refuses one of them. */
void gate_start(struct gate *g);
/* A load of n seats that began has ended. Before its waiters hear of it, so that who asks for the
 * counters then sees them without it. */
void gate_left(struct gate *g, uint32_t n, uint32_t prefetched);
/* The next queued seat, out of its queue; NULL where there is none. */
struct seat *gate_pop_queued(struct gate *g);
/* Ends a seat that is in no queue and no load, and frees it. */
void gate_refuse(struct seat *seat, const struct err *err);

/* turns.c */
void turns_init(struct turns *s, struct loader_set *set, const struct conf_backend *b);
/* Something of g may begin, perhaps: that is looked at before the loop sleeps. */
void turns_mark(struct gate *g);
uint32_t turns_room(const struct turns *s); /* loads that may begin */
/* A run of one of its loads took so long. dropped: it was cut off at its deadline. */
void turns_ended(struct turns *s, int64_t us, bool dropped);
/* Begins what may begin, in all marked turns, a bounded number of loads. */
void turns_start_all(struct loader *l);

/* seat.c */
struct seat *seat_new(struct gate *g, struct flight *f); /* NULL: no memory */
/* Its flight is the caller's. */
struct flight *seat_take_flight(struct seat *seat);
void seat_free(struct seat *seat);
/* Reads what is stored, for ctx.value and rtcache.unchanged. */
void seat_take_stored(struct seat *seat);
/* What came of it: o, whose slices are borrowed from r, seat and tags. An error: err says why it
 * is none. */
int seat_outcome(const struct seat *seat, const struct run_result *r, bool from_primary,
                 struct outcome *o, struct entry_tags *tags, struct err *err) MUST_USE;
/* A packed array of tags, as slots; its texts are borrowed from packed. */
void seat_read_tags(const struct marks *m, const struct buf *packed, struct entry_tags *out);
/* In place of tags that nobody has told of. */
void seat_any_tag(const struct marks *m, struct entry_tags *out);

/* load.c: one load, from its seats to their ends. */
struct load;
struct load *load_new(struct gate *g); /* NULL: no memory */
/* The load goes as soon as its last seat has ended. */
void load_take(struct load *ld, struct seat *seat, bool primary);
void load_begin(struct load *ld);
int64_t load_began_ms(const struct load *ld); /* its current attempt */
void load_free(struct load *ld);              /* without seats; before load_begin */
/* Ends every load of l's with ERR_SHUTDOWN. */
void load_shutdown_all(struct loader *l);

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
void loader_end(struct loader *l, struct flight *f, struct outcome *o, int64_t now_ms,
                struct verdict *v);
void loader_wake(struct loader *l, struct flight *f);
/* Waiters that were woken are told at the end of the turn; here, where that is too long for them.
 */
void loader_tell(struct loader *l);
void loader_refuse_flight(struct loader *l, struct flight *f, const struct err *err);

#endif
