#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "locks.h"
#include "sys/pool.h"

#include <pthread.h>
#include <semaphore.h>
#include <signal.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <unistd.h>

struct fixture {
    struct ev_loop *loop;
    struct pool *pool;
    pthread_t owner;
    int done, wanted;
    int order[1000];
    sem_t begun, gate;
    _Atomic int workers_made, workers_freed;
};

struct job {
    struct pool_task task;
    struct fixture *f;
    int number;
    int worked, finished;
    bool wrong_thread;
    void *worker;
};

static void *worker_new(void *arg)
{
    struct fixture *f = arg;
    atomic_fetch_add(&f->workers_made, 1);
    return malloc(1);
}

static void worker_free(void *worker, void *arg)
{
    struct fixture *f = arg;
    free(worker);
    atomic_fetch_add(&f->workers_freed, 1);
}

static void job_work(struct pool_task *t, void *worker)
{
    struct job *j = container_of(t, struct job, task);
    j->worker = worker;
    j->wrong_thread = pthread_equal(pthread_self(), j->f->owner);
    j->worked++;
}

/* Says that it runs, and goes on when the test lets it. */
static void job_work_gated(struct pool_task *t, void *worker)
{
    struct job *j = container_of(t, struct job, task);
    sem_post(&j->f->begun);
    while (sem_wait(&j->f->gate) != 0)
        ;
    job_work(t, worker);
}

static void job_done(struct pool_task *t)
{
    struct job *j = container_of(t, struct job, task);
    struct fixture *f = j->f;
    j->finished++;
    j->wrong_thread |= !pthread_equal(pthread_self(), f->owner);
    f->order[f->done++] = j->number;
    if (f->done == f->wanted)
        ev_break(f->loop, EVBREAK_ALL);
}

static struct fixture *fixture_new(unsigned threads)
{
    struct fixture *f = calloc(1, sizeof *f);
    f->loop = ev_loop_new(EVFLAG_AUTO);
    ev_ref(f->loop);
    f->owner = pthread_self();
    sem_init(&f->begun, 0, 0);
    sem_init(&f->gate, 0, 0);
    struct err e;
    struct pool_options o = {.name = "test",
                             .threads = threads,
                             .worker_new = worker_new,
                             .worker_free = worker_free,
                             .arg = f};
    assert_int_equal(pool_new(&f->pool, f->loop, &o, &e), 0);
    return f;
}

static void fixture_free(struct fixture *f)
{
    pool_free(f->pool);
    sem_destroy(&f->begun);
    sem_destroy(&f->gate);
    ev_loop_destroy(f->loop);
    free(f);
}

static void submit(struct fixture *f, struct job *j, int number,
                   void (*work)(struct pool_task *, void *))
{
    *j = (struct job){.f = f, .number = number, .task = {.work = work, .done = job_done}};
    pool_submit(f->pool, &j->task);
}

static void works_in_order_on_one_thread(void **state)
{
    (void)state;
    enum { N = 1000 };
    static struct job jobs[N];
    struct fixture *f = fixture_new(1);
    f->wanted = N;
    for (int i = 0; i < N; i++)
        submit(f, &jobs[i], i, job_work);
    assert_int_equal(f->done, 0); /* nothing is called back inside submit */
    ev_run(f->loop, 0);
    for (int i = 0; i < N; i++) {
        assert_int_equal(f->order[i], i);
        assert_int_equal(jobs[i].worked, 1);
        assert_int_equal(jobs[i].finished, 1);
        assert_false(jobs[i].wrong_thread);
        assert_non_null(jobs[i].worker);
    }
    fixture_free(f);
}

static void runs_as_many_at_once_as_it_has_threads(void **state)
{
    (void)state;
    struct job jobs[4];
    struct fixture *f = fixture_new(3);
    f->wanted = 4;
    for (int i = 0; i < 4; i++)
        submit(f, &jobs[i], i, job_work_gated);
    for (int i = 0; i < 3; i++)
        sem_wait(&f->begun);
    assert_int_not_equal(sem_trywait(&f->begun), 0);
    for (int i = 0; i < 4; i++)
        sem_post(&f->gate);
    ev_run(f->loop, 0);
    for (int i = 0; i < 4; i++)
        assert_int_equal(jobs[i].finished, 1);
    pool_free(f->pool);
    f->pool = NULL;
    assert_int_equal(f->workers_made, 3);
    assert_int_equal(f->workers_freed, 3);
    fixture_free(f);
}

static void takes_back_what_waits_but_not_what_runs(void **state)
{
    (void)state;
    struct job running, waiting, last;
    struct fixture *f = fixture_new(1);
    f->wanted = 2;
    submit(f, &running, 0, job_work_gated);
    submit(f, &waiting, 1, job_work);
    submit(f, &last, 2, job_work);
    sem_wait(&f->begun);
    assert_false(pool_cancel(f->pool, &running.task));
    assert_true(pool_cancel(f->pool, &waiting.task));
    assert_false(pool_cancel(f->pool, &waiting.task)); /* it is the caller's already */
    sem_post(&f->gate);
    ev_run(f->loop, 0);
    assert_false(pool_cancel(f->pool, &running.task));
    assert_int_equal(f->order[0], 0);
    assert_int_equal(f->order[1], 2);
    assert_int_equal(waiting.worked, 0);
    fixture_free(f);
    assert_int_equal(waiting.finished, 0);
}

static void *open_gate(void *arg)
{
    struct fixture *f = arg;
    sem_post(&f->gate);
    return NULL;
}

static void free_waits_for_running_works_and_drops_queued_ones(void **state)
{
    (void)state;
    struct job running, waiting;
    struct fixture *f = fixture_new(1);
    submit(f, &running, 0, job_work_gated);
    submit(f, &waiting, 1, job_work);
    pthread_t opener;
    sem_wait(&f->begun);
    assert_int_equal(pthread_create(&opener, NULL, open_gate, f), 0);
    pool_free(f->pool);
    f->pool = NULL;
    pthread_join(opener, NULL);
    assert_int_equal(running.finished, 1);
    /* The second may have begun before the pool was told to stop; then it is delivered too. */
    assert_int_equal(waiting.finished, waiting.worked);
    ev_run(f->loop, EVRUN_NOWAIT);
    assert_int_equal(f->done, running.finished + waiting.finished);
    fixture_free(f);
}

static void job_done_frees_pool(struct pool_task *t)
{
    struct job *j = container_of(t, struct job, task);
    struct fixture *f = j->f;
    free(j);
    f->done++;
    struct pool *p = f->pool;
    f->pool = NULL;
    pool_free(p);
    ev_break(f->loop, EVBREAK_ALL);
}

static void may_be_freed_by_a_task_that_is_done(void **state)
{
    (void)state;
    static struct job rest[20];
    struct fixture *f = fixture_new(2);
    struct job *first = malloc(sizeof *first);
    *first = (struct job){.f = f, .task = {.work = job_work, .done = job_done_frees_pool}};
    pool_submit(f->pool, &first->task);
    for (int i = 0; i < 20; i++)
        submit(f, &rest[i], i, job_work);
    ev_run(f->loop, 0);
    int finished = 0;
    for (int i = 0; i < 20; i++) {
        assert_int_equal(rest[i].worked, rest[i].finished);
        finished += rest[i].finished;
    }
    assert_int_equal(f->done, finished + 1);
    fixture_free(f);
}

static char name_seen[16];

static void work_looks_at_its_thread(struct pool_task *t, void *worker)
{
    (void)worker;
    struct job *j = container_of(t, struct job, task);
    pthread_getname_np(pthread_self(), name_seen, sizeof name_seen);
    sigset_t blocked;
    pthread_sigmask(SIG_SETMASK, NULL, &blocked);
    j->number = sigismember(&blocked, SIGTERM) && sigismember(&blocked, SIGHUP) &&
                !sigismember(&blocked, SIGSEGV);
}

static void names_its_threads_and_keeps_signals_from_them(void **state)
{
    (void)state;
    struct job j;
    struct fixture *f = fixture_new(1);
    f->wanted = 1;
    submit(f, &j, 0, work_looks_at_its_thread);
    ev_run(f->loop, 0);
    assert_int_equal(j.number, 1);
    assert_string_equal(name_seen, "test-0");
    sigset_t mine;
    pthread_sigmask(SIG_SETMASK, NULL, &mine);
    assert_false(sigismember(&mine, SIGTERM));
    fixture_free(f);
}

static void work_until_given_up(struct pool_task *t, void *worker)
{
    struct job *j = container_of(t, struct job, task);
    sem_post(&j->f->begun);
    while (!pool_given_up(t))
        usleep(100);
    job_work(t, worker);
}

static void tells_a_running_work_that_it_is_given_up(void **state)
{
    (void)state;
    struct job j, next;
    struct fixture *f = fixture_new(1);
    f->wanted = 2;
    submit(f, &j, 0, work_until_given_up);
    submit(f, &next, 1, job_work);
    sem_wait(&f->begun);
    assert_false(pool_given_up(&j.task));
    assert_false(pool_cancel(f->pool, &j.task));
    ev_run(f->loop, 0);
    assert_int_equal(j.finished, 1);
    assert_true(pool_given_up(&j.task));
    assert_false(pool_given_up(&next.task));
    fixture_free(f);
}

static void takes_free_of_nothing(void **state)
{
    (void)state;
    pool_free(NULL);
}

int main(void)
{
    alarm(120); /* a test that hangs ends */
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(works_in_order_on_one_thread),
        cmocka_unit_test(runs_as_many_at_once_as_it_has_threads),
        cmocka_unit_test(takes_back_what_waits_but_not_what_runs),
        cmocka_unit_test(free_waits_for_running_works_and_drops_queued_ones),
        cmocka_unit_test(may_be_freed_by_a_task_that_is_done),
        cmocka_unit_test(names_its_threads_and_keeps_signals_from_them),
        cmocka_unit_test(tells_a_running_work_that_it_is_given_up),
        cmocka_unit_test(takes_free_of_nothing),
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
