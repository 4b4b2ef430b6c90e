/* stats: every number of the server in one map of maps. */
#include "net/commands.h"

#include "base/clock.h"
#include "load/totals.h"
#include "wire/mpw.h"

#include <unistd.h>

struct row {
    const char *name;
    uint64_t value;
};

static int pack_rows(struct buf *out, const char *title, const struct row *rows, size_t count)
{
    int rc = mpw_cstr(out, title) | mpw_map(out, (uint32_t)count);
    for (size_t i = 0; i < count; i++)
        rc |= mpw_cstr(out, rows[i].name) | mpw_uint(out, rows[i].value);
    return rc;
}

static int pack_server(struct buf *out, const struct io *io)
{
    const struct row rows[] = {
        {"pid", (uint64_t)getpid()},
        {"uptime_ms", (uint64_t)(clock_ms() - io->options.started_ms)},
        {"generation", io->snapshot->generation},
        {"io_threads", io->options.io_count},
        {"loader_threads", io->options.loader_count},
        {"connections", ledger_read(&io->options.ledger->places)},
    };
    return pack_rows(out, "server", rows, sizeof rows / sizeof rows[0]);
}

static int pack_store(struct buf *out, const struct io *io)
{
    struct store_stats s;
    store_read_stats(io->options.store, &s);
    const struct row rows[] = {
        {"entries", s.entries},
        {"negatives", s.negatives},
        {"bytes", s.bytes},
        {"holes", s.holes},
        {"memory_limit", s.memory_limit},
        {"puts", s.puts},
        {"evictions", s.evictions},
        {"expirations", s.expirations},
        {"removals", s.removals},
        {"refused", s.refused},
        {"marked", s.marked},
        {"globs", s.globs},
        {"renewals", s.renewals},
    };
    return pack_rows(out, "store", rows, sizeof rows / sizeof rows[0]);
}

static int pack_client_memory(struct buf *out, const struct io *io)
{
    const struct ledger *l = io->options.ledger;
    struct row rows[LEDGER_KINDS + 3] = {
        {"limit", (uint64_t)io->snapshot->conf->client_memory},
        {"held", ledger_held(l)},
        {"results", ledger_results()},
    };
    for (int i = 0; i < LEDGER_KINDS; i++)
        rows[i + 3] = (struct row){ledger_kind_name((enum ledger_kind)i),
                                   ledger_kind_held(l, (enum ledger_kind)i)};
    return pack_rows(out, "client_memory", rows, sizeof rows / sizeof rows[0]);
}

static int pack_flights(struct buf *out, const struct io *io)
{
    struct flights_stats s;
    flights_read_stats(io->options.flights, &s);
    const struct row rows[] = {
        {"loading", s.loading},
        {"backoff", s.failed},
        {"backoff_dropped", s.failed_dropped},
        {"floors", s.floors},
        {"floors_dropped", s.floors_dropped},
        {"primary_reads_ms", s.lossy_until_ms > io->now_ms ? s.lossy_until_ms - io->now_ms : 0},
    };
    return pack_rows(out, "flights", rows, sizeof rows / sizeof rows[0]);
}

static int pack_backends(struct buf *out, const struct snapshot *snapshot)
{
    const struct conf *conf = snapshot->conf;
    int rc = mpw_cstr(out, "backends") | mpw_map(out, (uint32_t)conf->backend_count);
    for (size_t i = 0; i < conf->backend_count; i++) {
        struct backend_stats b;
        snapshot_ask_backend(snapshot, i, &b);
        const struct row rows[] = {
            {"queries", b.queries},
            {"failures", b.failures},
            {"connects", b.connects},
            {"disconnects", b.disconnects},
            {"cancels", b.cancels},
            {"timeouts", b.timeouts},
            {"connections", b.connections},
            {"idle", b.idle},
            {"in_flight", b.in_flight},
            {"queued", b.queued},
            {"groups", b.groups},
            {"groups_failed", b.groups_failed},
            {"reruns", b.reruns},
            {"descriptions", b.descriptions},
            {"stale", b.stale},
            {"lost", b.lost},
            {"retired", b.retired},
            {"grown", b.grown},
            {"unprepared", b.unprepared},
            {"statements_shared", b.statements_shared},
            {"statements_alone", b.statements_alone},
        };
        rc |= pack_rows(out, conf->backends[i].name, rows, sizeof rows / sizeof rows[0]);
    }
    return rc;
}

static int pack_feeds(struct buf *out, const struct snapshot *s)
{
    const struct conf *conf = s->conf;
    uint32_t count = 0;
    for (size_t i = 0; i < conf->backend_count; i++)
        count += conf->backends[i].feed != NULL;
    int rc = mpw_cstr(out, "feeds") | mpw_map(out, count);
    for (size_t i = 0; i < conf->backend_count; i++) {
        if (!conf->backends[i].feed)
            continue;
        struct feed_totals f = totals_of_feed(&s->backends[i]->feed);
        rc |= mpw_cstr(out, conf->backends[i].name) | mpw_map(out, 6);
        rc |= mpw_cstr(out, "connected") | mpw_bool(out, f.connected);
        rc |= mpw_cstr(out, "cut") | mpw_bool(out, f.cut);
        rc |= mpw_cstr(out, "events") | mpw_uint(out, f.events);
        rc |= mpw_cstr(out, "bad") | mpw_uint(out, f.bad);
        rc |= mpw_cstr(out, "gaps") | mpw_uint(out, f.gaps);
        rc |= mpw_cstr(out, "lag_ms") | (f.lag_ms < 0 ? mpw_nil(out) : mpw_int(out, f.lag_ms));
    }
    return rc;
}

static int pack_scripts(struct buf *out, const struct snapshot *snapshot)
{
    struct runtime_stats s;
    snapshot_ask_scripts(snapshot, &s);
    const struct row rows[] = {
        {"runs", s.runs},
        {"failures", s.failures},
        {"cpu_stops", s.cpu_stops},
        {"memory_stops", s.memory_stops},
        {"call_stops", s.call_stops},
        {"collections", s.collections},
        {"replaced", s.replaced},
        {"memory_bytes", s.memory_bytes},
        {"parked", s.parked},
    };
    return pack_rows(out, "scripts", rows, sizeof rows / sizeof rows[0]);
}

static int pack_counters(struct buf *out)
{
    int rc = mpw_cstr(out, "counters") | mpw_map(out, M_COUNT);
    for (int i = 0; i < M_COUNT; i++) {
        rc |= mpw_cstr(out, metrics_counter_name((enum metric_counter)i));
        rc |= mpw_uint(out, metrics_sum((enum metric_counter)i));
    }
    return rc;
}

static int pack_times(struct buf *out)
{
    int rc = mpw_cstr(out, "times") | mpw_map(out, H_COUNT);
    for (int i = 0; i < H_COUNT; i++) {
        struct metrics_quantiles q;
        metrics_quantiles((enum metric_histogram)i, &q);
        const struct row rows[] = {
            {"count", q.count}, {"p50", q.p50},   {"p90", q.p90},
            {"p99", q.p99},     {"p999", q.p999}, {"max", q.max},
        };
        rc |= pack_rows(out, metrics_histogram_name((enum metric_histogram)i), rows,
                        sizeof rows / sizeof rows[0]);
    }
    return rc;
}

void stats_answer(const struct target *t, struct params *p)
{
    struct err e;
    if (params_options(p, NULL, 0, &e) != 0) {
        answer_error(t, &e);
        return;
    }
    const struct io *io = t->io;
    struct answer a;
    answer_begin(&a, t);
    int rc = mpw_map(a.out, 10);
    rc |= mpw_cstr(a.out, "version") | mpw_cstr(a.out, RTCACHE_VERSION);
    rc |= pack_server(a.out, io) | pack_store(a.out, io) | pack_flights(a.out, io);
    rc |= pack_client_memory(a.out, io);
    rc |= pack_backends(a.out, io->snapshot) | pack_feeds(a.out, io->snapshot) |
          pack_scripts(a.out, io->snapshot);
    answer_done(&a, rc | pack_counters(a.out) | pack_times(a.out));
}
