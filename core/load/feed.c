#include "load/feed.h"

#include "wire/json.h"
#include "metrics/metrics.h"
#include "wire/mp.h"

#include <inttypes.h>
#include <stdio.h>

#define MARK_AGAIN_MS 20

void feed_init(struct feed *f, const struct changes *changes, const struct feed_rule *rule,
               uint64_t nonce, int64_t now_ms)
{
    *f = (struct feed){
        .changes = changes,
        .rule = *rule,
        .nonce = nonce,
        .down_since_ms = now_ms,
        .lag_ms = -1,
    };
}

static void set_cut(struct feed *f, bool cut)
{
    f->cut = cut;
    atomic_store(f->rule.cut, cut);
}

/* ---- gaps ---- */

/* Whether all of them are set. Of too many patterns each means everything. */
static bool mark_patterns(const struct feed *f, const char *const *patterns, size_t count,
                          bool hard)
{
    bool everything = count > FEED_PATTERNS_MAX;
    for (size_t i = 0; i < (everything ? 1 : count); i++) {
        struct slice pattern = slice_str(everything ? "*" : patterns[i]);
        if (change_match(f->changes, pattern, !hard, CAUSE_GAP, NULL) != 0)
            return false;
    }
    return true;
}

static bool set_marks(const struct feed *f, bool hard)
{
    change_all_tags(f->changes, !hard, CAUSE_GAP);
    return mark_patterns(f, f->rule.patterns, f->rule.pattern_count, hard);
}

/* What was loaded before now is not fresh (hard: not served at all). Where that cannot be said yet
 * nothing counts as fresh until it is. */
static void mark(struct feed *f, bool hard)
{
    f->mark_hard = hard || (f->mark_due && f->mark_hard);
    f->mark_due = !set_marks(f, f->mark_hard);
    if (f->mark_due)
        set_cut(f, true);
}

static bool has_pattern(const struct feed_rule *rule, const char *pattern)
{
    for (size_t i = 0; i < rule->pattern_count; i++)
        if (strcmp(rule->patterns[i], pattern) == 0)
            return true;
    return false;
}

/* What it feeds only now was loaded while a gap did not mark it. One that is not up yet marks
 * everything once it is, or once its grace is over. */
static void mark_new(struct feed *f, const struct feed_rule *before)
{
    const char *more[FEED_PATTERNS_MAX + 1];
    size_t count = 0;
    if (!f->connected && !f->cut)
        return;
    for (size_t i = 0; i < f->rule.pattern_count && count <= FEED_PATTERNS_MAX; i++)
        if (!has_pattern(before, f->rule.patterns[i]))
            more[count++] = f->rule.patterns[i];
    if (count == 0 || mark_patterns(f, more, count, f->hard))
        return;
    f->mark_hard = f->hard || (f->mark_due && f->mark_hard);
    f->mark_due = true;
    set_cut(f, true);
}

/* What was told of while nobody listened would have raised floors. Loads that read a replica would
 * bring what is older than that, and keep it as fresh. */
static void lose_floors(const struct feed *f, int64_t now_ms)
{
    if (f->rule.lagging)
        flights_lose_floors(f->changes->flights, now_ms + f->rule.floor_ttl_ms);
}

void feed_change(struct feed *f, const struct feed_rule *rule, int64_t now_ms)
{
    const struct feed_rule before = f->rule;
    f->rule = *rule;
    set_cut(f, f->cut);
    if (!before.lagging) /* in a gap until now none were lost */
        lose_floors(f, now_ms);
    mark_new(f, &before);
    f->hard = false;
}

static void count_gap(struct feed *f)
{
    f->gaps++;
    metrics_inc(metrics_mine(), M_FEED_GAPS);
}

static void keep_missed(struct feed *f, const char *missed)
{
    snprintf(f->missed, sizeof f->missed, "%s", missed);
}

void feed_succeed(struct feed *f, const struct feed *before, int64_t now_ms)
{
    f->identity = before->identity;
    keep_missed(f, before->missed);
    f->missed_open = before->missed_open;
    f->was_up = before->was_up;
    f->down_since_ms = before->connected ? now_ms : before->down_since_ms;
    f->events = before->events;
    f->bad = before->bad;
    f->gaps = before->gaps;
    f->mark_due = before->mark_due;
    f->mark_hard = before->mark_hard;
    set_cut(f, before->cut);
    if (f->cut) /* what this one feeds and the other did not */
        mark(f, false);
}

/* Whether somebody left word whose change may be committed only after this. */
static bool may_have_moved(const char *before, const char *now)
{
    return before[0] ? strcmp(before, now) != 0 : now[0] && strcmp(now, FEED_MISSED_NONE) != 0;
}

/* What follows from a connection of which it is not shown that it has missed nothing. */
static void take_gap(struct feed *f, const struct listen_up *up, bool same, int64_t now_ms)
{
    if (f->was_up)
        count_gap(f);
    f->hard = f->hard || (f->was_up && !same);
    f->missed_open = f->missed_open || may_have_moved(f->missed, up->missed);
    lose_floors(f, now_ms);
    mark(f, !same);
}

bool feed_up(struct feed *f, const struct listen_up *up, int64_t now_ms)
{
    bool same = up->resumed || identity_same(&f->identity, up->identity);
    f->connected = true;
    f->polls = up->polls;
    f->sent = f->received = 0;
    f->next_beat_ms = now_ms;
    if (!up->resumed)
        take_gap(f, up, same, now_ms);
    f->was_up = true;
    f->identity = *up->identity;
    keep_missed(f, up->missed);
    set_cut(f, f->mark_due);
    return same;
}

void feed_down(struct feed *f, int64_t now_ms)
{
    f->connected = false;
    f->down_since_ms = now_ms;
}

/* A trigger leaves word at once, and its change can be seen only after the commit. So a gap goes on
 * as long as somebody who left word is at work, and what is loaded meanwhile is part of it. */
bool feed_beaten(struct feed *f, const char *missed, bool held, uint64_t wal_end, int64_t now_ms)
{
    bool moved = strcmp(f->missed, missed) != 0, was_open = f->missed_open;
    if (wal_end > f->identity.wal_end)
        f->identity.wal_end = wal_end;
    keep_missed(f, missed);
    f->missed_open = moved || (was_open && held);
    if (moved)
        f->next_beat_ms = now_ms; /* which asks who is at work */
    if (!moved && !was_open)
        return true;
    count_gap(f);
    lose_floors(f, now_ms);
    mark(f, false);
    return false;
}

bool feed_settled(const struct feed *f)
{
    return f->was_up && !f->mark_due && !f->missed_open;
}

/* ---- heartbeats ---- */

int64_t feed_due_ms(const struct feed *f, int64_t now_ms)
{
    if (f->mark_due)
        return now_ms + MARK_AGAIN_MS;
    if (f->connected)
        return f->polls ? INT64_MAX : f->next_beat_ms;
    return f->cut ? INT64_MAX : f->down_since_ms + f->rule.grace_ms;
}

enum feed_wish feed_tick(struct feed *f, int64_t now_ms, char beat[FEED_BEAT_TEXT])
{
    if (f->mark_due) {
        mark(f, f->mark_hard);
        if (!f->mark_due && f->connected)
            set_cut(f, false);
    }
    if (!f->connected) {
        if (!f->cut && now_ms - f->down_since_ms >= f->rule.grace_ms) {
            set_cut(f, true); /* first, so that what is loaded from here on is not fresh either */
            mark(f, false);
        }
        return FEED_NOTHING;
    }
    if (f->polls || now_ms < f->next_beat_ms)
        return FEED_NOTHING;
    if (f->sent - f->received >= FEED_MISSED_MAX)
        return FEED_DEAD;
    f->sent++;
    f->sent_ms = now_ms;
    f->next_beat_ms = now_ms + f->rule.heartbeat_ms;
    snprintf(beat, FEED_BEAT_TEXT, "{\"hb\":\"%016" PRIx64 "\",\"n\":%" PRIu64 "}", f->nonce,
             f->sent);
    return FEED_BEAT;
}

/* ---- payloads ---- */

struct event {
    struct slice key, pattern, beat;
    struct mp_reader tags;
    uint32_t tag_count;
    bool has_key, has_pattern, has_version, has_tags, all_tags, has_beat, deleted;
    int64_t version, number;
};

static int read_text(struct mp_reader *r, const char *name, size_t longest, struct slice *out,
                     struct err *e)
{
    struct mp_token t;
    if (mp_next(r, &t) != MP_OK || t.type != MP_STR)
        return err_set(e, ERR_BAD_REQUEST, "\"%s\" is no string", name);
    if (t.bytes.size == 0 || t.bytes.size > longest)
        return err_set(e, ERR_BAD_REQUEST, "\"%s\" has %zu bytes, where 1 to %zu are taken", name,
                       t.bytes.size, longest);
    *out = t.bytes;
    return 0;
}

static int read_int(struct mp_reader *r, const char *name, int64_t *out, struct err *e)
{
    struct mp_token t;
    if (mp_next(r, &t) != MP_OK || t.type != MP_INT)
        return err_set(e, ERR_BAD_REQUEST, "\"%s\" is no integer of 64 bits", name);
    *out = t.i;
    return 0;
}

static int read_tags(struct mp_reader *r, struct event *ev, struct err *e)
{
    struct mp_token t;
    struct slice tag;
    bool ok = mp_next(r, &t) == MP_OK;
    if (ok && t.type == MP_STR && slice_eq_str(t.bytes, "*")) {
        ev->all_tags = true;
        return 0;
    }
    if (!ok || t.type != MP_ARRAY || t.count > MARKS_TAGS_MAX)
        return err_set(e, ERR_BAD_REQUEST, "\"t\" is no array of at most %d tags", MARKS_TAGS_MAX);
    ev->tags = *r;
    ev->tag_count = t.count;
    ev->has_tags = true;
    int rc = 0;
    for (uint32_t i = 0; i < ev->tag_count && rc == 0; i++)
        rc = read_text(r, "t", MARKS_TAG_SIZE, &tag, e);
    return rc;
}

static int read_field(struct mp_reader *r, struct slice name, struct event *ev, struct err *e)
{
    struct mp_token t;
    if (slice_eq_str(name, "k")) {
        ev->has_key = true;
        return read_text(r, "k", FEED_PAYLOAD_MAX, &ev->key, e);
    }
    if (slice_eq_str(name, "m")) {
        ev->has_pattern = true;
        int rc = read_text(r, "m", GLOB_MAX, &ev->pattern, e);
        return rc != 0 ? rc : glob_check(ev->pattern, e);
    }
    if (slice_eq_str(name, "v")) {
        ev->has_version = true;
        return read_int(r, "v", &ev->version, e);
    }
    if (slice_eq_str(name, "t"))
        return read_tags(r, ev, e);
    if (slice_eq_str(name, "hb")) {
        ev->has_beat = true;
        return read_text(r, "hb", FEED_BEAT_TEXT, &ev->beat, e);
    }
    if (slice_eq_str(name, "n"))
        return read_int(r, "n", &ev->number, e);
    if (slice_eq_str(name, "d")) {
        if (mp_next(r, &t) != MP_OK || t.type != MP_BOOL)
            return err_set(e, ERR_BAD_REQUEST, "\"d\" is not true or false");
        ev->deleted = t.b;
        return 0;
    }
    return err_set(e, ERR_BAD_REQUEST, "there is a field that is none of k, v, t, d, m, hb, n");
}

static int read_event(const struct feed *f, struct slice packed, struct event *ev, struct err *e)
{
    struct mp_reader r = mp_reader_of(packed);
    struct mp_token t;
    *ev = (struct event){.version = 0};
    if (mp_next(&r, &t) != MP_OK || t.type != MP_MAP)
        return err_set(e, ERR_BAD_REQUEST, "it is no JSON object");
    int rc = 0;
    for (uint32_t left = t.count; rc == 0 && left > 0 && mp_next(&r, &t) == MP_OK; left--)
        rc = read_field(&r, t.bytes, ev, e);
    if (rc == 0 && ev->has_key + ev->has_pattern + ev->has_beat > 1)
        return err_set(e, ERR_BAD_REQUEST, "it has more than one of \"k\", \"m\" and \"hb\"");
    bool names = ev->has_key || ev->has_pattern || ev->has_tags || ev->all_tags;
    if (rc == 0 && !names && !ev->has_beat)
        return err_set(e, ERR_BAD_REQUEST, "it has none of \"k\", \"m\", \"t\" and \"hb\"");
    if (rc == 0 && ev->key.size > f->rule.max_key) {
        ev->has_key = false; /* nothing is kept under it; its tags are others' too */
        if (!ev->has_tags && !ev->all_tags)
            return err_set(e, ERR_BAD_REQUEST, "\"k\" has %zu bytes, where 1 to %zu are taken",
                           ev->key.size, f->rule.max_key);
    }
    return rc;
}

/* Our own, or another server's on the same channel. A number that is missing is a gap. */
static void take_beat(struct feed *f, const struct event *ev, int64_t now_ms)
{
    char nonce[20];
    snprintf(nonce, sizeof nonce, "%016" PRIx64, f->nonce);
    uint64_t n = (uint64_t)ev->number;
    if (!slice_eq_str(ev->beat, nonce) || ev->number <= 0 || n <= f->received || n > f->sent)
        return;
    bool jump = n > f->received + 1;
    f->received = n;
    if (n == f->sent)
        f->lag_ms = now_ms - f->sent_ms;
    if (!jump)
        return;
    count_gap(f);
    lose_floors(f, now_ms);
    mark(f, false);
}

static int apply(struct feed *f, struct event *ev, int64_t now_ms, struct err *e)
{
    struct mp_token t;
    int rc = 0;
    bool dropped;
    if (ev->all_tags)
        change_all_tags(f->changes, false, CAUSE_FEED);
    for (uint32_t i = 0; i < ev->tag_count && rc == 0; i++)
        if (mp_next(&ev->tags, &t) == MP_OK)
            rc = change_tag(f->changes, t.bytes, false, CAUSE_FEED, e);
    if (rc == 0 && ev->has_pattern)
        rc = change_match(f->changes, ev->pattern, false, CAUSE_FEED, e);
    if (rc != 0 || !ev->has_key)
        return rc;
    struct invalidation i = {
        .key = ev->key,
        .hash = store_hash(f->changes->store, ev->key),
        .now_ms = now_ms,
        .version = ev->has_version ? &ev->version : NULL,
        .floor_ttl_ms = f->rule.floor_ttl_ms,
        .gone = ev->deleted && ev->has_version,
    };
    return change_invalidate(f->changes, &i, CAUSE_FEED, &dropped, e);
}

bool feed_payload(struct feed *f, struct slice payload, int64_t now_ms, struct err *e)
{
    struct buf packed;
    struct event ev;
    buf_init(&packed, 0); /* 9 bytes at most for 4 of a payload */
    int rc = payload.size > FEED_PAYLOAD_MAX
                 ? err_set(e, ERR_BAD_REQUEST, "it has %zu bytes", payload.size)
                 : json_to_mp(payload, &packed, e);
    if (rc == 0)
        rc = read_event(f, buf_slice(&packed), &ev, e);
    if (rc != 0) {
        buf_fini(&packed);
        f->bad++;
        metrics_inc(metrics_mine(), M_FEED_BAD);
        return false;
    }
    if (ev.has_beat) {
        take_beat(f, &ev, now_ms);
    } else {
        f->events++;
        metrics_inc(metrics_mine(), M_FEED_EVENTS);
        if (apply(f, &ev, now_ms, e) != 0) { /* it was understood, and has not taken full effect */
            count_gap(f);
            mark(f, false);
        }
    }
    buf_fini(&packed);
    return true;
}
