/* What a put does in its shard: it makes room, then the entry takes the place of the one before. */
#include "base/show.h"
#include "store/compact.h"
#include "store/shard_priv.h"

/* In units of the heap, as the rest: looked at for moving under one hold of the lock. */
#define MOVE_EACH  ((64u << 10) / HEAP_UNIT)
#define PAGE_UNITS (HEAP_PAGE / HEAP_UNIT)

/* The making of room, over several holds of the lock. */
struct making {
    uint32_t units;
    const struct entry *kept; /* does not leave; NULL: there is no such entry */
    unsigned evicted;         /* under this hold of the lock, as the next one */
    uint32_t moved;
    uint64_t passed; /* moved under all of them */
    uint64_t bound;  /* of passed; 0: none was moved yet */
};

static bool has_batch(const struct making *m)
{
    return m->evicted < SHARD_BATCH && m->moved < MOVE_EACH;
}

/* Twice around is enough: what could not be gathered then is held by references. */
static bool may_gather(const struct shard *s, struct making *m)
{
    if (!m->bound)
        m->bound = 2 * (uint64_t)s->heap.top;
    return m->passed < m->bound;
}

static void gather(struct shard *s, struct making *m, uint32_t wanted)
{
    uint32_t seen = compact(&s->heap, &s->table, &s->wheel, wanted, MOVE_EACH);
    m->moved += seen;
    m->passed = seen ? m->passed + seen : m->bound; /* nothing to move: no more of it */
}

/* One that waits at a queue's end, and that a tag has overtaken: nobody will get it any more. */
static struct entry *overtaken(const struct shard *s, const struct entry *kept)
{
    struct entry *ends[2];
    policy_ends(&s->policy, kept, ends);
    for (int i = 0; i < 2; i++)
        if (ends[i] && !entry_is_quiet(ends[i], s->marks) &&
            entry_judge_tags(ends[i], s->marks) == MARK_HARD)
            return ends[i];
    return NULL;
}

static bool evict_one(struct shard *s, struct making *m)
{
    struct entry *dead = overtaken(s, m->kept);
    if (dead) {
        shard_take_out(s, dead, table_hash(&s->table, dead));
        s->marked++;
        m->evicted++;
        return true;
    }
    struct entry *e = policy_victim(&s->policy, m->kept);
    if (!e)
        return false;
    uint64_t hash = table_hash(&s->table, e);
    policy_evict(&s->policy, e, hash);
    table_remove(&s->table, e, hash);
    shard_leave(s, e);
    s->evictions++;
    m->evicted++;
    return true;
}

/* Where the heap may reach to. */
static uint32_t highest(const struct shard *s)
{
    size_t limit = shard_limit(s);
    size_t others = table_bytes(&s->table) + table_growth(&s->table) + wheel_bytes(&s->wheel) +
                    wheel_growth(&s->wheel) + policy_bytes(&s->policy);
    limit = limit < HEAP_BYTES ? limit : HEAP_BYTES;
    return limit > others ? (uint32_t)((limit - others) / HEAP_PAGE * PAGE_UNITS) : 0;
}

/* A step towards bringing the top to where it may be; false: it is there, or there is nothing more
 * to be done about it. */
static bool lower_top(struct shard *s, struct making *m)
{
    struct heap *a = &s->heap;
    uint32_t most = highest(s);
    if (a->touched <= most)
        return false;
    if (a->top <= most) {
        heap_trim(a);
        return false;
    }
    if (a->hole_units < a->top - most + most / SHARD_HOLES)
        return evict_one(s, m);
    if (!may_gather(s, m))
        return false;
    gather(s, m, UINT32_MAX);
    return true;
}

void shard_keep_limit(struct shard *s)
{
    struct making m = {.units = 0};
    while (has_batch(&m) && lower_top(s, &m)) {
    }
}

/* Lets entries leave or move until there is room, as long as this hold of the lock may take. */
static struct entry *make_room(struct shard *s, struct making *m)
{
    struct heap *a = &s->heap;
    uint32_t sure = heap_surely(m->units);
    while (has_batch(m)) {
        uint32_t most = highest(s), above = most > a->top ? most - a->top : 0;
        uint64_t left = (uint64_t)a->hole_units + above;
        struct entry *e = left >= m->units ? heap_alloc(a, m->units, most) : NULL;
        if (e)
            return e;
        if (a->hole_units >= sure + most / SHARD_HOLES && may_gather(s, m))
            gather(s, m, sure);
        else if (!evict_one(s, m))
            return NULL;
    }
    return NULL;
}

/* One hold of the lock's part of it; *more: another is needed. */
static struct entry *make_some_room(struct shard *s, struct making *m, struct entry *old,
                                    bool *more)
{
    m->evicted = 0;
    m->moved = 0;
    m->kept = old;
    if (old)
        entry_ref(old); /* so that it does not move either */
    while (has_batch(m) && lower_top(s, m)) {
    }
    m->moved = 0;
    struct entry *e = make_room(s, m);
    if (old)
        shard_let_go(s, old);
    *more = !e && !has_batch(m);
    return e;
}

int shard_reserve(struct shard *s)
{
    int rc = table_reserve(&s->table);
    return rc == 0 ? wheel_reserve(&s->wheel, s->table.entries + 1) : rc;
}

static void link_in(struct shard *s, struct entry *e)
{
    e->globs_seen = s->globs.issued;
    shard_link_deadline(s, e);
    s->negatives += (e->flags & ENTRY_NEGATIVE) != 0;
    s->puts++;
}

void shard_put_in(struct shard *s, struct entry *old, struct entry *e, uint64_t hash)
{
    e->life |= ENTRY_STORED;
    if (old) {
        table_replace(&s->table, old, e, hash);
        policy_replace(&s->policy, old, e);
        shard_leave(s, old);
    } else {
        table_add(&s->table, e, hash);
        policy_add(&s->policy, e, hash);
        policy_fill(&s->policy);
    }
    link_in(s, e);
}

static bool fits_in_place(const struct shard *s, const struct entry *old, uint32_t units)
{
    return old && entry_units(old) == units && s->heap.touched <= highest(s) &&
           atomic_load_explicit(&old->refs, memory_order_acquire) == 1;
}

/* The place in the table and in the policy stays. */
static void overwrite(struct shard *s, struct entry *e, const struct put *p, int64_t now,
                      int64_t waited_ms)
{
    wheel_remove(&s->wheel, &e->timer);
    s->negatives -= (e->flags & ENTRY_NEGATIVE) != 0;
    uint8_t state = e->state;
    struct near_list queue = e->queue;
    entry_shape(e, p);
    e->state = state;
    e->queue = queue;
    entry_fill(e, p);
    entry_set_deadlines(e, p, now);
    entry_set_load(e, p, waited_ms);
    entry_set_loader(e, p);
    link_in(s, e);
}

static uint32_t units_of(size_t size)
{
    return (uint32_t)((size + HEAP_UNIT - 1) / HEAP_UNIT);
}

/* Whether an entry of `size` bytes may be stored for it, where the largest has so many. */
static bool is_sound(const struct put *p, size_t size, size_t largest)
{
    return size <= largest && p->value.size <= UINT32_MAX && p->tag_count <= MARKS_TAGS_MAX &&
           p->tag_texts.size <= UINT16_MAX;
}

bool shard_make_room(struct shard *s, const struct put *p, struct room *room)
{
    size_t size = entry_size(p);
    struct making m = {.units = units_of(size), .passed = room->passed, .bound = room->bound};
    bool more = false;
    if (p->key.size == 0 || p->key.size > ENTRY_KEY_MAX || !is_sound(p, size, shard_largest(s)))
        return false; /* it will be refused */
    pthread_mutex_lock(&s->lock);
    heap_collect(&s->heap);
    struct entry *e = make_some_room(s, &m, table_find(&s->table, p->key, p->hash), &more);
    if (e)
        entry_shape(e, p);
    pthread_mutex_unlock(&s->lock);
    *room = (struct room){
        .entry = e,
        .passed = m.passed,
        .bound = m.bound,
        .key_size = p->key.size,
        .value_size = p->value.size,
        .texts_size = p->tag_texts.size,
        .tag_count = p->tag_count,
        .has_version = p->has_version,
    };
    return more;
}

/* The room that was made for p; NULL: there is none, or p has become another one. */
static struct entry *take_room(const struct put *p)
{
    struct room *r = p->room;
    if (!r || p->negative || r->key_size != p->key.size || r->value_size != p->value.size ||
        r->texts_size != p->tag_texts.size || r->tag_count != p->tag_count ||
        r->has_version != p->has_version)
        return NULL;
    struct entry *e = r->entry;
    r->entry = NULL;
    return e;
}

/* e is filled. Gives the lock back. */
static int finish(struct shard *s, const struct put *p, struct entry *old, struct entry *e,
                  int64_t now, int64_t now_ms)
{
    int rc = old ? 0 : shard_reserve(s);
    if (rc == 0) {
        entry_set_deadlines(e, p, now);
        entry_set_load(e, p, now - now_ms);
        entry_set_loader(e, p);
        shard_put_in(s, old, e, p->hash);
    } else {
        shard_let_go(s, e);
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

/* A long value is copied before the lock is taken. */
static int put_in_room(struct shard *s, const struct put *p, struct entry *e, int64_t now_ms)
{
    entry_fill(e, p);
    int64_t now = shard_lock(s, now_ms);
    return finish(s, p, table_find(&s->table, p->key, p->hash), e, now, now_ms);
}

static int put_entry(struct shard *s, const struct put *p, size_t size, int64_t now_ms)
{
    struct making m = {.units = units_of(size)};
    bool is_long = p->value.size > STORE_COPY_MAX, more = true;
    struct entry *old = NULL, *e = NULL;
    int64_t now = 0;
    while (!e && more) {
        now = shard_lock(s, now_ms);
        heap_collect(&s->heap);
        old = table_find(&s->table, p->key, p->hash);
        if (!is_long && fits_in_place(s, old, m.units)) {
            overwrite(s, old, p, now, now - now_ms);
            pthread_mutex_unlock(&s->lock);
            return 0;
        }
        e = make_some_room(s, &m, old, &more);
        if (!e)
            pthread_mutex_unlock(&s->lock);
    }
    if (!e)
        return s->heap.denied ? ERR_NOMEM : ERR_TOO_LARGE;
    entry_shape(e, p);
    if (is_long) {
        pthread_mutex_unlock(&s->lock);
        return put_in_room(s, p, e, now_ms);
    }
    entry_fill(e, p);
    return finish(s, p, old, e, now, now_ms);
}

/* What was stored is known to be old. */
static void refuse(struct shard *s, const struct put *p, int64_t now_ms)
{
    shard_lock(s, now_ms);
    struct entry *old = table_find(&s->table, p->key, p->hash);
    if (old)
        shard_take_out(s, old, p->hash);
    s->refused++;
    pthread_mutex_unlock(&s->lock);
}

/* Where p's value is that of the very entry that is stored, new deadlines do. */
static bool renew(struct shard *s, const struct put *p, int64_t now_ms)
{
    int64_t now = shard_lock(s, now_ms);
    struct entry *e = table_find(&s->table, p->key, p->hash);
    bool same = e && entry_is_renewal(e, p);
    if (same) {
        wheel_remove(&s->wheel, &e->timer);
        entry_renew(e, p, now);
        entry_set_load(e, p, now - now_ms);
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
    size_t size = entry_size(p), largest = shard_largest(s);
    int rc = ERR_TOO_LARGE;
    if (is_sound(p, size, largest)) {
        struct entry *e = take_room(p);
        rc = e ? put_in_room(s, p, e, now_ms) : put_entry(s, p, size, now_ms);
    }
    if (rc == 0)
        return 0;
    refuse(s, p, now_ms);
    if (rc == ERR_NOMEM)
        return err_set(err, rc, "%s: no memory for an entry of %zu bytes", show_key(text, p->key),
                       size);
    return err_set(err, rc, "%s: an entry of %zu bytes, where the memory allows %zu",
                   show_key(text, p->key), size, largest);
}

void shard_set_limit(struct shard *s, size_t limit_bytes)
{
    struct making m = {.units = 0};
    for (bool more = true; more;) {
        pthread_mutex_lock(&s->lock);
        atomic_store_explicit(&s->limit_bytes, limit_bytes, memory_order_relaxed);
        policy_fit(&s->policy);
        heap_collect(&s->heap);
        m.evicted = 0;
        m.moved = 0;
        do
            more = lower_top(s, &m);
        while (more && has_batch(&m));
        pthread_mutex_unlock(&s->lock);
    }
}
