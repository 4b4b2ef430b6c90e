/* The counts of an edition's VMs, over the end of one whose place another one took. */
#include "load/load_world.h"

#include "bind/runtime_priv.h"

/* The edition's scripts are read by it itself. */
static struct load_world *world(void)
{
    struct err e;
    static struct backend *backends[WORLD_BACKENDS];
    struct load_world *w = world_new();
    w->conf.scripts_dir = w->bench.dir;
    w->conf.lua_dir = w->bench.lua_dir;
    w->conf.script_memory = 64 << 20;
    w->conf.script_cpu_ms = 2000;
    w->conf.max_value = 1 << 20;
    for (int i = 0; i < WORLD_BACKENDS; i++)
        w->backends[i].driver = &fake_driver.conf;
    world_open(w);
    backends[0] = &w->bench.main.head;
    backends[1] = &w->bench.other.head;
    w->edition.backends = backends;
    assert_int_equal(edition_vm_read(&w->edition, NULL, &w->edition.runtime, &e), 0);
    return w;
}

static void world_close(struct load_world *w)
{
    edition_vm_reap(&w->edition);
    assert_null(w->edition.ending);
    runtime_unref(w->edition.runtime);
    world_free(w);
}

/* A VM that stays full has another one take its place. */
static void fill(struct load_world *w)
{
    struct runtime *full = w->edition.runtime;
    full->full(full->full_arg, &(struct runtime_full){.max_bytes = 64 << 20});
    assert_ptr_not_equal(w->edition.runtime, full);
    assert_ptr_equal(w->edition.ending, full);
}

static struct run *save(struct load_world *w, struct ending *end)
{
    struct run *run;
    struct err e;
    *end = (struct ending){0};
    struct run_request q = bench_request(&w->bench, w->admissions[0].binding.script, end);
    q.what = RUN_SAVE;
    q.input = slice_str("\x07");
    assert_int_equal(run_start(&run, w->edition.runtime, &q, &e), 0);
    return run;
}

static struct runtime_stats counts(const struct load_world *w)
{
    struct runtime_stats s;
    edition_vm_read_stats(&w->edition, &s);
    return s;
}

static void what_ends_in_the_one_before_is_counted(void **state)
{
    (void)state;
    struct load_world *w = world();
    struct ending end;
    save(w, &end);
    uint64_t before = counts(w).runs;
    fill(w);
    edition_vm_reap(&w->edition);
    assert_non_null(w->edition.ending); /* its run waits for the source */
    assert_int_equal(counts(w).parked, 1);
    assert_int_equal(counts(w).runs, before);
    fake_fail(fake_oldest(&w->bench.main), ERR_BACKEND, "no");
    assert_int_equal(end.calls, 1);
    ending_fini(&end);
    struct runtime_stats ended = counts(w);
    assert_int_equal(ended.failures, 1);
    edition_vm_reap(&w->edition);
    assert_null(w->edition.ending);
    assert_int_equal(counts(w).failures, 1);
    assert_int_equal(counts(w).runs, ended.runs);
    assert_int_equal(counts(w).replaced, 1);
    assert_int_equal(counts(w).parked, 0);
    world_close(w);
}

static void what_still_runs_in_the_one_before_last_fails_and_is_counted(void **state)
{
    (void)state;
    struct load_world *w = world();
    struct ending first, second;
    save(w, &first);
    fill(w);
    save(w, &second);
    fill(w);
    assert_int_equal(first.calls, 1);
    assert_int_equal(first.err.code, ERR_NOMEM);
    assert_int_equal(second.calls, 0);
    assert_int_equal(counts(w).failures, 1);
    assert_int_equal(counts(w).replaced, 2);
    fake_answer_int(fake_oldest(&w->bench.main), 1);
    assert_int_equal(second.outcome, RUN_FOUND);
    ending_fini(&first);
    ending_fini(&second);
    world_close(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_ends_in_the_one_before_is_counted),
        cmocka_unit_test(what_still_runs_in_the_one_before_last_fails_and_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
