/* Writes to the source, one at a time per key, as core/load/writes.c, write_run.c and
 * write_entry.c: through, invalidate, refused, and those whose outcome nobody knows. */
#include "sim.h"

#include "load/jitter.h"

#include <stdlib.h>

static void note_end(struct sim *s, struct write *w, struct event e)
{
    e.kind = DID_WRITTEN;
    e.key = w->key;
    e.read = w->read;
    e.flags |= w->deletes ? F_ABSENT : 0;
    w->ended = true;
    s->rows[w->key].writing = false;
    sim_note_dropped(s);
    sim_note(s, e);
}

static void drop_entry(struct sim *s, const struct write *w, const int64_t *version)
{
    bool dropped;
    struct invalidation i = {
        .key = sim_key(s, w->key),
        .hash = s->hashes[w->key],
        .now_ms = s->now_ms,
        .version = version,
        .floor_ttl_ms = s->k.floor_ttl_ms,
        .gone = version && w->deletes,
    };
    if (change_invalidate(&s->changes, &i, CAUSE_PUT, &dropped, NULL) != 0)
        abort();
}

static bool store_entry(struct sim *s, const struct write *w)
{
    const struct row *r = &s->rows[w->key];
    uint32_t slots[HISTORY_TAGS];
    struct put put = {
        .key = sim_key(s, w->key),
        .hash = s->hashes[w->key],
        .value = source_value(s, w->key, w->version),
        .has_version = true,
        .version = w->version,
        .ttl_ms = s->k.ttl_ms,
        .stale_ttl_ms = s->k.stale_ttl_ms,
        .keep_ms = s->k.keep_ms,
        .load_us = (uint32_t)w->read,
        .tags = slots,
        .since = w->since,
    };
    if (w->untagged && s->plant != PLANT_UNTAGGED)
        slots[put.tag_count++] = marks_any_tag(s->marks);
    for (int i = 0; i < HISTORY_TAGS && !w->untagged; i++) {
        char name[2] = {(char)('0' + i), 0};
        if (r->states[w->version].tags & 1 << i)
            slots[put.tag_count++] = marks_slot(s->marks, slice_str(name));
    }
    struct written written = {
        .put = &put,
        .token = w->token,
        .now_ms = s->now_ms,
        .floor_ttl_ms = s->k.floor_ttl_ms,
    };
    bool stored;
    if (change_write(&s->changes, &written, &stored) != 0)
        abort();
    return stored;
}

/* Loads give tags, and the script said nothing of them: what was written is not stored. */
static bool is_unsaid(const struct sim *s, const struct write *w)
{
    return w->untagged && s->gave_tags && s->plant != PLANT_UNTAGGED;
}

static void succeed(struct sim *s, struct write *w)
{
    const struct row *r = &s->rows[w->key];
    struct event e = {
        .version = w->version,
        .had = sim_stored_version(s, w->key),
        .flags = r->versioned ? F_VERSIONED | F_HAS_VERSION : 0,
        .tags = r->states[w->version].tags,
        .ttl_ms = s->k.ttl_ms,
        .dead_ms = s->k.stale_ttl_ms > s->k.keep_ms ? s->k.stale_ttl_ms : s->k.keep_ms,
    };
    int64_t version = w->version;
    if (s->plant == PLANT_DEAF_PUT) {
        ; /* nothing becomes of the entry */
    } else if (r->versioned && r->through && !w->deletes && !is_unsaid(s, w)) {
        e.flags |= store_entry(s, w) ? F_STORED : 0;
    } else {
        if (r->versioned)
            drop_entry(s, w, &version);
        drop_entry(s, w, NULL);
        e.flags |= F_GONE; /* whatever was stored */
    }
    note_end(s, w, e);
}

static void late_commit(struct sim *s, void *arg, uint32_t stamp)
{
    (void)stamp;
    const struct write *w = arg;
    if (!source_locked(s, w->key) && s->now_ms < w->doubt_until_ms)
        source_commit(s,
                      &(struct commit){
                          .key = w->key, .read = w->read, .absent = w->deletes, .doubted = true});
}

/* Its answer did not come: it has taken place, or may still, or not at all. */
static void in_doubt(struct sim *s, struct write *w)
{
    struct invalidation i = {
        .key = sim_key(s, w->key), .hash = s->hashes[w->key], .now_ms = s->now_ms};
    w->doubt_until_ms = s->now_ms + s->k.write_timeout_ms;
    if (change_doubt(&s->changes, &i, w->doubt_until_ms) != 0)
        abort();
    note_end(s, w, (struct event){.code = ERR_WRITE_UNKNOWN, .until_ms = w->doubt_until_ms});
    if (!w->committed && !s->healing && sim_chance(s, 70))
        task_in(s, sim_up_to(s, s->k.write_timeout_ms - 1), late_commit, w, 0);
}

static void on_answer(struct sim *s, void *arg, uint32_t stamp)
{
    (void)stamp;
    struct write *w = arg;
    if (w->ended)
        return;
    if (w->committed) {
        succeed(s, w);
    } else {
        drop_entry(s, w, NULL);
        note_end(s, w, (struct event){.code = ERR_BACKEND});
    }
}

static void on_deadline(struct sim *s, void *arg, uint32_t stamp)
{
    (void)stamp;
    struct write *w = arg;
    if (!w->ended)
        in_doubt(s, w);
}

static void on_source(struct sim *s, void *arg, uint32_t stamp)
{
    (void)stamp;
    struct write *w = arg;
    if (w->ended)
        return;
    if (w->fate != FATE_REFUSED && source_locked(s, w->key)) {
        task_in(s, 2, on_source, w, 0); /* it waits for the row, at most until its deadline */
        return;
    }
    bool takes_place = w->fate == FATE_OK || (w->fate == FATE_LOST && sim_chance(s, 40));
    struct commit c = {.key = w->key, .read = w->read, .absent = w->deletes};
    if (takes_place && source_commit(s, &c)) {
        w->committed = true;
        w->version = s->rows[w->key].head;
    }
    if (w->fate != FATE_LOST)
        task_in(s, sim_up_to(s, sim_chance(s, 20) ? 30 : 4), on_answer, w, 0);
    else if (sim_chance(s, 50))
        task_in(s, sim_up_to(s, 10), on_deadline, w, 0); /* its connection breaks */
}

void write_start(struct sim *s, int key, bool deletes)
{
    if (s->write_count == SIM_WRITES || s->rows[key].writing)
        return;
    struct write *w = &s->writes[s->write_count++];
    int luck = (int)rng_below(&s->rng, 100);
    *w = (struct write){
        .key = key,
        .read = sim_next_read(s),
        .deletes = deletes,
        .untagged = sim_chance(s, 30),
        .fate = luck < s->k.lost_percent       ? FATE_LOST
                : luck < s->k.lost_percent + 8 ? FATE_REFUSED
                                               : FATE_OK,
        .since = marks_now(s->marks),
    };
    flights_write_begins(s->flights, s->hashes[key], s->now_ms, &w->token);
    s->rows[key].writing = true;
    sim_note(s, (struct event){
                    .kind = DID_WRITE,
                    .key = key,
                    .read = w->read,
                    .flags = deletes ? F_ABSENT : 0,
                });
    task_in(s, s->k.write_timeout_ms, on_deadline, w, 0);
    task_in(s, sim_up_to(s, 6), on_source, w, 0);
}
