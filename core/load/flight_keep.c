#include "load/flight_keep.h"

#include "load/flight_priv.h"
#include "wire/mp.h"
#include "wire/mpw.h"

#define FLOOR_BYTES 64   /* a floor's record takes at most */
#define GROUPS_MOST 4096 /* lists that are looked at under one hold of the lock */
#define TIME_MOST   (INT64_MAX / 4)

/* A record is an array: its kind, and then what the comment says. Other kinds are skipped, and so
 * is what follows. */
enum kind {
    KIND_FLOOR, /* hash, version or nil, gone, left, doubt left, lifts */
    KIND_LIFT,  /* number, pattern, left */
    KIND_SHARD, /* lossy left, doubt of all keys left, lifts, the last lift of all keys */
    KINDS
};

static const unsigned field_counts[KINDS] = {[KIND_FLOOR] = 7, [KIND_LIFT] = 4, [KIND_SHARD] = 5};

/* ---- out ---- */

/* What is left of a time, at least 0. */
static int64_t left_of(int64_t until_ms, int64_t now_ms)
{
    return until_ms > now_ms ? until_ms - now_ms : 0;
}

static int pack_floor(struct buf *out, const struct floor_kept *k, int64_t now_ms, size_t *count)
{
    int64_t left_ms = left_of(k->until_ms, now_ms), doubt_ms = left_of(k->doubt_until_ms, now_ms);
    if ((left_ms == 0 || !k->there) && doubt_ms == 0)
        return 0;
    int rc = mpw_array(out, field_counts[KIND_FLOOR]);
    rc = rc ? rc : mpw_int(out, KIND_FLOOR);
    rc = rc ? rc : mpw_uint(out, k->hash);
    rc = rc ? rc : k->there ? mpw_int(out, k->version) : mpw_nil(out);
    rc = rc ? rc : mpw_bool(out, k->gone);
    rc = rc ? rc : mpw_int(out, left_ms);
    rc = rc ? rc : mpw_int(out, doubt_ms);
    rc = rc ? rc : mpw_int(out, k->lifts);
    *count += rc == 0;
    return rc;
}

static int pack_lift(struct buf *out, const struct floor_lift *l, int64_t now_ms, size_t *count)
{
    char room[GLOB_MAX];
    int64_t left_ms = left_of(l->until_ms, now_ms);
    if (left_ms == 0)
        return 0;
    int rc = mpw_array(out, field_counts[KIND_LIFT]);
    rc = rc ? rc : mpw_int(out, KIND_LIFT);
    rc = rc ? rc : mpw_int(out, l->number);
    rc = rc ? rc : mpw_bin(out, glob_write(&l->glob->glob, room));
    rc = rc ? rc : mpw_int(out, left_ms);
    *count += rc == 0;
    return rc;
}

/* What a shard knows beside its floors, which comes when these are out. */
static int pack_shard(struct buf *out, const struct flight_shard *s, int64_t now_ms, size_t *count)
{
    const struct floors *fl = &s->floors;
    int rc = 0;
    for (unsigned i = 0; i < fl->lift_count && rc == 0; i++)
        rc = pack_lift(out, &fl->lifted[i], now_ms, count);
    rc = rc ? rc : mpw_array(out, field_counts[KIND_SHARD]);
    rc = rc ? rc : mpw_int(out, KIND_SHARD);
    rc = rc ? rc : mpw_int(out, left_of(s->lossy_until_ms, now_ms));
    rc = rc ? rc : mpw_int(out, left_of(fl->doubt_until_ms, now_ms));
    rc = rc ? rc : mpw_int(out, fl->lifts);
    rc = rc ? rc : mpw_int(out, fl->all_lifted);
    *count += rc == 0;
    return rc;
}

/* The floors of all buckets whose number ends in the bits of `group`. */
static int pack_group(struct buf *out, const struct floors *fl, uint64_t group, uint64_t groups,
                      int64_t now_ms, size_t *seen, size_t *count)
{
    struct floor_kept k;
    int rc = 0;
    for (size_t b = group; b < fl->bucket_count; b += groups)
        for (size_t i = 0; rc == 0 && floors_at(fl, b, i, &k); i++) {
            ++*seen;
            rc = pack_floor(out, &k, now_ms, count);
        }
    return rc;
}

/* On from c; under the shard's lock. */
static int pack_piece(struct flight_shard *s, struct keep_cursor *c, int64_t now_ms, size_t most,
                      struct buf *out, size_t *count)
{
    int rc = 0;
    size_t seen = 0;
    if (!c->begun)
        c->bits = (uint8_t)__builtin_ctzl(s->floors.bucket_count);
    c->begun = true;
    uint64_t groups = UINT64_C(1) << c->bits;
    for (unsigned n = 0; rc == 0 && c->at < groups && n < GROUPS_MOST; n++) {
        if (n > 0 && seen >= most)
            break;
        rc = pack_group(out, &s->floors, c->at++, groups, now_ms, &seen, count);
    }
    if (rc != 0 || c->at < groups)
        return rc;
    rc = pack_shard(out, s, now_ms, count);
    *c = (struct keep_cursor){.shard = c->shard + 1};
    return rc;
}

int flight_keep_out(struct flights *fl, struct keep_cursor *cursor, int64_t now_ms, size_t most,
                    struct buf *out, size_t *count)
{
    struct keep_cursor before = *cursor;
    size_t start = out->size;
    *count = 0;
    if (cursor->done)
        return 0;
    struct flight_shard *s = &fl->shards[cursor->shard];
    int rc = buf_grow(out, most * FLOOR_BYTES);
    if (rc != 0)
        return rc;
    pthread_mutex_lock(&s->lock);
    rc = pack_piece(s, cursor, now_ms, most, out, count);
    pthread_mutex_unlock(&s->lock);
    cursor->done = cursor->shard == fl->shard_count;
    if (rc == 0)
        return 0;
    *cursor = before;
    *count = 0;
    out->size = start;
    return rc;
}

/* ---- in ---- */

struct reading {
    struct flights *flights;
    struct mp_reader at;
    int64_t passed_ms, now_ms;
    bool nomem;    /* a floor could not be had */
    bool crowded;  /* a pattern could not be remembered */
    size_t record; /* from 1 */
    struct err *e;
};

static int refuse(const struct reading *g, const char *what, const char *why)
{
    return err_set(g->e, ERR_BAD_VALUE, "record %zu of the floors: its %s %s", g->record, what,
                   why);
}

static int take(struct reading *g, const char *what, struct mp_token *t)
{
    int rc = mp_next(&g->at, t);
    if (rc == MP_OK)
        return 0;
    return refuse(g, what, rc == MP_MORE ? "is cut off" : "is no MessagePack");
}

static int take_int(struct reading *g, const char *what, int64_t most, int64_t *v)
{
    struct mp_token t;
    int rc = take(g, what, &t);
    if (rc != 0)
        return rc;
    if (t.type != MP_INT || t.i < 0 || t.i > most)
        return refuse(g, what, "is no integer, or out of its bounds");
    *v = t.i;
    return 0;
}

/* When what was left then is over. */
static int take_until(struct reading *g, const char *what, int64_t *until_ms)
{
    int64_t left_ms = 0;
    int rc = take_int(g, what, TIME_MOST, &left_ms);
    if (rc == 0)
        *until_ms = g->now_ms + left_ms - g->passed_ms;
    return rc;
}

static int take_number(struct reading *g, const char *what, uint32_t *number)
{
    int64_t v = 0;
    int rc = take_int(g, what, UINT32_MAX, &v);
    if (rc == 0)
        *number = (uint32_t)v;
    return rc;
}

static int take_hash(struct reading *g, uint64_t *hash)
{
    struct mp_token t;
    int rc = take(g, "hash", &t);
    if (rc != 0)
        return rc;
    if (t.type != MP_UINT && (t.type != MP_INT || t.i < 0))
        return refuse(g, "hash", "is no number of 64 bits");
    *hash = t.type == MP_UINT ? t.u : (uint64_t)t.i;
    return 0;
}

static int take_height(struct reading *g, struct floor_kept *k)
{
    struct mp_token t;
    int rc = take(g, "version", &t);
    if (rc != 0)
        return rc;
    k->there = t.type == MP_INT;
    k->version = k->there ? t.i : 0;
    if (!k->there && t.type != MP_NIL)
        return refuse(g, "version", "is neither an integer of 64 bits nor nil");
    rc = take(g, "gone", &t);
    if (rc != 0)
        return rc;
    if (t.type != MP_BOOL)
        return refuse(g, "gone", "is neither true nor false");
    k->gone = t.b;
    return 0;
}

/* A floor that cannot be had, or for which another one had to leave. */
static void note_raised(struct reading *g, struct flight_shard *s, enum floor_raised raised,
                        int64_t until_ms)
{
    if (raised == FLOOR_DROPPED)
        until_ms = s->floors.dropped_until_ms;
    if (raised != FLOOR_RAISED)
        flight_lose_floors(s, until_ms);
    g->nomem |= raised == FLOOR_NOMEM;
}

static int read_floor(struct reading *g)
{
    struct floor_kept k = {.hash = 0};
    int rc = take_hash(g, &k.hash);
    rc = rc ? rc : take_height(g, &k);
    rc = rc ? rc : take_until(g, "time left", &k.until_ms);
    rc = rc ? rc : take_until(g, "doubt", &k.doubt_until_ms);
    rc = rc ? rc : take_number(g, "lift", &k.lifts);
    if (rc != 0 || (k.until_ms <= g->now_ms && k.doubt_until_ms <= g->now_ms))
        return rc;
    struct flight_shard *s = flight_shard_of(g->flights, k.hash);
    pthread_mutex_lock(&s->lock);
    note_raised(g, s, floors_put_back(&s->floors, &k, g->now_ms), k.until_ms);
    pthread_mutex_unlock(&s->lock);
    return 0;
}

/* The numbers of lifts that come are above those of all floors that are back. */
static void know_lift(struct flights *fl, uint32_t number)
{
    uint32_t had = atomic_load(&fl->lifts);
    while (had < number && !atomic_compare_exchange_weak(&fl->lifts, &had, number)) {
    }
}

static int put_back_lift(struct reading *g, struct slice pattern, uint32_t number, int64_t until_ms)
{
    char room[GLOB_MAX];
    struct glob glob;
    glob_compile(&glob, pattern, room);
    struct shared_glob *shared = shared_glob_new(&glob, false);
    if (!shared)
        return err_set(g->e, ERR_NOMEM, "no memory for a pattern");
    for (unsigned i = 0; i < g->flights->shard_count; i++) {
        struct flight_shard *s = &g->flights->shards[i];
        pthread_mutex_lock(&s->lock);
        g->crowded |= floors_put_back_lift(&s->floors, shared, number, until_ms) != 0;
        pthread_mutex_unlock(&s->lock);
    }
    shared_glob_unref(shared);
    return 0;
}

static int read_lift(struct reading *g)
{
    struct mp_token t;
    struct err wrong;
    uint32_t number = 0;
    int64_t until_ms = 0;
    int rc = take_number(g, "number", &number);
    rc = rc ? rc : take(g, "pattern", &t);
    if (rc != 0)
        return rc;
    if ((t.type != MP_BIN && t.type != MP_STR) || glob_check(t.bytes, &wrong) != 0)
        return refuse(g, "pattern", "is none");
    rc = take_until(g, "time left", &until_ms);
    if (rc != 0)
        return rc;
    know_lift(g->flights, number);
    return until_ms > g->now_ms ? put_back_lift(g, t.bytes, number, until_ms) : 0;
}

static int read_shard(struct reading *g)
{
    int64_t lossy_ms = 0, doubt_ms = 0;
    uint32_t lifts = 0, all_lifted = 0;
    int rc = take_until(g, "lossy time", &lossy_ms);
    rc = rc ? rc : take_until(g, "doubt", &doubt_ms);
    rc = rc ? rc : take_number(g, "last lift", &lifts);
    rc = rc ? rc : take_number(g, "last lift of all", &all_lifted);
    if (rc != 0)
        return rc;
    know_lift(g->flights, lifts);
    for (unsigned i = 0; i < g->flights->shard_count; i++) {
        struct flight_shard *s = &g->flights->shards[i];
        pthread_mutex_lock(&s->lock);
        floors_put_back_all(&s->floors, lifts, all_lifted, doubt_ms);
        if (lossy_ms > g->now_ms)
            flight_lose_floors(s, lossy_ms);
        pthread_mutex_unlock(&s->lock);
    }
    return 0;
}

static int read_record(struct reading *g)
{
    struct mp_token t;
    int64_t kind;
    int rc = take(g, "begin", &t);
    if (rc != 0)
        return rc;
    if (t.type != MP_ARRAY || t.count == 0)
        return refuse(g, "begin", "is no array");
    uint32_t left = t.count - 1;
    rc = take_int(g, "kind", UINT32_MAX, &kind);
    if (rc == 0 && kind < KINDS) {
        if (t.count < field_counts[kind])
            return refuse(g, "number of fields", "is too low");
        left = t.count - field_counts[kind];
        rc = kind == KIND_FLOOR ? read_floor(g) : kind == KIND_LIFT ? read_lift(g) : read_shard(g);
    }
    for (; rc == 0 && left > 0; left--)
        if (mp_skip(&g->at) != MP_OK)
            rc = refuse(g, "end", "is cut off, or no MessagePack");
    return rc;
}

int flight_keep_in(struct flights *fl, struct slice pieces, int64_t passed_ms, int64_t now_ms,
                   size_t *count, struct err *e)
{
    struct reading g = {
        .flights = fl,
        .at = mp_reader_of(pieces),
        .passed_ms = passed_ms < 0           ? 0
                     : passed_ms < TIME_MOST ? passed_ms
                                             : TIME_MOST,
        .now_ms = now_ms,
        .e = e,
    };
    *count = 0;
    while (g.at.at < g.at.end) {
        g.record++;
        int rc = read_record(&g);
        if (rc != 0)
            return rc;
        ++*count;
    }
    if (g.nomem)
        return err_set(e, ERR_NOMEM, "no memory for some floors");
    if (g.crowded)
        return err_set(e, ERR_OVERLOADED, "more than %d patterns were lifted", FLOOR_LIFTS);
    return 0;
}

/* Whether an invalidation that is known of is about what the record holds. */
static bool is_old(const struct record *r, const struct floor_seen *floor)
{
    if (floor->doubtful || !floor->there)
        return floor->doubtful;
    if (r->has_version)
        return r->version < floor->version;
    return !(r->negative && floor->gone);
}

int flight_keep_entry(struct flights *fl, const struct record *r, const struct restore *how,
                      int64_t now_ms, bool *stored, struct err *e)
{
    uint64_t hash = store_hash(fl->store, r->key);
    struct flight_shard *s = flight_shard_of(fl, hash);
    int rc = 0;
    *stored = false;
    pthread_mutex_lock(&s->lock);
    struct floor_seen floor = floors_see(&s->floors, r->key, hash, now_ms);
    if (!is_old(r, &floor))
        rc = store_restore(fl->store, r, how, now_ms, stored, e);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

static bool is_overtaken(struct flights *fl, const struct flight_shard *s, const struct brought *b,
                         uint64_t hash)
{
    const struct record *r = b->record;
    uint32_t slots[MARKS_TAGS_MAX];
    if (b->flight && (b->flight->detached || b->flight->token.epoch != s->epoch))
        return true;
    if (tier_slots_of(b->slots, hash) != b->changed)
        return true;
    unsigned count = record_slots(r, fl->marks, slots);
    return marks_judge_key(fl->marks, r->key, b->since) != MARK_NONE ||
           (count > 0 && marks_judge_tags(fl->marks, slots, count, b->since) != MARK_NONE);
}

int flight_keep_brought(struct flights *fl, const struct brought *b, int64_t now_ms, bool *stored,
                        struct err *e)
{
    uint64_t hash = store_hash(fl->store, b->record->key);
    struct flight_shard *s = flight_shard_of(fl, hash);
    struct restore how = b->how;
    int rc = 0;
    *stored = false;
    pthread_mutex_lock(&s->lock);
    how.judged = true;
    how.since = marks_now(fl->marks); /* before it is judged */
    struct floor_seen floor = floors_see(&s->floors, b->record->key, hash, now_ms);
    if (!is_old(b->record, &floor) && !is_overtaken(fl, s, b, hash))
        rc = store_restore(fl->store, b->record, &how, now_ms, stored, e);
    pthread_mutex_unlock(&s->lock);
    return rc;
}
