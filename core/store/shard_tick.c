/* What time brings: ends, ahead times, and the scan for patterns. */
#include "store/compact.h"
#include "store/shard_priv.h"

#define STEPS_EACH  8 /* of the wheel, per entry: it moves down six levels at most, and then out */
#define STEPS_EMPTY WHEEL_SLOTS
#define KEY_REACH   16  /* bytes of the key that are surely asked for */
#define SWEEP_EACH  256 /* entries that are judged under one hold of the lock */

/* In units of the heap: holes are gathered in a tick where they are more, and a part this large of
 * all; so many in one tick. */
#define SETTLE_LEAST  ((64u << 10) / HEAP_UNIT)
#define SETTLE_SHARE  4
#define SETTLE_EACH   ((4u << 10) / HEAP_UNIT)
#define SHRINK_EACH   256 /* buckets that are given back in a tick */
#define SETTLE_TIMERS 256 /* that change their spot in the wheel for this */

/* What left with no put after it: its memory goes back to the system, bit by bit. */
static void settle(struct shard *s)
{
    struct heap *a = &s->heap;
    heap_collect(a);
    if (!s->table.held)
        table_shrink(&s->table, SHRINK_EACH);
    wheel_settle(&s->wheel, SETTLE_TIMERS);
    if (a->hole_units > SETTLE_LEAST && a->hole_units > a->top / SETTLE_SHARE)
        compact(a, &s->table, &s->wheel, UINT32_MAX, SETTLE_EACH);
}

/* Not worth a load ahead of its end. */
static bool is_cold(struct shard *s, const struct entry *e, int64_t now)
{
    return e->reads == 0 || !entry_is_quiet(e, s->marks) || globs_behind(&s->globs, e) ||
           entry_status(e, entry_age_ms(e, now)) != LOOKUP_FRESH;
}

static void pass_ahead(struct shard *s, struct entry *e, uint64_t hash, int64_t now,
                       struct aheads *ahead)
{
    float share = entry_ahead_share(e);
    e->ahead = 0;
    shard_link_deadline(s, e);
    if (ahead && !is_cold(s, e, now))
        ahead->items[ahead->count++] =
            (struct ahead){.entry = entry_ref(e), .hash = hash, .reads = e->reads, .share = share};
}

/* What the wheel gave out has passed its ahead time, or its end. The memory that an entry's leaving
 * touches is asked for some entries ahead: the wheel did it for the header, here it is the key. */
static void take_due(struct shard *s, struct timer *const *due, size_t due_count, int64_t now,
                     struct aheads *ahead)
{
    struct leaving leaving[SHARD_BATCH];
    size_t count = 0;
    for (size_t i = 0; i < due_count; i++)
        __builtin_prefetch(container_of(due[i], struct entry, timer)->data + KEY_REACH);
    for (size_t i = 0; i < due_count; i++) {
        struct entry *e = container_of(due[i], struct entry, timer);
        uint64_t hash = table_hash(&s->table, e);
        if (e->ahead && entry_dies_ms(e) > now) {
            pass_ahead(s, e, hash, now, ahead);
            continue;
        }
        uint32_t units = entry_units(e);
        leaving[count++] = (struct leaving){.e = e, .hash = hash, .units = units};
        table_prefetch_bucket(&s->table, hash);
        __builtin_prefetch(near_list_prev(&e->queue), 1);
        __builtin_prefetch(near_list_next(&e->queue), 1);
        __builtin_prefetch((const char *)e + (size_t)units * HEAP_UNIT,
                           1); /* what follows it in the heap */
    }
    shard_take_out_all(s, leaving, count);
    s->expirations += count;
}

size_t shard_tick(struct shard *s, int64_t now_ms, size_t most, struct aheads *ahead)
{
    size_t seen = 0, left = most < SIZE_MAX / 16 ? most * STEPS_EACH + STEPS_EMPTY : SIZE_MAX;
    bool done = false;
    while (!done && seen < most && left > 0) {
        size_t steps = most - seen < SHARD_BATCH ? most - seen : SHARD_BATCH;
        steps = steps < left ? steps : left;
        if (ahead && ahead->max - ahead->count < steps)
            steps = ahead->max - ahead->count;
        if (steps == 0)
            break; /* the rest waits for the next tick */
        left -= steps;
        int64_t now = shard_lock(s, now_ms);
        struct timer *due[SHARD_BATCH];
        size_t count;
        done = wheel_expire(&s->wheel, now, steps, due, &count);
        take_due(s, due, count, now, ahead);
        seen += count;
        shard_keep_limit(s);
        if (done)
            settle(s);
        pthread_mutex_unlock(&s->lock);
    }
    return seen;
}

/* One hold of the lock: a batch that leaves, or some of the buckets. */
static size_t sweep_some(struct shard *s, int64_t now)
{
    size_t seen = 0, left = 0;
    struct globs *gs = &s->globs;
    while (gs->bucket < s->table.buckets.count && seen < SWEEP_EACH && left < SHARD_BATCH) {
        size_t k = 0;
        for (struct entry *e; (e = table_at(&s->table, gs->bucket, k));) {
            seen++;
            if (globs_behind(gs, e) && left == SHARD_BATCH)
                return seen; /* again from this bucket; those that were judged are not behind */
            if (!globs_behind(gs, e) || shard_judge(s, e, now)) {
                k++;
                continue;
            }
            shard_take_out(s, e, table_hash(&s->table, e));
            s->marked++;
            left++;
        }
        gs->bucket++;
    }
    return seen + 1;
}

size_t shard_sweep(struct shard *s, int64_t now_ms, size_t most)
{
    size_t seen = 0;
    for (bool more = true; more && seen < most;) {
        int64_t now = shard_lock(s, now_ms);
        struct globs *gs = &s->globs;
        if (gs->in_pass == 0 && gs->count > 0) {
            gs->in_pass = gs->count;
            gs->bucket = 0;
        }
        s->table.held = gs->in_pass > 0;
        if (s->table.held)
            seen += sweep_some(s, now);
        else
            table_shrink(&s->table, SWEEP_EACH);
        if (s->table.held && gs->bucket >= s->table.buckets.count) {
            globs_pass_done(gs);
            s->table.held = false;
        }
        more = gs->count > 0;
        pthread_mutex_unlock(&s->lock);
    }
    return seen;
}
