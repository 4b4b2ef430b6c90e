#include "load/load_tier.h"

#include "base/clock.h"
#include "load/tiered.h"

static struct tiered *tiered_of(const struct load *ld)
{
    return ld->binding->conf->tier ? load_thread(ld)->tiered : NULL;
}

/* ---- before the source ---- */

/* A refresh wants what the source has; so does who was told something older than it knows of. */
static bool looks(const struct flight *f)
{
    return f->asked.reason == REASON_MISS && !f->asked.primary;
}

/* What is left of its times, as an outcome has it. */
static int64_t ttl_left_ms(const struct tier_row *row, int64_t now_ms)
{
    return row->until_ms == INT64_MAX ? 0 : row->until_ms - now_ms;
}

/* false: it is below the key's floor, and nothing has ended. */
static bool end_proven(struct load *ld, struct seat *seat, const struct tier_row *row)
{
    const struct binding *b = ld->binding;
    struct thread_state *t = load_thread(ld);
    const struct record tags = {.tagged = row->tagged, .tag_texts = row->tags};
    uint32_t slots[MARKS_TAGS_MAX];
    int64_t now_ms = clock_ms();
    struct verdict v;
    struct outcome o = {
        .end = END_FOUND,
        .value = row->value,
        .has_version = row->has_version,
        .version = row->version,
        .store = true,
        .ttl_ms = ttl_left_ms(row, now_ms),
        .stale_ttl_ms = row->stale_ms,
        .keep_ms = row->keep_ms,
        .load_us = (uint32_t)row->load_us,
        .tags = slots,
        .tag_count = record_slots(&tags, t->changes->marks, slots),
    };
    if (o.tag_count > 0 && row->tagged == TAGGED_TEXTS)
        o.tag_texts = row->tags;
    if (o.ttl_ms < 0)
        return false;
    o.refresh = snapshot_refresh(b->edition->snapshot, b->index, o.ttl_ms, o.load_us, 0, &t->rng);
    answers_end(&t->answers, seat->flight, &o, now_ms, &v);
    if (v.below)
        return false;
    metrics_add(t->metrics, M_HELD_REFUSED, v.crowded);
    list_remove(&seat->link);
    list_push_back(&ld->ended, &seat->link);
    return true;
}

static void take_row(struct load *ld, struct seat *seat, const struct tier_row *row)
{
    struct tiered *t = tiered_of(ld);
    struct tier_numbers *n = &t->tier->numbers;
    const struct flight *f = seat->flight;
    struct tiered_row r = {
        .row = row, .key = flight_key(f), .hash = f->hash, .binding = ld->binding};
    enum tier_verdict verdict = tiered_judge(t, &r);
    if (verdict == TIER_PROVEN && end_proven(ld, seat, row)) {
        tier_count(&n->hits, 1);
        return;
    }
    seat->brought =
        verdict != TIER_NOTHING && verdict != TIER_PROVEN && tiered_bring(t, &r, verdict, f);
    tier_count(seat->brought ? &n->candidates : &n->misses, 1);
}

static void load_tier_done(struct tier_ask *ask, const struct tier_row *row)
{
    struct seat *seat = container_of(ask, struct seat, ask);
    struct load *ld = seat->load;
    seat->asking = false;
    seat->rowless = !row && ask->answered;
    if (row)
        take_row(ld, seat, row);
    else
        tier_count(&tiered_of(ld)->tier->numbers.misses, 1);
    if (--ld->asking == 0)
        ld->go_on(ld);
}

bool load_tier_ask(struct load *ld, void (*go_on)(struct load *ld))
{
    struct tiered *t = tiered_of(ld);
    if (!t || binding_is_cut(ld->binding))
        return false;
    ld->go_on = go_on;
    list_for_each (link, &ld->seats) {
        struct seat *seat = container_of(link, struct seat, link);
        if (!looks(seat->flight) || !tier_item_can_have(flight_key(seat->flight)))
            continue;
        seat->ask = (struct tier_ask){.key = flight_key(seat->flight), .done = load_tier_done};
        seat->asking = tier_reader_ask(&t->lane.reader, &seat->ask);
        ld->asking += seat->asking;
    }
    return ld->asking > 0;
}

void load_tier_cancel(struct load *ld)
{
    if (ld->asking == 0)
        return;
    list_for_each (link, &ld->seats) {
        struct seat *seat = container_of(link, struct seat, link);
        if (seat->asking)
            tier_reader_cancel(&seat->ask);
        seat->asking = false;
    }
    ld->asking = 0;
}

/* ---- behind the source ---- */

/* An unchanged value is written again where its end has moved by a quarter of its ttl: before that
 * the row that is there is right as well. */
static bool is_moved(const struct seat *seat, const struct outcome *o)
{
    if (!o->unchanged || o->retagged || seat->brought)
        return true;
    int64_t had_ms = seat->stored_hit.ttl_ms > 0 ? seat->stored_hit.ttl_ms : 0;
    if (o->ttl_ms == 0 || had_ms == STORE_FOREVER_MS)
        return (o->ttl_ms == 0) != (had_ms == STORE_FOREVER_MS);
    return o->ttl_ms - had_ms >= o->ttl_ms / 4;
}

static bool pays(const struct load *ld, const struct outcome *o, const struct verdict *v)
{
    return o->end == END_FOUND && v->stored && o->has_version && o->ttl_ms >= 0 &&
           o->load_us / 1000 >= load_policy(ld)->tier_min_load_ms;
}

static void keep(const struct load *ld, const struct seat *seat, const struct outcome *o)
{
    struct tiered *t = tiered_of(ld);
    int64_t now_ms = clock_ms(), wall_ms = clock_wall_ms();
    size_t count;
    const struct tier_value value = {
        .key = flight_key(seat->flight),
        .hash = seat->flight->hash,
        .packed = o->value,
        .has_version = true,
        .version = o->version,
        .tagged = o->tag_count == 0        ? TAGGED_NOT
                  : o->tag_texts.size == 0 ? TAGGED_UNKNOWN
                                           : TAGGED_TEXTS,
        .tags = o->tag_texts,
        .loaded_wall_ms = wall_ms,
        .wall_ms = o->ttl_ms == 0 ? TIER_FOREVER_MS : wall_ms + o->ttl_ms,
        .until_ms = o->ttl_ms == 0 ? INT64_MAX : now_ms + o->ttl_ms,
        .stale_ms = o->stale_ttl_ms,
        .keep_ms = o->keep_ms,
        .load_us = o->load_us,
        .since = seat->flight->token.since,
        .seen = seat->seen,
        .print = ld->binding->tier.print,
    };
    if (tier_keep(t->tier, &value, &count))
        tier_writer_wake(&t->lane.writer, count);
}

void load_tier_keep(const struct load *ld, const struct seat *seat, const struct outcome *o,
                    const struct verdict *v)
{
    struct tiered *t = tiered_of(ld);
    if (!t || (o->end != END_FOUND && o->end != END_ABSENT))
        return;
    if (pays(ld, o, v)) {
        if (is_moved(seat, o))
            keep(ld, seat, o);
        return;
    }
    if (seat->rowless) /* there is none that this has overtaken */
        return;
    if (o->end == END_FOUND) {
        tier_changes(t->tier, seat->flight->hash);
        return;
    }
    const struct tier_change gone = {
        .key = flight_key(seat->flight),
        .hash = seat->flight->hash,
        .version = NULL,
        .now_ms = clock_ms(),
        .wall_ms = clock_wall_ms(),
        .ttl_ms = ld->binding->edition->snapshot->conf->floor_ttl_ms,
    };
    tier_changed(t->tier, &gone);
}
