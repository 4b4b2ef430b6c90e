/* Connections, and how long they may take. */
#include "admin/admin_priv.h"

#include "base/clock.h"
#include "base/log.h"
#include "metrics/metrics.h"

#include <stdlib.h>
#include <sys/socket.h>

void admin_turn(struct admin *a)
{
    MHD_UNSIGNED_LONG_LONG ms;
    if (!a->http)
        return;
    MHD_run(a->http);
    ev_timer_stop(a->worker.loop, &a->due);
    if (MHD_get_timeout(a->http, &ms) != MHD_YES)
        return;
    ev_timer_set(&a->due, (double)ms / 1e3, 0.);
    ev_timer_start(a->worker.loop, &a->due);
}

void visit_become(struct admin *a, struct visit *v, enum visit_state state)
{
    list_remove(&v->link);
    v->state = state;
    v->since_ms = clock_ms();
    list_push_back(&a->visits, &v->link);
}

/* The library finds that its client has left. */
static void visit_cut(struct visit *v, const char *why)
{
    if (v->cut)
        return;
    v->cut = true;
    (void)shutdown(v->fd, SHUT_RDWR);
    metrics_inc(metrics_mine(), M_ADMIN_CUT);
    log_debug("admin.cut", "reason=%s", why);
}

static int64_t limit_of(const struct visit *v)
{
    switch (v->state) {
    case VISIT_FIRST: return ADMIN_HEAD_MS;
    case VISIT_IDLE: return ADMIN_IDLE_MS;
    case VISIT_ANSWER: break;
    }
    return ADMIN_ANSWER_MS;
}

void visit_guard(struct admin *a)
{
    int64_t now_ms = clock_ms();
    list_for_each (link, &a->visits) {
        struct visit *v = container_of(link, struct visit, link);
        if (now_ms - v->since_ms >= limit_of(v))
            visit_cut(v, v->state == VISIT_ANSWER ? "answer" : "head");
    }
}

/* The one that waits longest makes room; those that are answered stay. */
static void make_room(struct admin *a)
{
    list_for_each (link, &a->visits) {
        struct visit *v = container_of(link, struct visit, link);
        if (v->state == VISIT_ANSWER || v->cut)
            continue;
        visit_cut(v, "full");
        return;
    }
}

void visit_begin(struct admin *a, struct MHD_Connection *c, void **of)
{
    struct visit *v = calloc(1, sizeof *v);
    const union MHD_ConnectionInfo *info =
        MHD_get_connection_info(c, MHD_CONNECTION_INFO_CONNECTION_FD);
    *of = v;
    if (!v || !info)
        return; /* requests of it are refused */
    v->fd = info->connect_fd;
    v->since_ms = clock_ms();
    list_push_back(&a->visits, &v->link);
    if (++a->visit_count > ADMIN_CONNECTIONS)
        make_room(a);
}

void visit_end(struct admin *a, void **of)
{
    struct visit *v = *of;
    *of = NULL;
    if (!v)
        return;
    if (v->link.next) {
        list_remove(&v->link);
        a->visit_count--;
    }
    free(v);
}
