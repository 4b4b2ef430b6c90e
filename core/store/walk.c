#include "store/walk.h"

#include "base/hash.h"

static uint64_t reverse(uint64_t v)
{
    v = (v >> 1 & UINT64_C(0x5555555555555555)) | (v & UINT64_C(0x5555555555555555)) << 1;
    v = (v >> 2 & UINT64_C(0x3333333333333333)) | (v & UINT64_C(0x3333333333333333)) << 2;
    v = (v >> 4 & UINT64_C(0x0f0f0f0f0f0f0f0f)) | (v & UINT64_C(0x0f0f0f0f0f0f0f0f)) << 4;
    return __builtin_bswap64(v);
}

struct walk walk_begin(const struct table *t)
{
    return (struct walk){.bits = t->level - 1};
}

struct walk_bucket walk_at(const struct table *t, const struct walk *w)
{
    size_t half = (t->mask >> 1) + 1;
    size_t i = hash_bucket(w->low | reverse(w->high >> w->bits), t->mask);
    i = i < t->buckets.count ? i : i - half;
    unsigned taken = i >= half || i + half < t->buckets.count ? t->level : t->level - 1;
    struct walk_bucket b = {.number = i};
    if (taken > w->bits) {
        uint64_t size = UINT64_C(1) << (64 - (taken - w->bits));
        b.end = (w->high & ~(size - 1)) + size;
    }
    return b;
}

bool walk_has(const struct walk *w, uint64_t hash, uint64_t *high)
{
    *high = reverse(hash) << w->bits;
    return hash_bucket(hash, (UINT64_C(1) << w->bits) - 1) == w->low && *high >= w->high;
}
