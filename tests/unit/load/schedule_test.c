/* Whose load begins next, where several loaders want places of the same backends. */
#include "load/load_world.h"

/* Six keys for each loader, in the order of the loaders. */
#define EACH 6

static void ask_all(struct load_world *w, struct world_get *gets)
{
    char key[32];
    for (int loader = 0; loader < WORLD_LOADERS; loader++)
        for (int i = 0; i < EACH; i++) {
            snprintf(key, sizeof key, "%c:%d", 'a' + loader, i);
            world_get(w, loader, key, gets++, NULL);
        }
}

static void answer_from(struct load_world *w, int first)
{
    for (int i = first; i < w->asked_count; i++) {
        world_answer(w, &w->asked[i]);
        world_step(w);
    }
}

static int count_of(const struct load_world *w, int from, int to, char loader)
{
    int n = 0;
    for (int i = from; i < to; i++)
        n += w->asked[i].keys[0][0] == loader;
    return n;
}

static void loaders_of_one_backend_have_the_same_number_of_its_places(void **state)
{
    (void)state;
    struct load_world *w = world_new();
    struct world_get gets[WORLD_LOADERS * EACH];
    for (int i = 0; i < WORLD_BACKENDS; i++)
        w->backends[i].min_loads = w->backends[i].max_loads = 2;
    world_open(w);
    ask_all(w, gets);
    world_step(w);
    assert_int_equal(w->asked_count, 4); /* two places at each backend */
    assert_int_equal(count_of(w, 0, 4, 'a'), 1);
    assert_int_equal(count_of(w, 0, 4, 'b'), 1);
    assert_int_equal(count_of(w, 0, 4, 'c'), 2);
    answer_from(w, 0);
    assert_int_equal(w->asked_count, WORLD_LOADERS * EACH);
    /* While both had something to begin they went by turns. */
    int of_a = 0, of_b = 0;
    for (int i = 0; i < w->asked_count; i++) {
        of_a += w->asked[i].keys[0][0] == 'a';
        of_b += w->asked[i].keys[0][0] == 'b';
        assert_in_range(of_a - of_b + 1, 0, 2);
    }
    for (int i = 0; i < WORLD_LOADERS * EACH; i++)
        assert_int_equal(gets[i].end, END_FOUND);
    world_free(w);
}

static void a_backend_without_room_holds_up_no_other(void **state)
{
    (void)state;
    struct load_world *w = world_new();
    struct world_get gets[WORLD_LOADERS * EACH];
    w->backends[0].min_loads = w->backends[0].max_loads = 1;
    world_open(w);
    ask_all(w, gets);
    world_step(w);
    assert_int_equal(count_of(w, 0, w->asked_count, 'c'), EACH);
    assert_int_equal(w->asked_count, EACH + 1);
    assert_true(list_empty(&w->schedule.startable)); /* nothing more may begin */
    answer_from(w, 0);
    assert_int_equal(w->asked_count, WORLD_LOADERS * EACH);
    world_free(w);
}

static void of_one_backend_a_miss_goes_before_the_refresh_of_another_loader(void **state)
{
    (void)state;
    struct load_world *w = world_new();
    struct world_get g[2];
    w->backends[0].min_loads = w->backends[0].max_loads = 1;
    world_open(w);
    world_get(w, 0, "a:0", &g[0], NULL);
    world_step(w);
    world_get(w, 0, "a:stale", NULL, &(struct join_request){.reason = REASON_REFRESH});
    world_get(w, 1, "b:miss", &g[1], NULL);
    world_answer(w, &w->asked[0]);
    world_step(w);
    assert_string_equal(w->asked[1].keys[0], "b:miss");
    answer_from(w, 1);
    assert_string_equal(w->asked[2].keys[0], "a:stale");
    world_free(w);
}

static void what_a_turn_leaves_keeps_the_loop_awake(void **state)
{
    (void)state;
    struct load_world *w = world_new();
    static struct world_get gets[SCHEDULE_STARTS + 10];
    char key[32];
    w->loaders[0].policy.max_loads = w->loaders[0].policy.max_queue = 10000;
    w->backends[0].min_loads = w->backends[0].max_loads = 10000;
    world_open(w);
    w->refuse = SCHEDULE_STARTS + 10; /* each of them fails at once */
    for (int i = 0; i < SCHEDULE_STARTS + 10; i++) {
        snprintf(key, sizeof key, "a:%d", i);
        world_get(w, 0, key, &gets[i], NULL);
    }
    uint64_t turn = w->thread.turn;
    world_step(w);
    assert_int_equal(w->thread.turn, turn + 1);
    assert_true(ev_is_active(&w->schedule.unfinished));
    for (int i = 0; i < 1000 && ev_is_active(&w->schedule.unfinished); i++)
        world_step(w);
    assert_false(ev_is_active(&w->schedule.unfinished));
    load_shutdown_all(&w->thread); /* those that would run once more */
    world_step(w);
    world_free(w);
}

/* A script that takes so many ms of CPU after its query. */
static int takes(struct load_world *w, const char *file, int ms)
{
    char text[256];
    snprintf(text, sizeof text,
             "return { load = function(key, ctx)\n"
             "  ctx.db:value 'SELECT 1'\n"
             "  local began = os.clock()\n"
             "  while (os.clock() - began) * 1000 < %d do end\n"
             "  return 1\n"
             "end }",
             ms);
    return bench_script(&w->bench, file, text);
}

/* A run of it, whose query is answered: it waits for the thread. */
static void wake(struct load_world *w, int script, struct ending *end)
{
    struct run *run;
    struct err e;
    struct run_request q = bench_request(&w->bench, script, end);
    *end = (struct ending){0};
    q.in_turn = true;
    assert_int_equal(run_start(&run, w->bench.rt, &q, &e), 0);
    runtime_turn(w->bench.rt, 0);
    fake_answer_int(fake_oldest(&w->bench.main), 1);
    assert_int_equal(end->calls, 0);
}

#define SLOW_MS 8
#define AN_HOUR INT64_C(3600000000) /* us */

static void a_slow_script_is_held_after_it_had_the_thread_and_a_quick_one_is_not(void **state)
{
    (void)state;
    struct load_world *w = world_new();
    struct schedule *s = &w->schedule;
    struct ending ends[3];
    world_open(w);
    const int slow = takes(w, "slow.lua", SLOW_MS), quick = takes(w, "quick.lua", 0);
    do { /* until it is known to be quick: on a busy machine a run may have taken long */
        wake(w, quick, &ends[0]);
        while (ends[0].calls == 0)
            runtime_go_on(w->bench.rt);
        ending_fini(&ends[0]);
    } while (runtime_ahead_us(w->bench.rt, quick) > 0);
    wake(w, slow, &ends[0]);
    const int64_t began_us = clock_us();
    s->hold_until_us = 0;
    schedule_run(s); /* it is woken, and goes on */
    const int64_t ended_us = clock_us();
    assert_int_equal(ends[0].calls, 1);
    assert_in_range(s->hold_until_us, began_us + SLOW_MS * 1000 * 17 / 16,
                    ended_us + (ended_us - began_us) / 16);
    assert_false(ev_is_active(&s->holding));
    wake(w, slow, &ends[1]);
    assert_true(runtime_ahead_us(w->bench.rt, slow) > 0);
    s->hold_until_us = clock_us() + AN_HOUR; /* whatever the machine does meanwhile */
    wake(w, quick, &ends[2]);
    schedule_run(s);
    assert_int_equal(ends[2].calls, 1);
    assert_int_equal(ends[1].calls, 0);
    assert_true(ev_is_active(&s->holding));
    assert_true(ev_timer_remaining(w->bench.loop, &s->holding) > 3000);
    assert_false(ev_is_active(&s->unfinished)); /* it is the timer that wakes the loop */
    s->hold_until_us = clock_us();              /* it is over */
    schedule_run(s);
    assert_int_equal(ends[1].calls, 1);
    for (int i = 0; i < 3; i++)
        ending_fini(&ends[i]);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loaders_of_one_backend_have_the_same_number_of_its_places),
        cmocka_unit_test(a_backend_without_room_holds_up_no_other),
        cmocka_unit_test(of_one_backend_a_miss_goes_before_the_refresh_of_another_loader),
        cmocka_unit_test(what_a_turn_leaves_keeps_the_loop_awake),
        cmocka_unit_test(a_slow_script_is_held_after_it_had_the_thread_and_a_quick_one_is_not),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
