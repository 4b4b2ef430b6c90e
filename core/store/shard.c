#include "store/shard_priv.h"

#include "store/compact.h"

#define TTL_OVER (-1)

static int64_t due_ms(const struct timer *timer)
{
    return entry_due_ms(container_of(timer, struct entry, timer));
}

int shard_init(struct shard *s, size_t limit_bytes, uint64_t seed, int64_t now_ms,
               const struct marks *marks)
{
    if (heap_open(s, sizeof *s) != 0)
        return ERR_NOMEM;
    s->now_ms = now_ms;
    s->negatives = s->puts = s->evictions = s->expirations = s->removals = s->refused = 0;
    s->marked = s->renewals = 0;
    s->marks = marks;
    s->globs = (struct globs){.count = 0};
    atomic_init(&s->limit_bytes, limit_bytes);
    bool made = table_init(&s->table, &s->heap, seed) == 0;
    if (!made || wheel_init(&s->wheel, s, now_ms, due_ms) != 0) {
        if (made)
            table_fini(&s->table);
        heap_close(&s->heap);
        return ERR_NOMEM;
    }
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP);
    pthread_mutex_init(&s->lock, &attr);
    pthread_mutexattr_destroy(&attr);
    policy_init(&s->policy);
    return 0;
}

void shard_fini(struct shard *s)
{
    table_fini(&s->table);
    wheel_fini(&s->wheel);
    globs_fini(&s->globs);
    policy_fini(&s->policy);
    pthread_mutex_destroy(&s->lock);
    heap_close(&s->heap);
}

int64_t shard_lock(struct shard *s, int64_t now_ms)
{
    pthread_mutex_lock(&s->lock);
    if (now_ms > s->now_ms)
        s->now_ms = now_ms;
    return s->now_ms;
}

void shard_link_deadline(struct shard *s, struct entry *e)
{
    if (entry_due_ms(e) != STORE_FOREVER_MS)
        wheel_add(&s->wheel, &e->timer);
}

/* Whether that was the last reference. New ones are taken under the lock, or by whoever has one:
 * who has the last one there is alone. */
static bool give_back(struct entry *e)
{
    return atomic_load_explicit(&e->refs, memory_order_acquire) == 1 ||
           atomic_fetch_sub_explicit(&e->refs, 1, memory_order_acq_rel) == 1;
}

void shard_let_go(struct shard *s, struct entry *e)
{
    if (give_back(e))
        heap_free(&s->heap, e, entry_units(e));
}

static void forget(struct shard *s, struct entry *e)
{
    s->negatives -= (e->flags & ENTRY_NEGATIVE) != 0;
    e->life &= (uint8_t)~ENTRY_STORED;
}

void shard_leave(struct shard *s, struct entry *e)
{
    wheel_remove(&s->wheel, &e->timer);
    wheel_settle(&s->wheel, 1);
    forget(s, e);
    shard_let_go(s, e);
}

void shard_take_out(struct shard *s, struct entry *e, uint64_t hash)
{
    table_remove(&s->table, e, hash);
    policy_remove(&s->policy, e);
    shard_leave(s, e);
}

void shard_take_out_all(struct shard *s, const struct leaving *all, size_t count)
{
    struct heap_run run = {.units = 0};
    for (size_t i = 0; i < count; i++) {
        struct entry *e = all[i].e;
        table_leave(&s->table, e, all[i].hash);
        policy_leave(&s->policy, e, (size_t)all[i].units * HEAP_UNIT);
        forget(s, e);
        if (give_back(e))
            heap_run_add(&s->heap, &run, e, all[i].units);
    }
    heap_run_end(&s->heap, &run);
}

/* What is left of a span that began so long ago; of one without an end so much that it has none. */
static int64_t rest_of(uint16_t span, int64_t past_ms)
{
    return span_ms(span) - past_ms;
}

/* Stale from now on, where it was fresh; as long as it would have been, where it is stale. Its
 * fresh time of 0 says that it was made so. */
static void soften(struct shard *s, struct entry *e, int64_t now)
{
    int64_t left = entry_left_ms(e, entry_age_ms(e, now)), past = left < 0 ? -left : 0;
    if (entry_is_made_stale(e))
        return;
    wheel_remove(&s->wheel, &e->timer);
    const struct put over = {.ttl_ms = TTL_OVER,
                             .stale_ttl_ms = rest_of(e->stale, past),
                             .keep_ms = rest_of(e->keep, past)};
    entry_set_deadlines(e, &over, now);
    shard_link_deadline(s, e);
}

bool shard_judge(struct shard *s, struct entry *e, int64_t now)
{
    enum mark mark = entry_judge_tags(e, s->marks);
    if (mark != MARK_HARD && globs_behind(&s->globs, e)) {
        enum mark by_glob = globs_judge(&s->globs, e);
        mark = by_glob > mark ? by_glob : mark;
    }
    if (mark == MARK_SOFT)
        soften(s, e, now);
    return mark != MARK_HARD;
}

/* Nothing is left of it. Apart, so that the way of a hit stays short. */
static __attribute__((noinline, cold)) struct entry *drop_dead(struct shard *s, struct entry *e,
                                                               uint64_t hash, bool marked)
{
    shard_take_out(s, e, hash);
    s->marked += marked;
    s->expirations += !marked;
    return NULL;
}

/* What has no answer to give; apart for the same reason. */
static __attribute__((noinline, cold)) struct entry *
take_aside(struct shard *s, struct entry *e, uint64_t hash, unsigned want, enum lookup *status)
{
    if (*status == LOOKUP_MISS)
        return drop_dead(s, e, hash, false);
    if (want & WANT_CANDIDATE)
        return e;
    *status = LOOKUP_MISS;
    return NULL;
}

/* The entry, if there is any left of it for a reader at now, with its age and ttl. */
static inline __attribute__((always_inline)) struct entry *
find_live(struct shard *s, struct slice key, uint64_t hash, int64_t now, unsigned want,
          enum lookup *status, struct hit *hit)
{
    *status = LOOKUP_MISS;
    struct entry *e = table_find(&s->table, key, hash);
    if (!e)
        return NULL;
    bool quiet = entry_is_quiet(e, s->marks) && !globs_behind(&s->globs, e);
    if (__builtin_expect(!quiet, 0) && !shard_judge(s, e, now))
        return drop_dead(s, e, hash, true);
    hit->age_ms = entry_age_ms(e, now);
    hit->ttl_ms = entry_left_ms(e, hit->age_ms);
    *status = entry_status_left(e, hit->ttl_ms);
    return *status <= LOOKUP_CANDIDATE ? take_aside(s, e, hash, want, status) : e;
}

static bool value_wanted(enum lookup status, unsigned want)
{
    return status == LOOKUP_FRESH || (status == LOOKUP_STALE && want & WANT_STALE) ||
           ((status == LOOKUP_KEPT || status == LOOKUP_CANDIDATE) && want & WANT_KEPT);
}

static bool has_room(const struct buf *out, size_t n)
{
    return n <= out->capacity - out->size && (out->max == 0 || n <= out->max - out->size) &&
           out->data;
}

static void copy_out(struct buf *out, struct slice value)
{
    size_t n = value.size;
    /* Where gcc knows the bound of n it writes `rep movs`, which takes 6 ns more than the call. */
    __asm__("" : "+r"(n));
    memcpy(out->data + out->size, value.data, n);
    out->size += n;
}

static void fill_hit(struct hit *hit, const struct entry *e, unsigned want)
{
    hit->owner = e->owner;
    hit->early = e->life & ENTRY_EARLY;
    if (want & WANT_BARE && !hit->early)
        return;
    int64_t load_us = entry_load_us(e);
    hit->has_version = e->flags & ENTRY_VERSIONED;
    hit->version = entry_version(e);
    hit->load_us = load_us < UINT32_MAX ? (uint32_t)load_us : UINT32_MAX;
}

enum lookup shard_get(struct shard *s, struct slice key, uint64_t hash, int64_t now_ms,
                      unsigned want, struct buf *out, struct hit *hit)
{
    *hit = (struct hit){.entry = NULL};
    int64_t now = shard_lock(s, now_ms);
    enum lookup status;
    struct entry *e = find_live(s, key, hash, now, want, &status, hit);
    if (!e) {
        pthread_mutex_unlock(&s->lock);
        *hit = (struct hit){.entry = NULL};
        return LOOKUP_MISS;
    }
    if (!(want & WANT_PEEK)) {
        policy_read(e);
        entry_count_read(e);
    }
    fill_hit(hit, e, want);
    struct entry *held = NULL;
    size_t size = entry_value_size(e);
    bool wanted = value_wanted(status, want), copy = out && size <= STORE_COPY_MAX;
    if (wanted && copy && has_room(out, size)) {
        copy_out(out, entry_value(e));
        wanted = false;
    } else if (wanted) {
        held = entry_hold(e);
    }
    pthread_mutex_unlock(&s->lock);
    bool failed = wanted && !held;
    if (held && copy) { /* out has to grow first, which is nothing to do under a lock */
        struct slice value = entry_value(held);
        failed = buf_append(out, value.data, value.size) != 0;
        entry_unref(held);
        held = NULL;
    }
    if (failed) {
        *hit = (struct hit){.entry = NULL};
        return LOOKUP_MISS;
    }
    hit->entry = held;
    return status;
}

bool shard_remove(struct shard *s, struct slice key, uint64_t hash, int64_t now_ms,
                  const int64_t *version)
{
    int64_t now = shard_lock(s, now_ms);
    enum lookup status;
    struct hit hit;
    struct entry *e = find_live(s, key, hash, now, WANT_CANDIDATE, &status, &hit);
    bool counts = e && status != LOOKUP_CANDIDATE;
    bool stays = counts && version && status != LOOKUP_NEGATIVE && e->flags & ENTRY_VERSIONED &&
                 entry_version(e) >= *version;
    if (e && !stays) {
        shard_take_out(s, e, hash);
        s->removals++;
    }
    pthread_mutex_unlock(&s->lock);
    return counts && !stays;
}

bool shard_touch(struct shard *s, const struct put *deadlines, int64_t now_ms)
{
    int64_t now = shard_lock(s, now_ms);
    enum lookup status;
    struct hit hit;
    struct entry *e = find_live(s, deadlines->key, deadlines->hash, now, 0, &status, &hit);
    bool may = (status == LOOKUP_FRESH || status == LOOKUP_STALE) && !entry_is_made_stale(e);
    if (may) {
        wheel_remove(&s->wheel, &e->timer);
        entry_set_deadlines(e, deadlines, now);
        shard_link_deadline(s, e);
    }
    pthread_mutex_unlock(&s->lock);
    return may;
}

bool shard_expire(struct shard *s, struct slice key, uint64_t hash, int64_t now_ms)
{
    int64_t now = shard_lock(s, now_ms);
    enum lookup status;
    struct hit hit;
    struct entry *e = find_live(s, key, hash, now, 0, &status, &hit);
    if (e)
        soften(s, e, now);
    pthread_mutex_unlock(&s->lock);
    return e != NULL;
}

bool shard_has_glob_room(struct shard *s, unsigned most)
{
    pthread_mutex_lock(&s->lock);
    bool room = s->globs.count < most;
    pthread_mutex_unlock(&s->lock);
    return room;
}

void shard_apply_glob(struct shard *s, struct shared_glob *g)
{
    pthread_mutex_lock(&s->lock);
    if (s->table.entries > 0)
        globs_add(&s->globs, g);
    pthread_mutex_unlock(&s->lock);
}

void shard_read_stats(struct shard *s, struct store_stats *sum)
{
    pthread_mutex_lock(&s->lock);
    heap_collect(&s->heap);
    size_t resident = (size_t)s->heap.touched * HEAP_UNIT;
    sum->entries += s->table.entries;
    sum->negatives += s->negatives;
    sum->bytes +=
        resident + policy_bytes(&s->policy) + table_bytes(&s->table) + wheel_bytes(&s->wheel);
    sum->entry_bytes += s->policy.small_bytes + s->policy.main_bytes;
    sum->holes += (size_t)s->heap.hole_units * HEAP_UNIT;
    sum->puts += s->puts;
    sum->evictions += s->evictions;
    sum->expirations += s->expirations;
    sum->removals += s->removals;
    sum->refused += s->refused;
    sum->marked += s->marked;
    sum->renewals += s->renewals;
    if (s->globs.count > sum->globs)
        sum->globs = s->globs.count;
    pthread_mutex_unlock(&s->lock);
}
