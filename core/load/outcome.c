#include "load/outcome.h"

#include "base/clock.h"
#include "load/jitter.h"
#include "wire/mp.h"

/* rtcache.unchanged: what is stored gets new deadlines, and keeps its tags unless the script said
 * which it has. What has none may be from before there were any, or from somebody who said nothing
 * of them: with a script that gives tags every tag is taken for one of its own. */
static int take_unchanged(const struct seat *seat, bool has_tags, struct outcome *o,
                          struct entry_tags *tags, struct err *err)
{
    const struct marks *m = binding_thread(seat->binding)->changes->marks;
    if (!seat->stored)
        return err_set(err, ERR_LOAD_FAILED, "%s: rtcache.unchanged, but nothing is stored",
                       seat->binding->conf->script);
    o->value = entry_value(seat->stored);
    o->unchanged = seat->stored;
    if (!o->has_version) {
        o->has_version = seat->stored_hit.has_version;
        o->version = seat->stored_hit.version;
    }
    o->retagged = has_tags;
    if (!has_tags)
        entry_read_tags(seat->stored, tags);
    if (!has_tags && tags->count == 0 && binding_facts(seat->binding)->gives_tags)
        outcome_any_tag(m, tags);
    return 0;
}

void outcome_any_tag(const struct marks *m, struct entry_tags *out)
{
    out->count = 1;
    out->slots[0] = marks_any_tag(m);
    out->texts = (struct slice){.size = 0};
}

void outcome_read_tags(const struct marks *m, const struct buf *packed, struct entry_tags *out)
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
static void bound_by_start(const struct seat *seat, int64_t began_ms, struct outcome *o)
{
    const struct binding *b = seat->binding;
    int64_t until_ms = binding_thread(b)->started_ms + b->conf->policy.write_timeout_ms;
    if (!b->can_write || began_ms >= until_ms)
        return;
    int64_t left_ms = until_ms - clock_ms();
    bool for_ever = o->ttl_ms == 0 && o->end != END_ABSENT; /* of an absence 0 is not at all */
    if (left_ms <= 0)
        o->ttl_ms = TTL_OVER;
    else if (for_ever || o->ttl_ms > left_ms)
        o->ttl_ms = left_ms;
}

int outcome_make(const struct seat *seat, const struct run_result *r, const struct attempt *at,
                 struct outcome *o, struct entry_tags *tags, struct err *err)
{
    const struct binding *b = seat->binding;
    struct thread_state *t = binding_thread(b);
    const struct policy *p = &b->conf->policy;
    bool absent = r->outcome == RUN_ABSENT;
    int64_t ttl_ms = r->ttl_ms >= 0 ? r->ttl_ms : absent ? p->negative_ttl_ms : p->ttl_ms;
    int64_t stale_ttl_ms = r->stale_ttl_ms >= 0 ? r->stale_ttl_ms : p->stale_ttl_ms;
    *o = (struct outcome){
        .end = absent ? END_ABSENT : END_FOUND,
        .value = buf_slice(&r->value),
        .has_version = r->has_version,
        .version = r->version,
        .store = !r->no_store,
        .ttl_ms = jitter_ms(ttl_ms, p->jitter, &t->rng),
        .stale_ttl_ms = jitter_ms(stale_ttl_ms, p->jitter, &t->rng),
        .keep_ms = p->stale_if_error_ms,
        .replica = b->primary >= 0 && !at->from_primary,
    };
    outcome_read_tags(t->changes->marks, &r->tags, tags);
    if (r->outcome == RUN_FOUND && !r->has_version && b->conf->versioned)
        return err_set(err, ERR_BAD_VALUE,
                       "%s: its loader is versioned, but the value came without one",
                       b->conf->script);
    if (r->outcome == RUN_UNCHANGED && take_unchanged(seat, r->has_tags, o, tags, err) != 0)
        return err->code;
    if (r->tags.size > 0)
        binding_facts(b)->gives_tags = true;
    o->tags = tags->slots;
    o->tag_count = tags->count;
    o->tag_texts = tags->texts;
    bound_by_start(seat, at->began_us / 1000, o);
    if (binding_is_cut(b))
        o->ttl_ms = TTL_OVER;
    return 0;
}
