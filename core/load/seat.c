/* One flight's place on its loader thread, and what a run's result is for it. */
#include "load/loader_priv.h"

#include "base/clock.h"
#include "load/spread.h"
#include "wire/mp.h"

#include <stdlib.h>

#define TTL_OVER (-1) /* stale from now on */

struct seat *seat_new(struct gate *g, struct flight *f)
{
    struct seat *seat = malloc(sizeof *seat);
    if (!seat)
        return NULL;
    *seat = (struct seat){
        .gate = g, .flight = f, .turn = g->set->loader->turn, .queued_us = clock_us()};
    list_init(&seat->link);
    f->seat = seat;
    loader_set_ref(g->set);
    return seat;
}

struct flight *seat_take_flight(struct seat *seat)
{
    struct flight *f = seat->flight;
    f->seat = NULL;
    seat->flight = NULL;
    return f;
}

void seat_free(struct seat *seat)
{
    list_remove(&seat->link);
    entry_unref(seat->stored);
    loader_set_unref(seat->gate->set);
    free(seat);
}

/* What was invalidated since an earlier attempt is not there any more. */
void seat_take_stored(struct seat *seat)
{
    const struct flight *f = seat->flight;
    entry_unref(seat->stored);
    enum lookup had =
        store_get(seat->gate->set->loader->options.store, flight_key(f), f->hash, clock_ms(),
                  WANT_PEEK | WANT_STALE | WANT_KEPT, NULL, &seat->stored_hit);
    bool there = had == LOOKUP_FRESH || had == LOOKUP_STALE || had == LOOKUP_KEPT;
    seat->stored = there ? seat->stored_hit.entry : NULL;
}

/* rtcache.unchanged: what is stored gets new deadlines, and keeps its tags unless the script said
 * which it has. What has none may be from before there were any, or from somebody who said nothing
 * of them: with a script that gives tags every tag is taken for one of its own. */
static int take_unchanged(const struct seat *seat, bool has_tags, struct outcome *o,
                          struct entry_tags *tags, struct err *err)
{
    const struct marks *m = seat->gate->set->loader->options.changes->marks;
    if (!seat->stored)
        return err_set(err, ERR_LOAD_FAILED, "%s: rtcache.unchanged, but nothing is stored",
                       seat->gate->conf->script);
    o->value = entry_value(seat->stored);
    o->unchanged = seat->stored;
    if (!o->has_version) {
        o->has_version = seat->stored_hit.has_version;
        o->version = seat->stored_hit.version;
    }
    o->retagged = has_tags;
    if (!has_tags)
        entry_read_tags(seat->stored, tags);
    if (!has_tags && tags->count == 0 && gate_facts(seat->gate)->gives_tags)
        seat_any_tag(m, tags);
    return 0;
}

void seat_any_tag(const struct marks *m, struct entry_tags *out)
{
    out->count = 1;
    out->slots[0] = marks_any_tag(m);
    out->texts = (struct slice){.size = 0};
}

void seat_read_tags(const struct marks *m, const struct buf *packed, struct entry_tags *out)
{
    struct mp_reader at = mp_reader_of(buf_slice(packed));
    struct mp_token t;
    out->count = 0;
    out->texts = buf_slice(packed);
    if (packed->size == 0 || mp_next(&at, &t) != MP_OK || t.type != MP_ARRAY)
        return;
    for (uint32_t left = t.count; left > 0 && out->count < MARKS_TAGS_MAX; left--)
        if (mp_next(&at, &t) == MP_OK)
            out->slots[out->count++] = marks_slot(m, t.bytes);
}

/* A write that was in the air when the server before this one ended may still take place: nothing
 * that its loader loads in that time is fresh for longer. */
static void bound_by_start(const struct seat *seat, struct outcome *o)
{
    const struct gate *g = seat->gate;
    int64_t until_ms = g->set->loader->started_ms + g->conf->policy.write_timeout_ms;
    int64_t left_ms = until_ms - clock_ms();
    if (!g->can_write || load_began_ms(seat->load) >= until_ms)
        return;
    bool for_ever = o->ttl_ms == 0 && o->end != END_ABSENT; /* of an absence 0 is not at all */
    if (left_ms <= 0)
        o->ttl_ms = TTL_OVER;
    else if (for_ever || o->ttl_ms > left_ms)
        o->ttl_ms = left_ms;
}

int seat_outcome(const struct seat *seat, const struct run_result *r, bool from_primary,
                 struct outcome *o, struct entry_tags *tags, struct err *err)
{
    const struct gate *g = seat->gate;
    struct loader *l = g->set->loader;
    const struct policy *p = &g->conf->policy;
    bool absent = r->outcome == RUN_ABSENT;
    int64_t ttl_ms = r->ttl_ms >= 0 ? r->ttl_ms : absent ? p->negative_ttl_ms : p->ttl_ms;
    int64_t stale_ttl_ms = r->stale_ttl_ms >= 0 ? r->stale_ttl_ms : p->stale_ttl_ms;
    *o = (struct outcome){
        .end = absent ? END_ABSENT : END_FOUND,
        .value = buf_slice(&r->value),
        .has_version = r->has_version,
        .version = r->version,
        .store = !r->no_store,
        .ttl_ms = spread_ms(ttl_ms, p->jitter, &l->rng),
        .stale_ttl_ms = spread_ms(stale_ttl_ms, p->jitter, &l->rng),
        .keep_ms = p->stale_if_error_ms,
        .replica = g->primary >= 0 && !from_primary,
    };
    seat_read_tags(l->options.changes->marks, &r->tags, tags);
    if (r->outcome == RUN_FOUND && !r->has_version && g->conf->versioned)
        return err_set(err, ERR_BAD_VALUE,
                       "%s: its loader is versioned, but the value came without one",
                       g->conf->script);
    if (r->outcome == RUN_UNCHANGED && take_unchanged(seat, r->has_tags, o, tags, err) != 0)
        return err->code;
    if (r->tags.size > 0)
        gate_facts(g)->gives_tags = true;
    o->tags = tags->slots;
    o->tag_count = tags->count;
    o->tag_texts = tags->texts;
    bound_by_start(seat, o);
    if (gate_is_cut(g))
        o->ttl_ms = TTL_OVER;
    return 0;
}
