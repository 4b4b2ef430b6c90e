#include "backend/postgres/pg_signal.h"

#include "backend/postgres/pg_error.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define TEXT_MAX 256

/* The thread's own. */
struct errand {
    PGcancel *cancel;
    int fd;
};

static void errand_free(struct errand *a)
{
    PQfreeCancel(a->cancel);
    close(a->fd);
    free(a);
}

/* Sends one message: the failure with its NUL. */
static void *errand_run(void *arg)
{
    struct errand *a = arg;
    char text[TEXT_MAX] = "", line[TEXT_MAX] = "";
    if (!PQcancel(a->cancel, text, sizeof text))
        pg_error_one_line(text[0] ? text : "no reason given", line, sizeof line);
    (void)!send(a->fd, line, strlen(line) + 1, MSG_NOSIGNAL);
    errand_free(a);
    return NULL;
}

/* Signals stay with the threads that handle them. */
static int start(struct errand *a)
{
    static const int faults[] = {SIGSEGV, SIGBUS, SIGFPE, SIGILL, SIGABRT, SIGTRAP, SIGSYS};
    sigset_t blocked, before;
    pthread_attr_t detached;
    pthread_t thread;
    sigfillset(&blocked);
    for (size_t i = 0; i < sizeof faults / sizeof *faults; i++)
        sigdelset(&blocked, faults[i]);
    int rc = pthread_attr_init(&detached);
    if (rc != 0)
        return rc;
    pthread_attr_setdetachstate(&detached, PTHREAD_CREATE_DETACHED);
    pthread_sigmask(SIG_SETMASK, &blocked, &before);
    rc = pthread_create(&thread, &detached, errand_run, a);
    pthread_sigmask(SIG_SETMASK, &before, NULL);
    pthread_attr_destroy(&detached);
    return rc;
}

static void signal_on_readable(struct ev_loop *loop, struct ev_io *io, int events)
{
    (void)events;
    struct pg_signal *s = io->data;
    char failure[TEXT_MAX] = "";
    ssize_t n = recv(io->fd, failure, sizeof failure - 1, 0);
    pg_signal_forget(s, loop);
    s->done(s, n < 0 ? strerror(errno) : failure);
}

void pg_signal_init(struct pg_signal *s, void (*done)(struct pg_signal *s, const char *failure))
{
    ev_init(&s->io, signal_on_readable);
    s->io.data = s;
    s->done = done;
}

int pg_signal_send(struct pg_signal *s, struct ev_loop *loop, PGconn *pg, struct err *e)
{
    int ends[2];
    struct errand *a = calloc(1, sizeof *a);
    if (!a)
        return err_set(e, ERR_NOMEM, "no memory for a cancel");
    if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, ends) != 0) {
        free(a);
        return err_set(e, ERR_IO, "no socket for a cancel: %s", strerror(errno));
    }
    a->fd = ends[1];
    a->cancel = PQgetCancel(pg);
    int rc = a->cancel ? start(a) : ENOMEM;
    if (rc != 0) {
        errand_free(a);
        close(ends[0]);
        return err_set(e, ERR_IO, "no thread for a cancel: %s", strerror(rc));
    }
    ev_io_set(&s->io, ends[0], EV_READ);
    ev_io_start(loop, &s->io);
    return 0;
}

void pg_signal_forget(struct pg_signal *s, struct ev_loop *loop)
{
    if (!pg_signal_active(s))
        return;
    int fd = s->io.fd;
    ev_io_stop(loop, &s->io);
    close(fd);
}
