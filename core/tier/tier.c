#include "tier/tier.h"

#include "base/hash.h"
#include "base/rng.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

/* Host and process: of two servers on one host each has its own. */
static void name_node(struct tier *t)
{
    char host[TIER_NODE_MAX] = "";
    if (gethostname(host, sizeof host - 1) != 0)
        strcpy(host, "unknown");
    for (char *c = host; *c; c++) /* it goes into a text of the database */
        if ((unsigned char)*c < 0x20 || (unsigned char)*c > 0x7e)
            *c = '?';
    snprintf(t->node, sizeof t->node, "%.48s/%ld", host, (long)getpid());
}

/* As the table has it: a bigint that is not negative. */
static uint64_t new_incarnation(void)
{
    return (rng_os() >> 1) | 1;
}

int tier_new(struct tier **out, const struct conf_tier *conf, struct marks *marks, unsigned threads,
             struct err *e)
{
    *out = NULL;
    struct tier *t = calloc(1, sizeof *t);
    if (!t)
        return err_set(e, ERR_NOMEM, "no memory for the tier");
    t->conf = *conf;
    t->marks = marks;
    t->incarnation = new_incarnation();
    t->bytes = -1;
    name_node(t);
    int rc = tier_slots_init(&t->slots, (size_t)conf->slots, e);
    t->queues = calloc(threads, sizeof *t->queues);
    if (rc == 0 && !t->queues)
        rc = err_set(e, ERR_NOMEM, "no memory for the tier");
    size_t each = (size_t)conf->queue_bytes / threads;
    for (; rc == 0 && t->threads < threads; t->threads++)
        rc = tier_queue_init(&t->queues[t->threads], each, e);
    if (rc != 0) {
        tier_free(t);
        return rc;
    }
    *out = t;
    return 0;
}

void tier_free(struct tier *t)
{
    if (!t)
        return;
    for (unsigned i = 0; i < t->threads; i++)
        tier_queue_fini(&t->queues[i]);
    free(t->queues);
    tier_slots_fini(&t->slots);
    free(t);
}

struct tier_queue *tier_queue_of(struct tier *t, uint64_t hash)
{
    return &t->queues[hash_thread(hash, t->threads)];
}

void tier_changes(struct tier *t, uint64_t hash)
{
    if (t)
        tier_slots_stamp(&t->slots, hash);
}

static bool put(struct tier *t, const struct tier_value *v, size_t *count)
{
    struct tier_item *i = tier_item_new(v);
    enum tier_queued queued =
        i ? tier_queue_put(tier_queue_of(t, v->hash), &t->slots, i, count) : TIER_FULL;
    if (queued == TIER_FULL)
        tier_count(&t->numbers.dropped, 1);
    return queued == TIER_QUEUED;
}

void tier_changed(struct tier *t, const struct tier_change *c)
{
    if (!t)
        return;
    tier_slots_stamp(&t->slots, c->hash);
    if (!tier_item_can_have(c->key))
        return;
    struct tier_value mark = {
        .key = c->key,
        .hash = c->hash,
        .gone = true,
        .has_version = c->version != NULL,
        .version = c->version ? *c->version : 0,
        .loaded_wall_ms = c->wall_ms,
        .wall_ms = c->wall_ms + c->ttl_ms,
        .until_ms = c->now_ms + c->ttl_ms,
    };
    size_t count;
    if (put(t, &mark, &count))
        tier_count(&t->numbers.tombstones, 1);
}

bool tier_keep(struct tier *t, const struct tier_value *v, size_t *count)
{
    *count = 0;
    if (tier_item_can_have(v->key) && put(t, v, count))
        return true;
    tier_slots_stamp(&t->slots, v->hash);
    return false;
}

void tier_read_counts(struct tier *t, struct tier_counts *out)
{
    *out = (struct tier_counts){.queue = 0};
#define TIER_COUNT(name, text)                                                                     \
    out->name = atomic_load_explicit(&t->numbers.name, memory_order_relaxed);
    TIER_NUMBERS(TIER_COUNT)
#undef TIER_COUNT
    for (unsigned i = 0; i < t->threads; i++) {
        size_t count, bytes;
        tier_queue_read(&t->queues[i], &count, &bytes);
        out->queue += count;
        out->queue_bytes += bytes;
    }
    int64_t table = atomic_load(&t->bytes);
    out->bytes = table > 0 ? (uint64_t)table : 0;
}

bool tier_goes_down(struct tier *t)
{
    return !atomic_exchange(&t->down, true);
}

bool tier_comes_up(struct tier *t)
{
    return atomic_exchange(&t->down, false);
}

void tier_cleaned(struct tier *t, int64_t rows)
{
    tier_count(&t->numbers.cleaned, (uint64_t)rows);
    atomic_fetch_add(&t->room, rows);
}

void tier_sized(struct tier *t, int64_t bytes)
{
    atomic_store(&t->bytes, bytes);
}

bool tier_has_room(struct tier *t)
{
    if (atomic_load(&t->bytes) < t->conf.size_bytes)
        return true;
    if (atomic_fetch_sub(&t->room, 1) > 0)
        return true;
    atomic_fetch_add(&t->room, 1);
    return false;
}
