/* The admin port: its socket, bound before privileges are dropped, and what the main thread tells
 * it. */
#include "server/admin_port.h"

#include "server/restart.h"
#include "server/verifier.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#define BACKLOG 64

int admin_port_check(const struct conf *conf, struct err *e)
{
    struct addrs all;
    int rc = conf->admin ? addr_resolve(&all, conf->admin, e) : 0;
    if (rc == 0 && conf->admin) {
        rc = ERR_IO;
        for (unsigned i = 0; i < all.count && rc != 0; i++)
            rc = addr_check(&all.at[i], e);
    }
    if (rc != 0)
        err_prefix(e, "admin");
    return rc;
}

static int listen_at(struct server *s, const struct addr *a, struct err *e)
{
    struct admin_port *p = &s->admin;
    int rc = addr_is_unix(a) ? addr_listen_unix(a, BACKLOG, &s->socket_file, &p->fd, e)
                             : addr_listen(a, BACKLOG, false, &p->fd, e);
    if (rc != 0)
        return rc;
    p->addr = *a;
    addr_of_socket(p->fd, p->text, sizeof p->text);
    return 0;
}

int admin_port_open(struct server *s, struct err *e)
{
    struct addrs all;
    s->admin.fd = -1;
    if (!s->conf->admin)
        return 0;
    int rc = addr_resolve(&all, s->conf->admin, e);
    for (unsigned i = 0; rc == 0 && i < all.count; i++) {
        if (listen_at(s, &all.at[i], e) == 0)
            return 0;
        if (i + 1 == all.count || (errno != EADDRNOTAVAIL && errno != EAFNOSUPPORT))
            rc = e->code;
    }
    err_prefix(e, "admin");
    return rc;
}

int admin_port_start(struct server *s, struct err *e)
{
    struct admin_port *p = &s->admin;
    if (p->fd < 0)
        return 0;
    const struct admin_options o = {
        .fd = p->fd,
        .host = p->addr.host,
        .is_unix = addr_is_unix(&p->addr),
        .of = {.store = s->store,
               .flights = s->flights,
               .ledger = s->ledger,
               .kept = restart_numbers(s->restart),
               .tier = s->tier,
               .io_threads = s->io_count,
               .loader_threads = s->loader_count,
               .started_ms = s->started_ms},
        .changes = &s->changes,
        .control = &s->control,
        .recv_auth = verifier_recv,
    };
    p->fd = -1; /* handed over */
    int rc = admin_new(&p->admin, &o, e);
    return rc == 0 ? admin_start(p->admin, e) : rc;
}

bool admin_port_change(struct server *s, struct snapshot *next,
                       void (*answered)(struct message *m, void *owner))
{
    struct admin_port *p = &s->admin;
    if (!p->admin)
        return false;
    p->change.snapshot = next;
    p->change.answer_to = &s->control;
    p->change.answered = answered;
    admin_change(p->admin, &p->change);
    return true;
}

void admin_port_ready(struct server *s)
{
    if (!s->admin.admin)
        return;
    printf("admin on %s%s\n", addr_is_unix(&s->admin.addr) ? "" : "http://", s->admin.text);
    admin_ready(s->admin.admin);
}

void admin_port_drain(struct server *s)
{
    if (s->admin.admin)
        admin_drain(s->admin.admin);
}

void admin_port_stop(struct server *s)
{
    if (!s->admin.admin)
        return;
    admin_stop(s->admin.admin);
    admin_join(s->admin.admin);
}

void admin_port_free(struct server *s)
{
    admin_free(s->admin.admin);
    s->admin.admin = NULL;
    if (s->admin.fd >= 0)
        close(s->admin.fd);
    s->admin.fd = -1;
}
