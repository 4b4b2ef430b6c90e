#include "store/restore.h"

#include "base/show.h"
#include "store/shard_priv.h"

/* Longer than any span, and short enough to be added. */
#define LENGTH_MOST (INT64_C(1) << 50)

/* What is left of an entry: how long ago it was stored, as far as it is told, and its spans. */
struct rest {
    int64_t age_ms;
    int64_t fresh_ms;          /* from then; STORE_FOREVER_MS */
    int64_t stale_ms, keep_ms; /* from the end of fresh; STORE_FOREVER_MS */
    bool candidate;
};

static int64_t bounded(int64_t length)
{
    return length < -LENGTH_MOST ? -LENGTH_MOST : length > LENGTH_MOST ? LENGTH_MOST : length;
}

/* A length that has no end stays so. */
static int64_t less(int64_t length, int64_t by)
{
    return length == STORE_FOREVER_MS ? length : bounded(length) - by;
}

static int64_t longer(int64_t a, int64_t b)
{
    return a > b ? a : b;
}

/* As it would be in this moment; an age that the shard's time has no room for is cut. */
static void keep_times(const struct record *r, int64_t left_ms, int64_t age_ms, int64_t now,
                       struct rest *out)
{
    out->age_ms = age_ms < now ? age_ms : now;
    out->fresh_ms = left_ms == STORE_FOREVER_MS ? left_ms : left_ms + out->age_ms;
    out->stale_ms = less(r->stale_ttl_ms, 0);
    out->keep_ms = less(r->keep_ms, 0);
    if (out->fresh_ms < 0) {
        out->stale_ms = less(out->stale_ms, -out->fresh_ms);
        out->keep_ms = less(out->keep_ms, -out->fresh_ms);
        out->fresh_ms = 0;
    }
}

/* Stale from now on, or a candidate. */
static void keep_less(const struct record *r, int64_t left_ms, bool candidate, struct rest *out)
{
    int64_t past_ms = left_ms < 0 ? -left_ms : 0;
    out->age_ms = out->fresh_ms = 0;
    out->stale_ms = less(r->stale_ttl_ms, past_ms);
    out->keep_ms = less(r->keep_ms, past_ms);
    out->candidate = candidate;
    if (!candidate)
        return;
    int64_t after_ms = longer(out->stale_ms, out->keep_ms);
    bool for_ever = left_ms == STORE_FOREVER_MS || after_ms == STORE_FOREVER_MS;
    out->stale_ms = 0;
    out->keep_ms = for_ever ? STORE_FOREVER_MS : after_ms + longer(left_ms, 0);
}

/* false: nothing is left. */
static bool read_rest(const struct record *r, const struct restore *how, int64_t now,
                      struct rest *out)
{
    int64_t passed_ms = longer(bounded(how->passed_ms), 0);
    int64_t age_ms = bounded(r->age_ms) + passed_ms;
    int64_t left_ms = less(r->fresh_left_ms, passed_ms); /* below 0: it is past fresh */
    bool candidate = r->unproven || how->as == RESTORED_CANDIDATE;
    *out = (struct rest){.age_ms = 0};
    if (r->negative && (candidate || how->as == RESTORED_STALE || left_ms <= 0))
        return false;
    if (candidate || (how->as == RESTORED_STALE && !r->made_stale))
        keep_less(r, left_ms, candidate, out);
    else
        keep_times(r, left_ms, age_ms, now, out);
    int64_t dead_ms = longer(longer(out->stale_ms, out->keep_ms), 0);
    return out->fresh_ms == STORE_FOREVER_MS || dead_ms == STORE_FOREVER_MS ||
           out->fresh_ms + dead_ms > out->age_ms;
}

/* An entry on its way back. */
struct coming {
    const struct record *record;
    const struct restore *how;
    struct rest rest;
    struct put put;
    int64_t now_ms;
};

/* The put that its deadlines and its bytes are made of. */
static struct put put_of(const struct coming *c, uint64_t hash, const struct marks *marks,
                         uint32_t slots[MARKS_TAGS_MAX])
{
    const struct record *r = c->record;
    const struct rest *rest = &c->rest;
    int64_t ttl_ms = rest->fresh_ms > 0 ? rest->fresh_ms : TTL_OVER;
    struct put p = {
        .key = r->key,
        .hash = hash,
        .value = r->value,
        .negative = r->negative,
        .has_version = r->has_version,
        .version = r->version,
        .ttl_ms = rest->fresh_ms == STORE_FOREVER_MS ? 0 : ttl_ms,
        .stale_ttl_ms = rest->stale_ms,
        .keep_ms = rest->keep_ms,
        .refresh = {.owner = c->how->refresh.owner, .early = c->how->refresh.early},
        .load_us = r->load_us,
        .tags = slots,
        .tag_count = record_slots(r, marks, slots),
        .since = c->how->judged ? c->how->since : marks_now(marks),
    };
    if (p.tag_count > 0 && r->tagged == TAGGED_TEXTS)
        p.tag_texts = r->tag_texts;
    return p;
}

/* Whether what is stored is a newer load's, or may be. */
static bool stays(struct shard *s, struct entry *old, const struct coming *c, int64_t now)
{
    bool quiet = entry_is_quiet(old, s->marks) && !globs_behind(&s->globs, old);
    if ((!quiet && !shard_judge(s, old, now)) ||
        entry_status(old, entry_age_ms(old, now)) == LOOKUP_MISS)
        return false;
    if (c->put.has_version && old->flags & ENTRY_VERSIONED && entry_version(old) != c->put.version)
        return entry_version(old) > c->put.version;
    return !(old->life & ENTRY_UNPROVEN) || c->rest.candidate;
}

/* What a put does not tell; under the lock, while it is in no list. */
static void shape(struct entry *e, const struct coming *c)
{
    const struct rest *rest = &c->rest;
    entry_set_deadlines(e, &c->put, c->now_ms - rest->age_ms);
    entry_set_load(e, &c->put, 0);
    entry_set_loader(e, &c->put);
    if (rest->candidate)
        e->life |= ENTRY_UNPROVEN;
    if (rest->candidate || c->how->as != RESTORED_PROVEN)
        return;
    e->reads = c->record->reads;
    bool fresh = rest->fresh_ms > rest->age_ms && rest->fresh_ms != STORE_FOREVER_MS;
    if (fresh && !c->record->negative && c->how->refresh.ahead_ms != 0)
        e->ahead = c->record->ahead;
}

/* e is filled. It is stored, or let go. ERR_NOMEM. */
static int take_in(struct shard *s, const struct coming *c, struct entry *e, bool *stored)
{
    const struct record *r = c->record;
    int64_t now = shard_lock(s, c->now_ms);
    struct entry *old = table_find(&s->table, c->put.key, c->put.hash);
    bool may = !old || !stays(s, old, c, now);
    int rc = may && !old ? shard_reserve(s) : 0;
    *stored = may && rc == 0;
    if (*stored) {
        shape(e, c);
        shard_put_in(s, old, e, c->put.hash);
        if (!old)
            policy_put_back(&s->policy, e, r->frequency, r->score, r->in_main);
    } else {
        shard_let_go(s, e);
    }
    pthread_mutex_unlock(&s->lock);
    return rc;
}

int restore_in(struct shard *s, const struct record *r, const struct restore *how, uint64_t hash,
               int64_t now_ms, bool *stored, struct err *e)
{
    char text[SHOW_KEY_TEXT];
    uint32_t slots[MARKS_TAGS_MAX];
    struct room room = {0};
    struct coming c = {.record = r, .how = how, .now_ms = now_ms};
    *stored = false;
    if (r->key.size == 0 || r->key.size > ENTRY_KEY_MAX)
        return err_set(e, ERR_BAD_KEY, "a key of %zu bytes, where 1 to %d are taken", r->key.size,
                       ENTRY_KEY_MAX);
    if (!read_rest(r, how, now_ms, &c.rest))
        return 0;
    c.put = put_of(&c, hash, s->marks, slots);
    while (shard_make_room(s, &c.put, &room)) {
    }
    int rc = room.entry ? 0 : s->heap.denied ? ERR_NOMEM : ERR_TOO_LARGE;
    if (rc == 0) {
        entry_fill(room.entry, &c.put);
        rc = take_in(s, &c, room.entry, stored);
    }
    if (rc == ERR_NOMEM)
        return err_set(e, rc, "%s: no memory for an entry of %zu bytes", show_key(text, r->key),
                       entry_size(&c.put));
    if (rc != 0)
        return err_set(e, rc, "%s: an entry of %zu bytes, where the memory allows %zu",
                       show_key(text, r->key), entry_size(&c.put), shard_largest(s));
    return 0;
}
