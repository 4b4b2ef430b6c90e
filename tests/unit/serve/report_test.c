/* Every number is told once, by its name, whoever shows it. */
#include "load/flight_world.h"

#include "conf/options.h"
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
        char name[160];
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
    note(to, name, value ? -1 : -2);
}

static double told(const char *name)
{
    for (size_t i = 0; i < notes.count; i++)
        if (strcmp(notes.told[i].name, name) == 0)
            return notes.told[i].value;
    fail_msg("%s is not told", name);
    return 0;
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

int main(void)
{
#define S(test) cmocka_unit_test_setup_teardown(test, scene_setup, scene_teardown)
    const struct CMUnitTest tests[] = {
        S(every_table_is_walked),
        S(a_loader_tells_each_option_of_its_policy),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
