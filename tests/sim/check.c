/* The walk over a history: what was promised so far, and the rules that are not about an answer. */
#include "check_state.h"

#include "base/err.h"

#include <stdlib.h>
#include <string.h>

struct check *check_new(void)
{
    struct check *c = calloc(1, sizeof *c);
    if (!c) {
        fputs("sim: no memory for the checker\n", stderr);
        abort();
    }
    return c;
}

void check_free(struct check *c)
{
    free(c);
}

const char *check_rule_text(enum check_rule rule)
{
    static const char *const texts[] = {
#define CHECK_TEXT(name, text) text,
        CHECK_RULES(CHECK_TEXT)
#undef CHECK_TEXT
    };
    return texts[rule];
}

bool check_broken(struct check *c, enum check_rule rule, size_t i, int key, size_t because)
{
    *c->finding = (struct finding){
        .rule = rule, .at = i, .key = key, .because = because > 0 ? because - 1 : i};
    return false;
}

static void promise(struct check *c, const struct event *e, size_t order, bool gone)
{
    struct check_key *k = &c->keys[e->key];
    if (k->promise_count == CHECK_PROMISES)
        return;
    k->promises[k->promise_count++] = (struct check_promise){
        .order = order,
        .at_ms = e->at_ms,
        .version = e->version,
        .shown = k->shown,
        .gone = gone,
    };
}

/* The key's floor holds out until its source shows the version everywhere. */
static bool floor_lasts(const struct check *c, const struct check_key *k)
{
    return k->versioned && c->strong && k->kind != SOURCE_LONE;
}

/* Whether a load that begins now sees the newest version. */
static bool is_seen(const struct check_key *k)
{
    return k->kind == SOURCE_PRIMARY && k->shown == k->head;
}

static void note_stored(struct check *c, const struct event *e, size_t order)
{
    struct check_read *r = &c->reads[e->read];
    r->ended = order;
    r->ended_ms = e->at_ms;
    r->fresh_until_ms = e->at_ms + e->ttl_ms;
    r->dead_until_ms = r->fresh_until_ms + (r->absent ? 0 : e->dead_ms);
}

static bool no_step_back(struct check *c, const struct event *e, size_t i)
{
    bool back = e->flags & F_STORED && e->flags & F_VERSIONED && e->version < e->had;
    return !back || check_broken(c, RULE_BACK, i, e->key, 0);
}

static bool on_end(struct check *c, const struct event *e, size_t i)
{
    struct check_key *k = &c->keys[e->key];
    const struct check_read *r = &c->reads[e->read];
    note_stored(c, e, i + 1);
    if (k->load == e->id)
        k->load = 0;
    if (e->flags & F_STORED && r->began < c->reloaded)
        return check_broken(c, RULE_SCRIPT, i, e->key, c->reloaded);
    if (e->flags & F_STORED && r->began < k->set)
        return check_broken(c, RULE_OVERTAKEN, i, e->key, k->set);
    if (e->flags & F_STORED && r->began_ms < c->started_until_ms && e->at_ms < r->fresh_until_ms &&
        r->fresh_until_ms > c->started_until_ms)
        return check_broken(c, RULE_START, i, e->key, 0);
    return no_step_back(c, e, i);
}

static bool on_load(struct check *c, const struct event *e, size_t i)
{
    struct check_key *k = &c->keys[e->key];
    if (k->load != 0 && k->generation >= e->version)
        return check_broken(c, RULE_SINGLE, i, e->key, 0);
    k->load = e->id;
    k->generation = e->version;
    return true;
}

static void on_attempt(struct check *c, const struct event *e, size_t order, bool by_client)
{
    c->reads[e->read] = (struct check_read){
        .began = order, .began_ms = e->at_ms, .key = e->key, .by_client = by_client};
}

static void on_read(struct check *c, const struct event *e)
{
    struct check_read *r = &c->reads[e->read];
    r->version = e->version;
    r->absent = e->flags & F_ABSENT;
    r->tags = e->tags;
    r->of_primary = e->flags & F_PRIMARY;
}

static bool on_set(struct check *c, const struct event *e, size_t i)
{
    struct check_key *k = &c->keys[e->key];
    on_attempt(c, e, i + 1, true);
    on_read(c, e);
    note_stored(c, e, i + 1);
    if (e->code != ERR_VERSION_CONFLICT)
        k->load = 0; /* also where there was no room for it: its load was given up before */
    if (!(e->flags & F_STORED))
        return true;
    k->set = i + 1;
    if (e->version != k->head)
        k->told = false;
    return no_step_back(c, e, i);
}

static void on_commit(struct check *c, const struct event *e, size_t order)
{
    struct check_key *k = &c->keys[e->key];
    const struct check_doubt *d = k->doubt_count > 0 ? &k->doubts[k->doubt_count - 1] : NULL;
    k->head = e->version;
    if (e->read) { /* what a put brings is as old as its commit */
        size_t asked = c->reads[e->read].asked;
        on_attempt(c, e, order, false);
        c->reads[e->read].by_put = true;
        c->reads[e->read].asked = asked;
    }
    k->absent[e->version] = e->flags & F_ABSENT;
    /* What its write left in doubt is loaded again after it. */
    k->told = e->flags & F_DOUBTED && k->kind == SOURCE_PRIMARY && d && e->at_ms < d->until_ms &&
              k->set < d->order;
}

static bool on_write(struct check *c, const struct event *e, size_t i)
{
    struct check_key *k = &c->keys[e->key];
    if (k->write != 0)
        return check_broken(c, RULE_WRITES, i, e->key, c->reads[k->write].asked);
    k->write = e->read;
    on_attempt(c, e, i + 1, false);
    c->reads[e->read].asked = i + 1;
    return true;
}

static bool on_written(struct check *c, const struct event *e, size_t i)
{
    struct check_key *k = &c->keys[e->key];
    struct check_read *r = &c->reads[e->read];
    k->write = k->write == e->read ? 0 : k->write;
    if (e->flags & F_UNDONE)
        return true;
    if (e->flags & F_STORED && r->asked < c->reloaded)
        return check_broken(c, RULE_SCRIPT, i, e->key, c->reloaded);
    k->load = 0;
    r->version = e->version;
    r->tags = e->tags;
    note_stored(c, e, i + 1);
    if (e->code == 0 && e->flags & F_HAS_VERSION)
        promise(c, e, i + 1, e->flags & F_ABSENT);
    /* Where it left no value of its own, nothing from before it is left either. */
    k->any = i + 1;
    if (e->code != 0 || e->flags & F_GONE)
        k->plain = i + 1;
    if (e->until_ms && k->doubt_count < CHECK_DOUBTS)
        k->doubts[k->doubt_count++] = (struct check_doubt){i + 1, e->until_ms};
    if (e->code == 0 && e->version == k->head)
        k->told = (e->flags & F_HAS_VERSION && floor_lasts(c, k)) || is_seen(k);
    else if (e->code != 0)
        k->told |= is_seen(k);
    return no_step_back(c, e, i);
}

static void on_invalidate(struct check *c, const struct event *e, size_t order)
{
    struct check_key *k = &c->keys[e->key];
    k->load = 0;
    k->any = order;
    k->told |= is_seen(k) && (!(e->flags & F_HAS_VERSION) || e->version >= k->head);
    if (!(e->flags & F_HAS_VERSION)) {
        k->plain = order;
        return;
    }
    promise(c, e, order, e->flags & F_GONE);
    k->told |= e->version >= k->head && floor_lasts(c, k);
}

/* A floor went early, and nobody outside can tell which. */
static void on_dropped(struct check *c, size_t order)
{
    for (int i = 0; i < HISTORY_KEYS; i++) {
        struct check_key *k = &c->keys[i];
        for (size_t j = 0; j < k->promise_count; j++) {
            struct check_promise *p = &k->promises[j];
            if (!p->forgotten)
                p->forgotten = order;
            if (!p->lost && (k->kind == SOURCE_LONE || k->shown < p->version))
                p->lost = order;
        }
        k->told &= k->kind != SOURCE_LONE && k->shown == k->head;
    }
}

/* The source may have lagged for longer than a floor lasts, or a load or a write taken longer. */
static void on_jump(struct check *c, const struct event *e)
{
    for (int i = 0; i < HISTORY_KEYS; i++) {
        struct check_key *k = &c->keys[i];
        k->told &= e->ttl_ms < c->floor_ttl_ms && k->shown == k->head && k->load == 0 &&
                   k->write == 0 && (k->kind == SOURCE_PRIMARY || k->applied == k->head);
    }
}

static void on_match(struct check *c, const struct event *e, size_t order)
{
    for (int i = 0; i < HISTORY_KEYS && e->code == 0; i++) {
        struct check_key *k = &c->keys[i];
        if (!(e->tags & 1 << i))
            continue;
        *(e->flags & F_SOFT ? &k->soft_match : &k->match) = order;
        if (!(e->flags & F_SOFT))
            k->load = 0;
    }
}

static void on_tag(struct check *c, const struct event *e, size_t order)
{
    for (int i = 0; i < HISTORY_TAGS; i++)
        if (e->tags & 1 << i)
            *(e->flags & F_SOFT ? &c->soft_tags[i] : &c->tags[i]) = order;
}

static void on_touch(struct check_key *k, const struct event *e, size_t order)
{
    if (e->code != 0)
        return;
    k->touched = order;
    k->touch_fresh_ms = e->at_ms + e->ttl_ms;
    k->touch_dead_ms = k->touch_fresh_ms + e->dead_ms;
}

static void on_expire(struct check_key *k, size_t order)
{
    k->load = 0;
    k->expired = order;
}

static void on_get(struct check *c, const struct event *e, size_t order)
{
    const struct check_key *k = &c->keys[e->key];
    struct check_open *g = &c->gets[e->id];
    *g = (struct check_open){
        .open = true,
        .key = e->key,
        .has_min = e->flags & F_HAS_VERSION,
        .refresh = e->flags & F_REFRESH,
        .min = e->version,
        .shown = k->shown,
        .began = order,
        .plain = k->plain,
        .any = k->any,
        .match = k->match,
    };
    memcpy(g->tags, c->tags, sizeof g->tags);
}

static bool on_quiet(struct check *c, const struct event *e, size_t i)
{
    const struct check_key *k = &c->keys[e->key];
    if (e->status == GOT_NOTHING || !(k->told || c->settled))
        return true;
    bool absent = e->flags & F_ABSENT;
    bool equal = absent == k->absent[k->head] && (absent || e->seen == k->head);
    return equal || check_broken(c, RULE_QUIET, i, e->key, 0);
}

static bool on_event(struct check *c, const struct event *e, size_t i)
{
    struct check_key *k = e->key >= 0 ? &c->keys[e->key] : NULL;
    switch (e->kind) {
    case DID_KEY:
        *k = (struct check_key){.kind = (enum source_kind)e->code,
                                .versioned = e->flags & F_VERSIONED};
        k->absent[0] = e->flags & F_ABSENT;
        break;
    case DID_FLOOR_TTL:
        c->floor_ttl_ms = e->ttl_ms;
        c->started_until_ms = e->until_ms;
        c->strong = e->flags & F_STRONG;
        break;
    case DID_COMMIT: on_commit(c, e, i + 1); break;
    case DID_SHOWN: k->shown = e->version; break;
    case DID_APPLIED: k->applied = e->version; break;
    case DID_LOAD: return on_load(c, e, i);
    case DID_ATTEMPT: on_attempt(c, e, i + 1, false); break;
    case DID_READ: on_read(c, e); break;
    case DID_END: return on_end(c, e, i);
    case DID_ABANDONED: k->load = k->load == e->id ? 0 : k->load; break;
    case DID_GET: on_get(c, e, i + 1); break;
    case DID_GOT: return check_answer(c, i);
    case DID_LEFT: c->gets[e->id].open = false; break;
    case DID_SET: return on_set(c, e, i);
    case DID_WRITE: return on_write(c, e, i);
    case DID_WRITTEN: return on_written(c, e, i);
    case DID_UNANSWERED: return check_broken(c, RULE_ENDS, i, e->key, 0);
    case DID_INVALIDATE: on_invalidate(c, e, i + 1); break;
    case DID_EXPIRE: on_expire(k, i + 1); break;
    case DID_TOUCH: on_touch(k, e, i + 1); break;
    case DID_TAG: on_tag(c, e, i + 1); break;
    case DID_MATCH: on_match(c, e, i + 1); break;
    case DID_DROPPED: on_dropped(c, i + 1); break;
    case DID_RELOAD: c->reloaded = i + 1; break;
    case DID_JUMP: on_jump(c, e); break;
    case DID_QUIET: return on_quiet(c, e, i);
    case DID_STOP: c->settled = 0; break;
    case DID_SETTLED: c->settled = i + 1; break;
    default: break;
    }
    return true;
}

bool check_history(struct check *c, const struct history *h, struct finding *out)
{
    *out = (struct finding){.rule = RULE_NONE};
    c->history = h;
    c->finding = out;
    c->reloaded = c->settled = 0;
    memset(c->tags, 0, sizeof c->tags);
    memset(c->soft_tags, 0, sizeof c->soft_tags);
    memset(c->keys, 0, sizeof c->keys);
    memset(c->gets, 0, sizeof c->gets);
    for (size_t i = 0; i < h->count; i++)
        if (!on_event(c, &h->events[i], i))
            return false;
    for (size_t i = 0; i <= CHECK_GETS; i++)
        if (c->gets[i].open)
            return check_broken(c, RULE_ENDS, h->count - 1, c->gets[i].key, c->gets[i].began);
    return true;
}
