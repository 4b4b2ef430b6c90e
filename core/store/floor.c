#include "store/floor.h"

#include "base/hash.h"
#include "store/globs.h"

#include <stdlib.h>

#define BUCKETS_FIRST 16
#define SWEEP_EACH    2 /* expired floors that leave with each one raised */

struct floor {
    struct list chain, ending;
    uint64_t hash;
    int64_t version, until_ms, doubt_until_ms;
    bool there; /* it has a version */
    bool gone;
    uint32_t lifts; /* how many there had been when it was raised */
};

_Static_assert(sizeof(struct floor) == 72, "what a floor costs");

int floors_init(struct floors *fl, size_t most)
{
    *fl = (struct floors){
        .most = most > 0 ? most : 1,
        .bucket_count = BUCKETS_FIRST,
        .dropped_until_ms = INT64_MIN,
        .doubt_until_ms = INT64_MIN,
        .latest_until_ms = INT64_MIN,
    };
    list_init(&fl->ending);
    fl->buckets = malloc(BUCKETS_FIRST * sizeof *fl->buckets);
    if (!fl->buckets)
        return ERR_NOMEM;
    for (size_t i = 0; i < BUCKETS_FIRST; i++)
        list_init(&fl->buckets[i]);
    return 0;
}

static void drop(struct floors *fl, struct floor *f)
{
    list_remove(&f->chain);
    list_remove(&f->ending);
    fl->count--;
    free(f);
}

/* Patterns that no floor is older than any more. */
static void forget_lifts(struct floors *fl, int64_t now_ms)
{
    unsigned kept = 0;
    for (unsigned i = 0; i < fl->lift_count; i++)
        if (fl->lifted[i].until_ms > now_ms)
            fl->lifted[kept++] = fl->lifted[i];
        else
            shared_glob_unref(fl->lifted[i].glob);
    fl->lift_count = kept;
}

void floors_fini(struct floors *fl)
{
    if (!fl->buckets)
        return;
    while (!list_empty(&fl->ending))
        drop(fl, container_of(fl->ending.next, struct floor, ending));
    forget_lifts(fl, INT64_MAX);
    free(fl->buckets);
    fl->buckets = NULL;
}

static struct list *bucket_of(const struct floors *fl, uint64_t hash)
{
    return &fl->buckets[hash_floors(hash, fl->bucket_count - 1)];
}

static struct floor *find(const struct floors *fl, uint64_t hash)
{
    struct list *bucket = bucket_of(fl, hash);
    list_for_each (link, bucket) {
        struct floor *f = container_of(link, struct floor, chain);
        if (f->hash == hash)
            return f;
    }
    return NULL;
}

/* Doubles the buckets where chains get long; without memory they stay long. */
static void grow(struct floors *fl)
{
    if (fl->count < fl->bucket_count * 2)
        return;
    size_t old_count = fl->bucket_count;
    struct list *old = fl->buckets, *link;
    struct list *fresh = malloc(old_count * 2 * sizeof *fresh);
    if (!fresh)
        return;
    for (size_t i = 0; i < old_count * 2; i++)
        list_init(&fresh[i]);
    fl->buckets = fresh;
    fl->bucket_count = old_count * 2;
    for (size_t i = 0; i < old_count; i++)
        while ((link = list_pop_front(&old[i])))
            list_push_back(bucket_of(fl, container_of(link, struct floor, chain)->hash), link);
    free(old);
}

size_t floors_expire(struct floors *fl, int64_t now_ms, size_t most)
{
    size_t expired = 0;
    while (expired < most && !list_empty(&fl->ending)) {
        struct floor *f = container_of(fl->ending.next, struct floor, ending);
        if (f->until_ms > now_ms)
            break;
        drop(fl, f);
        expired++;
    }
    return expired;
}

static void doubt_all(struct floors *fl, int64_t until_ms)
{
    if (fl->doubt_until_ms < until_ms)
        fl->doubt_until_ms = until_ms;
}

/* The one nearest its end goes before its time. */
static void drop_early(struct floors *fl)
{
    struct floor *f = container_of(fl->ending.next, struct floor, ending);
    if (fl->dropped_until_ms < f->until_ms)
        fl->dropped_until_ms = f->until_ms;
    doubt_all(fl, f->doubt_until_ms);
    drop(fl, f);
    fl->dropped++;
}

/* The key's, a new one where it has none; NULL: no memory. */
static struct floor *floor_for(struct floors *fl, uint64_t hash, int64_t now_ms,
                               enum floor_raised *raised)
{
    *raised = FLOOR_RAISED;
    floors_expire(fl, now_ms, SWEEP_EACH);
    struct floor *f = find(fl, hash);
    if (f)
        return f;
    f = calloc(1, sizeof *f);
    if (!f) {
        *raised = FLOOR_NOMEM;
        return NULL;
    }
    if (fl->count >= fl->most) {
        drop_early(fl);
        *raised = FLOOR_DROPPED;
    }
    grow(fl);
    f->hash = hash;
    list_init(&f->ending);
    list_push_back(bucket_of(fl, hash), &f->chain);
    fl->count++;
    return f;
}

/* ttl_ms is the same for all, but for a reload between and for doubts: ends rise but for that. A
 * pattern that was lifted stays as long as the floor, for a doubt may prolong one that it concerns.
 */
static void prolong(struct floors *fl, struct floor *f, int64_t until_ms)
{
    if (f->until_ms < until_ms)
        f->until_ms = until_ms;
    if (fl->latest_until_ms < until_ms)
        fl->latest_until_ms = until_ms;
    for (unsigned i = 0; f->there && i < fl->lift_count; i++)
        if (fl->lifted[i].number > f->lifts && fl->lifted[i].until_ms < until_ms)
            fl->lifted[i].until_ms = until_ms;
    list_remove(&f->ending);
    list_push_back(&fl->ending, &f->ending);
}

/* Whether a lift has taken its height away since. */
static bool is_lifted(const struct floors *fl, const struct floor *f, struct slice key)
{
    if (f->lifts == fl->lifts)
        return false;
    if (f->lifts < fl->all_lifted)
        return true;
    for (unsigned i = 0; i < fl->lift_count; i++)
        if (fl->lifted[i].number > f->lifts && glob_matches(&fl->lifted[i].glob->glob, key, NULL))
            return true;
    return false;
}

static bool counts(const struct floors *fl, const struct floor *f, struct slice key, int64_t now_ms)
{
    return f->there && f->until_ms > now_ms && !is_lifted(fl, f, key);
}

bool floors_lift(struct floors *fl, struct slice key, uint64_t hash, int64_t now_ms)
{
    struct floor *f = find(fl, hash);
    bool had = f && counts(fl, f, key, now_ms);
    if (f)
        f->there = false;
    return had;
}

static uint32_t higher(uint32_t a, uint32_t b)
{
    return a > b ? a : b;
}

void floors_lift_all(struct floors *fl, uint32_t number)
{
    forget_lifts(fl, INT64_MAX);
    fl->all_lifted = higher(fl->all_lifted, number);
    fl->lifts = higher(fl->lifts, number);
}

static int remember_lift(struct floors *fl, struct shared_glob *g, uint32_t number,
                         int64_t until_ms)
{
    if (fl->lift_count == FLOOR_LIFTS)
        return ERR_OVERLOADED;
    fl->lifted[fl->lift_count++] =
        (struct floor_lift){.number = number, .until_ms = until_ms, .glob = shared_glob_ref(g)};
    return 0;
}

int floors_lift_match(struct floors *fl, struct shared_glob *g, uint32_t number, int64_t now_ms)
{
    forget_lifts(fl, now_ms);
    fl->lifts = higher(fl->lifts, number);
    return list_empty(&fl->ending) ? 0 : remember_lift(fl, g, number, fl->latest_until_ms);
}

enum floor_raised floors_raise(struct floors *fl, const struct floor_raise *r)
{
    enum floor_raised raised;
    struct floor *f = floor_for(fl, r->hash, r->now_ms, &raised);
    if (!f)
        return raised;
    if (!counts(fl, f, r->key, r->now_ms) || r->version > f->version) {
        f->version = r->version;
        f->gone = r->gone;
    } else if (r->version == f->version) {
        f->gone |= r->gone;
    }
    f->there = true;
    f->lifts = fl->lifts;
    prolong(fl, f, r->now_ms + r->ttl_ms);
    return raised;
}

enum floor_raised floors_doubt(struct floors *fl, uint64_t hash, int64_t now_ms, int64_t until_ms)
{
    enum floor_raised raised;
    struct floor *f = floor_for(fl, hash, now_ms, &raised);
    if (!f) {
        doubt_all(fl, until_ms);
        return raised;
    }
    if (f->until_ms <= now_ms)
        f->there = false;
    if (f->doubt_until_ms < until_ms)
        f->doubt_until_ms = until_ms;
    prolong(fl, f, until_ms);
    return raised;
}

bool floors_doubtful(const struct floors *fl, uint64_t hash, int64_t now_ms)
{
    const struct floor *f = find(fl, hash);
    return now_ms < fl->doubt_until_ms || (f && now_ms < f->doubt_until_ms);
}

struct floor_seen floors_see(const struct floors *fl, struct slice key, uint64_t hash,
                             int64_t now_ms)
{
    const struct floor *f = find(fl, hash);
    bool doubtful = now_ms < fl->doubt_until_ms || (f && now_ms < f->doubt_until_ms);
    if (!f || !counts(fl, f, key, now_ms))
        return (struct floor_seen){.doubtful = doubtful};
    return (struct floor_seen){
        .there = true,
        .gone = f->gone,
        .doubtful = doubtful,
        .version = f->version,
    };
}

bool floors_at(const struct floors *fl, size_t bucket, size_t k, struct floor_kept *out)
{
    list_for_each (link, &fl->buckets[bucket]) {
        if (k-- > 0)
            continue;
        const struct floor *f = container_of(link, struct floor, chain);
        *out = (struct floor_kept){
            .hash = f->hash,
            .version = f->version,
            .until_ms = f->until_ms,
            .doubt_until_ms = f->doubt_until_ms,
            .there = f->there,
            .gone = f->gone,
            .lifts = f->lifts,
        };
        return true;
    }
    return false;
}

enum floor_raised floors_put_back(struct floors *fl, const struct floor_kept *k, int64_t now_ms)
{
    enum floor_raised raised;
    struct floor *f = floor_for(fl, k->hash, now_ms, &raised);
    if (!f)
        return raised;
    bool there = f->there && f->until_ms > now_ms, comes = k->there && k->until_ms > now_ms;
    if (comes && (!there || k->version > f->version)) {
        f->version = k->version;
        f->gone = k->gone;
        f->lifts = k->lifts;
    } else if (comes && k->version == f->version) {
        f->gone |= k->gone;
    }
    f->there = there || comes;
    if (f->doubt_until_ms < k->doubt_until_ms)
        f->doubt_until_ms = k->doubt_until_ms;
    prolong(fl, f, k->until_ms);
    return raised;
}

int floors_put_back_lift(struct floors *fl, struct shared_glob *g, uint32_t number,
                         int64_t until_ms)
{
    for (unsigned i = 0; i < fl->lift_count; i++)
        if (fl->lifted[i].number == number) {
            if (fl->lifted[i].until_ms < until_ms)
                fl->lifted[i].until_ms = until_ms;
            return 0;
        }
    fl->lifts = higher(fl->lifts, number);
    return remember_lift(fl, g, number, until_ms);
}

void floors_put_back_all(struct floors *fl, uint32_t lifts, uint32_t all_lifted,
                         int64_t doubt_until_ms)
{
    fl->lifts = higher(fl->lifts, lifts);
    fl->all_lifted = higher(fl->all_lifted, all_lifted);
    doubt_all(fl, doubt_until_ms);
}
