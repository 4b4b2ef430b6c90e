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

static void detach(struct flight_shard *s, struct slice key, uint64_t hash)
{
    struct flight *f = flight_table_find(s, key, hash);
    if (f && f->loading)
        flight_table_drop(s, f);
}

int flights_invalidate(struct flights *fl, const struct invalidation *i, bool *dropped)
{
    struct flight_shard *s = flight_shard_of(fl, i->hash);
    int rc = 0;
    int64_t stored;
    pthread_mutex_lock(&s->lock);
    if (i->version) {
        enum floor_raised raised =
            floors_raise(&s->floors, i->hash, *i->version, i->now_ms, i->floor_ttl_ms);
        if (raised != FLOOR_RAISED) {
            s->epoch++;
            s->lossy_until_ms = i->now_ms + i->floor_ttl_ms;
        }
        if (raised == FLOOR_NOMEM)
            rc = ERR_NOMEM;
    }
    detach(s, i->key, i->hash);
    if (i->version && flight_stored_version(fl, i->key, i->hash, i->now_ms, &stored) &&
        stored >= *i->version)
        *dropped = false; /* it is new enough */
    else
        *dropped = store_remove(fl->store, i->key, i->hash, i->now_ms);
    pthread_mutex_unlock(&s->lock);
    return rc;
}

/* Whether a version that is newer than p's is stored, or known of by an invalidation. */
static bool is_older(struct flights *fl, struct flight_shard *s, const struct put *p,
                     int64_t now_ms, struct err *e)
{
    char key[SHOW_KEY_TEXT];
    int64_t newer;
    if (!p->has_version)
        return false;
    bool stored = flight_stored_version(fl, p->key, p->hash, now_ms, &newer) && newer > p->version;
    if (!stored && !(floors_get(&s->floors, p->hash, now_ms, &newer) && newer > p->version))
        return false;
    err_set(e, ERR_VERSION_CONFLICT, "%s: version %lld is older than %lld, which %s",
            show_key(key, p->key), (long long)p->version, (long long)newer,
            stored ? "is stored" : "an invalidation named");
    return true;
}

int flights_set(struct flights *fl, const struct put *p, int64_t now_ms, struct err *e)
{
    struct flight_shard *s = flight_shard_of(fl, p->hash);
    int rc = ERR_VERSION_CONFLICT;
    pthread_mutex_lock(&s->lock);
    if (!is_older(fl, s, p, now_ms, e)) {
        struct flight *f = flight_table_find(s, p->key, p->hash);
        if (f)
            flight_table_drop(s, f);
        rc = store_put(fl->store, p, now_ms, e);
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}
