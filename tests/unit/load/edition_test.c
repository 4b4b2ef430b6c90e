/* A snapshot made ready on a loader thread: what is opened, what goes on over a reload, and what is
 * said where it cannot be made. */
#include "bind/fake.h"

#include "load/admission.h"
#include "load/capacity.h"
#include "load/edition.h"

#define BACKENDS 3
#define LOADERS  3

static struct {
    int count, fail_at;
    unsigned share[8];
    struct fake fakes[8];
} opened;

static int fake_open(struct backend **out, struct ev_loop *loop, const struct conf_backend *conf,
                     unsigned share, struct err *e)
{
    (void)loop;
    if (opened.count + 1 == opened.fail_at)
        return err_set(e, ERR_CONFIG, "%s cannot be opened", conf->name);
    struct fake *f = &opened.fakes[opened.count];
    opened.share[opened.count++] = share;
    fake_init(f, conf->name);
    *out = &f->head;
    return 0;
}

static const struct backend_driver driver = {
    .conf = {.name = "fake", .speaks_sql = true}, .verbs = sql_verbs, .open = fake_open};

struct plan {
    struct conf conf;
    struct conf_backend backends[BACKENDS];
    struct conf_loader loaders[LOADERS];
};

/* One loader thread of several, and its configurations. */
struct world {
    struct bench bench;
    struct plan plans[4], *plan; /* the newest */
    struct thread_state thread;
    struct list startable, editions;
    struct snapshot *snapshots[4];
    int made;
};

static const char gives[] = "return { load = function() return 1 end }\n";

static int setup(void **state)
{
    struct world *w = calloc(1, sizeof *w);
    memset(&opened, 0, sizeof opened);
    bench_start(&w->bench, (struct bench_bounds){0});
    bench_file(&w->bench, "a.lua", gives);
    bench_file(&w->bench, "b.lua", gives);
    static const char *const names[] = {"main", "other", "third"}, *const patterns[] = {
                                                                       "a:*", "b:*", "c:*"};
    struct plan *p = w->plan = &w->plans[0];
    atomic_init(&p->conf.refs, 1000);
    p->conf.loader_threads = 3;
    p->conf.scripts_dir = w->bench.dir;
    p->conf.lua_dir = w->bench.lua_dir;
    p->conf.script_memory = 64 << 20;
    p->conf.script_cpu_ms = 2000;
    p->conf.max_value = 1 << 20;
    p->conf.backends = p->backends;
    p->conf.backend_count = BACKENDS;
    p->conf.loaders = p->loaders;
    p->conf.loader_count = LOADERS;
    for (int i = 0; i < BACKENDS; i++)
        p->backends[i] = (struct conf_backend){.name = names[i],
                                               .driver = &driver.conf,
                                               .pool = 2 + 4 * i,
                                               .min_loads = 3,
                                               .max_loads = 300 + i,
                                               .file = "/etc/rtcache.conf",
                                               .line = 20 + i};
    for (int i = 0; i < LOADERS; i++)
        p->loaders[i] = (struct conf_loader){
            .pattern = patterns[i],
            .script = i == 1 ? "b.lua" : "a.lua",
            .backend = i < 2 ? names[i] : NULL,
            .file = "/etc/rtcache.conf",
            .line = 30 + i,
            .policy = {.max_loads = 30, .max_queue = 30, .breaker_failures = 3},
        };
    w->thread.loop = w->bench.loop;
    w->thread.metrics = metrics_mine();
    list_init(&w->startable);
    list_init(&w->editions);
    *state = w;
    return 0;
}

static int teardown(void **state)
{
    struct world *w = *state;
    assert_true(list_empty(&w->startable));
    for (int i = 0; i < w->made; i++)
        snapshot_unref(w->snapshots[i]);
    for (int i = 0; i < opened.count; i++)
        assert_int_equal(opened.fakes[i].freed, 1);
    bench_stop(&w->bench);
    free(w);
    return 0;
}

/* What comes with a reload: as it was, for the test to change it. */
static struct plan *next_plan(struct world *w)
{
    struct plan *next = w->plan + 1;
    *next = *w->plan;
    next->conf.backends = next->backends;
    next->conf.loaders = next->loaders;
    w->plan = next;
    return next;
}

static int make(struct world *w, const struct edition *before, struct edition **out, struct err *e)
{
    struct snapshot **s = &w->snapshots[w->made];
    assert_int_equal(snapshot_new(s, &w->plan->conf, (uint64_t)w->made + 1,
                                  w->made ? w->snapshots[w->made - 1] : NULL, e),
                     0);
    w->made++;
    struct edition_wanted wanted = {
        .thread = &w->thread, .snapshot = *s, .before = before, .startable = &w->startable};
    return edition_new(out, &wanted, e);
}

static struct edition *edition_of(struct world *w, struct edition *before)
{
    struct edition *edition;
    struct err e;
    if (make(w, before, &edition, &e) != 0)
        fail_msg("%s", e.text);
    edition_carry(edition, before);
    return edition;
}

/* Bounds are for all loader threads, and each has its share, rounded up. */
static void a_thread_has_its_share_of_every_bound(void **state)
{
    struct world *w = *state;
    struct edition *edition = edition_of(w, NULL);
    assert_int_equal(opened.count, BACKENDS);
    assert_int_equal(opened.share[0], 1); /* of 2, 6 and 10 */
    assert_int_equal(opened.share[1], 2);
    assert_int_equal(opened.share[2], 4);
    for (int i = 0; i < BACKENDS; i++) {
        assert_ptr_equal(edition->backends[i], &opened.fakes[i].head);
        assert_int_equal(edition->capacities[i].limit.least, 1);
        assert_int_equal(limit_now(&edition->capacities[i].limit), i ? 101 : 100);
    }
    assert_int_equal(capacity_room(&edition->capacities[BACKENDS]), UINT32_MAX);
    for (int i = 0; i < LOADERS; i++) {
        const struct binding *b = &edition->admissions[i].binding;
        assert_ptr_equal(b->conf, &w->plan->loaders[i]);
        assert_ptr_equal(b->capacity, &edition->capacities[i < 2 ? i : BACKENDS]);
        assert_int_equal(b->backend, i < 2 ? i : -1);
        assert_int_equal(edition->admissions[i].max_loads, 10);
    }
    assert_int_equal(edition->admissions[0].binding.script, edition->admissions[2].binding.script);
    assert_int_not_equal(edition->admissions[0].binding.script,
                         edition->admissions[1].binding.script);
    edition_unref(edition);
}

static void a_pool_of_none_is_one_of_one(void **state)
{
    struct world *w = *state;
    w->plan->backends[0].pool = 0;
    struct edition *edition = edition_of(w, NULL);
    assert_int_equal(opened.share[0], 1);
    edition_unref(edition);
}

static void what_stays_the_same_goes_on_over_a_reload(void **state)
{
    struct world *w = *state;
    struct edition *before = edition_of(w, NULL);
    const int refs = opened.fakes[0].head.refs;
    for (int i = 0; i < BACKENDS; i++)
        before->capacities[i].limit.now = 40 + i;
    for (int i = 0; i < LOADERS; i++) {
        before->admissions[i].breaker.state = BREAKER_OPEN;
        before->admissions[i].breaker.open_until_ms = 77 + i;
        assert_false(before->admissions[i].retired);
    }
    binding_facts(&before->admissions[0].binding)->gives_tags = true;
    binding_facts(&before->admissions[1].binding)->gives_tags = true;
    next_plan(w)->backends[1].full_errors = true; /* it is another one */
    bench_file(&w->bench, "b.lua", "return { load = function() return 2 end }\n");
    struct edition *after = edition_of(w, before);
    assert_int_equal(opened.count, BACKENDS + 1);
    assert_ptr_equal(after->backends[0], before->backends[0]);
    assert_ptr_equal(after->backends[1], &opened.fakes[3].head);
    assert_ptr_equal(after->backends[2], before->backends[2]);
    assert_int_equal(opened.fakes[0].head.refs, 2 * refs);
    assert_int_equal(limit_now(&after->capacities[0].limit), 40);
    assert_int_equal(limit_now(&after->capacities[1].limit), 101);
    assert_int_equal(limit_now(&after->capacities[2].limit), 42);
    assert_int_equal(after->admissions[0].breaker.open_until_ms, 77);
    assert_int_equal(after->admissions[1].breaker.state, BREAKER_CLOSED); /* of another source */
    assert_int_equal(after->admissions[2].breaker.state, BREAKER_CLOSED); /* of none */
    assert_true(binding_facts(&after->admissions[0].binding)->gives_tags);
    assert_false(binding_facts(&after->admissions[1].binding)->gives_tags); /* another script */
    assert_false(binding_facts(&after->admissions[2].binding)->gives_tags); /* another pattern */
    for (int i = 0; i < LOADERS; i++) {
        assert_true(before->admissions[i].retired);
        assert_false(after->admissions[i].retired);
        assert_int_equal(atomic_load(&after->admissions[i].binding.counters->breaker),
                         i == 0 ? BREAKER_OPEN : BREAKER_CLOSED);
    }
    edition_unref(before);
    assert_int_equal(opened.fakes[1].freed, 1);
    assert_int_equal(opened.fakes[0].freed, 0);
    edition_unref(after);
}

/* Whose pattern is another one has nothing to do with what was known at its place. */
static void a_breaker_is_its_patterns(void **state)
{
    struct world *w = *state;
    struct edition *before = edition_of(w, NULL);
    before->admissions[0].breaker.state = BREAKER_OPEN;
    binding_facts(&before->admissions[0].binding)->gives_tags = true;
    struct plan *p = next_plan(w);
    p->loaders[0] = before->snapshot->conf->loaders[1];
    p->loaders[1] = before->snapshot->conf->loaders[0];
    struct edition *after = edition_of(w, before);
    assert_int_equal(after->admissions[0].breaker.state, BREAKER_CLOSED);
    assert_int_equal(after->admissions[1].breaker.state, BREAKER_OPEN);
    assert_true(binding_facts(&after->admissions[1].binding)->gives_tags);
    assert_false(binding_facts(&after->admissions[0].binding)->gives_tags);
    edition_unref(before);
    edition_unref(after);
}

static void what_cannot_be_made_is_named_and_leaves_nothing(void **state)
{
    struct world *w = *state;
    struct edition *before = edition_of(w, NULL), *edition = before;
    struct err e;
    const int opened_before = opened.count, refs = opened.fakes[2].head.refs;
    struct plan *p = next_plan(w);
    p->backends[0].full_errors = p->backends[1].full_errors = true;
    opened.fail_at = opened_before + 2;
    assert_int_equal(make(w, before, &edition, &e), ERR_CONFIG);
    assert_string_equal(e.text, "/etc/rtcache.conf:21: other cannot be opened");
    assert_null(edition);
    assert_int_equal(opened.fakes[opened_before].freed, 1);
    assert_int_equal(opened.fakes[2].head.refs, refs);
    opened.fail_at = 0;
    bench_file(&w->bench, "b.lua", "return 7\n");
    assert_int_not_equal(make(w, before, &edition, &e), 0);
    assert_non_null(strstr(e.text, "b.lua"));
    assert_null(edition);
    assert_int_equal(before->refs, 1);
    edition_unref(before);
}

#define T(test) cmocka_unit_test_setup_teardown(test, setup, teardown)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(a_thread_has_its_share_of_every_bound),           T(a_pool_of_none_is_one_of_one),
        T(what_stays_the_same_goes_on_over_a_reload),       T(a_breaker_is_its_patterns),
        T(what_cannot_be_made_is_named_and_leaves_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
