/* A start: what the folder of state has, into the store and the flights. On the worker. */
#include "server/restart_priv.h"

#include "base/clock.h"
#include "base/log.h"

/* What lay in the journal is not needed yet, but whether it is all there. */
static int pass_over(const struct journal_record *record, void *arg)
{
    (void)record, (void)arg;
    return 0;
}

static void look_at_journal(struct restart *r, const struct journal_position *from)
{
    struct journal_reading *j = &r->read.journal;
    journal_read(r->dir, r->boot_id, from, pass_over, NULL, j);
    log_info("restart.journal", "state=%s records=%llu why=%s", journal_verdict_name(j->verdict),
             (unsigned long long)j->records, log_q(j->why.code != 0 ? j->why.text : ""));
}

/* How long it is since the server before was there. The wall clock alone is told of that. */
static void judge_times(struct restart *r, const struct keep_header *h, struct proof_start *start)
{
    struct proof_moment now = {.wall_ms = clock_wall_ms(), .boot_ms = clock_ms()};
    bool same_boot = r->boot_id[0] != '\0' && slice_eq_str(h->boot_id, r->boot_id);
    start->clock_is_sound = proof_passed(&h->moment, &now, same_boot, &start->passed_ms) &&
                            r->alive_wall_ms <= now.wall_ms;
    start->downtime_ms = r->alive_wall_ms > 0 ? now.wall_ms - r->alive_wall_ms : start->passed_ms;
}

static void judge(struct restart *r)
{
    const struct keep_header *h = keep_header_of(r->keep);
    struct proof_start *start = &r->read.start;
    bool life_before = h->life + 1 == r->life;
    judge_times(r, h, start);
    start->warm_downtime_ms = r->server->snapshot->conf->warm_downtime_ms;
    start->whole = life_before &&
                   (h->clean || (h->has_journal && r->read.journal.verdict == JOURNAL_COMPLETE));
    log_info("restart.snapshot", "life=%llu clean=%d whole=%d passed_ms=%lld downtime_ms=%lld",
             (unsigned long long)h->life, (int)h->clean, (int)start->whole,
             (long long)start->passed_ms, (long long)start->downtime_ms);
}

/* Since when every floor that was promised is known; before, they count as dropped. */
static int64_t lossy_until(const struct restart *r, bool floors_read)
{
    const struct restart_read *d = &r->read;
    int64_t floor_ttl_ms = r->server->conf->floor_ttl_ms,
            never = r->server->started_ms + floor_ttl_ms;
    if (d->journal.verdict == JOURNAL_COMPLETE && !r->keep && !d->journal.other_boot)
        return d->journal.since_ms + floor_ttl_ms;
    if (!r->keep || !floors_read || !d->start.whole || !d->start.clock_is_sound)
        return never;
    return clock_ms() + keep_header_of(r->keep)->lossy_ms - d->start.passed_ms;
}

/* Where not all that was acknowledged could be put in force again, nothing is to be left that it
 * may be about. */
static int drop_all(struct restart *r)
{
    struct err e;
    return change_match(&r->server->changes, slice_str("*"), false, CAUSE_LOST, &e);
}

static void read_snapshot(struct restart *r, const bool *again, struct keep_restored *out,
                          bool *floors_read)
{
    struct restart_read *d = &r->read;
    const struct keep_target t = {
        .store = r->server->store,
        .flights = r->server->flights,
        .snapshot = r->server->snapshot,
        .start = d->start,
        .resumed = d->resumed,
        .again = again,
        .stop = &r->stop,
    };
    if (keep_restore(r->keep, &t, out, floors_read, &d->err) == 0)
        return;
    d->given_up = d->err.code == ERR_SHUTDOWN;
    if (!d->given_up)
        log_error("restart.damaged", "entries=%llu error=%s", (unsigned long long)out->entries,
                  log_q(d->err.text));
}

/* In order: what the file has, then what was changed since. */
static void apply_journal(struct restart *r, const struct journal_position *from)
{
    struct restart_read *d = &r->read;
    struct err e;
    if (restart_apply(r, from, &e) == 0)
        return;
    log_error("restart.journal_not_applied", "error=%s", log_q(e.text));
    d->journal.verdict = JOURNAL_UNREAD;
    d->start.whole = false;
    if (drop_all(r) != 0)
        d->err = e;
}

static struct journal_position journal_from(const struct restart *r)
{
    bool has = r->keep && keep_header_of(r->keep)->has_journal;
    return has ? keep_header_of(r->keep)->journal : (struct journal_position){.chain = 0};
}

/* Every pattern whose loader is fed by one of these. The scan is waited for: it would take away
 * what comes back. */
static int drop_fed(struct restart *r, const bool *of, struct err *e)
{
    struct server *s = r->server;
    const struct conf *conf = s->snapshot->conf;
    int rc = 0;
    for (size_t i = 0; i < conf->loader_count && rc == 0; i++) {
        int feed = snapshot_feed_of(conf, &conf->loaders[i]);
        if (feed < 0 || !of[feed])
            continue;
        rc = change_match(&s->changes, slice_str(conf->loaders[i].pattern), false, CAUSE_GAP, e);
        while (store_sweep(s->store, clock_ms(), SIZE_MAX) > 0)
            ;
    }
    return rc;
}

void restart_reread(struct restart *r)
{
    struct restart_read *d = &r->read;
    const struct journal_position from = journal_from(r);
    struct keep_restored more = {.entries = 0};
    bool floors_read;
    struct err e;
    if (drop_fed(r, d->again, &e) != 0) {
        log_error("restart.not_dropped", "error=%s", log_q(e.text));
        if (drop_all(r) != 0)
            d->err = e;
        return;
    }
    if (!r->keep)
        return;
    read_snapshot(r, d->again, &more, &floors_read);
    apply_journal(r, &from);
    d->restored.as[PROOF_PROVEN] -=
        d->restored.as[PROOF_PROVEN] < more.entries ? d->restored.as[PROOF_PROVEN] : more.entries;
    for (size_t i = 0; i < PROOF_KINDS; i++)
        d->restored.as[i] += more.as[i];
    for (size_t i = 0; i < PROOF_LETTERS; i++)
        d->restored.missing[i] += more.missing[i];
    d->restored.over += more.over;
    d->restored.ms += more.ms;
}

void restart_read(struct restart *r)
{
    struct restart_read *d = &r->read;
    const struct journal_position from = journal_from(r);
    bool floors_read = false;
    look_at_journal(r, &from);
    if (r->keep) {
        judge(r);
        read_snapshot(r, NULL, &d->restored, &floors_read);
    }
    if (d->given_up)
        return;
    apply_journal(r, &from);
    d->lossy_until_ms = lossy_until(r, floors_read);
}
