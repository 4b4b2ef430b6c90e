#include "sys/worker.h"

#include <signal.h>
#include <stdio.h>
#include <string.h>

static _Thread_local const struct worker *running; /* the one whose thread this is */

int worker_init(struct worker *w, const char *name, unsigned index, void *owner, struct err *e)
{
    memset(w, 0, sizeof *w);
    snprintf(w->name, sizeof w->name, "%.10s-%u", name, index % 1000);
    w->loop = ev_loop_new(EVFLAG_AUTO | EVFLAG_NOSIGMASK);
    if (!w->loop)
        return err_set(e, ERR_IO, "thread %s: no event loop could be made", w->name);
    mailbox_init(&w->mailbox, w->loop, owner);
    ev_ref(w->loop); /* it runs until worker_stop */
    return 0;
}

static void *worker_main(void *arg)
{
    struct worker *w = arg;
    running = w;
    pthread_setname_np(pthread_self(), w->name);
    ev_run(w->loop, 0);
    return NULL;
}

int worker_start(struct worker *w, struct err *e)
{
    sigset_t all, before;
    sigfillset(&all);
    pthread_sigmask(SIG_SETMASK, &all, &before);
    int rc = pthread_create(&w->thread, NULL, worker_main, w);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    if (rc != 0)
        return err_set(e, ERR_IO, "thread %s: %s", w->name, strerror(rc));
    w->started = true;
    return 0;
}

void worker_stop(struct worker *w)
{
    ev_break(w->loop, EVBREAK_ALL);
}

void worker_join(struct worker *w)
{
    if (!w->started)
        return;
    pthread_join(w->thread, NULL);
    w->started = false;
}

void worker_fini(struct worker *w)
{
    if (!w->loop)
        return;
    ev_unref(w->loop);
    mailbox_fini(&w->mailbox);
    ev_loop_destroy(w->loop);
    w->loop = NULL;
}

bool worker_is_mine(const struct worker *w)
{
    /* Its own thread asks nothing that the one that starts it may still be writing. */
    return running == w || !w->started;
}
