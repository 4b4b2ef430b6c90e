/* What changes a key from outside: a load in flight is left to its waiters and will not be stored.
 */
#include "load/flight_priv.h"

static void detach(struct flight_shard *s, struct slice key, uint64_t hash)
{
    struct flight *f = flight_table_find(s, key, hash);
    if (f && f->loading)
        flight_table_drop(s, f);
}

bool flights_invalidate(struct flights *fl, struct slice key, uint64_t hash, int64_t now_ms)
{
    struct flight_shard *s = flight_shard_of(fl, hash);
    pthread_mutex_lock(&s->lock);
    detach(s, key, hash);
    bool was_there = store_remove(fl->store, key, hash, now_ms);
    pthread_mutex_unlock(&s->lock);
    return was_there;
}

int flights_set(struct flights *fl, const struct put *p, int64_t now_ms, struct err *e)
{
    struct flight_shard *s = flight_shard_of(fl, p->hash);
    pthread_mutex_lock(&s->lock);
    struct flight *f = flight_table_find(s, p->key, p->hash);
    if (f)
        flight_table_drop(s, f);
    int rc = store_put(fl->store, p, now_ms, e);
    pthread_mutex_unlock(&s->lock);
    return rc;
}
