#include "load/tiered.h"

#include "base/clock.h"
#include "base/log.h"
#include "load/admission.h"
#include "load/fingerprint.h"
#include "load/flight_keep.h"

#include <stdlib.h>

#define AHEAD_MS 1000 /* by which clocks of servers may differ */

/* ---- what rows are worth ---- */

static bool is_own(const struct tiered *t, const struct tier_row *row)
{
    return row->incarnation == t->tier->incarnation;
}

/* What has overtaken it since it was loaded; a row that is not ours, since the start. */
static enum mark mark_of(const struct tiered *t, const struct tiered_row *r, uint64_t since)
{
    struct marks *m = t->tier->marks;
    uint32_t slots[MARKS_TAGS_MAX];
    struct record tags = {.tagged = r->row->tagged, .tag_texts = r->row->tags};
    enum mark mark = marks_judge_key(m, r->key, since);
    unsigned count = record_slots(&tags, m, slots);
    if (mark == MARK_NONE && count > 0)
        mark = marks_judge_tags(m, slots, count, since);
    return mark;
}

enum tier_verdict tiered_judge(struct tiered *t, const struct tiered_row *r)
{
    const struct tier_row *row = r->row;
    bool own = is_own(t, row);
    bool for_ever = row->until_ms == INT64_MAX;
    const struct tier_facts f = {
        .own = own,
        .same_loader = row->print == r->binding->tier.print,
        .waits = tier_queue_has(tier_queue_of(t->tier, r->hash), r->key, r->hash),
        .seen = row->seen,
        .changed = tier_slots_of(&t->tier->slots, r->hash),
        .kept_from = r->binding->tier.kept_from,
        .mark = mark_of(t, r, own ? row->since : 0),
        .fresh = own && (for_ever || row->until_ms > clock_ms()),
        .dated = row->loaded_wall_ms <= clock_wall_ms() + AHEAD_MS,
        .warm = binding_policy(r->binding)->warm,
    };
    return tier_proof_of(&f);
}

static enum restored as_what(enum tier_verdict verdict)
{
    return verdict == TIER_KEPT    ? RESTORED_PROVEN
           : verdict == TIER_STALE ? RESTORED_STALE
                                   : RESTORED_CANDIDATE;
}

bool tiered_bring(struct tiered *t, const struct tiered_row *r, enum tier_verdict verdict,
                  const struct flight *f)
{
    const struct binding *b = r->binding;
    struct record record;
    struct err e;
    bool stored = false;
    bool own = is_own(t, r->row);
    int64_t now_ms = clock_ms();
    tier_row_record(r->row, r->key, own, now_ms, clock_wall_ms(), &record);
    const struct brought brought = {
        .record = &record,
        .how = {.as = as_what(verdict),
                .refresh = {.owner = snapshot_owner(b->edition->snapshot, b->index),
                            .early = binding_policy(b)->early_beta > 0}},
        .slots = &t->tier->slots,
        .changed = own ? tier_slots_of(&t->tier->slots, r->hash) : 0,
        .since = own ? r->row->since : 0,
        .flight = f,
    };
    /* A change since it was judged shows in its slot, which is judged again under the lock. */
    if (own && brought.changed > r->row->seen)
        return false;
    int rc = flight_keep_brought(t->thread->flights, &brought, now_ms, &stored, &e);
    if (rc != 0 && rc != ERR_TOO_LARGE)
        log_warn("tier.not_brought", "key=%s error=%s", log_key(r->key), log_q(e.text));
    return stored;
}

/* ---- callbacks of the lane ---- */

/* The loader of a key that is kept in the tier; NULL: none is. */
static const struct binding *binding_for(const struct tiered *t, struct slice key)
{
    int index = t->current ? routes_match(t->current->snapshot->routes, key, NULL) : -1;
    if (index < 0 || !t->current->snapshot->conf->loaders[index].tier)
        return NULL;
    return &t->current->admissions[index].binding;
}

static bool tiered_wants(void *arg, struct slice key)
{
    return binding_for(arg, key) != NULL;
}

/* A row of the preload: whatever it proves, it is none that somebody asked for. */
static bool tiered_taken(void *arg, const struct tier_row *row)
{
    struct tiered *t = arg;
    const struct binding *b = binding_for(t, row->key);
    if (!b)
        return false;
    struct tiered_row r = {
        .row = row, .key = row->key, .hash = store_hash(t->thread->store, row->key), .binding = b};
    enum tier_verdict verdict = tiered_judge(t, &r);
    if (verdict == TIER_PROVEN)
        verdict = TIER_KEPT;
    return verdict != TIER_NOTHING && tiered_bring(t, &r, verdict, NULL);
}

/* ---- life ---- */

int tiered_new(struct tiered **out, struct thread_state *thread, struct tier *tier, struct err *e)
{
    *out = NULL;
    if (!tier)
        return 0;
    struct tiered *t = calloc(1, sizeof *t);
    if (!t)
        return err_set(e, ERR_NOMEM, "no memory for the tier of a loader thread");
    t->thread = thread;
    t->tier = tier;
    const struct tier_lane_options o = {
        .tier = tier,
        .index = thread->index,
        .loop = thread->loop,
        .wants = tiered_wants,
        .taken = tiered_taken,
        .arg = t,
    };
    tier_lane_init(&t->lane, &o);
    *out = t;
    return 0;
}

void tiered_free(struct tiered *t)
{
    if (!t)
        return;
    tier_lane_fini(&t->lane);
    free(t);
}

/* What the loader of this pattern was before. */
static const struct binding *find_before(const struct edition *before, const char *pattern)
{
    for (size_t i = 0; before && i < before->snapshot->conf->loader_count; i++) {
        const struct binding *b = &before->admissions[i].binding;
        if (strcmp(b->conf->pattern, pattern) == 0 && b->conf->tier)
            return b;
    }
    return NULL;
}

/* Rows from when a loader was not kept here were not told of what it loaded meanwhile. */
static void know_loader(struct tiered *t, struct binding *b, const struct edition *before)
{
    const struct binding *was = find_before(before, b->conf->pattern);
    struct err e;
    if (fingerprint_of(b->edition->snapshot, (size_t)b->index, &b->tier.print, &e) != 0)
        b->tier.print = rng_next(&t->thread->rng); /* no memory: no row is of it, for now */
    b->tier.print >>= 1;                           /* as a bigint has room for it */
    if (was)
        b->tier.kept_from = was->tier.kept_from;
    else if (before)
        b->tier.kept_from = tier_slots_next(&t->tier->slots);
}

static int64_t keep_ms_of(const struct conf_loader *l)
{
    const struct policy *p = &l->policy;
    int64_t most = p->stale_ttl_ms > p->stale_if_error_ms ? p->stale_ttl_ms : p->stale_if_error_ms;
    return (int64_t)((double)most * (1 + p->jitter));
}

void tiered_attach(struct tiered *t, struct edition *edition, const struct edition *before)
{
    if (!t)
        return;
    const struct conf *conf = edition->snapshot->conf;
    int64_t keep_ms = 0;
    for (size_t i = 0; i < conf->loader_count; i++) {
        if (!conf->loaders[i].tier)
            continue;
        int64_t ms = keep_ms_of(&conf->loaders[i]);
        keep_ms = ms > keep_ms ? ms : keep_ms;
        know_loader(t, &edition->admissions[i].binding, before);
    }
    t->current = edition;
    struct err e;
    int index = conf_backend_index(conf, t->tier->conf.backend);
    struct backend *b = index >= 0 ? edition->backends[index] : NULL;
    bool sqlite = b && strcmp(conf->backends[index].driver->name, "sqlite") == 0;
    if (tier_lane_attach(&t->lane, b, sqlite ? TIER_SQLITE : TIER_POSTGRES, keep_ms, &e) != 0)
        log_error("tier.off", "error=%s", log_q(e.text));
}

void tiered_finish(struct tiered *t, void (*done)(void *arg), void *arg)
{
    if (!t) {
        done(arg);
        return;
    }
    t->current = NULL;
    tier_lane_finish(&t->lane, done, arg);
}
