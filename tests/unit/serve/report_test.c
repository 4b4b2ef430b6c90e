/* Every number is told once, by its name, whoever shows it. */
#include "load/flight_world.h"

#include "conf/options.h"
#include "load/breaker.h"
#include "metrics/metrics.h"
#include "serve/report.h"

#include <string.h>

#define TOLD_MAX 2000
#define HELD     1000 /* references: so many that no test ends a configuration */

/* Notes the path of each number, as "store.entries". */
struct notes {
    struct report_sink sink;
    size_t depth, count;
    char path[8][64];
    struct {
        char name[160], text[64];
        double value;
    } told[TOLD_MAX];
};

static struct notes notes;

static void note(struct report_sink *to, const char *name, double value)
{
    struct notes *n = (struct notes *)to;
    char *at = n->told[n->count].name;
    at[0] = '\0';
    for (size_t i = 0; i < n->depth; i++) {
        strcat(at, n->path[i]);
        strcat(at, ".");
    }
    strcat(at, name);
    for (size_t i = 0; i < n->count; i++)
        if (strcmp(n->told[i].name, at) == 0)
            fail_msg("%s is told twice", at);
    n->told[n->count++].value = value;
}

static void enter(struct report_sink *to, const char *name)
{
    struct notes *n = (struct notes *)to;
    snprintf(n->path[n->depth++], sizeof n->path[0], "%s", name ? name : "");
}

static void leave(struct report_sink *to)
{
    struct notes *n = (struct notes *)to;
    assert_true(n->depth > 0);
    n->depth--;
}

static void count(struct report_sink *to, const char *name, uint64_t value)
{
    note(to, name, (double)value);
}

static void number(struct report_sink *to, const char *name, int64_t value)
{
    note(to, name, (double)value);
}

static void ratio(struct report_sink *to, const char *name, double value)
{
    note(to, name, value);
}

static void flag(struct report_sink *to, const char *name, bool value)
{
    note(to, name, value);
}

static void text(struct report_sink *to, const char *name, const char *value)
{
    struct notes *n = (struct notes *)to;
    note(to, name, value ? -1 : -2);
    snprintf(n->told[n->count - 1].text, sizeof n->told[0].text, "%s", value ? value : "");
}

static double told(const char *name)
{
    for (size_t i = 0; i < notes.count; i++)
        if (strcmp(notes.told[i].name, name) == 0)
            return notes.told[i].value;
    fail_msg("%s is not told", name);
    return 0;
}

static void says(const char *name, const char *wanted)
{
    for (size_t i = 0; i < notes.count; i++)
        if (strcmp(notes.told[i].name, name) == 0) {
            assert_string_equal(notes.told[i].text, wanted);
            return;
        }
    fail_msg("%s is not told", name);
}

/* Names below the group, of which the nth has the value n. */
static void in_order(const char *group, const char *names)
{
    char name[160], rest[1024], *at = rest;
    double n = 1;
    snprintf(rest, sizeof rest, "%s", names);
    for (char *word; (word = strsep(&at, " ")); n++) {
        snprintf(name, sizeof name, "%s.%s", group, word);
        if (told(name) != n)
            fail_msg("%s is %g", name, told(name));
    }
}

struct scene {
    struct world *w;
    struct conf conf;
    struct conf_backend backend;
    struct conf_loader loader;
    struct report report;
    struct ledger *ledger;
    struct snapshot *snapshot;
};

static int scene_setup(void **state)
{
    struct scene *s = calloc(1, sizeof *s);
    struct err e;
    s->w = world_new(100);
    atomic_init(&s->conf.refs, HELD);
    s->conf.loader_threads = 1;
    s->conf.client_memory = 4096;
    s->backend = (struct conf_backend){.name = "main", .feed = "changes"};
    s->conf.backends = &s->backend;
    s->conf.backend_count = 1;
    s->loader = (struct conf_loader){
        .pattern = "user:*", .script = "user.lua", .policy = {.ttl_ms = 77, .jitter = 0.25}};
    s->conf.loaders = &s->loader;
    s->conf.loader_count = 1;
    if (snapshot_new(&s->snapshot, &s->conf, 9, NULL, &e) != 0)
        fail_msg("%s", e.text);
    assert_int_equal(ledger_new(&s->ledger, 2, NULL), 0);
    s->report = (struct report){.snapshot = s->snapshot,
                                .store = s->w->store,
                                .flights = s->w->flights,
                                .ledger = s->ledger,
                                .io_threads = 2,
                                .loader_threads = 1,
                                .started_ms = 1000,
                                .now_ms = 1250};
    memset(&notes, 0, sizeof notes);
    notes.sink = (struct report_sink){enter, leave, count, number, ratio, flag, text};
    *state = s;
    return 0;
}

static int scene_teardown(void **state)
{
    struct scene *s = *state;
    ledger_free(s->ledger);
    snapshot_unref(s->snapshot);
    world_free(s->w);
    free(s);
    return 0;
}

static void every_table_is_walked(void **state)
{
    struct scene *s = *state;
    char name[96];
    ledger_take_place(s->ledger);
    ledger_add(&s->ledger->pages[1], LEDGER_INPUT, 17);
    report_walk(&s->report, &notes.sink);
    assert_int_equal(notes.depth, 0);
    assert_true(told("server.uptime_ms") == 250);
    assert_true(told("server.generation") == 9);
    assert_true(told("server.io_threads") == 2);
    assert_true(told("server.loader_threads") == 1);
    assert_true(told("server.connections") == 1);
    assert_true(told("client_memory.limit") == 4096);
    assert_true(told("client_memory.held") == 17);
    assert_true(told("client_memory.input") == 17);
    assert_true(told("feeds.main.lag_ms") == -2); /* not known */
    assert_true(told("store.entries") == 0);
    told("flights.floors");
    told("backends.main.queries");
    told("scripts.runs");
    for (int i = 0; i < M_COUNT; i++) {
        snprintf(name, sizeof name, "counters.%s", metrics_counter_name((enum metric_counter)i));
        told(name);
    }
    for (int i = 0; i < H_COUNT; i++) {
        snprintf(name, sizeof name, "times.%s.p99",
                 metrics_histogram_name((enum metric_histogram)i));
        told(name);
    }
}

static void a_loader_tells_each_option_of_its_policy(void **state)
{
    struct scene *s = *state;
    size_t options = 0;
    report_loader(&s->report, 0, &notes.sink);
    assert_int_equal(notes.depth, 0);
    assert_true(told(".pattern") == -1);
    assert_true(told(".script") == -1);
    assert_true(told(".backend") == -2);
    assert_true(told(".ttl_ms") == 77);
    assert_true(told(".jitter") == 0.25);
    assert_true(told(".loads") == 0);
    for (size_t i = 0; i < options_count; i++) {
        const struct option *o = &options_table[i];
        char name[96];
        if (o->group != GROUP_POLICY)
            continue;
        options++;
        snprintf(name, sizeof name, ".%s%s", o->name,
                 o->type == OPT_DURATION ? "_ms"
                 : o->type == OPT_MICROS ? "_us"
                                         : "");
        told(name);
    }
    assert_true(options > 15);
}

static void each_number_of_a_backend_and_of_scripts_has_its_name(void **state)
{
    struct scene *s = *state;
    const struct backend_stats b = {
        .queries = 1,
        .failures = 2,
        .connects = 3,
        .disconnects = 4,
        .cancels = 5,
        .timeouts = 6,
        .connections = 7,
        .idle = 8,
        .in_flight = 9,
        .queued = 10,
        .groups = 11,
        .groups_failed = 12,
        .reruns = 13,
        .descriptions = 14,
        .stale = 15,
        .lost = 16,
        .retired = 17,
        .grown = 18,
        .unprepared = 19,
        .statements_shared = 20,
        .statements_alone = 21,
    };
    const struct runtime_stats r = {
        .runs = 1,
        .failures = 2,
        .cpu_stops = 3,
        .memory_stops = 4,
        .call_stops = 5,
        .collections = 6,
        .replaced = 7,
        .memory_bytes = 8,
        .parked = 9,
    };
    live_backend_tell(s->snapshot->backends[0], 0, &b);
    live_scripts_tell(s->snapshot->scripts, 0, &r);
    report_walk(&s->report, &notes.sink);
    in_order("backends.main",
             "queries failures connects disconnects cancels timeouts connections idle in_flight "
             "queued groups groups_failed reruns descriptions stale lost retired grown unprepared "
             "statements_shared statements_alone");
    in_order("scripts", "runs failures cpu_stops memory_stops call_stops collections replaced "
                        "memory_bytes parked");
}

static void each_number_of_a_feed_has_its_name(void **state)
{
    struct scene *s = *state;
    struct live_feed *f = &s->snapshot->backends[0]->feed;
    f->events = 3;
    f->bad = 4;
    f->gaps = 5;
    f->lag_ms = 6;
    f->connected = true;
    report_walk(&s->report, &notes.sink);
    assert_true(told("feeds.main.connected") == 1 && told("feeds.main.cut") == 0);
    assert_true(told("feeds.main.events") == 3);
    assert_true(told("feeds.main.bad") == 4);
    assert_true(told("feeds.main.gaps") == 5);
    assert_true(told("feeds.main.lag_ms") == 6);
    notes.count = 0;
    f->lag_ms = 0;
    f->connected = false;
    f->cut = true;
    report_walk(&s->report, &notes.sink);
    assert_true(told("feeds.main.connected") == 0 && told("feeds.main.cut") == 1);
    assert_true(told("feeds.main.lag_ms") == 0); /* it is known */
    notes.count = 0;
    s->backend.feed = NULL;
    report_walk(&s->report, &notes.sink);
    for (size_t i = 0; i < notes.count; i++)
        assert_null(strstr(notes.told[i].name, "feeds."));
    s->backend.feed = "changes";
}

static void the_store_and_the_flights_tell_theirs(void **state)
{
    struct scene *s = *state;
    struct world *w = s->w;
    struct put p = {.key = slice_str("a"), .value = slice_str("v")}, q = p;
    struct join_result r;
    int64_t seven = 7;
    p.hash = store_hash(w->store, p.key);
    q.key = slice_str("b");
    q.hash = store_hash(w->store, q.key);
    q.negative = true;
    q.ttl_ms = 1000;
    assert_int_equal(store_put(w->store, &p, w->now_ms, NULL), 0);
    assert_int_equal(store_put(w->store, &q, w->now_ms, NULL), 0);
    assert_int_equal(store_put(w->store, &q, w->now_ms, NULL), 0);
    assert_true(store_remove(w->store, p.key, p.hash, w->now_ms));
    invalidate(w, "c", &seven);
    join_as(w, "d", NULL, &r);
    fail_load(w, r.flight, "no");
    join_as(w, "e", NULL, &r);
    s->report.now_ms = w->now_ms;
    s->report.started_ms = w->now_ms - 250;
    flights_lose_floors(w->flights, w->now_ms + 500);
    report_walk(&s->report, &notes.sink);
    assert_true(told("store.entries") == 1);
    assert_true(told("store.negatives") == 1);
    assert_true(told("store.puts") == 3);
    assert_true(told("store.removals") == 1);
    assert_true(told("store.memory_limit") == 16 << 20);
    assert_true(told("store.bytes") > 0);
    assert_true(told("store.evictions") + told("store.expirations") + told("store.refused") == 0);
    assert_true(told("flights.loading") == 1);
    assert_true(told("flights.backoff") == 1);
    assert_true(told("flights.floors") == 1);
    assert_true(told("flights.floors_dropped") + told("flights.backoff_dropped") == 0);
    assert_true(told("flights.primary_reads_ms") == 500);
    notes.count = 0;
    s->report.now_ms += 501;
    report_walk(&s->report, &notes.sink);
    assert_true(told("flights.primary_reads_ms") == 0);
    struct outcome o = found(value_a);
    bool stored;
    end_with(w, r.flight, &o, &stored);
}

static void a_loader_tells_each_of_its_numbers(void **state)
{
    struct scene *s = *state;
    struct loader_counters *c = snapshot_counters(s->snapshot, 0, 0);
    char name[64];
    uint64_t n = 1;
#define SET(total) c->total = n++;
    LOADER_TOTALS(SET)
#undef SET
    for (int r = 0; r < REASON_COUNT; r++)
        c->by_reason[r] = 50 + (uint64_t)r;
    c->failures[-ERR_TIMEOUT] = 1;
    c->failures[-ERR_BACKEND] = 70;
    c->in_flight = 80;
    c->queued = 81;
    c->breaker = BREAKER_HALF_OPEN;
    s->loader.backend = "main";
    for (int i = 0; i < 3; i++)
        metrics_hit(metrics_mine(), snapshot_owner(s->snapshot, 0), HIT_STALE);
    report_loader(&s->report, 0, &notes.sink);
    in_order("", "loads found absent failed refused retried misses coalesced batches batch_keys "
                 "queue_us load_us refresh_wasted too_large prefetch_skipped");
    for (int r = 0; r < REASON_COUNT; r++) {
        snprintf(name, sizeof name, ".%s", load_reason_name((enum load_reason)r));
        assert_true(told(name) == 50 + r);
    }
    assert_true(told(".failures.TIMEOUT") == 1);
    assert_true(told(".failures.BACKEND_ERROR") == 70);
    size_t failures = 0;
    for (size_t i = 0; i < notes.count; i++)
        failures += strncmp(notes.told[i].name, ".failures.", 10) == 0;
    assert_int_equal(failures, 2); /* no code that there was none of */
    assert_true(told(".in_flight") == 80);
    assert_true(told(".queued") == 81);
    assert_true(told(".hits_stale") == 3);
    assert_true(told(".hits") == 0);
    says(".breaker", "half-open");
    says(".pattern", "user:*");
    says(".script", "user.lua");
    says(".backend", "main");
}

int main(void)
{
#define S(test) cmocka_unit_test_setup_teardown(test, scene_setup, scene_teardown)
    const struct CMUnitTest tests[] = {
        S(every_table_is_walked),
        S(a_loader_tells_each_option_of_its_policy),
        S(each_number_of_a_backend_and_of_scripts_has_its_name),
        S(each_number_of_a_feed_has_its_name),
        S(the_store_and_the_flights_tell_theirs),
        S(a_loader_tells_each_of_its_numbers),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
