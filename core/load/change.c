#include "load/change.h"

#include "base/clock.h"
#include "metrics/metrics.h"

#define MARK_LEAST_MS 60000 /* a mark of the tier stands so long at least */

void changes_of_thread(struct changes *own, const struct changes *all, struct journal_lane *lane)
{
    *own = *all;
    own->all = all;
    own->lane = lane;
    journal_lane_init(lane, NULL);
}

void changes_journal(struct changes *all, struct journal *j)
{
    all->journal = j;
}

/* Behind the change: what a snapshot has that begins in between is only said once more. */
static void note(const struct changes *c, const struct journal_record *r)
{
    if (!c->lane)
        return;
    c->lane->journal = c->all->journal;
    journal_note(c->lane, r);
}

static void note_text(const struct changes *c, enum journal_kind kind, struct slice text, bool soft)
{
    struct journal_record r = {.kind = kind, .text = text, .soft = soft};
    note(c, &r);
}

/* What is older than the version, if there is one, is gone, and stays out for so long. */
static void note_key(const struct changes *c, struct slice key, const int64_t *version, bool gone,
                     int64_t floor_ttl_ms)
{
    struct journal_record r = {.kind = JOURNAL_KEY, .text = key};
    if (version) {
        r.has_version = true;
        r.version = *version;
        r.gone = gone;
        r.left_ms = floor_ttl_ms;
    }
    note(c, &r);
}

static void tell(const struct changes *c, enum news_what what, enum news_cause cause,
                 struct slice text, const int64_t *version)
{
    struct news n = {.what = what, .cause = cause, .text = text, .has_version = version != NULL};
    if (version)
        n.version = *version;
    news_tell(c->news, &n);
}

/* What was done to a key is in force: the tier's row of it is of no use any more. */
static void bury(const struct changes *c, struct slice key, uint64_t hash, const int64_t *version,
                 int64_t ttl_ms)
{
    if (!c->tier)
        return;
    const struct tier_change how = {
        .key = key,
        .hash = hash,
        .version = version,
        .now_ms = clock_ms(),
        .wall_ms = clock_wall_ms(),
        .ttl_ms = ttl_ms > MARK_LEAST_MS ? ttl_ms : MARK_LEAST_MS,
    };
    tier_changed(c->tier, &how);
}

int change_invalidate(const struct changes *c, const struct invalidation *i, enum news_cause cause,
                      bool *dropped, struct err *e)
{
    tier_changes(c->tier, i->hash);
    int rc = flights_invalidate(c->flights, i, dropped);
    bury(c, i->key, i->hash, i->version, i->floor_ttl_ms);
    note_key(c, i->key, i->version, i->gone, i->floor_ttl_ms);
    metrics_inc(metrics_mine(), M_INVALIDATIONS);
    tell(c, NEWS_KEY, cause, i->key, i->version);
    return rc == 0 ? 0 : err_set(e, rc, "no memory to remember the version");
}

int change_tag(const struct changes *c, struct slice tag, bool soft, enum news_cause cause,
               struct err *e)
{
    if (tag.size == 0 || tag.size > MARKS_TAG_SIZE)
        return err_set(e, ERR_BAD_REQUEST, "a tag of %zu bytes, where 1 to %d are taken", tag.size,
                       MARKS_TAG_SIZE);
    marks_tag(c->marks, tag, soft);
    note_text(c, JOURNAL_TAG, tag, soft);
    metrics_inc(metrics_mine(), M_TAG_INVALIDATIONS);
    tell(c, NEWS_TAG, cause, tag, NULL);
    return 0;
}

void change_all_tags(const struct changes *c, bool soft, enum news_cause cause)
{
    marks_all_tags(c->marks, soft);
    note_text(c, JOURNAL_ALL_TAGS, slice_of("", 0), soft);
    tell(c, NEWS_ALL, cause, slice_of("", 0), NULL); /* a subscriber may hold anything tagged */
}

int change_match(const struct changes *c, struct slice pattern, bool soft, enum news_cause cause,
                 struct err *e)
{
    char room[GLOB_MAX];
    struct glob g;
    if (glob_check(pattern, e) != 0) {
        if (e)
            e->code = ERR_BAD_REQUEST;
        return ERR_BAD_REQUEST;
    }
    glob_compile(&g, pattern, room);
    int rc = flights_match(c->flights, &g, soft, e);
    if (rc == 0)
        note_text(c, JOURNAL_PATTERN, pattern, soft);
    metrics_inc(metrics_mine(), rc == 0 ? M_GLOB_INVALIDATIONS : M_GLOBS_REFUSED);
    /* Told even where it was refused: what was loaded meanwhile is void already. */
    tell(c, NEWS_MATCH, cause, pattern, NULL);
    return rc;
}

int change_misfits(const struct changes *c, struct slice pattern, struct err *e)
{
    char room[GLOB_MAX], plain[GLOB_MAX];
    struct glob g;
    glob_compile(&g, pattern, room);
    g.misfits = true;
    int rc = flights_match(c->flights, &g, false, e);
    struct journal_record r = {.kind = JOURNAL_PATTERN, .text = pattern, .misfits = true};
    if (rc == 0)
        note(c, &r);
    metrics_inc(metrics_mine(), rc == 0 ? M_GLOB_INVALIDATIONS : M_GLOBS_REFUSED);
    tell(c, NEWS_MATCH, CAUSE_INVALIDATE, glob_plain(pattern, plain), NULL);
    return rc;
}

bool change_expire(const struct changes *c, struct slice key, uint64_t hash, int64_t now_ms)
{
    tier_changes(c->tier, hash);
    bool there = flights_expire(c->flights, key, hash, now_ms);
    tier_changes(c->tier, hash);
    note_text(c, JOURNAL_KEY, key, true);
    tell(c, NEWS_KEY, CAUSE_EXPIRE, key, NULL);
    return there;
}

static int lift_match(const struct changes *c, struct slice pattern, bool all, int64_t now_ms,
                      struct err *e)
{
    char room[GLOB_MAX];
    struct glob g;
    if (glob_check(pattern, e) != 0) {
        if (e)
            e->code = ERR_BAD_REQUEST;
        return ERR_BAD_REQUEST;
    }
    glob_compile(&g, pattern, room);
    int rc = flights_lift_match(c->flights, &g, all, now_ms, e);
    if (rc == 0)
        note_text(c, JOURNAL_LIFT_PATTERN, all ? slice_of("", 0) : pattern, false);
    tell(c, NEWS_MATCH, CAUSE_INVALIDATE, pattern, NULL);
    return rc;
}

int change_lift(const struct changes *c, const struct lift *what, bool *had, struct err *e)
{
    int rc = 0;
    *had = true;
    if (what->key.size > 0) {
        tier_changes(c->tier, what->hash);
        *had = flights_lift(c->flights, what->key, what->hash, what->now_ms);
        bury(c, what->key, what->hash, NULL, 0);
        note_text(c, JOURNAL_LIFT, what->key, false);
        tell(c, NEWS_KEY, CAUSE_INVALIDATE, what->key, NULL);
    } else {
        bool all = what->match.size == 0;
        rc = lift_match(c, all ? slice_str("*") : what->match, all, what->now_ms, e);
    }
    if (rc == 0)
        metrics_inc(metrics_mine(), M_FLOORS_LIFTED);
    return rc;
}

int change_set(const struct changes *c, const struct put *p, int64_t now_ms, struct err *e)
{
    tier_changes(c->tier, p->hash);
    int rc = flights_set(c->flights, p, now_ms, e);
    if (rc != 0)
        return rc;
    bury(c, p->key, p->hash, p->has_version ? &p->version : NULL, 0);
    note_key(c, p->key, NULL, false, 0);
    metrics_inc(metrics_mine(), M_SETS);
    tell(c, NEWS_KEY, CAUSE_SET, p->key, p->has_version ? &p->version : NULL);
    return 0;
}

int change_write(const struct changes *c, const struct written *w, bool *stored)
{
    tier_changes(c->tier, w->put->hash);
    int rc = flights_write(c->flights, w, stored);
    bury(c, w->put->key, w->put->hash, &w->put->version, w->floor_ttl_ms);
    note_key(c, w->put->key, &w->put->version, false, w->floor_ttl_ms);
    tell(c, NEWS_KEY, CAUSE_PUT, w->put->key, &w->put->version);
    return rc;
}

void change_write_begins(const struct changes *c, struct slice key, int64_t timeout_ms)
{
    const struct journal_record r = {.kind = JOURNAL_DOUBT, .text = key, .left_ms = timeout_ms};
    note(c, &r);
    if (c->lane)
        journal_flush(c->lane);
}

int change_doubt(const struct changes *c, const struct invalidation *i, int64_t until_ms)
{
    tier_changes(c->tier, i->hash);
    int rc = flights_doubt(c->flights, i, until_ms);
    bury(c, i->key, i->hash, NULL, until_ms - i->now_ms);
    struct journal_record r = {
        .kind = JOURNAL_DOUBT, .text = i->key, .left_ms = until_ms - i->now_ms};
    note(c, &r);
    tell(c, NEWS_KEY, CAUSE_INVALIDATE, i->key, NULL);
    return rc;
}
