/* What time brings: ends, ahead times, and the scan for patterns. */
#include "store/shard_priv.h"

#define STEPS_EACH  8 /* of the wheel, per entry: it moves down six levels at most, and then out */
#define STEPS_EMPTY (WHEEL_LEVELS * WHEEL_SLOTS)
#define SWEEP_EACH  256 /* entries that are judged under one hold of the lock */

static bool is_cold(struct shard *s, const struct entry *e, int64_t now)
{
    return e->reads == 0 || !entry_is_quiet(e, s->marks) || globs_behind(&s->globs, e) ||
           entry_status(e, entry_age_ms(e, now)) != LOOKUP_FRESH;
}

/* What the wheel gave out: it has passed its ahead time, or its end. */
static void take_due(struct shard *s, struct entry *e, int64_t now, struct aheads *ahead,
                     struct leavers *out)
{
    uint64_t hash = table_hash(&s->table, e);
    if (e->ahead && entry_dies_ms(e) > now) {
        e->ahead = 0;
        shard_link_deadline(s, e);
        if (ahead && !is_cold(s, e, now))
            ahead->items[ahead->count++] =
                (struct ahead){.entry = entry_ref(e), .hash = hash, .reads = e->reads};
        return;
    }
    shard_take_out(s, e, hash);
    s->expirations++;
    out->entries[out->count++] = e;
}

size_t shard_tick(struct shard *s, int64_t now_ms, size_t most, struct aheads *ahead)
{
    size_t seen = 0, left = most < SIZE_MAX / 16 ? most * STEPS_EACH + STEPS_EMPTY : SIZE_MAX;
    bool done = false;
    while (!done && seen < most && left > 0) {
        struct leavers out = {.count = 0};
        struct list due;
        list_init(&due);
        size_t steps = most - seen < LEAVERS_BATCH ? most - seen : LEAVERS_BATCH;
        steps = steps < left ? steps : left;
        if (ahead && ahead->max - ahead->count < steps)
            steps = ahead->max - ahead->count;
        if (steps == 0)
            break; /* the rest waits for the next tick */
        left -= steps;
        int64_t now = shard_lock_at(s, now_ms);
        done = wheel_expire(&s->wheel, now, steps, &due, &seen);
        for (struct list *link; (link = list_pop_front(&due));)
            take_due(s, container_of(link, struct entry, wheel), now, ahead, &out);
        pthread_mutex_unlock(&s->lock);
        leavers_release(&out);
    }
    return seen;
}

/* One hold of the lock: a batch that leaves, or some of the buckets. */
static size_t sweep_some(struct shard *s, int64_t now, struct leavers *out)
{
    size_t seen = 0;
    struct globs *gs = &s->globs;
    while (gs->bucket < s->table.buckets && seen < SWEEP_EACH && out->count < LEAVERS_BATCH) {
        for (struct entry *e = table_first(&s->table, gs->bucket), *next; e; e = next) {
            next = table_next(e);
            seen++;
            if (!globs_behind(gs, e))
                continue;
            if (out->count == LEAVERS_BATCH)
                return seen; /* again from this bucket; those that were judged are not behind */
            if (shard_judge(s, e, now))
                continue;
            shard_take_out(s, e, table_hash(&s->table, e));
            s->marked++;
            out->entries[out->count++] = e;
        }
        gs->bucket++;
    }
    return seen + 1;
}

size_t shard_sweep(struct shard *s, int64_t now_ms, size_t most)
{
    size_t seen = 0;
    for (bool more = true; more && seen < most;) {
        struct leavers out = {.count = 0};
        int64_t now = shard_lock_at(s, now_ms);
        struct globs *gs = &s->globs;
        if (gs->in_pass == 0 && gs->count > 0) {
            gs->in_pass = gs->count;
            gs->bucket = 0;
        }
        s->table.held = gs->in_pass > 0;
        if (s->table.held)
            seen += sweep_some(s, now, &out);
        else
            table_shrink(&s->table, SWEEP_EACH);
        if (s->table.held && gs->bucket >= s->table.buckets) {
            globs_pass_done(gs);
            s->table.held = false;
        }
        more = gs->count > 0;
        pthread_mutex_unlock(&s->lock);
        leavers_release(&out);
    }
    return seen;
}
