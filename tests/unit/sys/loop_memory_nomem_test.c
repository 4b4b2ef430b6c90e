/* What libev asks for is there where the system denies it once, and then once more; and a pool of
 * threads that gets no memory. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "faulty.h"
#include "sys/loop_memory.h"
#include "sys/pool.h"
#include "sys/worker.h"

#include <ev.h>
#include <stdio.h>

static void on_time(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    ++*(int *)timer->data;
}

/* libev ends the process where it is denied memory: the reserve is what stands in between. */
static void a_loop_bears_one_denial_after_the_other(void **state)
{
    (void)state;
    enum { TIMERS = 2000 };
    static ev_timer timers[TIMERS];
    int run = 0, denied = 0;
    loop_memory_install();
    bool more = true;
    for (int64_t nth = 1; more; nth++) {
        struct ev_loop *loop = NULL;
        more = FAULTY_WITHOUT(nth, 0, loop = ev_loop_new(EVFLAG_AUTO));
        assert_non_null(loop);
        denied += more;
        ev_loop_destroy(loop);
    }
    assert_true(denied > 2);
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    for (int i = 0; i < TIMERS; i++) { /* its table grows again and again */
        ev_timer_init(&timers[i], on_time, 0., 0.);
        timers[i].data = &run;
        faulty_fail_allocation(1 + i % 2, 0); /* the reserve's own, or libev's */
        ev_timer_start(loop, &timers[i]);
        faulty_calm();
    }
    ev_run(loop, 0);
    assert_int_equal(run, TIMERS);
    ev_loop_destroy(loop);
}

static void a_pool_that_gets_no_memory_is_none(void **state)
{
    (void)state;
    struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
    struct pool *p = (struct pool *)loop;
    struct pool_options o = {.threads = 3};
    struct err e;
    int rc = 0;
    assert_true(FAULTY_WITHOUT(1, 0, rc = pool_new(&p, loop, &o, &e)));
    assert_int_equal(rc, ERR_NOMEM);
    assert_string_equal(e.text, "no memory for a pool of 3 threads");
    assert_null(p);
    pool_free(NULL);
    ev_loop_destroy(loop);
}

/* Those that have started end, and nothing of them stays. */
static void a_pool_whose_thread_does_not_start_is_none(void **state)
{
    (void)state;
    for (int nth = 1; nth <= 3; nth++) {
        struct ev_loop *loop = ev_loop_new(EVFLAG_AUTO);
        struct pool *p = (struct pool *)loop;
        struct pool_options o = {.threads = 3, .name = "disks"};
        struct err e;
        char text[128];
        faulty_fail_thread(nth);
        assert_int_equal(pool_new(&p, loop, &o, &e), ERR_IO);
        snprintf(text, sizeof text,
                 "thread %d of 3 of the pool 'disks' does not start: Resource temporarily "
                 "unavailable",
                 nth);
        assert_string_equal(e.text, text);
        assert_int_equal(e.code, ERR_IO);
        assert_null(p);
        ev_run(loop, 0); /* nothing keeps it running */
        ev_loop_destroy(loop);
    }
}

static void stop_recv(struct message *m, void *owner)
{
    (void)m;
    worker_stop(owner);
}

static void a_worker_that_does_not_start_can_start_later(void **state)
{
    (void)state;
    struct worker w, none = {.loop = NULL};
    struct message stop = {.recv = stop_recv};
    struct err e;
    assert_int_equal(worker_init(&w, "a name that is long", 1007, &w, &e), 0);
    assert_string_equal(w.name, "a name tha-7");
    faulty_fail_thread(1);
    assert_int_equal(worker_start(&w, &e), ERR_IO);
    assert_string_equal(e.text, "thread a name tha-7: Resource temporarily unavailable");
    worker_join(&w); /* there is nobody to wait for */
    assert_int_equal(worker_start(&w, &e), 0);
    mailbox_send(&w.mailbox, &stop);
    worker_join(&w);
    worker_join(&w);
    worker_fini(&w);
    worker_fini(&w);
    worker_fini(&none);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_loop_bears_one_denial_after_the_other),
        cmocka_unit_test(a_pool_that_gets_no_memory_is_none),
        cmocka_unit_test(a_pool_whose_thread_does_not_start_is_none),
        cmocka_unit_test(a_worker_that_does_not_start_can_start_later),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
