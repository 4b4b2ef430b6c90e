/*
 * mailbox: messages to a libev loop from any thread.
 *
 * Shape: an intrusive lock-free stack that the owner takes whole and turns round, so messages of
 * one sender arrive in order; ev_async wakes the owner once per batch. The idea is Tarantool's
 * cbus. A message carries the function that receives it; it belongs to the sender until
 * mailbox_send, then to the receiver. Thread: send from any; everything else is the owner loop's.
 * Limits: none of its own; whoever sends bounds what is in the air.
 */
#ifndef RTCACHE_SYS_MAILBOX_H
#define RTCACHE_SYS_MAILBOX_H

#include <ev.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdbool.h>

struct message {
    struct message *next;
    void (*recv)(struct message *m, void *owner); /* runs on the owner's loop; m is its now */
};

struct mailbox {
    _Atomic(struct message *) top;
    struct ev_loop *loop;
    struct ev_async async;
    void *owner;           /* handed to recv */
    struct message *taken; /* off the stack, in order, not yet received */
    bool *gone;            /* of the drain that runs: set when the mailbox ends under it */
    bool open;
};

void mailbox_init(struct mailbox *mb, struct ev_loop *loop, void *owner);
/* Receives what is left, then stops. No sender may be alive. Owner loop's thread; a recv may call
 * it and then release the mailbox. */
void mailbox_fini(struct mailbox *mb);
void mailbox_send(struct mailbox *mb, struct message *m);

/* Messages of one sender for one mailbox, kept back so that the receiver finds them all at once: a
 * batch is then as large as what asked for it. {0} is empty. Thread: the sender's, which builds
 * with asserts make sure of while there is anything in it. */
struct outbox {
    struct message *newest, *oldest;
#ifndef NDEBUG
    pthread_t sender; /* of what is in it */
#endif
};
void outbox_add(struct outbox *ob, struct message *m);
void outbox_flush(struct outbox *ob, struct mailbox *mb);

/* Receives what is there now, without waiting for the loop. Owner loop's thread, inside a recv too.
 */
void mailbox_drain(struct mailbox *mb);

#endif
