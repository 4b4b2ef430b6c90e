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

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(loaders_of_one_backend_have_the_same_number_of_its_places),
        cmocka_unit_test(a_backend_without_room_holds_up_no_other),
        cmocka_unit_test(of_one_backend_a_miss_goes_before_the_refresh_of_another_loader),
        cmocka_unit_test(what_a_turn_leaves_keeps_the_loop_awake),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
