/* The end of a flight: whether its result may be stored, backoff, and who is to be woken. */
#include "load/flight_priv.h"
#include "load/spread.h"

#include <stdlib.h>

static bool store_outcome(struct flights *fl, struct flight *f, const struct outcome *o,
                          int64_t now_ms)
{
    struct put p = {
        .key = flight_key(f),
        .hash = f->hash,
        .value = o->value,
        .negative = o->end == END_ABSENT,
        .has_version = o->has_version,
        .version = o->version,
        .ttl_ms = o->ttl_ms,
        .stale_ttl_ms = o->stale_ttl_ms,
        .keep_ms = o->keep_ms,
        .load_us = o->load_us,
    };
    if (o->store && !(p.negative && p.ttl_ms <= 0))
        return store_put(fl->store, &p, now_ms, NULL) == 0;
    /* Not to be kept: then what was stored is known to be old. */
    store_remove(fl->store, p.key, p.hash, now_ms);
    return false;
}

static void enter_backoff(struct flights *fl, struct flight_shard *s, struct flight *f,
                          const struct outcome *o, int64_t now_ms)
{
    f->failures++;
    f->retry_at_ms =
        now_ms + spread_backoff_ms(f->failures, o->backoff_base_ms, o->backoff_cap_ms, &s->rng);
    f->retry_after_ms = (int32_t)(f->retry_at_ms - now_ms);
    if (f->detached) {
        if (flight_table_find(s, flight_key(f), f->hash))
            return; /* a newer flight speaks for the key */
        flight_ref(f);
        f->detached = false;
        f->loading = false;
        flight_table_add(s, f);
    } else {
        f->loading = false;
        s->loading_count--;
    }
    list_push_back(&s->failed, &f->failed);
    s->failed_count++;
    if (s->failed_count > fl->failed_max) {
        s->failed_dropped++;
        flight_table_drop(s, container_of(s->failed.next, struct flight, failed));
    }
}

static void keep_outcome(struct flight *f, const struct outcome *o)
{
    f->end = o->end;
    f->has_version = o->has_version;
    f->version = o->version;
    f->ttl_ms = o->ttl_ms;
    f->load_us = o->load_us;
    f->retry_after_ms = -1;
    if (o->err) {
        f->err_code = o->err->code;
        f->retry_after_ms = o->err->retry_after_ms;
        f->err = malloc(sizeof *f->err);
        if (f->err)
            *f->err = *o->err;
    }
    if (o->end == END_FOUND) {
        f->value = entry_new_value(o->value);
        if (!f->value) {
            f->end = END_REFUSED;
            f->err_code = ERR_NOMEM;
        }
    }
}

void flights_end(struct flights *fl, struct flight *f, const struct outcome *o, int64_t now_ms,
                 bool *stored)
{
    struct flight_shard *s = flight_shard_of(fl, f->hash);
    *stored = false;
    keep_outcome(f, o); /* nobody else reads it before the end of this function */
    pthread_mutex_lock(&s->lock);
    if (o->end == END_FAILED) {
        enter_backoff(fl, s, f, o, now_ms);
    } else if (!f->detached) {
        if (o->end != END_REFUSED && f->generation >= o->generation)
            *stored = store_outcome(fl, f, o, now_ms);
        flight_table_drop(s, f);
    }
    for (unsigned i = 0; i < f->slot_count; i++) {
        if (list_empty(&f->slots[i].waiters))
            continue;
        flight_ref(f);
        list_for_each (link, &f->slots[i].waiters) {
            container_of(link, struct waiter, link)->flight = NULL;
        }
    }
    pthread_mutex_unlock(&s->lock);
}
