/* What a tick hands over is loaded ahead of its end, or left to it. */
#include "flight_world.h"

#include "load/prefetch.h"
#include "load/totals.h"
#include "metrics/metrics.h"

static struct {
    struct world *w;
    struct conf conf;
    struct conf_backend backend;
    struct conf_loader loader;
    struct snapshot *snapshot;
    struct changes changes;
    struct loader_thread *thread;
    struct prefetcher by;
} s;

static int begin_prefetch(void **state)
{
    struct err e;
    (void)state;
    memset(&s, 0, sizeof s);
    s.w = world_new(100);
    atomic_init(&s.conf.refs, 1000);
    s.backend = (struct conf_backend){.name = "main", .feed = "changes"};
    s.loader = (struct conf_loader){.pattern = "user:*",
                                    .backend = "main",
                                    .policy = {.refresh_ahead = .5,
                                               .prefetch_min_reads = 3,
                                               .prefetch_max_concurrent = 2,
                                               .prefetch_max_queue = 1}};
    s.conf.loader_threads = 1;
    s.conf.backends = &s.backend;
    s.conf.backend_count = 1;
    s.conf.loaders = &s.loader;
    s.conf.loader_count = 1;
    assert_int_equal(snapshot_new(&s.snapshot, &s.conf, 4, NULL, &e), 0);
    s.changes = (struct changes){.store = s.w->store, .flights = s.w->flights, .marks = s.w->marks};
    static struct mailbox *slots[2];
    struct loader_thread_options o = {.flights = s.w->flights,
                                      .store = s.w->store,
                                      .changes = &s.changes,
                                      .slots = slots,
                                      .slot_count = 2};
    assert_int_equal(loader_thread_new(&s.thread, &o, &e), 0);
    s.by = (struct prefetcher){.flights = s.w->flights, .loaders = &s.thread, .loader_count = 1};
    return 0;
}

static int end_prefetch(void **state)
{
    (void)state;
    loader_thread_free(s.thread); /* what was submitted to it ends here */
    snapshot_unref(s.snapshot);
    world_free(s.w);
    return 0;
}

/* What is handed over: an entry of that key, read so many times. Whether its load began. */
static bool run(const char *key, unsigned reads)
{
    struct put p = {.key = slice_str(key), .value = slice_of(value_a, 2), .ttl_ms = 1000};
    struct hit hit;
    p.hash = store_hash(s.w->store, p.key);
    assert_int_equal(store_put(s.w->store, &p, s.w->now_ms, NULL), 0);
    assert_int_equal(store_get(s.w->store, p.key, p.hash, s.w->now_ms, 0, NULL, &hit),
                     LOOKUP_FRESH);
    struct ahead item = {.entry = hit.entry, .hash = p.hash, .reads = reads, .share = .5F};
    struct aheads due = {.items = &item, .max = 1, .count = 1};
    size_t begun = prefetch_run(&s.by, s.snapshot, &due, s.w->now_ms);
    assert_int_equal(due.count, 0);
    assert_true(begun <= 1);
    return begun == 1;
}

static uint64_t skipped(void)
{
    return metrics_sum(M_PREFETCH_SKIPPED);
}

static void what_was_read_often_is_loaded_up_to_the_bound(void **state)
{
    (void)state;
    const uint16_t owner = snapshot_owner(s.snapshot, 0);
    uint64_t before = skipped();
    assert_false(run("user:cold", 2));
    assert_int_equal(flights_prefetching(s.w->flights, owner), 0);
    assert_true(run("user:1", 3));
    assert_true(run("user:2", 255));
    assert_int_equal(flights_prefetching(s.w->flights, owner), 2);
    assert_true(run("user:3", 3)); /* and one waits */
    assert_int_equal(skipped(), before);
    assert_false(run("user:4", 3));
    assert_int_equal(skipped() - before, 1);
    assert_int_equal(atomic_load(&snapshot_counters(s.snapshot, 0, 0)->prefetch_skipped), 1);
    assert_int_equal(flights_prefetching(s.w->flights, owner), 3);
}

static void what_is_being_loaded_is_not_loaded_again(void **state)
{
    (void)state;
    assert_true(run("user:1", 3));
    assert_false(run("user:1", 3));
    assert_int_equal(flights_prefetching(s.w->flights, snapshot_owner(s.snapshot, 0)), 1);
}

static void what_failed_a_moment_ago_is_left_alone(void **state)
{
    (void)state;
    struct join_result r;
    join_as(s.w, "user:1", NULL, &r);
    fail_load(s.w, r.flight, "no");
    assert_false(run("user:1", 3));
    s.w->now_ms += 60000;
    assert_true(run("user:1", 3));
}

static void what_has_no_loader_or_a_feed_that_is_cut_is_left_alone(void **state)
{
    (void)state;
    assert_false(run("team:1", 9));
    atomic_store(&s.snapshot->backends[0]->feed.cut, true);
    assert_false(run("user:1", 9));
    atomic_store(&s.snapshot->backends[0]->feed.cut, false);
    assert_true(run("user:1", 9));
}

/* The load is one of that entry: without it, and without a waiter, its result is not kept. */
static void its_load_replaces_what_was_handed_over(void **state)
{
    (void)state;
    struct waiter waiter = {0};
    struct join_result r;
    assert_true(run("user:1", 3));
    struct join_request q = request_for(s.w, "user:1", &waiter);
    q.reload = true;
    q.generation = 4;
    assert_int_equal(flights_join(s.w->flights, &q, &r), JOIN_PARKED);
    assert_int_equal(waiter.flight->asked.reason, REASON_PREFETCH);
    assert_true(waiter.flight->asked.replaces);
    assert_true(waiter.flight->asked.ahead == .5F);
    assert_int_equal(waiter.flight->token.generation, 4);
    assert_int_equal(waiter.flight->token.loader, 0);
    assert_true(flights_leave(s.w->flights, &waiter));
    if (r.promote)
        flight_unref(r.flight);
}

#define T(test) cmocka_unit_test_setup_teardown(test, begin_prefetch, end_prefetch)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(what_was_read_often_is_loaded_up_to_the_bound),
        T(what_is_being_loaded_is_not_loaded_again),
        T(what_failed_a_moment_ago_is_left_alone),
        T(what_has_no_loader_or_a_feed_that_is_cut_is_left_alone),
        T(its_load_replaces_what_was_handed_over),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
