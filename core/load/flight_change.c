/* What changes a key from outside: a load in flight is left to its waiters and will not be stored.
 */
#include "load/flight_priv.h"

#include "base/show.h"

bool flight_stored_version(struct flights *fl, struct slice key, uint64_t hash, int64_t now_ms,
                           int64_t *version)
{
    struct hit hit;
    enum lookup found = store_get(fl->store, key, hash, now_ms, WANT_PEEK, NULL, &hit);
    entry_unref(hit.entry);
    *version = hit.version;
    return found != LOOKUP_MISS && hit.has_version;
}

void flight_make_room(struct flights *fl, const struct put *p, struct room *room)
{
    bool more = !p->negative && p->value.size >= STORE_ROOM_LEAST;
    while (more)
        more = store_make_room(fl->store, p, room);
}

static void detach(struct flight_shard *s, struct slice key, uint64_t hash)
{
    struct flight *f = flight_table_find(s, key, hash);
    if (f && f->loading)
        flight_table_drop(s, f);
}

static uint64_t *dropped_at(struct flight_shard *s, uint64_t hash)
{
    return &s->dropped[hash_drop(hash, DROP_SLOTS)];
}

/* A floor remembers a version; this is for what has none. */
static void note_drop(struct flight_shard *s, uint64_t hash)
{
    *dropped_at(s, hash) = ++s->drops;
}

void flights_lose_floors(struct flights *fl, int64_t until_ms)
{
    for (unsigned i = 0; i < fl->shard_count; i++) {
        pthread_mutex_lock(&fl->shards[i].lock);
        flight_lose_floors(&fl->shards[i], until_ms);
        pthread_mutex_unlock(&fl->shards[i].lock);
    }
}

/* A floor that is not there, or whose place another one had to leave: what was promised by it is
 * kept by loads that read the primary, for as long as it would have lasted. */
static int note_raised(struct flight_shard *s, enum floor_raised raised, int64_t until_ms)
{
    if (raised == FLOOR_DROPPED)
        until_ms = s->floors.dropped_until_ms;
    if (raised != FLOOR_RAISED)
        flight_lose_floors(s, until_ms);
    return raised == FLOOR_NOMEM ? ERR_NOMEM : 0;
}

static int raise_floor(struct flight_shard *s, const struct invalidation *i)
{
    struct floor_raise r = {
        .key = i->key,
        .hash = i->hash,
        .version = *i->version,
        .now_ms = i->now_ms,
        .ttl_ms = i->floor_ttl_ms,
        .gone = i->gone,
    };
    return note_raised(s, floors_raise(&s->floors, &r), i->now_ms + i->floor_ttl_ms);
}

int flights_invalidate(struct flights *fl, const struct invalidation *i, bool *dropped)
{
    struct flight_shard *s = flight_shard_of(fl, i->hash);
    pthread_mutex_lock(&s->lock);
    int rc = i->version ? raise_floor(s, i) : 0;
    detach(s, i->key, i->hash);
    if (!i->version)
        note_drop(s, i->hash);
    if (i->version)
        *dropped = store_remove_below(fl->store, i->key, i->hash, i->now_ms, *i->version);
    else
        *dropped = store_remove(fl->store, i->key, i->hash, i->now_ms);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

bool flights_expire(struct flights *fl, struct slice key, uint64_t hash, int64_t now_ms)
{
    struct flight_shard *s = flight_shard_of(fl, hash);
    pthread_mutex_lock(&s->lock);
    detach(s, key, hash);
    note_drop(s, hash);
    bool there = store_expire(fl->store, key, hash, now_ms);
    pthread_mutex_unlock(&s->lock);
    return there;
}

int flights_match(struct flights *fl, const struct glob *g, bool soft, struct err *e)
{
    marks_glob(fl->marks, g, soft);
    /* A load that ended without seeing the mark has stored its result once its shard's lock was
     * free; so it is there for the store's part to find. */
    for (unsigned i = 0; i < fl->shard_count; i++) {
        pthread_mutex_lock(&fl->shards[i].lock);
        pthread_mutex_unlock(&fl->shards[i].lock);
    }
    int rc = store_apply_glob(fl->store, g, soft);
    if (rc == ERR_OVERLOADED)
        err_set(e, rc, "max_globs patterns are being scanned for already");
    else if (rc != 0)
        err_set(e, rc, "no memory for a pattern");
    return rc;
}

/* What loads or backoff there is of the key has nothing to say any more. */
static void drop_flight(struct flight_shard *s, struct slice key, uint64_t hash)
{
    struct flight *f = flight_table_find(s, key, hash);
    if (f)
        flight_table_drop(s, f);
}

bool flights_lift(struct flights *fl, struct slice key, uint64_t hash, int64_t now_ms)
{
    struct flight_shard *s = flight_shard_of(fl, hash);
    pthread_mutex_lock(&s->lock);
    bool had = floors_lift(&s->floors, key, hash, now_ms);
    drop_flight(s, key, hash);
    note_drop(s, hash);
    store_remove(fl->store, key, hash, now_ms);
    pthread_mutex_unlock(&s->lock);
    return had;
}

/* With a new epoch a load from before is not stored, whatever it brings. */
static int lift(struct flight_shard *s, struct shared_glob *g, uint32_t number, int64_t now_ms)
{
    int rc = 0;
    pthread_mutex_lock(&s->lock);
    s->epoch++;
    if (g) {
        rc = floors_lift_match(&s->floors, g, number, now_ms);
    } else {
        floors_lift_all(&s->floors, number);
        s->lossy_until_ms = INT64_MIN;
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

int flights_lift_match(struct flights *fl, const struct glob *g, bool all, int64_t now_ms,
                       struct err *e)
{
    int rc = flights_match(fl, g, false, e);
    struct shared_glob *shared = rc == 0 && !all ? shared_glob_new(g, false) : NULL;
    if (rc == 0 && !all && !shared)
        rc = err_set(e, ERR_NOMEM, "no memory for a pattern");
    uint32_t number = rc == 0 ? atomic_fetch_add(&fl->lifts, 1) + 1 : 0;
    for (unsigned i = 0; i < fl->shard_count && rc == 0; i++)
        if (lift(&fl->shards[i], shared, number, now_ms) != 0) {
            rc = err_set(e, ERR_OVERLOADED,
                         "%d patterns were lifted within floor_ttl: lift all instead", FLOOR_LIFTS);
            e->retry = -1; /* not soon */
        }
    if (shared)
        shared_glob_unref(shared);
    return rc;
}

/* Who has a version that is newer than a put's. */
enum newer { NEWER_NONE, NEWER_STORED, NEWER_NAMED };

/* NEWER_NAMED: by an invalidation. *version: the newer one. */
static enum newer find_newer(struct flights *fl, struct flight_shard *s, const struct put *p,
                             int64_t now_ms, int64_t *version)
{
    if (!p->has_version)
        return NEWER_NONE;
    if (flight_stored_version(fl, p->key, p->hash, now_ms, version) && *version > p->version)
        return NEWER_STORED;
    struct floor_seen floor = floors_see(&s->floors, p->key, p->hash, now_ms);
    *version = floor.version;
    return floor.there && floor.version > p->version ? NEWER_NAMED : NEWER_NONE;
}

static bool is_older(struct flights *fl, struct flight_shard *s, const struct put *p,
                     int64_t now_ms, struct err *e)
{
    char key[SHOW_KEY_TEXT];
    int64_t version;
    enum newer newer = find_newer(fl, s, p, now_ms, &version);
    if (newer == NEWER_NONE)
        return false;
    err_set(e, ERR_VERSION_CONFLICT, "%s: version %lld is older than %lld, which %s",
            show_key(key, p->key), (long long)p->version, (long long)version,
            newer == NEWER_STORED ? "is stored" : "an invalidation named");
    return true;
}

int flights_set(struct flights *fl, const struct put *p, int64_t now_ms, struct err *e)
{
    struct flight_shard *s = flight_shard_of(fl, p->hash);
    int rc = ERR_VERSION_CONFLICT;
    pthread_mutex_lock(&s->lock);
    if (!is_older(fl, s, p, now_ms, e)) {
        drop_flight(s, p->key, p->hash);
        rc = store_put(fl->store, p, now_ms, e);
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

void flights_write_begins(struct flights *fl, uint64_t hash, int64_t now_ms,
                          struct write_token *out)
{
    struct flight_shard *s = flight_shard_of(fl, hash);
    pthread_mutex_lock(&s->lock);
    *out = (struct write_token){
        .epoch = s->epoch,
        .drops = s->drops,
        .began_ms = now_ms,
        .doubtful = floors_doubtful(&s->floors, hash, now_ms),
    };
    pthread_mutex_unlock(&s->lock);
}

/* Whether its key, one of its tags or a pattern was invalidated since the write began, or a floor
 * of its key may have come and gone meanwhile. */
static bool is_overtaken(struct flights *fl, struct flight_shard *s, const struct written *w,
                         uint64_t epoch)
{
    const struct put *p = w->put;
    if (epoch != w->token.epoch || w->now_ms - w->token.began_ms >= w->floor_ttl_ms)
        return true;
    if (*dropped_at(s, p->hash) > w->token.drops)
        return true;
    return fl->marks && (marks_judge_key(fl->marks, p->key, p->since) != MARK_NONE ||
                         marks_judge_tags(fl->marks, p->tags, p->tag_count, p->since) != MARK_NONE);
}

int flights_write(struct flights *fl, const struct written *w, bool *stored)
{
    const struct put *p = w->put;
    struct flight_shard *s = flight_shard_of(fl, p->hash);
    struct invalidation i = {
        .key = p->key,
        .hash = p->hash,
        .now_ms = w->now_ms,
        .version = &p->version,
        .floor_ttl_ms = w->floor_ttl_ms,
    };
    int64_t had;
    struct room room = {0};
    struct put put = *p;
    put.room = &room;
    flight_make_room(fl, p, &room);
    pthread_mutex_lock(&s->lock);
    uint64_t epoch = s->epoch; /* which its own floor may move */
    int rc = raise_floor(s, &i);
    drop_flight(s, p->key, p->hash);
    bool doubtful = w->token.doubtful || floors_doubtful(&s->floors, p->hash, w->now_ms);
    enum newer newer = find_newer(fl, s, p, w->now_ms, &had);
    if (newer == NEWER_STORED) {
        *stored = false; /* it is newer still */
    } else if (newer == NEWER_NAMED || doubtful || is_overtaken(fl, s, w, epoch)) {
        *stored = false;
        store_remove(fl->store, p->key, p->hash, w->now_ms);
    } else {
        *stored = store_put(fl->store, &put, w->now_ms, NULL) == 0;
    }
    pthread_mutex_unlock(&s->lock);
    entry_unref(room.entry);
    return rc;
}

int flights_doubt(struct flights *fl, const struct invalidation *i, int64_t until_ms)
{
    struct flight_shard *s = flight_shard_of(fl, i->hash);
    pthread_mutex_lock(&s->lock);
    int rc = note_raised(s, floors_doubt(&s->floors, i->hash, i->now_ms, until_ms), until_ms);
    detach(s, i->key, i->hash);
    store_remove(fl->store, i->key, i->hash, i->now_ms);
    pthread_mutex_unlock(&s->lock);
    return rc;
}
