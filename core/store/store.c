#include "store/store.h"

#include "base/hash.h"
#include "store/dump.h"
#include "store/restore.h"

#include <stdlib.h>

struct store {
    char *heaps; /* owned; a shard at the start of each */
    unsigned count;
    unsigned shift; /* of hash_shard */
    uint64_t seed;
    int64_t start_ms; /* of the shards' times */
    unsigned globs_max;
    pthread_mutex_t globs_lock; /* one pattern at a time, so that the room that was seen stays */
};

static struct shard *shard_at(const struct store *s, size_t i)
{
    return (struct shard *)heap_in(s->heaps + i * HEAP_RANGE);
}

static struct shard *shard_of(const struct store *s, uint64_t hash)
{
    return shard_at(s, hash_shard(hash, s->shift));
}

/* A time as the shards count it. */
static int64_t since_start(const struct store *s, int64_t now_ms)
{
    return now_ms > s->start_ms ? now_ms - s->start_ms : 0;
}

static int check_options(const struct store_options *o, struct err *e)
{
    if (o->shards == 0 || o->shards > HASH_SHARD_MOST || (o->shards & (o->shards - 1)) != 0)
        return err_set(e, ERR_CONFIG, "shards: %u is no power of two between 1 and %d", o->shards,
                       HASH_SHARD_MOST);
    if (o->memory_bytes / o->shards < SHARD_LEAST_BYTES)
        return err_set(e, ERR_CONFIG, "memory: %zu bytes are too few, %u shards need %zu",
                       o->memory_bytes, o->shards, (size_t)o->shards * SHARD_LEAST_BYTES);
    if (o->memory_bytes / o->shards > HEAP_RANGE)
        return err_set(e, ERR_CONFIG, "memory: %zu bytes are too many, %u shards hold %zu",
                       o->memory_bytes, o->shards, (size_t)o->shards * (size_t)HEAP_RANGE);
    return 0;
}

/* A shard's, within its bounds: a heap is a little less than its range. */
static size_t share_of(size_t memory_bytes, size_t shards)
{
    size_t share = memory_bytes / shards;
    share = share < HEAP_BYTES ? share : HEAP_BYTES;
    return share > SHARD_LEAST_BYTES ? share : SHARD_LEAST_BYTES;
}

int store_new(struct store **out, const struct store_options *o, struct err *e)
{
    *out = NULL;
    int rc = check_options(o, e);
    if (rc != 0)
        return rc;
    struct store *s = malloc(sizeof(*s));
    char *heaps = heaps_reserve(o->shards);
    unsigned ready = 0;
    if (s && heaps) {
        size_t share = share_of(o->memory_bytes, o->shards);
        *s = (struct store){.heaps = heaps};
        while (ready < o->shards &&
               shard_init(shard_at(s, ready), share, o->seed, SHARD_PAST_MS, o->marks) == 0)
            ready++;
    }
    if (ready < o->shards) {
        while (ready > 0)
            shard_fini(shard_at(s, --ready));
        if (heaps)
            heaps_release(heaps, o->shards);
        free(s);
        return err_set(e, ERR_NOMEM, "no %s for the store's %u shards",
                       heaps ? "memory" : "address space", o->shards);
    }
    *s = (struct store){
        .heaps = heaps,
        .count = o->shards,
        .shift = 63 - (unsigned)__builtin_ctz(o->shards),
        .seed = o->seed,
        .start_ms = o->now_ms - SHARD_PAST_MS,
        .globs_max = o->globs_max ? o->globs_max : STORE_GLOBS_MAX,
    };
    pthread_mutex_init(&s->globs_lock, NULL);
    *out = s;
    return 0;
}

void store_free(struct store *s)
{
    if (!s)
        return;
    for (unsigned i = 0; i < s->count; i++)
        shard_fini(shard_at(s, i));
    pthread_mutex_destroy(&s->globs_lock);
    heaps_release(s->heaps, s->count);
    free(s);
}

size_t store_size_of(const struct put *p)
{
    return entry_size(p);
}

size_t store_largest(const struct store *s, uint64_t hash)
{
    return shard_largest(shard_of(s, hash));
}

uint64_t store_hash(const struct store *s, struct slice key)
{
    return hash_slice(key, s->seed);
}

void store_prefetch(const struct store *s, uint64_t hash)
{
    table_prefetch_bucket(&shard_of(s, hash)->table, hash);
}

void store_prefetch_entry(const struct store *s, uint64_t hash)
{
    table_prefetch_entry(&shard_of(s, hash)->table, hash);
}

enum lookup store_get(struct store *s, struct slice key, uint64_t hash, int64_t now_ms,
                      unsigned want, struct buf *out, struct hit *hit)
{
    return shard_get(shard_of(s, hash), key, hash, since_start(s, now_ms), want, out, hit);
}

int store_put(struct store *s, const struct put *p, int64_t now_ms, struct err *e)
{
    return shard_put(shard_of(s, p->hash), p, since_start(s, now_ms), e);
}

bool store_make_room(struct store *s, const struct put *p, struct room *room)
{
    return shard_make_room(shard_of(s, p->hash), p, room);
}

bool store_remove(struct store *s, struct slice key, uint64_t hash, int64_t now_ms)
{
    return shard_remove(shard_of(s, hash), key, hash, since_start(s, now_ms), NULL);
}

bool store_remove_below(struct store *s, struct slice key, uint64_t hash, int64_t now_ms,
                        int64_t version)
{
    return shard_remove(shard_of(s, hash), key, hash, since_start(s, now_ms), &version);
}

bool store_touch(struct store *s, const struct put *deadlines, int64_t now_ms)
{
    return shard_touch(shard_of(s, deadlines->hash), deadlines, since_start(s, now_ms));
}

bool store_expire(struct store *s, struct slice key, uint64_t hash, int64_t now_ms)
{
    return shard_expire(shard_of(s, hash), key, hash, since_start(s, now_ms));
}

static int by_reads(const void *a, const void *b)
{
    unsigned left = ((const struct ahead *)a)->reads, right = ((const struct ahead *)b)->reads;
    return (left < right) - (left > right);
}

size_t store_tick(struct store *s, int64_t now_ms, size_t most, struct aheads *out)
{
    int64_t now = since_start(s, now_ms);
    /* Another shard goes first every time: where `most` is too little for all, none is left out. */
    size_t first = (size_t)(now / STORE_TICK_MS), seen = 0;
    for (size_t i = 0; i < s->count && seen < most; i++)
        seen += shard_tick(shard_at(s, (first + i) & (s->count - 1)), now, most - seen, out);
    if (out && out->count > 1)
        qsort(out->items, out->count, sizeof *out->items, by_reads);
    return seen;
}

int store_apply_glob(struct store *s, const struct glob *g, bool soft)
{
    struct shared_glob *shared = shared_glob_new(g, soft);
    if (!shared)
        return ERR_NOMEM;
    int rc = 0;
    pthread_mutex_lock(&s->globs_lock);
    for (unsigned i = 0; i < s->count && rc == 0; i++)
        rc = shard_has_glob_room(shard_at(s, i), s->globs_max) ? 0 : ERR_OVERLOADED;
    for (unsigned i = 0; i < s->count && rc == 0; i++)
        shard_apply_glob(shard_at(s, i), shared);
    pthread_mutex_unlock(&s->globs_lock);
    shared_glob_unref(shared);
    return rc;
}

size_t store_sweep(struct store *s, int64_t now_ms, size_t most)
{
    int64_t now = since_start(s, now_ms);
    size_t first = (size_t)(now / STORE_TICK_MS), seen = 0;
    for (size_t i = 0; i < s->count && seen < most; i++)
        seen += shard_sweep(shard_at(s, (first + i) & (s->count - 1)), now, most - seen);
    return seen;
}

void store_set_memory(struct store *s, size_t memory_bytes, int64_t now_ms)
{
    (void)now_ms; /* who leaves is not a question of time */
    size_t share = share_of(memory_bytes, s->count);
    for (unsigned i = 0; i < s->count; i++)
        shard_set_limit(shard_at(s, i), share);
}

void store_read_stats(struct store *s, struct store_stats *out)
{
    *out = (struct store_stats){.entries = 0};
    for (unsigned i = 0; i < s->count; i++) {
        shard_read_stats(shard_at(s, i), out);
        out->memory_limit +=
            atomic_load_explicit(&shard_at(s, i)->limit_bytes, memory_order_relaxed);
    }
}

int store_dump(struct store *s, struct dump_cursor *cursor, int64_t now_ms, size_t most_bytes,
               struct buf *out, size_t *count)
{
    struct walk walk = {.bits = cursor->bits, .low = cursor->low, .high = cursor->high};
    *count = 0;
    if (cursor->done)
        return 0;
    int rc = dump_piece(shard_at(s, cursor->shard), &walk, &cursor->begun, since_start(s, now_ms),
                        most_bytes, out, count);
    if (rc != 0)
        return rc;
    cursor->bits = (uint8_t)walk.bits;
    cursor->low = walk.low;
    cursor->high = walk.high;
    if (!walk_is_over(&walk))
        return 0;
    *cursor = (struct dump_cursor){.shard = cursor->shard + 1};
    cursor->done = cursor->shard == s->count;
    return 0;
}

int store_restore(struct store *s, const struct record *r, const struct restore *how,
                  int64_t now_ms, bool *stored, struct err *e)
{
    uint64_t hash = store_hash(s, r->key);
    return restore_in(shard_of(s, hash), r, how, hash, since_start(s, now_ms), stored, e);
}
