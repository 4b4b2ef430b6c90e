#include "net/io.h"

struct mailbox *io_mailbox(struct io *io)
{
    return &io->worker.mailbox;
}

void io_submit(struct io *io, const struct ask_verdict *v)
{
    worker_owns(&io->worker);
    struct flight *f = v->flight;
    if (!f)
        return;
    unsigned i = io_loader_index(io, f->hash);
    if (v->promote)
        loader_thread_promote(io->options.loaders[i], f, &io->outboxes[i]);
    else
        loader_thread_submit(io->options.loaders[i], f, &io->outboxes[i]);
}

void io_closed(struct io *io, struct metrics *m)
{
    /* The place first: who has seen the count may come for it. */
    ledger_give_place(io->options.ledger);
    metrics_inc(m, M_CONNECTIONS_CLOSED);
}
