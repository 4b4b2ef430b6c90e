#include "serve/report.h"

#include "base/clock.h"
#include "conf/options.h"
#include "load/totals.h"
#include "metrics/metrics.h"
#include "state/journal.h"
#include "tier/tier.h"

#include <stdio.h>
#include <unistd.h>

struct row {
    const char *name;
    uint64_t value;
};

static void tell_rows(struct report_sink *to, const char *title, const struct row *rows,
                      size_t count)
{
    to->enter(to, title);
    for (size_t i = 0; i < count; i++)
        to->count(to, rows[i].name, rows[i].value);
    to->leave(to);
}

#define TELL(to, title, rows) tell_rows(to, title, rows, sizeof(rows) / sizeof(rows)[0])

static void tell_server(const struct report *r, struct report_sink *to)
{
    const struct row rows[] = {
        {"pid", (uint64_t)getpid()},
        {"uptime_ms", (uint64_t)(r->now_ms - r->started_ms)},
        {"generation", r->snapshot->generation},
        {"io_threads", r->io_threads},
        {"loader_threads", r->loader_threads},
        {"connections", ledger_read(&r->ledger->places)},
    };
    TELL(to, "server", rows);
}

static void tell_store(const struct report *r, struct report_sink *to)
{
    struct store_stats s;
    store_read_stats(r->store, &s);
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
    TELL(to, "store", rows);
}

static void tell_flights(const struct report *r, struct report_sink *to)
{
    struct flights_stats s;
    flights_read_stats(r->flights, &s);
    const struct row rows[] = {
        {"loading", s.loading},
        {"backoff", s.failed},
        {"backoff_dropped", s.failed_dropped},
        {"floors", s.floors},
        {"floors_dropped", s.floors_dropped},
        {"primary_reads_ms", s.lossy_until_ms > r->now_ms ? s.lossy_until_ms - r->now_ms : 0},
    };
    TELL(to, "flights", rows);
}

static void tell_client_memory(const struct report *r, struct report_sink *to)
{
    const struct ledger *l = r->ledger;
    to->enter(to, "client_memory");
    to->count(to, "limit", (uint64_t)r->snapshot->conf->client_memory);
    to->count(to, "held", ledger_held(l));
    to->count(to, "results", ledger_results());
    for (int i = 0; i < LEDGER_KINDS; i++)
        to->count(to, ledger_kind_name((enum ledger_kind)i),
                  ledger_kind_held(l, (enum ledger_kind)i));
    to->leave(to);
}

static void tell_backends(const struct report *r, struct report_sink *to)
{
    const struct conf *conf = r->snapshot->conf;
    to->enter(to, "backends");
    for (size_t i = 0; i < conf->backend_count; i++) {
        struct backend_stats b;
        snapshot_ask_backend(r->snapshot, i, &b);
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
        TELL(to, conf->backends[i].name, rows);
    }
    to->leave(to);
}

static void tell_feeds(const struct report *r, struct report_sink *to)
{
    const struct conf *conf = r->snapshot->conf;
    to->enter(to, "feeds");
    for (size_t i = 0; i < conf->backend_count; i++) {
        if (!conf->backends[i].feed)
            continue;
        struct feed_totals f = totals_of_feed(&r->snapshot->backends[i]->feed);
        to->enter(to, conf->backends[i].name);
        to->flag(to, "connected", f.connected);
        to->flag(to, "cut", f.cut);
        to->count(to, "events", f.events);
        to->count(to, "bad", f.bad);
        to->count(to, "gaps", f.gaps);
        if (f.lag_ms < 0)
            to->text(to, "lag_ms", NULL);
        else
            to->number(to, "lag_ms", f.lag_ms);
        to->leave(to);
    }
    to->leave(to);
}

static void tell_scripts(const struct report *r, struct report_sink *to)
{
    struct runtime_stats s;
    snapshot_ask_scripts(r->snapshot, &s);
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
    TELL(to, "scripts", rows);
}

static void tell_counters(struct report_sink *to)
{
    to->enter(to, "counters");
    for (int i = 0; i < M_COUNT; i++)
        to->count(to, metrics_counter_name((enum metric_counter)i),
                  metrics_sum((enum metric_counter)i));
    to->leave(to);
}

static void tell_times(struct report_sink *to)
{
    to->enter(to, "times");
    for (int i = 0; i < H_COUNT; i++) {
        struct metrics_quantiles q;
        metrics_quantiles((enum metric_histogram)i, &q);
        const struct row rows[] = {
            {"count", q.count}, {"p50", q.p50},   {"p90", q.p90},
            {"p99", q.p99},     {"p999", q.p999}, {"max", q.max},
        };
        TELL(to, metrics_histogram_name((enum metric_histogram)i), rows);
    }
    to->leave(to);
}

/* ---- restart ---- */

static void tell_proof(const struct keep_restored *r, struct report_sink *to)
{
    static const char *const letters[PROOF_LETTERS] = {NULL, "P1", "P2", "P3", "P4", "P5"};
    to->count(to, "entries", r->entries);
    to->count(to, "proven", r->as[PROOF_PROVEN]);
    to->count(to, "stale", r->as[PROOF_STALE]);
    to->count(to, "candidates", r->as[PROOF_CANDIDATE]);
    to->count(to, "dropped", r->as[PROOF_DROPPED]);
    to->count(to, "over", r->over);
    to->count(to, "floors", r->floors);
    to->enter(to, "missing");
    for (size_t i = 1; i < PROOF_LETTERS; i++)
        to->count(to, letters[i], r->missing[i]);
    to->leave(to);
}

static void tell_restart(const struct report *r, struct report_sink *to)
{
    struct keep_counts k = keep_numbers_read(r->kept);
    to->enter(to, "restart");
    to->count(to, "life", k.life);
    tell_proof(&k.restored, to);
    to->count(to, "journal_records", k.journal_records);
    to->number(to, "downtime_ms", k.downtime_ms);
    to->number(to, "restore_ms", k.restored.ms);
    to->count(to, "snapshots", k.snapshots);
    to->count(to, "snapshot_failures", k.snapshot_failures);
    to->count(to, "snapshot_entries", k.saved.entries);
    to->count(to, "snapshot_bytes", k.saved.bytes);
    to->number(to, "snapshot_ms", k.saved.ms);
    to->number(to, "snapshot_began", k.saved_wall_ms / 1000);
    to->leave(to);
}

static void tell_journal(const struct report *r, struct report_sink *to)
{
    struct journal_stats s;
    journal_read_stats(r->journal, &s);
    to->enter(to, "journal");
    to->flag(to, "broken", s.broken);
    to->count(to, "failures", s.failures);
    to->count(to, "records", s.records);
    to->count(to, "writes", s.writes);
    to->count(to, "bytes", s.bytes);
    to->count(to, "files", s.files);
    to->count(to, "file_bytes", s.file_bytes);
    to->leave(to);
}

static void tell_tier(const struct report *r, struct report_sink *to)
{
    struct tier_counts c;
    tier_read_counts(r->tier, &c);
    to->enter(to, "tier");
#define TIER_COUNT(name, text) to->count(to, #name, c.name);
    TIER_NUMBERS(TIER_COUNT)
#undef TIER_COUNT
    to->count(to, "queue", c.queue);
    to->count(to, "queue_bytes", c.queue_bytes);
    to->count(to, "bytes", c.bytes);
    to->leave(to);
}

void report_walk(const struct report *r, struct report_sink *to)
{
    to->text(to, "version", RTCACHE_VERSION);
    tell_server(r, to);
    tell_store(r, to);
    tell_flights(r, to);
    tell_client_memory(r, to);
    tell_backends(r, to);
    tell_feeds(r, to);
    tell_scripts(r, to);
    tell_counters(to);
    tell_times(to);
    if (r->kept)
        tell_restart(r, to);
    if (r->journal)
        tell_journal(r, to);
    if (r->tier)
        tell_tier(r, to);
}

/* ---- loaders ---- */

/* An option of a policy, in its unit. */
static void tell_option(struct report_sink *to, const struct option *o, const struct policy *p)
{
    const void *at = (const char *)p + o->offset;
    char name[64];
    switch (o->type) {
    case OPT_DURATION:
    case OPT_MICROS:
        snprintf(name, sizeof name, "%s_%s", o->name, o->type == OPT_MICROS ? "us" : "ms");
        to->number(to, name, *(const int64_t *)at);
        break;
    case OPT_INT: to->number(to, o->name, *(const int64_t *)at); break;
    case OPT_RATIO: to->ratio(to, o->name, *(const double *)at); break;
    case OPT_CHOICE: to->text(to, o->name, *(const char *const *)at); break;
    default: break; /* there is none of these */
    }
}

static void tell_policy(const struct policy *p, struct report_sink *to)
{
    const struct option *o;
    for (size_t i = 0; (o = options_row(NULL, i)) != NULL; i++)
        if (o->group == GROUP_POLICY)
            tell_option(to, o, p);
}

/* Failed loads by their code, without those that there were none of. */
static void tell_failures(const struct loader_totals *sum, struct report_sink *to)
{
    to->enter(to, "failures");
    for (int code = 1; code < ERR_COUNT; code++)
        if (sum->failures[code] > 0)
            to->count(to, err_name(-code), sum->failures[code]);
    to->leave(to);
}

static void tell_totals(const struct loader_totals *sum, struct report_sink *to)
{
#define NAME_TOTAL(name) #name,
    static const char *const names[TOTALS] = {LOADER_TOTALS(NAME_TOTAL)};
#undef NAME_TOTAL
    to->count(to, "in_flight", sum->in_flight);
    to->count(to, "queued", sum->queued);
    for (size_t i = 0; i < TOTALS; i++)
        to->count(to, names[i], sum->of[i]);
    for (int i = 0; i < REASON_COUNT; i++)
        to->count(to, load_reason_name((enum load_reason)i), sum->by_reason[i]);
    tell_failures(sum, to);
}

/* A loader whose slot is 0 shares it with what has no loader: it shows none. */
static void tell_hits(unsigned owner, struct report_sink *to)
{
    for (int kind = 0; kind < HIT_KINDS; kind++)
        to->count(to, metrics_counter_name((enum metric_counter)(M_HITS + kind)),
                  owner ? metrics_hits(owner, (enum hit_kind)kind) : 0);
}

void report_loader(const struct report *r, size_t loader, struct report_sink *to)
{
    const struct conf_loader *l = &r->snapshot->conf->loaders[loader];
    struct loader_totals sum = totals_of_loader(r->snapshot, loader);
    to->enter(to, NULL);
    to->text(to, "pattern", l->pattern);
    to->text(to, "script", l->script);
    to->text(to, "backend", l->backend);
    tell_policy(&l->policy, to);
    tell_totals(&sum, to);
    tell_hits(snapshot_owner(r->snapshot, (int)loader), to);
    to->text(to, "breaker", breaker_state_name(sum.breaker));
    to->leave(to);
}
