#include "load/load_world.h"

static struct flight *flight_of(struct load_world *w, const char *key, struct world_get *g)
{
    struct join_result r = {0};
    struct buf room;
    buf_init(&room, 0);
    struct join_request q = {.key = slice_str(key),
                             .now_ms = clock_ms(),
                             .generation = 1,
                             .max_waiters = 10,
                             .waiter = &g->waiter,
                             .out = &room};
    *g = (struct world_get){0};
    q.hash = store_hash(w->store, q.key);
    assert_int_equal(flights_join(w->flights, &q, &r), JOIN_STARTED);
    buf_fini(&room);
    return r.flight;
}

static void store_value(struct load_world *w, const char *key, int64_t ttl_ms)
{
    struct put p = {.key = slice_str(key),
                    .value = slice_str("\xa1"
                                       "a"),
                    .ttl_ms = ttl_ms,
                    .stale_ttl_ms = 60000,
                    .has_version = true,
                    .version = 5};
    p.hash = store_hash(w->store, p.key);
    assert_int_equal(store_put(w->store, &p, clock_ms(), NULL), 0);
}

static void what_comes_in_one_turn_came_at_the_same_time(void **state)
{
    (void)state;
    struct load_world *w = world_new();
    struct world_get g[3];
    world_open(w);
    struct seat *first = seat_new(&w->admissions[0].binding, flight_of(w, "a:0", &g[0]));
    usleep(2000);
    struct seat *second = seat_new(&w->admissions[0].binding, flight_of(w, "a:1", &g[1]));
    world_step(w); /* the next turn */
    struct seat *third = seat_new(&w->admissions[0].binding, flight_of(w, "a:2", &g[2]));
    assert_true(first->queued_us == second->queued_us);
    assert_true(third->queued_us >= second->queued_us + 2000);
    assert_int_equal(third->turn, second->turn + 1);
    struct err e;
    err_set(&e, ERR_OVERLOADED, "no");
    seat_refuse(first, &e);
    seat_refuse(second, &e);
    seat_refuse(third, &e);
    world_step(w);
    world_free(w);
}

static void a_seat_holds_its_edition_and_who_waits_hears_of_its_refusal(void **state)
{
    (void)state;
    struct load_world *w = world_new();
    struct world_get g;
    struct err e;
    world_open(w);
    struct flight *f = flight_of(w, "a:0", &g);
    struct seat *seat = seat_new(&w->admissions[0].binding, f);
    assert_ptr_equal(f->seat, seat);
    assert_int_equal(w->edition.refs, 2);
    flight_ref(f);
    err_set(&e, ERR_OVERLOADED, "too many");
    seat_refuse(seat, &e);
    assert_int_equal(w->edition.refs, 1);
    assert_false(g.told); /* at the end of the turn */
    world_step(w);
    assert_true(g.told);
    assert_int_equal(g.end, END_REFUSED);
    flight_error(f, &e);
    assert_string_equal(e.text, "a:0: too many");
    assert_null(f->seat);
    flight_unref(f);
    world_free(w);
}

static void with_its_last_seat_an_edition_ends(void **state)
{
    (void)state;
    struct load_world *w = world_new();
    struct world_get g;
    world_open(w);
    struct seat *seat = seat_new(&w->admissions[0].binding, flight_of(w, "a:0", &g));
    edition_unref(&w->edition);
    assert_int_equal(w->ended, 0);
    struct err e;
    err_set(&e, ERR_OVERLOADED, "no");
    seat_refuse(seat, &e);
    assert_int_equal(w->ended, 1);
    w->ended = 0;
    w->edition.refs = 1;
    world_step(w);
    world_free(w);
}

static void
what_is_stored_is_read_also_where_it_is_stale_and_once_more_for_another_attempt(void **state)
{
    (void)state;
    struct load_world *w = world_new();
    struct world_get g;
    world_open(w);
    struct seat *seat = seat_new(&w->admissions[0].binding, flight_of(w, "a:0", &g));
    seat_take_stored(seat);
    assert_null(seat->stored);
    store_value(w, "a:0", TTL_OVER);
    seat_take_stored(seat);
    assert_non_null(seat->stored);
    assert_int_equal(seat->stored_hit.version, 5);
    store_remove(w->store, slice_str("a:0"), seat->flight->hash, clock_ms());
    seat_take_stored(seat);
    assert_null(seat->stored);
    store_value(w, "a:0", 60000);
    seat_take_stored(seat); /* what it holds is let go with it */
    struct err e;
    err_set(&e, ERR_OVERLOADED, "no");
    seat_refuse(seat, &e);
    world_step(w);
    world_free(w);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_comes_in_one_turn_came_at_the_same_time),
        cmocka_unit_test(a_seat_holds_its_edition_and_who_waits_hears_of_its_refusal),
        cmocka_unit_test(with_its_last_seat_an_edition_ends),
        cmocka_unit_test(
            what_is_stored_is_read_also_where_it_is_stale_and_once_more_for_another_attempt),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
