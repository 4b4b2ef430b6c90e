/*
 * auth_queue: whose password is verified next, and who has to wait or to go.
 *
 *   queue --> network --> network ...      the first with something due is next, and goes to the
 * end
 *               `--> address --> address   so do its addresses, one after the other
 *                      `--> attempt, attempt, ...
 *   gate: the attempts of one name from one network; one at a time goes through it, and it may be
 *   shut for a while
 *
 * An address and a network have a share of the queue. Where the queue is full, the newest attempt
 * of the network that has most gives way to one of a network that has less; where a network's share
 * is, it is the same among its addresses. So a newcomer finds a place however many others wait.
 * Cost: to push and to leave O(1), but O(networks + addresses) at a limit; to take O(what is held
 * before it). Time is a parameter. Thread: its owner's. Limits: those that push is given.
 */
#ifndef RTCACHE_SERVER_AUTH_QUEUE_H
#define RTCACHE_SERVER_AUTH_QUEUE_H

#include "base/err.h"
#include "base/list.h"

#define AUTH_KEY_BYTES 32

/* A keyed digest: its bits are as good as random. */
struct auth_key {
    unsigned char bytes[AUTH_KEY_BYTES];
};

struct auth_queue;
struct auth_group; /* an address, or a network */
struct auth_gate;

/* One attempt, embedded in its owner. */
struct auth_item {
    struct auth_key address, network, name; /* name: of the gate */
    int64_t not_before_ms;
    struct list link;      /* the queue's, as the rest */
    struct auth_group *of; /* its address */
    struct auth_gate *gate;
    bool taken;
};

struct auth_shares {
    int64_t all, of_network, of_address; /* attempts, those that are taken included; 1 at least */
};

int auth_queue_new(struct auth_queue **out, struct err *e) MUST_USE;
/* Nothing is in it any more. NULL is allowed. */
void auth_queue_free(struct auth_queue *q);

/* ERR_OVERLOADED: there is no place for it; ERR_NOMEM. *gone: the one that gave way to it and is
 * out of the queue, or NULL. */
int auth_queue_push(struct auth_queue *q, struct auth_item *item, const struct auth_shares *shares,
                    struct auth_item **gone) MUST_USE;
/* Whether others go through the item's gate before it. */
bool auth_queue_is_behind(const struct auth_item *item);
/* The next whose time has come; it stays in the queue, and nothing else goes through its gate,
 * until it leaves. NULL: none is; *wait_ms: in how long one may be, -1: when another leaves. */
struct auth_item *auth_queue_take(struct auth_queue *q, int64_t now_ms, int64_t *wait_ms);
/* The item, taken or not, is out. Its gate lets nothing through before the time that is told. */
void auth_queue_leave(struct auth_queue *q, struct auth_item *item, int64_t not_before_ms);

#endif
