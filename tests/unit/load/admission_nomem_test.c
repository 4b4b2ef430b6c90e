/* What is queued goes over to another edition without any memory. */
#include "load/load_world.h"

#include "faulty.h"

static void what_is_queued_is_admitted_again_without_memory(void **state)
{
    (void)state;
    struct load_world *w = world_new();
    struct world_get g[3];
    w->loaders[0].policy.max_loads = 1;
    world_open(w);
    struct admission *from = &w->admissions[0], *to = &w->admissions[1];
    world_get(w, 0, "a:0", &g[0], NULL);
    world_step(w);
    world_get(w, 0, "a:1", &g[1], NULL);
    world_get(w, 0, "a:2", &g[2], NULL);
    assert_int_equal(w->edition.refs, 4);
    faulty_fail_allocation(1, FAULTY_ALL);
    for (struct seat *seat; (seat = admission_pop_queued(from));)
        admission_readmit(to, seat);
    faulty_calm();
    assert_int_equal(w->edition.refs, 4);
    assert_int_equal(to->queue.count, 2);
    assert_int_equal(atomic_load(&to->binding.counters->queued), 2);
    assert_int_equal(atomic_load(&from->binding.counters->queued), 0);
    world_step(w);
    assert_false(g[1].told || g[2].told);
    for (int i = 0; i < 3; i++) {
        struct world_asked *a = world_asked_for(w, (const char *[]){"a:0", "a:1", "a:2"}[i]);
        assert_int_equal(a->binding->index, i > 0);
        world_answer(w, a);
    }
    world_step(w);
    for (int i = 0; i < 3; i++)
        assert_int_equal(g[i].end, END_FOUND);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_is_queued_is_admitted_again_without_memory),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
