/* What comes to a loader thread that has ended. */
#include "load/flight_world.h"

#include "load/loader_thread.h"

#include <ev.h>

struct waiting {
    struct waiter waiter;
    int told;
};

static void waiter_deliver(struct message *m, void *owner)
{
    (void)owner;
    struct flight_slot *slot = container_of(m, struct flight_slot, message);
    struct list *link;
    while ((link = list_pop_front(&slot->waiters))) {
        struct waiter *w = container_of(link, struct waiter, link);
        container_of(w, struct waiting, waiter)->told = slot->flight->outcome.err_code;
    }
    flight_unref(slot->flight);
}

/* Nothing but its waiters knows of such a flight: the invalidation has taken it off the table. */
static void who_waits_for_an_invalidated_key_hears_that_the_thread_has_ended(void **state)
{
    struct world *w = *state;
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct mailbox box, *slots[] = {&box, &box};
    struct changes changes = {.store = w->store, .flights = w->flights, .marks = w->marks};
    struct loader_thread_options o = {
        .flights = w->flights,
        .store = w->store,
        .changes = &changes,
        .slots = slots,
        .slot_count = 2,
    };
    struct loader_thread *t;
    struct err e;
    mailbox_init(&box, loop, NULL);
    assert_int_equal(loader_thread_new(&t, &o, &e), 0);

    struct waiting waiting = {.told = 0};
    struct join_request q = request_for(w, "a", &waiting.waiter);
    struct join_result r = {0};
    struct buf room;
    buf_init(&room, 0);
    q.out = &room;
    assert_int_equal(flights_join(w->flights, &q, &r), JOIN_STARTED);
    for (unsigned i = 0; i < r.flight->slot_count; i++)
        r.flight->slots[i].message.recv = waiter_deliver;
    struct invalidation i = {.key = q.key, .hash = q.hash, .now_ms = w->now_ms};
    bool dropped;
    assert_int_equal(change_invalidate(&changes, &i, CAUSE_INVALIDATE, &dropped, &e), 0);
    loader_thread_submit(t, r.flight, NULL);

    loader_thread_free(t); /* it ran never, or no more: what was submitted ends here */
    mailbox_drain(&box);
    assert_int_equal(waiting.told, ERR_SHUTDOWN);
    assert_false(flights_leave(w->flights, &waiting.waiter));
    buf_fini(&room);
    mailbox_fini(&box);
    ev_loop_destroy(loop);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test_setup_teardown(
            who_waits_for_an_invalidated_key_hears_that_the_thread_has_ended, setup, teardown),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
