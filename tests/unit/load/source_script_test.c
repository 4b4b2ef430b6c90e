/* A script as the source of a load: what it is asked for, at which backend, and how it is ended. */
#include "load/load_world.h"

static struct load_world *open_world(int64_t batch_max, int64_t timeout_ms)
{
    struct load_world *w = world_new();
    w->backends[0].primary = "other";
    w->loaders[0].policy.batch_max = batch_max;
    w->loaders[0].policy.load_timeout_ms = timeout_ms;
    world_open(w);
    int script = bench_script(&w->bench, "ask.lua",
                              "return {\n"
                              "  load = function(key, ctx)\n"
                              "    return ctx.db:value('SELECT $1', ctx.match[1])\n"
                              "  end,\n"
                              "  load_many = function(keys, ctx)\n"
                              "    local all = {}\n"
                              "    for i, key in ipairs(keys) do all[key] = i end\n"
                              "    return all\n"
                              "  end,\n"
                              "}\n");
    struct binding *b = &w->admissions[0].binding;
    binding_know_script(b, w->bench.rt, script);
    b->source = &source_script;
    return w;
}

static int waiting(const struct fake *f)
{
    int n = 0;
    list_for_each (link, &f->queries) {
        n++;
    }
    return n;
}

static void one_key_is_asked_for_at_its_backend_or_at_the_primary(void **state)
{
    (void)state;
    struct load_world *w = open_world(1, 10000);
    struct world_get g[2];
    world_get(w, 0, "a:17", &g[0], NULL);
    world_step(w);
    assert_int_equal(waiting(&w->bench.main), 1);
    assert_int_equal(waiting(&w->bench.other), 0);
    fake_answer_int(fake_oldest(&w->bench.main), 5);
    world_step(w);
    assert_int_equal(g[0].end, END_FOUND);
    flights_lose_floors(w->flights, clock_ms() + 60000);
    world_get(w, 0, "a:18", &g[1], NULL);
    world_step(w);
    assert_int_equal(waiting(&w->bench.main), 0);
    assert_int_equal(waiting(&w->bench.other), 1);
    fake_answer_int(fake_oldest(&w->bench.other), 6);
    world_step(w);
    assert_int_equal(g[1].end, END_FOUND);
    world_free(w);
}

static void several_keys_are_asked_for_at_once(void **state)
{
    (void)state;
    struct load_world *w = open_world(2, 10000);
    struct world_get g[2];
    world_get(w, 0, "a:1", &g[0], NULL);
    world_get(w, 0, "a:2", &g[1], NULL);
    world_step(w);
    assert_int_equal(w->bench.main.submitted, 0); /* its load_many needs no query */
    for (int i = 0; i < 2; i++)
        assert_int_equal(g[i].end, END_FOUND);
    world_get(w, 0, "a:3", &g[0], NULL); /* one alone is asked for by load */
    world_step(w);
    assert_int_equal(waiting(&w->bench.main), 1);
    fake_answer_int(fake_oldest(&w->bench.main), 5);
    world_step(w);
    assert_int_equal(g[0].end, END_FOUND);
    world_free(w);
}

static void what_is_shut_down_is_cancelled_at_its_backend(void **state)
{
    (void)state;
    struct load_world *w = open_world(1, 10000);
    struct world_get g;
    world_get(w, 0, "a:17", &g, NULL);
    world_step(w);
    load_shutdown_all(&w->thread);
    assert_int_equal(w->bench.main.cancelled, 1);
    assert_int_equal(waiting(&w->bench.main), 0);
    world_step(w);
    assert_int_equal(g.code, ERR_SHUTDOWN);
    assert_string_equal(g.why.text, "a:17: the server is going down");
    world_free(w);
}

static void past_its_time_it_is_cancelled_at_its_backend(void **state)
{
    (void)state;
    struct load_world *w = open_world(1, 1);
    struct world_get g;
    uint64_t timeouts = metrics_sum(M_LOADS_TIMEOUT);
    world_get(w, 0, "a:17", &g, NULL);
    world_step(w);
    while (!g.told) {
        ev_run(w->bench.loop, EVRUN_ONCE);
        world_step(w);
    }
    assert_int_equal(w->bench.main.cancelled, 1);
    assert_int_equal(g.code, ERR_LOAD_TIMEOUT);
    assert_string_equal(g.why.text, "a:17: all.lua: the load took more than 1 ms");
    assert_int_equal(metrics_sum(M_LOADS_TIMEOUT) - timeouts, 1);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(one_key_is_asked_for_at_its_backend_or_at_the_primary),
        cmocka_unit_test(several_keys_are_asked_for_at_once),
        cmocka_unit_test(what_is_shut_down_is_cancelled_at_its_backend),
        cmocka_unit_test(past_its_time_it_is_cancelled_at_its_backend),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
