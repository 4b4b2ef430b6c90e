#include "sys/mailbox.h"

#include <assert.h>
#include <stddef.h>

/* Takes the stack whole, turns it round, and puts it behind what was taken before. */
static void mailbox_take(struct mailbox *mb)
{
    struct message *newest = atomic_exchange_explicit(&mb->top, NULL, memory_order_acquire);
    struct message *oldest = NULL;
    while (newest) {
        struct message *next = newest->next;
        newest->next = oldest;
        oldest = newest;
        newest = next;
    }
    struct message **end = &mb->taken;
    while (*end)
        end = &(*end)->next;
    *end = oldest;
}

void mailbox_drain(struct mailbox *mb)
{
    bool gone = false;
    bool *outer = mb->gone;
    mb->gone = &gone;
    mailbox_take(mb);
    while (!gone && mb->taken) {
        struct message *m = mb->taken;
        mb->taken = m->next;
        m->recv(m, mb->owner);
    }
    if (!gone)
        mb->gone = outer;
    else if (outer)
        *outer = true;
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
    mb->taken = NULL;
    mb->gone = NULL;
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
    if (mb->gone)
        *mb->gone = true;
}

/* newest .. oldest: a chain by next. */
static void push(struct mailbox *mb, struct message *newest, struct message *oldest)
{
    struct message *top = atomic_load_explicit(&mb->top, memory_order_relaxed);
    do {
        oldest->next = top;
    } while (!atomic_compare_exchange_weak_explicit(&mb->top, &top, newest, memory_order_release,
                                                    memory_order_relaxed));
    if (!top)
        ev_async_send(mb->loop, &mb->async);
}

void mailbox_send(struct mailbox *mb, struct message *m)
{
    push(mb, m, m);
}

/* An outbox is its sender's alone, from its first message until it is flushed. */
static void check_sender(struct outbox *ob)
{
#ifndef NDEBUG
    if (!ob->newest)
        ob->sender = pthread_self();
    assert(pthread_equal(ob->sender, pthread_self()) && "an outbox belongs to its sender's thread");
#endif
    (void)ob;
}

void outbox_add(struct outbox *ob, struct message *m)
{
    check_sender(ob);
    m->next = ob->newest;
    if (!ob->newest)
        ob->oldest = m;
    ob->newest = m;
}

void outbox_flush(struct outbox *ob, struct mailbox *mb)
{
    check_sender(ob);
    if (ob->newest)
        push(mb, ob->newest, ob->oldest);
    ob->newest = ob->oldest = NULL;
}
