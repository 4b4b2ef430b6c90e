#include "net/shed.h"

#define LARGE_PART 1024 /* of the limit: what is more at once is large */
#define FEW_PART   32   /* of the limit: results that take less are few */

void shed_init(struct shed *s)
{
    *s = (struct shed){.busy = 0};
    for (int i = 0; i < SHED_BUCKETS; i++)
        list_init(&s->buckets[i]);
    list_init(&s->unread);
}

/* Its bucket: the number of the highest bit. */
static unsigned bucket_of(size_t held)
{
    return held == 0 ? 0 : 63 - (unsigned)__builtin_clzll(held);
}

static void link(struct shed *s, struct shed_member *m)
{
    unsigned i = bucket_of(m->held);
    list_push_back(&s->buckets[i], &m->link);
    s->busy |= UINT64_C(1) << i;
}

static void unlink_from(struct shed *s, struct shed_member *m)
{
    unsigned i = bucket_of(m->held);
    list_remove(&m->link);
    if (list_empty(&s->buckets[i]))
        s->busy &= ~(UINT64_C(1) << i);
}

void shed_enter(struct shed *s, struct shed_member *m)
{
    *m = (struct shed_member){.held = 0};
    list_init(&m->unread);
    link(s, m);
}

void shed_leave(struct shed *s, struct shed_member *m)
{
    unlink_from(s, m);
    list_remove(&m->unread);
}

void shed_move(struct shed *s, struct shed_member *m, size_t held)
{
    if (bucket_of(held) == bucket_of(m->held)) {
        m->held = held;
        return;
    }
    unlink_from(s, m);
    m->held = held;
    link(s, m);
}

struct shed_member *shed_largest(struct shed *s)
{
    if (!s->busy)
        return NULL;
    struct list *bucket = &s->buckets[63 - __builtin_clzll(s->busy)];
    return container_of(bucket->next, struct shed_member, link);
}

size_t shed_edge(const struct shed *s)
{
    return s->busy ? (size_t)1 << (63 - __builtin_clzll(s->busy)) : 0;
}

enum shed_state shed_state_of(size_t held, size_t limit)
{
    if (held > limit)
        return SHED_FULL;
    if (held > limit - limit / 16)
        return SHED_OVER;
    return held > limit - limit / 8 ? SHED_NEAR : SHED_QUIET;
}

bool shed_admits(size_t held, size_t bytes, size_t limit)
{
    size_t most = bytes > limit / LARGE_PART ? limit - limit / 16 : limit;
    return held <= most && bytes <= most - held;
}

bool shed_admits_result(const void *ledger, size_t bytes)
{
    const struct ledger *l = ledger;
    size_t limit = ledger_limit(l);
    if (ledger_results() <= limit / FEW_PART)
        return true;
    return shed_admits(ledger_held(l) - bytes, bytes, limit);
}

size_t shed_fair_share(size_t limit, size_t connections)
{
    size_t share = limit / (connections ? connections : 1);
    return share > SHED_SMALL ? share : SHED_SMALL;
}

void shed_pause(struct shed *s, struct shed_member *m)
{
    if (!shed_is_paused(m))
        list_push_back(&s->unread, &m->unread);
}

struct shed_member *shed_resume(struct shed *s)
{
    struct list *link = list_pop_front(&s->unread);
    return link ? container_of(link, struct shed_member, unread) : NULL;
}

void shed_begin(struct shed *s, int64_t now_ms)
{
    s->since_ms = now_ms;
}

bool shed_is_stuck(struct shed *s, int64_t now_ms)
{
    if (now_ms - s->since_ms < SHED_PATIENCE_MS)
        return false;
    s->since_ms = now_ms;
    return true;
}
