#include "sys/pool.h"

#include <pthread.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { TASK_QUEUED = 1, TASK_TAKEN };

struct pool {
    pthread_mutex_t lock; /* of queue, of the tasks' states and of stopping */
    pthread_cond_t work;
    struct list queue;
    bool stopping;
    struct mailbox mailbox;
    void *(*worker_new)(void *arg);
    void (*worker_free)(void *worker, void *arg);
    void *arg;
    char name[12];
    unsigned started;
    pthread_t threads[];
};

static void pool_recv_ended(struct message *m, void *owner)
{
    (void)owner;
    struct pool_task *t = container_of(m, struct pool_task, message);
    t->done(t); /* may release t, and the pool */
}

/* Waits for a task; NULL when the pool stops. */
static struct pool_task *pool_take(struct pool *p)
{
    struct pool_task *t = NULL;
    pthread_mutex_lock(&p->lock);
    while (!p->stopping && list_empty(&p->queue))
        pthread_cond_wait(&p->work, &p->lock);
    if (!p->stopping) {
        t = container_of(list_pop_front(&p->queue), struct pool_task, link);
        t->state = TASK_TAKEN;
    }
    pthread_mutex_unlock(&p->lock);
    return t;
}

static void *pool_worker(void *arg)
{
    struct pool *p = arg;
    void *worker = p->worker_new ? p->worker_new(p->arg) : NULL;
    struct pool_task *t;
    while ((t = pool_take(p)) != NULL) {
        t->work(t, worker);
        mailbox_send(&p->mailbox, &t->message);
    }
    if (p->worker_free)
        p->worker_free(worker, p->arg);
    return NULL;
}

/* Starts the next thread. Signals stay with the threads that handle them; a thread's own faults are
 * let through, so that they are reported. */
static int pool_start_one(struct pool *p)
{
    sigset_t blocked, old;
    sigfillset(&blocked);
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
    for (size_t i = 0; i < sizeof faults / sizeof faults[0]; i++)
        sigdelset(&blocked, faults[i]);
    pthread_sigmask(SIG_SETMASK, &blocked, &old);
    int rc = pthread_create(&p->threads[p->started], NULL, pool_worker, p);
    pthread_sigmask(SIG_SETMASK, &old, NULL);
    if (rc != 0)
        return rc;
    char name[16];
    snprintf(name, sizeof name, "%s-%u", p->name, p->started % 1000U);
    (void)pthread_setname_np(p->threads[p->started], name);
    p->started++;
    return 0;
}

int pool_new(struct pool **out, struct ev_loop *loop, const struct pool_options *o, struct err *e)
{
    *out = NULL;
    unsigned threads = o->threads ? o->threads : 1;
    struct pool *p = calloc(1, sizeof *p + threads * sizeof p->threads[0]);
    if (!p)
        return err_set(e, ERR_NOMEM, "no memory for a pool of %u threads", threads);
    pthread_mutex_init(&p->lock, NULL);
    pthread_cond_init(&p->work, NULL);
    list_init(&p->queue);
    p->worker_new = o->worker_new;
    p->worker_free = o->worker_free;
    p->arg = o->arg;
    snprintf(p->name, sizeof p->name, "%s", o->name ? o->name : "pool");
    mailbox_init(&p->mailbox, loop, p);
    while (p->started < threads) {
        int rc = pool_start_one(p);
        if (rc != 0) {
            err_set(e, ERR_IO, "thread %u of %u of the pool '%s' does not start: %s",
                    p->started + 1, threads, p->name, strerror(rc));
            pool_free(p);
            return ERR_IO;
        }
    }
    *out = p;
    return 0;
}

void pool_submit(struct pool *p, struct pool_task *t)
{
    t->pool = p;
    t->message.recv = pool_recv_ended;
    atomic_store_explicit(&t->given_up, false, memory_order_relaxed);
    pthread_mutex_lock(&p->lock);
    t->state = TASK_QUEUED;
    list_push_back(&p->queue, &t->link);
    pthread_cond_signal(&p->work);
    pthread_mutex_unlock(&p->lock);
}

bool pool_cancel(struct pool *p, struct pool_task *t)
{
    pthread_mutex_lock(&p->lock);
    bool waits = t->state == TASK_QUEUED;
    if (waits) {
        list_remove(&t->link);
        t->state = 0;
    }
    pthread_mutex_unlock(&p->lock);
    if (!waits)
        atomic_store_explicit(&t->given_up, true, memory_order_relaxed);
    return waits;
}

bool pool_given_up(const struct pool_task *t)
{
    return atomic_load_explicit(&t->given_up, memory_order_relaxed);
}

void pool_free(struct pool *p)
{
    if (!p)
        return;
    pthread_mutex_lock(&p->lock);
    p->stopping = true;
    while (!list_empty(&p->queue))
        container_of(list_pop_front(&p->queue), struct pool_task, link)->state = 0;
    pthread_cond_broadcast(&p->work);
    pthread_mutex_unlock(&p->lock);
    for (unsigned i = 0; i < p->started; i++)
        pthread_join(p->threads[i], NULL);
    mailbox_fini(&p->mailbox);
    pthread_cond_destroy(&p->work);
    pthread_mutex_destroy(&p->lock);
    free(p);
}
