/* What the journal says was changed, in force again. */
#include "server/restart_priv.h"

#include "base/clock.h"

struct applying {
    struct restart *r;
    const struct journal_reading *reading;
    struct err *e;
};

#define LEAST_LEFT_MS 1 /* of a floor that is over: what is stored below it goes all the same */

/* What is left of its time. Where the journal is of another start of the machine, only the wall
 * clock knows how long ago it was. */
static int64_t left_ms(const struct applying *g, const struct journal_record *j)
{
    int64_t passed = clock_ms() - j->at_ms;
    if (g->reading->other_boot)
        passed = clock_wall_ms() - (g->reading->since_wall_ms + j->at_ms - g->reading->since_ms);
    int64_t left = j->left_ms - (passed > 0 ? passed : 0);
    return left > LEAST_LEFT_MS ? left : LEAST_LEFT_MS;
}

static int apply_key(struct applying *g, const struct journal_record *j)
{
    struct server *s = g->r->server;
    uint64_t hash = store_hash(s->store, j->text);
    int64_t now_ms = clock_ms();
    bool dropped;
    if (j->soft) {
        change_expire(&s->changes, j->text, hash, now_ms);
        return 0;
    }
    const struct invalidation i = {
        .key = j->text,
        .hash = hash,
        .now_ms = now_ms,
        .version = j->has_version ? &j->version : NULL,
        .floor_ttl_ms = left_ms(g, j),
        .gone = j->gone,
    };
    return change_invalidate(&s->changes, &i, CAUSE_INVALIDATE, &dropped, g->e);
}

/* So many patterns are scanned for at a time; the scan is helped on until there is room. */
static int apply_pattern(struct applying *g, const struct journal_record *j)
{
    struct server *s = g->r->server;
    int rc;
    do {
        rc = j->misfits ? change_misfits(&s->changes, j->text, g->e)
                        : change_match(&s->changes, j->text, j->soft, CAUSE_INVALIDATE, g->e);
    } while (rc == ERR_OVERLOADED && store_sweep(s->store, clock_ms(), SIZE_MAX) > 0);
    return rc;
}

static int apply_lift(struct applying *g, const struct journal_record *j)
{
    struct server *s = g->r->server;
    bool had, key = j->kind == JOURNAL_LIFT;
    const struct lift what = {
        .key = key ? j->text : slice_of("", 0),
        .match = key ? slice_of("", 0) : j->text,
        .hash = key ? store_hash(s->store, j->text) : 0,
        .now_ms = clock_ms(),
    };
    return change_lift(&s->changes, &what, &had, g->e);
}

static int apply_doubt(struct applying *g, const struct journal_record *j)
{
    struct server *s = g->r->server;
    int64_t now_ms = clock_ms();
    const struct invalidation i = {
        .key = j->text, .hash = store_hash(s->store, j->text), .now_ms = now_ms};
    int rc = change_doubt(&s->changes, &i, now_ms + left_ms(g, j));
    return rc == 0 ? 0 : err_set(g->e, rc, "no memory for a doubt");
}

static int apply(const struct journal_record *j, void *arg)
{
    struct applying *g = arg;
    const struct changes *c = &g->r->server->changes;
    if (atomic_load_explicit(&g->r->stop, memory_order_relaxed))
        return err_set(g->e, ERR_SHUTDOWN, "it was given up");
    switch (j->kind) {
    case JOURNAL_KEY: return apply_key(g, j);
    case JOURNAL_TAG: return change_tag(c, j->text, j->soft, CAUSE_INVALIDATE, g->e);
    case JOURNAL_ALL_TAGS: change_all_tags(c, j->soft, CAUSE_INVALIDATE); return 0;
    case JOURNAL_PATTERN: return apply_pattern(g, j);
    case JOURNAL_LIFT:
    case JOURNAL_LIFT_PATTERN: return apply_lift(g, j);
    case JOURNAL_DOUBT: return apply_doubt(g, j);
    }
    return 0; /* of a kind that is not known the reading has said that it is not complete */
}

int restart_apply(struct restart *r, const struct journal_position *from, struct err *e)
{
    struct journal_reading again;
    struct applying g = {.r = r, .reading = &r->read.journal, .e = e};
    err_clear(e);
    if (r->read.journal.records == 0)
        return 0;
    journal_read(r->dir, r->boot_id, from, apply, &g, &again);
    r->read.journal_records = again.records;
    if (e->code == 0 && again.verdict != r->read.journal.verdict)
        *e = again.why;
    return e->code;
}
