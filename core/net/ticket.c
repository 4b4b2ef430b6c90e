#include "net/ticket.h"

#include "net/conn.h"

static void uncount(const struct ticket *t, struct conn *c)
{
    c->parked_count -= t->kind->request;
    c->owed -= t->kind->owes && !t->notify;
}

void ticket_open(struct ticket *t, const struct ticket_kind *kind, struct conn *c, bool notify)
{
    t->kind = kind;
    t->notify = notify;
    list_push_back(&c->tickets, &t->link);
    c->parked_count += kind->request;
    c->owed += kind->owes && !notify;
    c->io->tickets++;
}

void ticket_done(struct ticket *t, struct conn *c)
{
    list_remove(&t->link);
    uncount(t, c);
    if (c->state != CONN_OPEN) /* it may have been what kept it */
        conn_touch(c);
}

void ticket_close(struct io *io)
{
    worker_owns(&io->worker);
    io->tickets--;
    tickets_drain(io);
}

void tickets_leave(struct conn *c)
{
    struct list *link;
    while ((link = list_pop_front(&c->tickets)) != NULL) {
        struct ticket *t = container_of(link, struct ticket, link);
        uncount(t, c);
        t->kind->left(t, c);
    }
}

void tickets_drain(struct io *io)
{
    if (io->tickets > 0 || !io->drained || !list_empty(&io->conns))
        return;
    mailbox_send(io->options.control, io->drained);
    io->drained = NULL;
}
