#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "sys/worker.h"

#include <fcntl.h>
#include <semaphore.h>
#include <signal.h>
#include <sys/wait.h>
#include <unistd.h>

struct asked {
    struct message message;
    struct worker *of, *other;
    bool mine, others;
    sem_t answered;
};

static void ask_recv(struct message *m, void *owner)
{
    struct asked *a = (struct asked *)m;
    (void)owner;
    worker_owns(a->of);
    a->mine = worker_is_mine(a->of);
    a->others = worker_is_mine(a->other);
    sem_post(&a->answered);
}

static void stop_recv(struct message *m, void *owner)
{
    (void)m;
    worker_stop(owner);
}

static void a_loop_belongs_to_its_thread_while_it_runs(void **state)
{
    (void)state;
    struct worker one, two;
    struct err e;
    assert_int_equal(worker_init(&one, "one", 0, &one, &e), 0);
    assert_int_equal(worker_init(&two, "two", 0, &two, &e), 0);
    assert_true(worker_is_mine(&one));
    assert_int_equal(worker_start(&one, &e), 0);
    assert_int_equal(worker_start(&two, &e), 0);
    assert_false(worker_is_mine(&one));
    struct asked a = {.message.recv = ask_recv, .of = &one, .other = &two};
    sem_init(&a.answered, 0, 0);
    mailbox_send(&one.mailbox, &a.message);
    while (sem_wait(&a.answered) != 0) {
    }
    assert_true(a.mine);
    assert_false(a.others);
    struct message stop_one = {.recv = stop_recv}, stop_two = {.recv = stop_recv};
    mailbox_send(&one.mailbox, &stop_one);
    mailbox_send(&two.mailbox, &stop_two);
    worker_join(&one);
    worker_join(&two);
    assert_true(worker_is_mine(&one));
    worker_owns(&one);
    worker_fini(&one);
    worker_fini(&two);
    sem_destroy(&a.answered);
}

#ifndef NDEBUG

/* How a process ends that does this; nothing is printed. */
static int end_of(void (*what)(void))
{
    int status = 0;
    pid_t child = fork();
    assert_true(child >= 0);
    if (child == 0) {
        signal(SIGABRT, SIG_DFL);
        dup2(open("/dev/null", O_WRONLY), STDERR_FILENO);
        what();
        _exit(0);
    }
    assert_int_equal(waitpid(child, &status, 0), child);
    return WIFSIGNALED(status) ? WTERMSIG(status) : 0;
}

static struct worker running;
static struct outbox box;
static struct message first, second;

static void *add_first(void *arg)
{
    outbox_add(&box, &first);
    return arg;
}

static void touch_from_outside(void)
{
    struct err e;
    if (worker_init(&running, "x", 0, &running, &e) == 0 && worker_start(&running, &e) == 0)
        worker_owns(&running);
}

static void add_from_two_threads(void)
{
    pthread_t other;
    pthread_create(&other, NULL, add_first, NULL);
    pthread_join(other, NULL);
    outbox_add(&box, &second);
}

static void add_from_one_thread(void)
{
    outbox_add(&box, &first);
    outbox_add(&box, &second);
}

static void the_program_ends_where_another_thread_touches(void **state)
{
    (void)state;
    assert_int_equal(end_of(touch_from_outside), SIGABRT);
    assert_int_equal(end_of(add_from_two_threads), SIGABRT);
    assert_int_equal(end_of(add_from_one_thread), 0);
}

#endif

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_loop_belongs_to_its_thread_while_it_runs),
#ifndef NDEBUG
        cmocka_unit_test(the_program_ends_where_another_thread_touches),
#endif
    };
    return cmocka_run_group_tests(tests, NULL, NULL);
}
