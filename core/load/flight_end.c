/* The end of a flight: whether its result may be stored, backoff, and who is to be woken. */
#include "load/flight_priv.h"
#include "load/jitter.h"

#include <stdlib.h>

static struct put put_of(const struct flight *f, const struct outcome *o)
{
    return (struct put){
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
        .refresh = o->refresh,
        .renews = o->unchanged != NULL,
        .tags = o->tags,
        .tag_count = o->tag_count,
        .tag_texts = o->tag_texts,
        .since = f->token.since,
    };
}

/* keep false: it is delivered only. */
static bool store_outcome(struct flights *fl, struct flight *f, const struct put *p, bool keep,
                          int64_t now_ms)
{
    if (keep && !(p->negative && p->ttl_ms <= 0)) {
        int rc = store_put(fl->store, p, now_ms, NULL);
        if (rc == ERR_TOO_LARGE) {
            f->outcome.too_large = store_size_of(p);
            f->outcome.largest = store_largest(fl->store, p->hash);
        }
        return rc == 0;
    }
    /* Not to be kept: then what was stored is known to be old. */
    store_remove(fl->store, p->key, p->hash, now_ms);
    return false;
}

/* For a large value many entries may have to leave, which nobody who needs the lock waits for. */
static void make_room(struct flights *fl, const struct flight *f, const struct outcome *o,
                      struct room *room)
{
    if (o->end != END_FOUND || !o->store || o->unchanged || o->value.size < STORE_ROOM_LEAST)
        return;
    struct put p = put_of(f, o);
    flight_make_room(fl, &p, room);
}

static void enter_backoff(struct flights *fl, struct flight_shard *s, struct flight *f,
                          const struct outcome *o, int64_t now_ms)
{
    f->failures++;
    f->retry_at_ms =
        now_ms + jitter_backoff_ms(f->failures, o->backoff_base_ms, o->backoff_cap_ms, &s->rng);
    f->outcome.retry_after_ms = (int32_t)(f->retry_at_ms - now_ms);
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

static void keep_outcome(struct flight_outcome *out, const struct outcome *o, struct entry *value,
                         struct err *err)
{
    *out = (struct flight_outcome){
        .end = o->end,
        .value = value,
        .err = err,
        .err_code = o->err ? o->err->code : 0,
        .retry_after_ms = o->err ? o->err->retry_after_ms : -1,
        .has_version = o->has_version,
        .replica = o->replica,
        .version = o->version,
        .ttl_ms = o->ttl_ms,
        .load_us = o->load_us,
    };
    if (o->end == END_FOUND && !value) {
        out->end = END_REFUSED;
        out->err_code = ERR_NOMEM;
    }
}

/* Below the floor nothing is delivered, whoever waits. What carries no version is not judged: its
 * loader has none (the guarantees say so). What a lagging source says proves nothing where it is an
 * absence below a floor, or where a floor went early since the attempt began, which its waiters may
 * have been promised. */
static bool is_below(const struct flight_shard *s, const struct flight *f, const struct outcome *o,
                     const struct floor_seen *floor)
{
    bool came = o->end == END_FOUND || o->end == END_ABSENT;
    if (came && o->replica && f->token.epoch != s->epoch)
        return true;
    if (!came || !floor->there)
        return false;
    bool older = o->has_version && o->version < floor->version;
    return older || (o->end == END_ABSENT && !o->has_version && o->replica);
}

/* The token: the flight's identity (not detached), its shard's epoch, its script's generation, no
 * mark since the attempt began; and the version of what is stored, which never goes back. */
static bool may_store(struct flights *fl, struct flight_shard *s, const struct flight *f,
                      const struct outcome *o, int64_t now_ms)
{
    int64_t stored;
    if (f->detached || f->token.epoch != s->epoch || f->token.generation < o->generation ||
        f->outcome.overtaken)
        return false;
    return !(o->has_version && flight_stored_version(fl, flight_key(f), f->hash, now_ms, &stored) &&
             stored > o->version);
}

/* An absence below a floor may be a row that is announced and cannot be seen yet, unless its loader
 * has told the version at which the row went. What was read
 * while a write was in doubt may be from before it, however late it comes. */
static bool may_keep(const struct flight *f, const struct outcome *o,
                     const struct floor_seen *floor)
{
    bool doubtful = o->end == END_ABSENT && !o->has_version && floor->there && !floor->gone;
    return o->store && !f->token.doubtful && !doubtful;
}

/* What tags and patterns have done to the result since its attempt began. */
static enum mark judge(struct flights *fl, const struct flight *f, const struct outcome *o)
{
    if (o->end != END_FOUND && o->end != END_ABSENT)
        return MARK_NONE;
    enum mark mark = marks_judge_key(fl->marks, flight_key(f), f->token.since);
    if (o->tag_count > 0 && fl->marks && mark != MARK_HARD) {
        enum mark by_tag = marks_judge_tags(fl->marks, o->tags, o->tag_count, f->token.since);
        mark = by_tag > mark ? by_tag : mark;
    }
    return mark;
}

/* A refresh is to keep an entry fresh: where there is none any more, and nobody has asked for the
 * key since, a value would only take another one's place. */
static bool is_wasted(struct flights *fl, const struct flight *f, const struct outcome *o,
                      int64_t now_ms)
{
    struct hit hit;
    if (!f->asked.replaces || f->joined)
        return false;
    enum lookup found = store_get(fl->store, flight_key(f), f->hash, now_ms, WANT_PEEK, NULL, &hit);
    entry_unref(hit.entry);
    return found == LOOKUP_MISS && o->store;
}

/* Whether there were any. */
static bool hand_over_waiters(struct flight *f)
{
    bool any = false;
    for (unsigned i = 0; i < f->slot_count; i++) {
        if (list_empty(&f->slots[i].waiters))
            continue;
        any = true;
        flight_ref(f);
        list_for_each (link, &f->slots[i].waiters) {
            container_of(link, struct waiter, link)->flight = NULL;
        }
    }
    return any;
}

/* What waiters are given; NULL: no memory, or v says that there is no room for it. */
static struct entry *share_value(const struct flights *fl, const struct outcome *o,
                                 struct verdict *v)
{
    if (o->unchanged && !o->retagged)
        return entry_ref(o->unchanged);
    struct entry *e = o->tag_count == 0
                          ? entry_new_value(o->value)
                          : entry_new_tagged(&(struct put){.value = o->value,
                                                           .tags = o->tags,
                                                           .tag_count = o->tag_count,
                                                           .tag_texts = o->tag_texts});
    v->crowded = e && fl->admits && !fl->admits(fl->budget, entry_outside_size(e));
    if (v->crowded) {
        entry_unref(e);
        return NULL;
    }
    return e;
}

void flights_end(struct flights *fl, struct flight *f, const struct outcome *o, int64_t now_ms,
                 struct verdict *v)
{
    struct flight_shard *s = flight_shard_of(fl, f->hash);
    *v = (struct verdict){0};
    /* Made before the lock is taken. */
    struct entry *value = o->end == END_FOUND ? share_value(fl, o, v) : NULL;
    struct err *err = o->err ? malloc(sizeof *err) : NULL;
    if (err)
        *err = *o->err;
    struct room room = {0};
    make_room(fl, f, o, &room);
    pthread_mutex_lock(&s->lock);
    struct floor_seen floor = floors_see(&s->floors, flight_key(f), f->hash, now_ms);
    if (is_below(s, f, o, &floor)) {
        pthread_mutex_unlock(&s->lock);
        v->below = true;
        v->floor = floor.there ? floor.version : INT64_MIN;
        entry_unref(value);
        entry_unref(room.entry);
        free(err);
        return;
    }
    flight_uncount(fl, f);
    keep_outcome(&f->outcome, o, value, err);
    if (v->crowded)
        f->outcome.err_code = ERR_OVERLOADED;
    enum mark mark = judge(fl, f, o);
    f->outcome.overtaken = mark == MARK_HARD;
    if (o->end == END_FAILED) {
        enter_backoff(fl, s, f, o, now_ms);
    } else {
        if (o->end != END_REFUSED && may_store(fl, s, f, o, now_ms)) {
            struct put p = put_of(f, o);
            p.room = &room;
            if (mark == MARK_SOFT)
                p.ttl_ms = TTL_OVER;
            v->wasted = is_wasted(fl, f, o, now_ms);
            if (!v->wasted)
                v->stored = store_outcome(fl, f, &p, may_keep(f, o, &floor), now_ms);
        }
        v->too_large = f->outcome.too_large;
        v->largest = f->outcome.largest;
        if (!f->detached)
            flight_table_drop(s, f);
    }
    bool told = hand_over_waiters(f);
    v->crowded = v->crowded && told;
    pthread_mutex_unlock(&s->lock);
    entry_unref(room.entry);
}
