#include "tier/tier_slots.h"

#include "base/hash.h"

#include <stdlib.h>

int tier_slots_init(struct tier_slots *s, size_t count, struct err *e)
{
    atomic_init(&s->last, 0);
    s->mask = count - 1;
    s->stamps = calloc(count, sizeof *s->stamps);
    return s->stamps ? 0 : err_set(e, ERR_NOMEM, "no memory for the %zu slots of the tier", count);
}

void tier_slots_fini(struct tier_slots *s)
{
    free(s->stamps);
    s->stamps = NULL;
}

uint64_t tier_slots_now(const struct tier_slots *s)
{
    return atomic_load(&s->last);
}

uint64_t tier_slots_next(struct tier_slots *s)
{
    return atomic_fetch_add(&s->last, 1) + 1;
}

void tier_slots_stamp(struct tier_slots *s, uint64_t hash)
{
    _Atomic uint64_t *slot = &s->stamps[hash_tier(hash, s->mask)];
    uint64_t number = tier_slots_next(s);
    uint64_t had = atomic_load(slot);
    while (had < number && !atomic_compare_exchange_weak(slot, &had, number)) {
    }
}

uint64_t tier_slots_of(const struct tier_slots *s, uint64_t hash)
{
    return atomic_load(&s->stamps[hash_tier(hash, s->mask)]);
}
