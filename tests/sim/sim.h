/*
 * sim: one seeded world: the real store, marks and flights under a virtual clock, with simulated
 * clients, loaders and sources around them.
 *
 *   clients.c --> gets.c, changes.c, writes.c --> store, marks, flights <-- loads.c <-- source.c
 *                         |          tasks.c (virtual clock)          |
 *                         `--------------> history <------------------'
 *
 * gets.c asks core/serve, as an I/O thread does; loads.c follows core/load/load.c, load_end.c and
 * admission.c, writes.c core/load/writes.c: what these do on event loops is done here by tasks on
 * the virtual clock. Thread: one. Limits: SIM_* objects a run; a run that would pass one makes no
 * more of them.
 */
#ifndef RTCACHE_SIM_SIM_H
#define RTCACHE_SIM_SIM_H

#include "base/rng.h"
#include "history.h"
#include "load/change.h"
#include "serve/parked.h"
#include "store/entry.h"

#define SIM_VERSIONS 256
#define SIM_GETS     1024
#define SIM_LOADS    2048
#define SIM_WRITES   256
#define SIM_TASKS    8192
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
    int max_loads, max_waiters, batch_max, retries;
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
    bool writing;
};

struct get {
    struct parked parked;
    int id, key;
    bool open;
    unsigned slot;
    uint32_t stamp; /* of its timer */
};

struct load {
    struct flight *flight;
    int id, key, attempt, belows, read, waits;
    int64_t deadline_ms;
    bool waited, from_primary, running, fails;
    struct entry *stored; /* one reference, or NULL */
    struct hit stored_hit;
    int version; /* what it has read */
    struct state state;
    bool unchanged;
    uint32_t stamp; /* of its attempt */
};

/* Loads that go to the source as one. */
struct batch {
    struct load *loads[SIM_BATCH];
    uint32_t stamps[SIM_BATCH];
    int count;
    int64_t answer_ms;
};

struct write {
    int key, read, version;
    bool deletes, committed, ended;
    bool untagged; /* its script says nothing of the tags that the row has */
    enum { FATE_OK, FATE_REFUSED, FATE_LOST } fate;
    uint64_t since;
    struct write_token token;
    int64_t doubt_until_ms;
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
    struct policy policy; /* what reads ask of it */
    struct loader_counters counters;
    struct metrics *metrics;
    uint64_t io_generation, loader_generation, floors_dropped;
    struct row rows[HISTORY_KEYS];
    char names[HISTORY_KEYS][8];
    uint64_t hashes[HISTORY_KEYS];
    int64_t last_apply_ms;
    bool healing;   /* the end: sources are sound and quick */
    bool gave_tags; /* a load gave some */
    struct get gets[SIM_GETS];
    struct load loads[SIM_LOADS];
    struct batch batches[SIM_LOADS * 2];
    struct write writes[SIM_WRITES];
    int get_count, load_count, batch_count, write_count, read_count;
    struct load *queue[SIM_LOADS];
    int queued, in_flight;
    bool pump_due;
    struct task tasks[SIM_TASKS];
    size_t task_count;
    struct buf out; /* where values are copied to */
};

/* sim.c */
struct sim *sim_new(void);
void sim_free(struct sim *s);
/* Runs seed; ops < 0: as many as the seed says. The history is the result. */
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
/* The next number, or 0 where there are no more. */
int sim_next_read(struct sim *s);

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
/* Because it is read, and near its end. */
void get_ahead(struct sim *s, int key);
void gets_deliver(struct sim *s, struct flight *f);
void get_leave(struct sim *s, struct get *g);

/* loads.c */
void load_submit(struct sim *s, int key, struct flight *f);

/* writes.c */
void write_start(struct sim *s, int key, bool deletes);

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

#endif
