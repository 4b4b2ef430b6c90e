/* A snapshot: what only the main thread can say of it, and the job itself. */
#include "server/restart_priv.h"

#include "base/clock.h"

static int64_t lossy_left_ms(const struct restart *r, int64_t now_ms)
{
    struct flights_stats stats;
    flights_read_stats(r->server->flights, &stats);
    return stats.lossy_until_ms > now_ms ? stats.lossy_until_ms - now_ms : 0;
}

int restart_write_begin(struct restart *r, bool clean, struct err *e)
{
    struct restart_write *w = &r->write;
    struct server *s = r->server;
    int64_t now_ms = clock_ms(), wall_ms = clock_wall_ms();
    int rc = 0;
    w->source = (struct keep_source){
        .store = s->store,
        .flights = s->flights,
        .snapshot = snapshot_ref(s->snapshot),
        .header = {.version = slice_str(RTCACHE_VERSION),
                   .clean = clean,
                   .moment = {.wall_ms = wall_ms, .boot_ms = now_ms},
                   .boot_id = slice_str(r->boot_id),
                   .life = r->life,
                   .seed = r->seed,
                   .lossy_ms = lossy_left_ms(r, now_ms)},
        .stop = &r->stop,
    };
    rc = restart_feeds_place(r, e);
    w->source.header.feeds = w->feeds;
    w->source.header.feed_count = w->feed_count;
    if (rc == 0 && r->journal) {
        rc = journal_mark(r->journal, now_ms, wall_ms, &w->source.header.journal, e);
        w->source.header.has_journal = rc == 0;
    }
    return rc;
}

void restart_write(struct restart *r)
{
    struct restart_write *w = &r->write;
    struct err gone;
    err_clear(&w->err);
    w->rc = keep_save(r->dir, &w->source, &w->saved, &w->err);
    bool holds =
        !r->journal || journal_rely(r->journal, w->rc == 0 ? &w->source.header.journal : NULL);
    if (w->rc == 0 && !holds) {
        w->rc = err_set(&w->err, ERR_IO, "the journal broke while the snapshot was written");
        if (state_dir_remove(r->dir, KEEP_FILE, &gone) != 0)
            w->err = gone;
    }
}
