#include "store/shard_priv.h"

#include "base/show.h"

#define TTL_OVER (-1)

static int64_t due_ms(const struct list *link)
{
    return entry_due_ms(container_of(link, struct entry, wheel));
}

int shard_init(struct shard *s, size_t limit_bytes, uint64_t seed, const struct marks *marks)
{
    s->now_ms = 0;
    s->entry_bytes = 0;
    s->negatives = s->puts = s->evictions = s->expirations = s->removals = s->refused = 0;
    s->marked = s->renewals = 0;
    s->marks = marks;
    s->globs = (struct globs){.count = 0};
    atomic_init(&s->limit_bytes, limit_bytes);
    if (table_init(&s->table, seed) != 0)
        return ERR_NOMEM;
    pthread_mutexattr_t attr;
    pthread_mutexattr_init(&attr);
    pthread_mutexattr_settype(&attr, PTHREAD_MUTEX_ADAPTIVE_NP);
    pthread_mutex_init(&s->lock, &attr);
    pthread_mutexattr_destroy(&attr);
    policy_init(&s->policy, limit_bytes);
    wheel_init(&s->wheel, 0, due_ms);
    return 0;
}

void shard_fini(struct shard *s)
{
    for (size_t i = 0; i < s->table.buckets; i++) {
        for (struct entry *e = table_first(&s->table, i), *next; e; e = next) {
            next = table_next(e);
            entry_unref(e);
        }
    }
    table_fini(&s->table);
    globs_fini(&s->globs);
    policy_fini(&s->policy);
    pthread_mutex_destroy(&s->lock);
}

static size_t total_bytes(const struct shard *s)
{
    return sizeof(*s) + s->entry_bytes + table_bytes(&s->table) + policy_bytes(&s->policy);
}

static size_t limit_of(const struct shard *s)
{
    return atomic_load_explicit(&s->limit_bytes, memory_order_relaxed);
}

static void count_in(struct shard *s, const struct entry *e)
{
    s->entry_bytes += entry_bytes(e);
    s->negatives += (e->flags & ENTRY_NEGATIVE) != 0;
}

/* Fresh until now, stale from now on. */
static void soften(struct shard *s, struct entry *e, int64_t now)
{
    enum lookup status = entry_status(e, entry_age_ms(e, now));
    if (status != LOOKUP_FRESH && status != LOOKUP_NEGATIVE)
        return;
    wheel_remove(&e->wheel);
    const struct put over = {
        .ttl_ms = TTL_OVER, .stale_ttl_ms = span_ms(e->stale), .keep_ms = span_ms(e->keep)};
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

/* The entry, if there is any left of it for a reader at now; else *gone is what has left the shard,
 * or NULL. */
static inline struct entry *find_live(struct shard *s, struct slice key, uint64_t hash, int64_t now,
                                      enum lookup *status, struct entry **gone)
{
    *gone = NULL;
    *status = LOOKUP_MISS;
    struct entry *e = table_find(&s->table, key, hash);
    if (!e)
        return NULL;
    bool quiet = entry_is_quiet(e, s->marks) && !globs_behind(&s->globs, e);
    bool marked = __builtin_expect(!quiet, 0) && !shard_judge(s, e, now);
    if (!marked)
        *status = entry_status(e, entry_age_ms(e, now));
    if (*status != LOOKUP_MISS)
        return e;
    shard_take_out(s, e, hash);
    s->marked += marked;
    s->expirations += !marked;
    *gone = e;
    return NULL;
}

/* Lets entries leave until `more` bytes fit, `kept` not; at most a batch. Whether they fit. */
static bool make_room(struct shard *s, size_t more, struct entry *kept, struct leavers *out)
{
    while (total_bytes(s) + more > limit_of(s) && out->count < LEAVERS_BATCH) {
        struct entry *e = policy_victim(&s->policy, kept);
        if (!e)
            break;
        uint64_t hash = table_hash(&s->table, e);
        policy_evict(&s->policy, e, hash);
        table_remove(&s->table, e, hash);
        wheel_remove(&e->wheel);
        shard_count_out(s, e);
        s->evictions++;
        out->entries[out->count++] = e;
    }
    return total_bytes(s) + more <= limit_of(s);
}

static bool value_wanted(enum lookup status, unsigned want)
{
    return status == LOOKUP_FRESH || (status == LOOKUP_STALE && want & WANT_STALE) ||
           (status == LOOKUP_KEPT && want & WANT_KEPT);
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

static void fill_hit(struct hit *hit, const struct entry *e, int64_t age_ms)
{
    hit->has_version = e->flags & ENTRY_VERSIONED;
    hit->version = entry_version(e);
    hit->age_ms = age_ms;
    hit->ttl_ms = e->fresh == SPAN_FOREVER ? STORE_FOREVER_MS : span_ms(e->fresh) - age_ms;
    hit->load_us = e->load_us;
    hit->owner = e->owner;
    hit->early = e->flags & ENTRY_EARLY;
}

enum lookup shard_get(struct shard *s, struct slice key, uint64_t hash, int64_t now_ms,
                      unsigned want, struct buf *out, struct hit *hit)
{
    *hit = (struct hit){.entry = NULL};
    int64_t now = shard_lock_at(s, now_ms);
    enum lookup status;
    struct entry *gone, *e = find_live(s, key, hash, now, &status, &gone);
    if (!e) {
        pthread_mutex_unlock(&s->lock);
        entry_unref(gone);
        return LOOKUP_MISS;
    }
    if (!(want & WANT_PEEK)) {
        policy_read(e);
        entry_count_read(e);
    }
    fill_hit(hit, e, entry_age_ms(e, now));
    struct entry *held = NULL;
    bool copy = out && e->value_size <= STORE_COPY_MAX;
    if (value_wanted(status, want)) {
        if (copy && has_room(out, e->value_size)) {
            copy_out(out, entry_value(e));
        } else {
            held = entry_ref(e);
        }
    }
    pthread_mutex_unlock(&s->lock);
    if (held && copy) { /* out has to grow first, which is nothing to do under a lock */
        struct slice value = entry_value(held);
        int rc = buf_append(out, value.data, value.size);
        entry_unref(held);
        if (rc != 0) {
            *hit = (struct hit){.entry = NULL};
            return LOOKUP_MISS;
        }
    } else {
        hit->entry = held;
    }
    return status;
}

/* What was stored is known to be old. */
static void refuse(struct shard *s, const struct put *p, int64_t now_ms)
{
    shard_lock_at(s, now_ms);
    struct entry *old = table_find(&s->table, p->key, p->hash);
    if (old)
        shard_take_out(s, old, p->hash);
    s->refused++;
    pthread_mutex_unlock(&s->lock);
    entry_unref(old);
}

static void put_in(struct shard *s, struct entry *old, struct entry *e, uint64_t hash)
{
    if (old) {
        table_replace(&s->table, old, e, hash);
        policy_replace(&s->policy, old, e);
        wheel_remove(&old->wheel);
        shard_count_out(s, old);
    } else {
        table_add(&s->table, e, hash);
        policy_add(&s->policy, e, hash);
    }
    e->globs_seen = s->globs.issued;
    shard_link_deadline(s, e);
    count_in(s, e);
    s->puts++;
}

/* Takes over the caller's reference on success. */
static bool put_entry(struct shard *s, struct entry *e, const struct put *p, int64_t now_ms)
{
    struct leavers out = {.count = 0};
    struct entry *old;
    for (;;) {
        int64_t now = shard_lock_at(s, now_ms);
        entry_set_deadlines(e, p, now);
        old = table_find(&s->table, p->key, p->hash);
        size_t back = old ? entry_bytes(old) : 0, need = entry_bytes(e) + table_growth(&s->table);
        bool fits = make_room(s, need > back ? need - back : 0, old, &out);
        if (fits || out.count < LEAVERS_BATCH) {
            if (fits)
                put_in(s, old, e, p->hash);
            pthread_mutex_unlock(&s->lock);
            leavers_release(&out);
            if (fits)
                entry_unref(old);
            return fits;
        }
        pthread_mutex_unlock(&s->lock);
        leavers_release(&out);
    }
}

/* Where p's value is that of the very entry that is stored, new deadlines do. */
static bool renew(struct shard *s, const struct put *p, int64_t now_ms)
{
    int64_t now = shard_lock_at(s, now_ms);
    struct entry *e = table_find(&s->table, p->key, p->hash);
    bool same = e && entry_is_renewal(e, p);
    if (same) {
        wheel_remove(&e->wheel);
        entry_renew(e, p, now);
        e->globs_seen = s->globs.issued;
        shard_link_deadline(s, e);
        s->puts++;
        s->renewals++;
    }
    pthread_mutex_unlock(&s->lock);
    return same;
}

int shard_put(struct shard *s, const struct put *p, int64_t now_ms, struct err *err)
{
    char text[SHOW_KEY_TEXT];
    if (p->renews && renew(s, p, now_ms))
        return 0;
    if (p->key.size == 0 || p->key.size > ENTRY_KEY_MAX)
        return err_set(err, ERR_BAD_KEY, "a key of %zu bytes, where 1 to %d are taken", p->key.size,
                       ENTRY_KEY_MAX);
    size_t size = entry_size(p), largest = limit_of(s) / SHARD_LARGEST;
    bool fits = size <= largest && p->value.size <= UINT32_MAX;
    if (fits) {
        struct entry *e = entry_new(p);
        if (!e) {
            refuse(s, p, now_ms);
            return err_set(err, ERR_NOMEM, "%s: no memory for an entry of %zu bytes",
                           show_key(text, p->key), size);
        }
        fits = entry_bytes(e) <= largest && put_entry(s, e, p, now_ms);
        if (fits)
            return 0;
        entry_unref(e);
    }
    refuse(s, p, now_ms);
    return err_set(err, ERR_TOO_LARGE, "%s: an entry of %zu bytes, where the memory allows %zu",
                   show_key(text, p->key), size, largest);
}

bool shard_remove(struct shard *s, struct slice key, uint64_t hash, int64_t now_ms)
{
    int64_t now = shard_lock_at(s, now_ms);
    enum lookup status;
    struct entry *gone, *e = find_live(s, key, hash, now, &status, &gone);
    if (e) {
        shard_take_out(s, e, hash);
        s->removals++;
    }
    pthread_mutex_unlock(&s->lock);
    entry_unref(e ? e : gone);
    return e != NULL;
}

bool shard_touch(struct shard *s, const struct put *deadlines, int64_t now_ms)
{
    int64_t now = shard_lock_at(s, now_ms);
    enum lookup status;
    struct entry *gone;
    struct entry *e = find_live(s, deadlines->key, deadlines->hash, now, &status, &gone);
    if (e) {
        wheel_remove(&e->wheel);
        entry_set_deadlines(e, deadlines, now);
        shard_link_deadline(s, e);
    }
    pthread_mutex_unlock(&s->lock);
    entry_unref(gone);
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
    if (s->table.entries > 0 || s->globs.count > 0)
        globs_add(&s->globs, g);
    pthread_mutex_unlock(&s->lock);
}

void shard_set_limit(struct shard *s, size_t limit_bytes)
{
    struct leavers out = {.count = 0};
    for (bool more = true; more;) {
        pthread_mutex_lock(&s->lock);
        atomic_store_explicit(&s->limit_bytes, limit_bytes, memory_order_relaxed);
        policy_set_capacity(&s->policy, limit_bytes);
        more = !make_room(s, 0, NULL, &out) && out.count > 0;
        pthread_mutex_unlock(&s->lock);
        leavers_release(&out);
    }
}

void shard_read_stats(struct shard *s, struct store_stats *sum)
{
    pthread_mutex_lock(&s->lock);
    sum->entries += s->table.entries;
    sum->negatives += s->negatives;
    sum->bytes += total_bytes(s);
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
