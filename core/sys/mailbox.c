#include "sys/mailbox.h"

#include <stddef.h>

void mailbox_drain(struct mailbox *mb)
{
    struct message *newest = atomic_exchange_explicit(&mb->top, NULL, memory_order_acquire);
    struct message *oldest = NULL;
    while (newest) {
        struct message *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    while (oldest) {
        struct message *next = oldest->next;
        oldest->recv(oldest, mb->owner);
        oldest = next;
    }
}

static void mailbox_on_wake(struct ev_loop *loop, struct ev_async *async, int events)
{
    (void)loop, (void)events;
    mailbox_drain(async->data);
}

void mailbox_init(struct mailbox *mb, struct ev_loop *loop, void *owner)
{
    atomic_init(&mb->top, NULL);
    mb->loop = loop;
    mb->owner = owner;
    ev_async_init(&mb->async, mailbox_on_wake);
    mb->async.data = mb;
    ev_async_start(loop, &mb->async);
    ev_unref(loop); /* a mailbox alone does not keep its loop running */
    mb->open = true;
}

void mailbox_fini(struct mailbox *mb)
{
    if (!mb->open)
        return;
    mailbox_drain(mb);
    ev_ref(mb->loop);
    ev_async_stop(mb->loop, &mb->async);
    mb->open = false;
}

void mailbox_send(struct mailbox *mb, struct message *m)
{
    struct message *top = atomic_load_explicit(&mb->top, memory_order_relaxed);
    do {
        m->next = top;
    } while (!atomic_compare_exchange_weak_explicit(&mb->top, &top, m, memory_order_release,
                                                    memory_order_relaxed));
    if (!top)
        ev_async_send(mb->loop, &mb->async);
}
