/* Admissions over a reload: the breaker, the gauges, and what is queued. */
#include "load/load_world.h"

/* The probe tells the admission that it began at. */
static void over_a_reload_an_open_breaker_stays_open_and_a_probe_is_forgotten(void **state)
{
    (void)state;
    struct load_world *w = world_new();
    world_open(w);
    w->admissions[0].breaker =
        (struct breaker){.state = BREAKER_HALF_OPEN, .failures = 3, .probing = true};
    admission_carry_breaker(&w->admissions[1], &w->admissions[0]);
    assert_int_equal(w->admissions[1].breaker.state, BREAKER_HALF_OPEN);
    assert_false(w->admissions[1].breaker.probing);
    world_free(w);
}

static uint32_t gauge(const _Atomic uint32_t *g)
{
    return atomic_load(g);
}

/* Both count in one place, as those of one pattern in two editions do. */
static void over_a_reload_gauges_are_of_both_editions_and_the_breaker_of_the_new_one(void **state)
{
    (void)state;
    struct load_world *w = world_bounded(1, 100);
    struct world_get g[3];
    world_open(w);
    struct admission *old = &w->admissions[0], *new = &w->admissions[1];
    struct loader_counters *c = new->binding.counters = old->binding.counters;
    world_get(w, 0, "a:0", &g[0], NULL);
    world_step(w);
    world_get(w, 0, "a:1", &g[1], NULL);
    world_get(w, 1, "b:2", &g[2], NULL);
    world_step(w);
    assert_int_equal(gauge(&c->in_flight), 2);
    assert_int_equal(gauge(&c->queued), 1);
    old->retired = true;
    new->breaker.state = BREAKER_OPEN;
    admission_publish(new);
    world_answer(w, world_asked_for(w, "a:0"));
    world_step(w);
    assert_int_equal(gauge(&c->in_flight), 2);
    assert_int_equal(gauge(&c->queued), 0);
    assert_int_equal(atomic_load(&c->breaker), BREAKER_OPEN);
    new->breaker.state = BREAKER_CLOSED;
    world_answer_all(w);
    assert_int_equal(gauge(&c->in_flight), 0);
    assert_int_equal(gauge(&c->queued), 0);
    world_free(w);
}

static void what_is_queued_holds_its_edition(void **state)
{
    (void)state;
    struct load_world *w = world_bounded(1, 100);
    struct world_get g[2];
    world_open(w);
    world_get(w, 0, "a:0", &g[0], NULL);
    world_get(w, 0, "a:1", &g[1], NULL);
    assert_int_equal(w->edition.refs, 3);
    edition_unref(&w->edition); /* a reload */
    world_step(w);
    world_answer(w, &w->asked[0]);
    world_step(w);
    assert_int_equal(w->ended, 0);
    edition_ref(&w->edition); /* the schedule goes through its editions, and the world is one */
    world_answer(w, &w->asked[1]);
    assert_int_equal(w->edition.refs, 1);
    edition_unref(&w->edition);
    assert_int_equal(w->ended, 1);
    w->ended = 0;
    w->edition.refs = 1;
    world_step(w);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(over_a_reload_an_open_breaker_stays_open_and_a_probe_is_forgotten),
        cmocka_unit_test(over_a_reload_gauges_are_of_both_editions_and_the_breaker_of_the_new_one),
        cmocka_unit_test(what_is_queued_holds_its_edition),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
