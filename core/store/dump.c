#include "store/dump.h"

#include "store/shard_priv.h"

#define KEY_REACH   16  /* bytes of the key that are surely asked for */
#define AT_ONCE     32  /* entries of a bucket that are put in their order */
#define RECORD_MOST 128 /* bytes of a record beside key, value and tags */

/* One that comes next, and its place in the group. */
struct next {
    struct entry *e;
    uint64_t high;
};

/* A long one, which is packed when the lock is free. */
struct held {
    struct entry *e; /* one reference */
    struct record record;
};

struct piece {
    struct buf *out;
    size_t most, size; /* bytes: of all, and so far, those of the held ones included */
    size_t count, seen;
    size_t held_count;
    struct held held[DUMP_HELD];
};

/* The first AT_ONCE of the bucket that w has still to meet, in their order. *more: there are others
 * behind them. */
static size_t take_next(const struct shard *s, const struct walk *w, size_t bucket,
                        struct next next[AT_ONCE], bool *more, size_t *seen)
{
    size_t count = 0;
    struct entry *e;
    *more = false;
    for (size_t k = 0; (e = table_at(&s->table, bucket, k)); k++) {
        __builtin_prefetch(e);
        __builtin_prefetch(e->data + KEY_REACH);
    }
    for (size_t k = 0; (e = table_at(&s->table, bucket, k)); k++) {
        uint64_t high;
        ++*seen;
        if (!walk_has(w, table_hash(&s->table, e), &high))
            continue;
        size_t at = count;
        *more |= count == AT_ONCE;
        if (count == AT_ONCE && next[AT_ONCE - 1].high < high)
            continue;
        count += count < AT_ONCE;
        at -= at == AT_ONCE;
        for (; at > 0 && next[at - 1].high > high; at--)
            next[at] = next[at - 1];
        next[at] = (struct next){.e = e, .high = high};
    }
    return count;
}

static void describe(const struct entry *e, int64_t now, struct record *r)
{
    int64_t load_us = entry_load_us(e);
    *r = (struct record){
        .key = entry_key(e),
        .value = entry_value(e),
        .negative = e->flags & ENTRY_NEGATIVE,
        .has_version = e->flags & ENTRY_VERSIONED,
        .made_stale = entry_is_made_stale(e),
        .unproven = e->life & ENTRY_UNPROVEN,
        .version = entry_version(e),
        .age_ms = entry_age_ms(e, now),
        .stale_ttl_ms = span_ms(e->stale),
        .keep_ms = span_ms(e->keep),
        .load_us = load_us < UINT32_MAX ? (uint32_t)load_us : UINT32_MAX,
        .ahead = e->ahead,
        .owner = e->owner,
        .frequency = e->state & ENTRY_FREQUENCY,
        .score = (e->state & ENTRY_SCORE) >> ENTRY_SCORE_SHIFT,
        .in_main = e->state & ENTRY_IN_MAIN,
        .reads = e->reads,
    };
    r->fresh_left_ms = entry_left_ms(e, r->age_ms);
    r->tagged = entry_tag_texts(e, &r->tag_texts);
}

/* false: it does not fit into this piece any more. */
static bool add(struct piece *p, struct entry *e, int64_t now, int *rc)
{
    struct record r;
    describe(e, now, &r);
    size_t size = r.key.size + r.value.size + r.tag_texts.size + RECORD_MOST;
    bool is_long = r.value.size > STORE_COPY_MAX || !buf_fits(p->out, size);
    if (p->count > 0 && (p->size + size > p->most || (is_long && p->held_count == DUMP_HELD)))
        return false;
    if (is_long)
        p->held[p->held_count++] = (struct held){.e = entry_ref(e), .record = r};
    else
        *rc = record_pack(p->out, &r);
    p->size += size;
    p->count++;
    return true;
}

/* What a tag or a pattern has killed leaves at once: it has been judged by that, and would not be
 * again. What is expired is the wheel's. */
static bool is_left(struct shard *s, struct entry *e, int64_t now)
{
    bool quiet = entry_is_quiet(e, s->marks) && !globs_behind(&s->globs, e);
    if (!quiet && !shard_judge(s, e, now)) {
        shard_take_out(s, e, table_hash(&s->table, e));
        s->marked++;
        return false;
    }
    return entry_status(e, entry_age_ms(e, now)) != LOOKUP_MISS;
}

/* One bucket's, or as many of them as fit; false: the piece is full, and w is where the next one
 * goes on. */
static bool add_bucket(struct shard *s, struct walk *w, struct piece *p, int64_t now, int *rc)
{
    struct next next[AT_ONCE];
    bool more;
    struct walk_bucket bucket = walk_at(&s->table, w);
    size_t count = take_next(s, w, bucket.number, next, &more, &p->seen);
    for (size_t i = 0; i < count && *rc == 0; i++) {
        struct entry *e = next[i].e;
        if (!is_left(s, e, now))
            continue;
        if (!add(p, e, now, rc)) {
            w->high = next[i].high;
            return false;
        }
    }
    if (more && next[count - 1].high < UINT64_MAX)
        w->high = next[count - 1].high + 1;
    else
        walk_on(w, bucket.end);
    return *rc == 0;
}

/* What was too long to be copied under the lock. */
static int pack_held(struct piece *p)
{
    int rc = 0;
    for (size_t i = 0; i < p->held_count; i++) {
        rc = rc ? rc : record_pack(p->out, &p->held[i].record);
        entry_unref(p->held[i].e);
    }
    return rc;
}

int dump_piece(struct shard *s, struct walk *w, bool *begun, int64_t now_ms, size_t most_bytes,
               struct buf *out, size_t *count)
{
    struct piece p = {.out = out, .most = most_bytes};
    struct walk before = *w;
    size_t start = out->size;
    bool began = *begun;
    *count = 0;
    int rc = buf_grow(out, most_bytes + RECORD_MOST);
    if (rc != 0)
        return rc;
    int64_t now = shard_lock(s, now_ms);
    if (!*begun)
        *w = walk_begin(&s->table);
    *begun = true;
    bool room = true;
    for (size_t buckets = 0; room && !walk_is_over(w) && p.seen < DUMP_SEEN && buckets < DUMP_SEEN;
         buckets++)
        room = add_bucket(s, w, &p, now, &rc);
    pthread_mutex_unlock(&s->lock);
    int packed = pack_held(&p);
    rc = rc ? rc : packed;
    if (rc == 0) {
        *count = p.count;
        return 0;
    }
    out->size = start;
    *w = before;
    *begun = began;
    return rc;
}
