/* What changes keys from outside: invalidations of every kind, sets, and the faults that take
 * entries away. */
#include "sim.h"

#include "load/jitter.h"
#include "load/prefetch.h"

#include <stdlib.h>

#define AHEADS 4
#define PLAIN  0xffff /* in a task's stamp, in place of a version */

void change_key(struct sim *s, int key, const int64_t *version, bool gone)
{
    bool dropped;
    struct invalidation i = {
        .key = sim_key(s, key),
        .hash = s->hashes[key],
        .now_ms = s->now_ms,
        .version = version,
        .floor_ttl_ms = s->k.floor_ttl_ms,
        .gone = gone,
    };
    bool deaf = !s->healing && s->plant == (version ? PLANT_DEAF : PLANT_DEAF_PLAIN);
    if (!deaf && change_invalidate(&s->changes, &i, CAUSE_INVALIDATE, &dropped, NULL) != 0)
        abort();
    sim_note_dropped(s);
    sim_note(s, (struct event){
                    .kind = DID_INVALIDATE,
                    .key = key,
                    .version = version ? *version : 0,
                    .flags = (version ? F_HAS_VERSION : 0) | (gone ? F_GONE : 0),
                });
}

static void on_told(struct sim *s, void *arg, uint32_t stamp)
{
    (void)arg;
    int key = (int)(stamp >> 16);
    int64_t version = stamp & 0xffff;
    bool absent = version != PLAIN && s->rows[key].states[version].absent;
    change_key(s, key, version == PLAIN ? NULL : &version, absent && sim_chance(s, 80));
}

void change_key_later(struct sim *s, int64_t ms, int key, int version, bool plain)
{
    task_in(s, ms, on_told, NULL, (uint32_t)key << 16 | (uint32_t)(plain ? PLAIN : version));
}

void change_expire_key(struct sim *s, int key)
{
    if (s->plant != PLANT_DEAF_EXPIRE)
        change_expire(&s->changes, sim_key(s, key), s->hashes[key], s->now_ms);
    sim_note(s, (struct event){.kind = DID_EXPIRE, .key = key});
}

void change_touch(struct sim *s, int key)
{
    int64_t ttl_ms = jitter_ms(s->k.ttl_ms, 0.1, &s->rng);
    struct put deadlines = {
        .key = sim_key(s, key),
        .hash = s->hashes[key],
        .ttl_ms = ttl_ms,
        .stale_ttl_ms = s->k.stale_ttl_ms,
        .keep_ms = s->k.keep_ms,
        .refresh = {.ahead_ms = ttl_ms / 2 + 1, .owner = 1},
    };
    bool there = store_touch(s->store, &deadlines, s->now_ms);
    sim_note(s, (struct event){
                    .kind = DID_TOUCH,
                    .key = key,
                    .code = there ? 0 : ERR_CANCELLED,
                    .ttl_ms = ttl_ms,
                    .dead_ms = s->k.stale_ttl_ms > s->k.keep_ms ? s->k.stale_ttl_ms : s->k.keep_ms,
                });
}

/* A client stores what it has read itself, now or some time ago. */
void change_set_key(struct sim *s, int key)
{
    const struct row *r = &s->rows[key];
    int version = sim_chance(s, 70) ? r->shown : (int)sim_up_to(s, r->shown);
    uint32_t slots[HISTORY_TAGS];
    struct err err = {.code = 0};
    struct put put = {
        .key = sim_key(s, key),
        .hash = s->hashes[key],
        .value = source_value(s, key, version),
        .has_version = r->versioned,
        .version = version,
        .ttl_ms = jitter_ms(s->k.ttl_ms, 0.1, &s->rng),
        .stale_ttl_ms = s->k.stale_ttl_ms,
        .keep_ms = s->k.keep_ms,
        .load_us = (uint32_t)sim_next_read(s),
        .tags = slots,
        .since = marks_now(s->marks),
    };
    if (r->states[version].absent)
        return;
    for (int i = 0; i < HISTORY_TAGS; i++) {
        char name[2] = {(char)('0' + i), 0};
        if (r->states[version].tags & 1 << i)
            slots[put.tag_count++] = marks_slot(s->marks, slice_str(name));
    }
    int64_t had = sim_stored_version(s, key);
    int rc = change_set(&s->changes, &put, s->now_ms, &err);
    sim_note(s, (struct event){
                    .kind = DID_SET,
                    .key = key,
                    .read = (int)put.load_us,
                    .version = version,
                    .had = had,
                    .flags = (r->versioned ? F_VERSIONED : 0) | (rc == 0 ? F_STORED : 0),
                    .tags = r->states[version].tags,
                    .code = rc,
                    .ttl_ms = put.ttl_ms,
                    .dead_ms = put.stale_ttl_ms > put.keep_ms ? put.stale_ttl_ms : put.keep_ms,
                });
}

static void change_tags(struct sim *s, bool soft)
{
    int tag = (int)sim_up_to(s, HISTORY_TAGS - 2);
    char name[2] = {(char)('0' + tag), 0};
    if (s->plant != PLANT_DEAF_TAG &&
        change_tag(&s->changes, slice_str(name), soft, CAUSE_INVALIDATE, NULL) != 0)
        abort();
    sim_note(s, (struct event){
                    .kind = DID_TAG, .key = -1, .tags = 1 << tag, .flags = soft ? F_SOFT : 0});
}

static void change_matching(struct sim *s, bool soft)
{
    int key = (int)sim_up_to(s, s->k.keys - 1);
    bool all = sim_chance(s, 30);
    struct err err = {.code = 0};
    int rc = change_match(&s->changes, all ? slice_str("*") : sim_key(s, key), soft,
                          CAUSE_INVALIDATE, &err);
    sim_note(s, (struct event){
                    .kind = DID_MATCH,
                    .key = -1,
                    .tags = all ? (1 << HISTORY_KEYS) - 1 : 1 << key,
                    .flags = soft ? F_SOFT : 0,
                    .code = rc,
                });
}

static void evict(struct sim *s, int key)
{
    store_remove(s->store, sim_key(s, key), s->hashes[key], s->now_ms);
    sim_note(s, (struct event){.kind = DID_EVICT, .key = key});
}

static void jump(struct sim *s)
{
    int64_t ms = sim_up_to(s, sim_chance(s, 30) ? 2 * s->k.floor_ttl_ms : s->k.ttl_ms);
    s->now_ms += ms;
    sim_note(s, (struct event){.kind = DID_JUMP, .key = -1, .ttl_ms = ms});
}

/* A version of the row behind the cache: what a load from an older time would store. */
static void put_back(struct sim *s, int key)
{
    int64_t had = sim_stored_version(s, key);
    if (had < 1)
        return;
    struct put put = {
        .key = sim_key(s, key),
        .hash = s->hashes[key],
        .value = source_value(s, key, (int)had - 1),
        .has_version = true,
        .version = had - 1,
        .ttl_ms = s->k.ttl_ms,
    };
    if (store_put(s->store, &put, s->now_ms, NULL) != 0)
        abort();
    sim_note(s, (struct event){
                    .kind = DID_SET,
                    .key = key,
                    .read = sim_next_read(s),
                    .version = had - 1,
                    .had = had,
                    .flags = F_VERSIONED | F_STORED,
                });
}

/* What is read and near its end is loaded ahead of it. */
static void tick(struct sim *s)
{
    struct ahead items[AHEADS];
    struct aheads due = {.items = items, .max = AHEADS};
    struct prefetcher p = {.flights = s->flights, .loaders = &s->loader, .loader_count = 1};
    store_tick(s->store, s->now_ms, (size_t)sim_up_to(s, AHEADS), &due);
    prefetch_run(&p, s->snapshot, &due, s->now_ms);
}

/* What is none of a client's business, or not often. */
void change_some(struct sim *s)
{
    int key = (int)sim_up_to(s, s->k.keys - 1);
    if (s->plant == PLANT_BACK && sim_chance(s, 10))
        put_back(s, key);
    switch (rng_below(&s->rng, 12)) {
    case 0:
    case 1: change_tags(s, false); break;
    case 2: change_tags(s, true); break;
    case 3: change_matching(s, false); break;
    case 4: change_matching(s, true); break;
    case 5:
    case 6:
    case 7: evict(s, key); break;
    case 8: world_reload(s); break;
    case 9: jump(s); break;
    case 10: tick(s); break;
    default: store_sweep(s->store, s->now_ms, (size_t)sim_up_to(s, 4)); break;
    }
}

/* What is stored of key, now that nothing is in the air. */
void change_quiet_end(struct sim *s, int key)
{
    struct hit hit;
    buf_clear(&s->out);
    enum lookup found = store_get(s->store, sim_key(s, key), s->hashes[key], s->now_ms,
                                  WANT_PEEK | WANT_STALE | WANT_KEPT, &s->out, &hit);
    bool negative = found == LOOKUP_NEGATIVE;
    sim_note(s, (struct event){
                    .kind = DID_QUIET,
                    .key = key,
                    .read = (int)hit.load_us,
                    .version = hit.version,
                    .flags = (negative ? F_ABSENT : 0) | (hit.has_version ? F_HAS_VERSION : 0),
                    .status = found == LOOKUP_MISS                ? GOT_NOTHING
                              : negative || found == LOOKUP_FRESH ? GOT_HIT
                                                                  : GOT_STALE,
                    .seen = negative || found == LOOKUP_MISS
                                ? 0
                                : source_version_of(s, key, buf_slice(&s->out)),
                });
}
