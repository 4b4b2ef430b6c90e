#include "admin/admin_priv.h"

#include "base/log.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#define GUARD_S .5

static void recv_stop(struct message *m, void *owner);

/* ---- turns ---- */

static void admin_on_turn(struct ev_loop *loop, ev_io *io, int events)
{
    (void)loop, (void)events;
    admin_turn(io->data);
}

static void admin_on_due(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    admin_turn(timer->data);
}

/* ---- connections ---- */

static void admin_on_guard(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    visit_guard(timer->data);
    admin_turn(timer->data);
}

static void admin_on_connection(void *arg, struct MHD_Connection *c, void **of,
                                enum MHD_ConnectionNotificationCode what)
{
    if (what == MHD_CONNECTION_NOTIFY_STARTED)
        visit_begin(arg, c, of);
    else
        visit_end(arg, of);
}

/* ---- messages ---- */

static void recv_change(struct message *m, void *owner)
{
    struct admin *a = owner;
    struct admin_change *c = container_of(m, struct admin_change, message);
    struct snapshot *before = a->snapshot;
    a->snapshot = snapshot_ref(c->snapshot);
    snapshot_unref(before);
    m->recv = c->answered;
    mailbox_send(c->answer_to, m);
}

static void recv_ready(struct message *m, void *owner)
{
    struct admin *a = owner;
    (void)m;
    a->options.of.journal = a->options.changes->journal;
    if (a->state == ADMIN_STARTING)
        a->state = ADMIN_READY;
}

static void recv_drain(struct message *m, void *owner)
{
    struct admin *a = owner;
    (void)m;
    a->state = ADMIN_DRAINING;
}

static void send_once(struct admin *a, struct message *m,
                      void (*recv)(struct message *m, void *owner))
{
    if (m->recv)
        return;
    m->recv = recv;
    mailbox_send(&a->worker.mailbox, m);
}

void admin_change(struct admin *a, struct admin_change *c)
{
    c->message.recv = recv_change;
    mailbox_send(&a->worker.mailbox, &c->message);
}

void admin_ready(struct admin *a)
{
    send_once(a, &a->ready, recv_ready);
}

void admin_drain(struct admin *a)
{
    send_once(a, &a->drain, recv_drain);
}

void admin_stop(struct admin *a)
{
    send_once(a, &a->stop, recv_stop);
}

/* ---- life ---- */

static void admin_log(void *arg, const char *fmt, va_list args)
{
    char text[256];
    (void)arg;
    vsnprintf(text, sizeof text, fmt, args);
    text[strcspn(text, "\n")] = '\0';
    log_debug("admin.http", "text=%s", log_q(text));
}

static int make_http(struct admin *a, struct err *e)
{
    unsigned flags = MHD_USE_EPOLL | MHD_ALLOW_SUSPEND_RESUME | MHD_USE_ERROR_LOG;
    a->http = MHD_start_daemon(flags, 0, NULL, NULL, request_take, a, MHD_OPTION_EXTERNAL_LOGGER,
                               admin_log, NULL, MHD_OPTION_LISTEN_SOCKET, a->options.fd,
                               MHD_OPTION_CONNECTION_LIMIT, (unsigned)ADMIN_CONNECTIONS + 16,
                               MHD_OPTION_CONNECTION_MEMORY_LIMIT, (size_t)ADMIN_CONNECTION_BYTES,
                               MHD_OPTION_CONNECTION_TIMEOUT, (unsigned)(ADMIN_IDLE_MS / 1000),
                               MHD_OPTION_STRICT_FOR_CLIENT, 1, MHD_OPTION_SIGPIPE_HANDLED_BY_APP,
                               1, MHD_OPTION_NOTIFY_CONNECTION, admin_on_connection, a,
                               MHD_OPTION_NOTIFY_COMPLETED, request_over, a, MHD_OPTION_END);
    if (!a->http)
        return err_set(e, ERR_IO, "admin: no HTTP server could be made");
    a->options.fd = -1; /* the library's */
    const union MHD_DaemonInfo *info = MHD_get_daemon_info(a->http, MHD_DAEMON_INFO_EPOLL_FD);
    ev_io_init(&a->turn, admin_on_turn, info->epoll_fd, EV_READ);
    ev_timer_init(&a->due, admin_on_due, 0., 0.);
    ev_timer_init(&a->guard, admin_on_guard, GUARD_S, GUARD_S);
    a->turn.data = a->due.data = a->guard.data = a;
    ev_io_start(a->worker.loop, &a->turn);
    ev_timer_start(a->worker.loop, &a->guard);
    return 0;
}

/* The library aborts where it is stopped while a request is suspended. */
static void end_http(struct admin *a)
{
    if (!a->http)
        return;
    request_stop(a);
    admin_turn(a);
    ev_io_stop(a->worker.loop, &a->turn);
    ev_timer_stop(a->worker.loop, &a->due);
    ev_timer_stop(a->worker.loop, &a->guard);
    MHD_stop_daemon(a->http);
    a->http = NULL;
}

static void recv_stop(struct message *m, void *owner)
{
    struct admin *a = owner;
    (void)m;
    end_http(a);
    worker_stop(&a->worker);
}

int admin_new(struct admin **out, const struct admin_options *o, struct err *e)
{
    *out = NULL;
    struct admin *a = calloc(1, sizeof *a);
    if (!a) {
        close(o->fd);
        return err_set(e, ERR_NOMEM, "no memory for the admin port");
    }
    a->options = *o;
    snprintf(a->host, sizeof a->host, "%s", o->host);
    if (gethostname(a->machine, sizeof a->machine - 1) != 0)
        a->machine[0] = '\0';
    list_init(&a->visits);
    list_init(&a->asking);
    int rc = worker_init(&a->worker, "admin", 0, a, e);
    if (rc == 0)
        rc = make_http(a, e);
    if (rc != 0) {
        admin_free(a);
        return rc;
    }
    *out = a;
    return 0;
}

int admin_start(struct admin *a, struct err *e)
{
    return worker_start(&a->worker, e);
}

void admin_join(struct admin *a)
{
    worker_join(&a->worker);
}

void admin_free(struct admin *a)
{
    if (!a)
        return;
    end_http(a); /* where it never ran */
    worker_fini(&a->worker);
    if (a->options.fd >= 0)
        close(a->options.fd);
    snapshot_unref(a->snapshot);
    free(a);
}
