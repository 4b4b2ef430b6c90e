/*
 * sim: one seeded world: the server's own store, flights, loader thread and decisions, on a virtual
 * clock, with simulated clients, scripts and sources around them.
 *
 *   clients.c --> gets.c, writes.c, changes.c --> core/serve --> core/load --> core/store
 *                                                                 |  |  |
 *   tasks.c (virtual clock) <--- platform.c (time, loops) <-------'  |  `--> witness.c --> history
 *                      `-------- scripts.c --> source.c <------------'
 *
 * What is below core/load is put in its place by the linker: platform.c has the functions of
 * base/clock.h and sys/worker.h, and those of libev that core/load calls; scripts.c has those of
 * bind/runtime.h and backend_new. witness.c stands between files of core/load (CMakeLists.txt names
 * the functions) and notes what passes. So core has no seam for any of it.
 *
 * Thread: one. Limits: SIM_* objects a run; a run that would pass one makes no more of them, or
 * ends the program where it cannot do without.
 */
#ifndef RTCACHE_SIM_SIM_H
#define RTCACHE_SIM_SIM_H

#include "base/rng.h"
#include "history.h"
#include "load/change.h"
#include "load/loader_thread.h"
#include "serve/parked.h"
#include "store/entry.h"

#define SIM_VERSIONS 256
#define SIM_GETS     1024
#define SIM_LOADS    2048
#define SIM_SENT     256 /* loads at once, queued ones included */
#define SIM_RUNS     HISTORY_READS
#define SIM_WRITES   256
#define SIM_TASKS    8192
#define SIM_TIMERS   16384 /* that were ever started */
#define SIM_LOADERS  6
#define SIM_BACKENDS 3
#define SIM_BATCH    8
#define SIM_SLOTS    2
#define SIM_VALUE    3600 /* bytes, in a world of little memory */

struct sim;
typedef void (*task_fn)(struct sim *s, void *arg, uint32_t stamp);

struct task {
    int64_t at_ms;
    uint64_t tie; /* seeded: who goes first in a millisecond */
    task_fn fn;
    void *arg;
    uint32_t stamp;
};

/* What the seed decides for a whole run. */
struct knobs {
    int keys, ops, pace_ms;
    size_t floors_max;
    bool little_memory, strong;
    int64_t lag_ms, unseen_ms; /* at most, of the replica and of a commit on the primary */
    int64_t ttl_ms, stale_ttl_ms, keep_ms, negative_ttl_ms, stale_wait_ms;
    int64_t load_timeout_ms, wait_timeout_ms, write_timeout_ms, floor_ttl_ms;
    int64_t batch_window_us;
    int max_loads, max_queue, max_waiters, max_writes, max_write_queue, batch_max, retries;
    int breaker_failures;
    bool alike; /* all rows have one kind, and one loader */
    int fail_percent, slow_percent, unchanged_percent, told_percent, plain_percent, lost_percent;
};

struct state {
    bool absent;
    uint8_t tags;
};

/* A row on its primary and its replica; its version is its place in states. */
struct row {
    struct state states[SIM_VERSIONS];
    int head, shown, applied;
    enum source_kind kind;
    bool versioned, through, tagged;
};

struct get {
    struct parked parked;
    int id, key;
    bool open;
    unsigned slot;
    uint32_t stamp; /* of its timer */
};

/* A flight on its loader thread, from its submission to its end. */
struct sent {
    struct flight *flight;
    int id, key, read; /* read: of its latest attempt */
};

/* What becomes of a write in its source. */
enum fate {
    FATE_OK,
    FATE_REFUSED, /* it is answered with an error */
    FATE_LOST,    /* it is not answered */
    FATE_UNSENT,  /* it waits for a connection, until its time is over */
};

/* A client's put or delete, as write.h says. */
struct put_of {
    struct write write;
    int key, read, version;   /* version: that it has committed */
    bool committed, untagged; /* its script says nothing of the tags that the row has */
    enum fate fate;
    bool answered;
    int64_t doubt_until_ms;
};

/* One run of a script. */
struct run {
    bool in_air;
    void (*done)(struct run *r, struct run_result *result, void *arg);
    void *arg;
    struct put_of *put; /* of a save or remove; NULL: of loads */
    bool many, primary, fails;
    int count, keys[SIM_BATCH], reads[SIM_BATCH];
    int64_t had[SIM_BATCH];  /* the version of what was stored; -1: none */
    int versions[SIM_BATCH]; /* what it has read */
    bool unchanged[SIM_BATCH];
    int64_t answer_ms;
};

/* A timer that runs. */
struct sim_timer {
    struct ev_loop *loop;
    ev_timer *timer; /* NULL: it was stopped, or is over */
};

/* Rules that the harness itself breaks, so that the checker can be seen to find them. */
enum plant {
    PLANT_NONE,
    PLANT_DEAF,       /* versioned invalidations are acknowledged and do nothing */
    PLANT_DEAF_PLAIN, /* plain ones */
    PLANT_DEAF_TAG,
    PLANT_DEAF_EXPIRE,
    PLANT_NO_MIN,   /* min_version is forgotten */
    PLANT_WRONG,    /* the source hands out another version's bytes */
    PLANT_FRESH,    /* stale values are handed out as fresh */
    PLANT_LOST,     /* a delivery is lost now and then */
    PLANT_DOUBLE,   /* a load is sent twice */
    PLANT_DEAF_PUT, /* an acknowledged put leaves the entry alone */
    PLANT_BACK,     /* a value of an older version is put into the store */
    PLANT_UNTAGGED, /* what a put does not say of tags is taken for none */
    PLANT_COUNT,
};

struct sim {
    struct rng rng;
    struct knobs k;
    enum plant plant;
    int64_t now_ms;
    struct marks *marks;
    struct store *store;
    struct flights *flights;
    struct changes changes;
    struct history history;
    struct conf conf;
    struct conf_loader loaders[SIM_LOADERS];
    struct conf_backend backends[SIM_BACKENDS];
    struct snapshot *snapshot;           /* of the main thread */
    struct snapshot *adopted[SIM_SLOTS]; /* of the I/O threads */
    struct loader_thread *loader;
    struct ev_loop *loader_loop;
    struct mailbox boxes[SIM_SLOTS + 1]; /* of the I/O threads, and of the main one */
    struct mailbox *slots[SIM_SLOTS];
    struct edition_change change;
    struct snapshot *next; /* while there is a reload */
    struct metrics *metrics;
    uint64_t floors_dropped;
    struct row rows[HISTORY_KEYS];
    char names[HISTORY_KEYS][8];
    uint64_t hashes[HISTORY_KEYS];
    int64_t last_apply_ms;
    bool healing;  /* the end: sources are sound and quick */
    bool stopping; /* the server goes down */
    struct get gets[SIM_GETS];
    struct run runs[SIM_RUNS];
    struct put_of writes[SIM_WRITES];
    int get_count, load_count, run_count, write_count, read_count;
    struct sent sent[SIM_SENT];
    int sent_count;
    struct flight *begun[HISTORY_KEYS]; /* whose attempt began last */
    struct put_of *putting;             /* whose run begins, or has ended */
    struct put *put;                    /* what that has stored, if anything */
    struct sim_timer timers[SIM_TIMERS];
    int timer_count;
    struct task tasks[SIM_TASKS];
    size_t task_count;
    struct buf out; /* where values are copied to */
};

/* The one that runs: for what is given none. */
extern struct sim *the_sim;

/* sim.c */
struct sim *sim_new(void);
void sim_free(struct sim *s);
/* Runs seed. The history is the result. */
void sim_run(struct sim *s, uint64_t seed, enum plant plant);

static inline bool sim_chance(struct sim *s, int percent)
{
    return (int)rng_below(&s->rng, 100) < percent;
}
/* In [0, most]. */
static inline int64_t sim_up_to(struct sim *s, int64_t most)
{
    return (int64_t)rng_below(&s->rng, (uint64_t)most + 1);
}
static inline struct slice sim_key(const struct sim *s, int key)
{
    return slice_str(s->names[key]);
}
/* Adds e at the current time. */
void sim_note(struct sim *s, struct event e);
/* After whatever may have raised a floor, before it is noted. */
void sim_note_dropped(struct sim *s);
/* The version of what is stored, -1 where there is none or it has no version. */
int64_t sim_stored_version(struct sim *s, int key);
/* Which key this is. */
int sim_key_of(const struct sim *s, struct slice name);
/* The next number. */
int sim_next_read(struct sim *s);

/* world.c */
void world_open(struct sim *s);
/* The loader thread ends, with what is in the air, and all tasks have run. */
void world_stop(struct sim *s);
void world_close(struct sim *s);
/* A new configuration, unless one is on its way. */
void world_reload(struct sim *s);

/* platform.c */
struct ev_loop *platform_loop(void);
void platform_loop_free(struct ev_loop *loop);
/* Something has happened on this loop: its turn ends when nothing else does. */
void platform_turn(struct ev_loop *loop);

/* tasks.c */
void task_in(struct sim *s, int64_t ms, task_fn fn, void *arg, uint32_t stamp);
/* Runs tasks up to until_ms, or all; the clock goes along. */
void tasks_run(struct sim *s, int64_t until_ms);

/* source.c */
/* The row's bytes at a version: borrowed until the next call. */
struct slice source_value(const struct sim *s, int key, int version);
/* Which version these bytes are of; -1: of none. */
int64_t source_version_of(const struct sim *s, int key, struct slice bytes);
bool source_locked(const struct sim *s, int key);
/* What a transaction leaves: the next version, shown after unseen_ms. */
struct commit {
    int key, read; /* read: of the put that it is of, or 0 */
    bool absent, doubted;
    int64_t unseen_ms;
};
/* false: no more versions. */
bool source_commit(struct sim *s, const struct commit *c);

/* gets.c */
struct get_options {
    bool has_min, refresh;
    int64_t min, timeout_ms, stale_wait_ms;
};
void get_start(struct sim *s, int key, const struct get_options *o);
void get_in_background(struct sim *s, int key, bool reload);
/* A flight has ended: a message of the I/O thread that waiters of it are on. */
void gets_deliver(struct message *m, void *owner);
void get_leave(struct sim *s, struct get *g);

/* writes.c */
void write_start(struct sim *s, int key, bool deletes);
/* The first that was not answered; NULL: there is none. */
const struct put_of *writes_unanswered(const struct sim *s);

/* witness.c */
/* Whose attempt the run that begins now is: the flight of this key that began last. */
struct sent *witness_of(struct sim *s, int key);

/* changes.c */
void change_key(struct sim *s, int key, const int64_t *version, bool gone);
void change_key_later(struct sim *s, int64_t ms, int key, int version, bool plain);
void change_some(struct sim *s);
void change_expire_key(struct sim *s, int key);
void change_touch(struct sim *s, int key);
void change_set_key(struct sim *s, int key);
void change_quiet_end(struct sim *s, int key);

/* clients.c */
void clients_start(struct sim *s);
void clients_finish(struct sim *s);
/* They go on while the server goes down. */
void clients_stop(struct sim *s);

#endif
