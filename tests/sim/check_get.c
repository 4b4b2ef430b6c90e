/* What a get may return: its answer, and what brought it, against what was promised by the time at
 * which the get began. */
#include "check_state.h"

struct answer {
    const struct event *e;
    size_t i;
    const struct check_open *g;
    const struct check_key *k;
    const struct check_read *r;
    bool absent, kept; /* kept: from memory */
};

/* The promise binds what r brought; a put in any case. Not where the floor's time was over by the
 * end of r, which asks a source that lags for longer; nor where the floor went early, and r came
 * from a source that lags with nothing to fall back on, from a primary that did not show the
 * version yet, or from a client's set. */
static bool binds(const struct check *c, const struct answer *a, const struct check_promise *p)
{
    const struct check_read *r = a->r;
    if (p->order >= a->g->began)
        return false;
    if (r->by_put)
        return true;
    if (r->ended > p->order && r->ended_ms >= p->at_ms + c->floor_ttl_ms)
        return false;
    size_t lost = r->by_client || r->of_primary ? p->forgotten : p->lost;
    return !(lost > 0 && r->ended > lost);
}

static bool is_right(struct check *c, const struct answer *a)
{
    const struct event *e = a->e;
    bool right = a->r->key == e->key && a->r->began > 0 && a->r->absent == a->absent;
    if (!a->absent)
        right = right && e->seen == a->r->version &&
                (e->flags & F_HAS_VERSION ? e->version == e->seen : !a->k->versioned);
    return right || check_broken(c, RULE_BYTES, a->i, e->key, a->r->began);
}

static bool began_late_enough(struct check *c, const struct answer *a)
{
    size_t began = a->r->began;
    int key = a->e->key;
    if (began < a->g->plain)
        return check_broken(c, RULE_PLAIN, a->i, key, a->g->plain);
    if (began < a->g->match)
        return check_broken(c, RULE_MATCH, a->i, key, a->g->match);
    for (int i = 0; i < HISTORY_TAGS; i++)
        if (a->r->tags & 1 << i && began < a->g->tags[i])
            return check_broken(c, RULE_TAG, a->i, key, a->g->tags[i]);
    if (a->absent && began < a->g->any)
        return check_broken(c, RULE_NEGATIVE, a->i, key, a->g->any);
    return true;
}

static bool is_high_enough(struct check *c, const struct answer *a)
{
    for (size_t i = 0; i < a->k->promise_count && a->k->versioned && !a->absent; i++) {
        const struct check_promise *p = &a->k->promises[i];
        if (a->e->seen < p->version && binds(c, a, p))
            return check_broken(c, RULE_FLOOR, a->i, a->e->key, p->order);
    }
    return true;
}

/* The highest that binds; NULL: none does. */
static const struct check_promise *highest(const struct check *c, const struct answer *a)
{
    const struct check_promise *top = NULL;
    for (size_t i = 0; i < a->k->promise_count; i++) {
        const struct check_promise *p = &a->k->promises[i];
        if (binds(c, a, p) && (!top || p->version > top->version))
            top = p;
    }
    return top;
}

/* Whether the row was told to be gone at that version, or a later one: what is told of an older one
 * makes that floor last longer. */
static bool is_gone(const struct answer *a, int64_t version)
{
    for (size_t i = 0; i < a->k->promise_count; i++)
        if (a->k->promises[i].version >= version && a->k->promises[i].gone)
            return true;
    return false;
}

/* An absence is no version; it is known by when the source said so. */
static bool is_absent_enough(struct check *c, const struct answer *a)
{
    if (!a->absent || !a->k->versioned)
        return true;
    for (size_t i = 0; i < a->k->promise_count && a->k->kind != SOURCE_LONE; i++) {
        const struct check_promise *p = &a->k->promises[i];
        if (a->r->version < p->shown && binds(c, a, p))
            return check_broken(c, RULE_ABSENT, a->i, a->e->key, p->order);
    }
    const struct check_promise *top = highest(c, a);
    if (a->kept && top && a->r->version < top->version && !is_gone(a, top->version))
        return check_broken(c, RULE_KEPT, a->i, a->e->key, top->order);
    return true;
}

/* An absence has no version: it has to be of a state that is as new, where that could be seen. */
static bool obeys_min(struct check *c, const struct answer *a)
{
    const struct event *e = a->e;
    bool visible = a->k->kind != SOURCE_LONE && a->g->min <= a->g->shown;
    bool new = a->absent ? !a->kept && (!visible || a->r->version >= a->g->min)
                         : e->flags &F_HAS_VERSION && e->version >= a->g->min;
    return !a->g->has_min || new || check_broken(c, RULE_MIN, a->i, e->key, a->g->began);
}

static bool is_of_a_load(struct check *c, const struct answer *a)
{
    return !a->g->refresh || !a->kept ||
           check_broken(c, RULE_REFRESH, a->i, a->e->key, a->g->began);
}

static bool is_beyond_doubt(struct check *c, const struct answer *a)
{
    for (size_t i = 0; i < a->k->doubt_count && a->kept && !a->r->by_client; i++) {
        const struct check_doubt *d = &a->k->doubts[i];
        if (a->r->began > d->order && a->r->began_ms < d->until_ms)
            return check_broken(c, RULE_DOUBT, a->i, a->e->key, d->order);
    }
    return true;
}

static size_t softened(const struct check *c, const struct answer *a)
{
    size_t at = a->k->expired > a->k->soft_match ? a->k->expired : a->k->soft_match;
    for (int i = 0; i < HISTORY_TAGS; i++)
        if (a->r->tags & 1 << i && c->soft_tags[i] > at)
            at = c->soft_tags[i];
    return at;
}

static bool is_marked(struct check *c, const struct answer *a)
{
    const struct check_key *k = a->k;
    int64_t now_ms = a->e->at_ms, fresh_ms = a->r->fresh_until_ms, dead_ms = a->r->dead_until_ms;
    bool touched = k->touched > a->r->ended;
    if (touched && k->touch_fresh_ms > fresh_ms)
        fresh_ms = k->touch_fresh_ms;
    if (touched && k->touch_dead_ms > dead_ms)
        dead_ms = k->touch_dead_ms;
    size_t soft = softened(c, a);
    if (a->e->status == GOT_HIT && now_ms >= fresh_ms)
        return check_broken(c, RULE_FRESH, a->i, a->e->key, a->r->ended);
    if (a->e->status == GOT_HIT && a->r->began < soft) /* no touch takes that back */
        return check_broken(c, RULE_FRESH, a->i, a->e->key, soft);
    if (a->kept && now_ms >= dead_ms)
        return check_broken(c, RULE_BOUND, a->i, a->e->key, a->r->ended);
    return true;
}

static bool is_settled(struct check *c, const struct answer *a)
{
    bool equal = a->absent == a->k->absent[a->k->head] && (a->absent || a->e->seen == a->k->head);
    bool settled = c->settled > 0 && c->settled < a->g->began;
    return !settled || equal || check_broken(c, RULE_SETTLED, a->i, a->e->key, c->settled);
}

bool check_answer(struct check *c, size_t i)
{
    const struct event *e = &c->history->events[i];
    struct check_open *g = &c->gets[e->id];
    g->open = false;
    if (e->code != 0)
        return !(c->settled > 0 && c->settled < g->began) ||
               check_broken(c, RULE_SETTLED, i, e->key, c->settled);
    struct answer a = {
        .e = e,
        .i = i,
        .g = g,
        .k = &c->keys[e->key],
        .r = &c->reads[e->read],
        .absent = e->flags & F_ABSENT,
        .kept = e->status != GOT_MISS,
    };
    return is_right(c, &a) && began_late_enough(c, &a) && is_high_enough(c, &a) &&
           is_absent_enough(c, &a) && obeys_min(c, &a) && is_of_a_load(c, &a) &&
           is_beyond_doubt(c, &a) && is_marked(c, &a) && is_settled(c, &a);
}
