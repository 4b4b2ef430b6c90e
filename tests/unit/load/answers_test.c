/* Who waits for flights that have ended is told at the end of a turn, or before where that is too
 * long, and what was loaded in vain is counted. */
#include "flight_world.h"

#include "load/answers.h"
#include "metrics/metrics.h"

#include <unistd.h>

struct answered {
    struct world *w;
    struct ev_loop *loops[2];
    struct mailbox boxes[2], *slots[2];
    struct answers answers;
    int delivered[2];
};

static struct answered a;

static void deliver(struct message *m, void *owner)
{
    struct flight_slot *slot = container_of(m, struct flight_slot, message);
    a.delivered[(struct mailbox *)owner == &a.boxes[1]]++;
    while (list_pop_front(&slot->waiters)) {
    }
    flight_unref(slot->flight);
}

static int begin_answers(void **state)
{
    struct err e;
    (void)state;
    memset(&a, 0, sizeof a);
    a.w = world_new(100);
    for (int i = 0; i < 2; i++) {
        a.loops[i] = ev_loop_new(EVFLAG_AUTO);
        mailbox_init(&a.boxes[i], a.loops[i], &a.boxes[i]);
        a.slots[i] = &a.boxes[i];
    }
    assert_int_equal(answers_init(&a.answers, a.w->flights, a.slots, 2, &e), 0);
    a.answers.metrics = metrics_mine();
    a.answers.generation = 1;
    return 0;
}

static int end_answers(void **state)
{
    (void)state;
    answers_fini(&a.answers);
    for (int i = 0; i < 2; i++) {
        mailbox_fini(&a.boxes[i]);
        ev_loop_destroy(a.loops[i]);
    }
    world_free(a.w);
    return 0;
}

static void delivered(int first, int second)
{
    for (int i = 0; i < 2; i++)
        mailbox_drain(&a.boxes[i]);
    assert_int_equal(a.delivered[0], first);
    assert_int_equal(a.delivered[1], second);
    a.delivered[0] = a.delivered[1] = 0;
}

static struct flight *flight_of(const char *key, struct waiter *waiter, unsigned slot)
{
    struct buf room;
    struct join_result r = {0};
    struct join_request q = request_for(a.w, key, waiter);
    buf_init(&room, 0);
    q.out = &room;
    q.slot = slot;
    assert_int_equal(flights_join(a.w->flights, &q, &r), JOIN_STARTED);
    buf_fini(&room);
    for (unsigned i = 0; i < r.flight->slot_count; i++)
        r.flight->slots[i].message.recv = deliver;
    return r.flight;
}

/* Whether it was stored. */
static bool end(struct flight *f, struct outcome o)
{
    struct verdict v;
    answers_end(&a.answers, f, &o, a.w->now_ms, &v);
    assert_false(v.below);
    answers_wake(&a.answers, f);
    return v.stored;
}

static void who_waits_is_told_when_the_turn_ends(void **state)
{
    (void)state;
    struct waiter waiters[2];
    answers_tell_all(&a.answers); /* there is nothing to tell */
    assert_true(end(flight_of("a", &waiters[0], 0), found(value_a)));
    assert_true(end(flight_of("b", &waiters[1], 1), found(value_a)));
    assert_true(end(flight_of("c", NULL, 0), found(value_a))); /* nobody waits */
    delivered(0, 0);
    assert_int_equal(a.answers.held, 3);
    answers_tell_all(&a.answers);
    delivered(1, 1);
    assert_int_equal(a.answers.held, 0);
    answers_tell_all(&a.answers);
    delivered(0, 0);
}

static void many_are_told_before_it(void **state)
{
    (void)state;
    static struct waiter waiters[2 * ANSWERS_HELD];
    char key[16];
    for (int i = 0; i < 2 * ANSWERS_HELD; i++) {
        snprintf(key, sizeof key, "k%d", i);
        end(flight_of(key, &waiters[i], 0), found(value_a));
        if ((i + 1) % ANSWERS_HELD == 0)
            delivered(ANSWERS_HELD, 0);
        else
            delivered(0, 0);
    }
}

static void what_was_held_long_enough_is_told(void **state)
{
    (void)state;
    struct waiter waiter;
    answers_tell(&a.answers);
    end(flight_of("a", &waiter, 1), found(value_a));
    a.answers.since_us += 3600000000; /* it came just now, whatever the machine does meanwhile */
    answers_tell(&a.answers);
    delivered(0, 0);
    a.answers.since_us -= 3600000000 + ANSWERS_HELD_US + 1;
    answers_tell(&a.answers);
    delivered(0, 1);
}

static void who_was_never_loaded_hears_why_with_its_key(void **state)
{
    (void)state;
    struct waiter waiter;
    struct err e, said;
    struct flight *f = flight_of("a key", &waiter, 0);
    flight_ref(f);
    err_set(&e, ERR_OVERLOADED, "too many");
    e.retry_after_ms = 70;
    answers_refuse(&a.answers, f, &e);
    assert_int_equal(f->outcome.end, END_REFUSED);
    flight_error(f, &said);
    assert_int_equal(said.code, ERR_OVERLOADED);
    assert_string_equal(said.text, "a key: too many");
    assert_int_equal(said.retry_after_ms, 70);
    flight_unref(f);
    answers_tell_all(&a.answers);
    delivered(1, 0);
}

static uint64_t voided(void)
{
    return metrics_sum(M_LOADS_VOIDED);
}

/* Voided is what could have been stored and was not, for something came between. */
static void what_came_to_nothing_for_something_between_is_counted(void **state)
{
    static const struct {
        struct outcome o;
        bool counted;
    } cases[] = {
        {{.end = END_FOUND, .store = true, .ttl_ms = 1000, .generation = 1}, true},
        {{.end = END_ABSENT, .store = true, .ttl_ms = 1000, .generation = 1}, true},
        {{.end = END_ABSENT, .store = true, .ttl_ms = 0, .generation = 1}, false},
        {{.end = END_FOUND, .store = false, .ttl_ms = 1000, .generation = 1}, false},
    };
    (void)state;
    for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
        struct outcome o = cases[i].o;
        if (o.end == END_FOUND)
            o.value = slice_of(value_a, 2);
        struct flight *f = flight_of("a", NULL, 0);
        invalidate(a.w, "a", NULL);
        uint64_t before = voided();
        assert_false(end(f, o));
        assert_int_equal(voided() - before, cases[i].counted);
    }
    uint64_t before = voided();
    assert_true(end(flight_of("a", NULL, 0), found(value_a)));
    assert_int_equal(voided(), before);
    invalidate(a.w, "a", NULL);
    a.answers.generation = 2; /* its scripts are older */
    assert_false(end(flight_of("a", NULL, 0), found(value_a)));
    assert_int_equal(voided() - before, 1);
}

#define T(test) cmocka_unit_test_setup_teardown(test, begin_answers, end_answers)

int main(void)
{
    const struct CMUnitTest tests[] = {
        T(who_waits_is_told_when_the_turn_ends),
        T(many_are_told_before_it),
        T(what_was_held_long_enough_is_told),
        T(who_was_never_loaded_hears_why_with_its_key),
        T(what_came_to_nothing_for_something_between_is_counted),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
