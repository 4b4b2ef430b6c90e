#include "server/auth_queue.h"

#include <stdlib.h>
#include <string.h>

#define BUCKETS 1024

struct auth_group {
    struct auth_key key;
    struct list in_bucket;
    struct list link;           /* in the queue, or in its network */
    struct list members;        /* addresses, or attempts that wait */
    struct auth_group *network; /* NULL: it is one */
    int64_t count, waiting;
};

struct auth_gate {
    struct auth_key key;
    struct list in_bucket;
    int64_t count, not_before_ms;
    bool busy;
};

struct auth_queue {
    struct list networks; /* who is first has waited longest for a turn */
    struct list network_buckets[BUCKETS], address_buckets[BUCKETS], gate_buckets[BUCKETS];
    int64_t count;
};

int auth_queue_new(struct auth_queue **out, struct err *e)
{
    struct auth_queue *q = calloc(1, sizeof *q);
    *out = q;
    if (!q)
        return err_set(e, ERR_NOMEM, "no memory for the queue of passwords");
    list_init(&q->networks);
    for (size_t i = 0; i < BUCKETS; i++) {
        list_init(&q->network_buckets[i]);
        list_init(&q->address_buckets[i]);
        list_init(&q->gate_buckets[i]);
    }
    return 0;
}

void auth_queue_free(struct auth_queue *q)
{
    free(q);
}

/* ---- groups and gates ---- */

static struct list *bucket_of(struct list *buckets, const struct auth_key *key)
{
    unsigned n;
    memcpy(&n, key->bytes, sizeof n);
    return &buckets[n % BUCKETS];
}

/* An address is looked for among those of all networks: its key tells of which it is. */
static struct auth_group *group_find(struct list *bucket, const struct auth_key *key)
{
    list_for_each (link, bucket) {
        struct auth_group *g = container_of(link, struct auth_group, in_bucket);
        if (memcmp(&g->key, key, sizeof *key) == 0)
            return g;
    }
    return NULL;
}

/* One that is there, or a new one at the end of the order. NULL: no memory. */
static struct auth_group *group_get(struct list *buckets, const struct auth_key *key,
                                    struct auth_group *network, struct list *order)
{
    struct list *bucket = bucket_of(buckets, key);
    struct auth_group *g = group_find(bucket, key);
    if (g)
        return g;
    g = calloc(1, sizeof *g);
    if (!g)
        return NULL;
    g->key = *key;
    g->network = network;
    list_init(&g->members);
    list_push_back(bucket, &g->in_bucket);
    list_push_back(order, &g->link);
    return g;
}

static void group_drop_unused(struct auth_group *g)
{
    if (!g || g->count > 0)
        return;
    list_remove(&g->in_bucket);
    list_remove(&g->link);
    free(g);
}

static struct auth_gate *gate_get(struct auth_queue *q, const struct auth_key *key)
{
    struct list *bucket = bucket_of(q->gate_buckets, key);
    list_for_each (link, bucket) {
        struct auth_gate *gate = container_of(link, struct auth_gate, in_bucket);
        if (memcmp(&gate->key, key, sizeof *key) == 0)
            return gate;
    }
    struct auth_gate *gate = calloc(1, sizeof *gate);
    if (!gate)
        return NULL;
    gate->key = *key;
    list_push_back(bucket, &gate->in_bucket);
    return gate;
}

static void gate_drop_unused(struct auth_gate *gate)
{
    if (!gate || gate->count > 0)
        return;
    list_remove(&gate->in_bucket);
    free(gate);
}

/* ---- room ---- */

/* The group that has most, at least so many and something that waits; or NULL. */
static struct auth_group *greediest(const struct list *groups, int64_t least)
{
    struct auth_group *most = NULL;
    list_for_each (link, groups) {
        struct auth_group *g = container_of(link, struct auth_group, link);
        if (g->waiting > 0 && g->count >= least && (!most || g->count > most->count))
            most = g;
    }
    return most;
}

/* false: there is no room. *gone: who has to go first, or NULL: of a group that has two more, or it
 * would be the same the other way round. */
static bool find_room(const struct auth_queue *q, const struct auth_group *address,
                      const struct auth_shares *shares, struct auth_item **gone)
{
    const struct auth_group *network = address->network, *victim = NULL;
    *gone = NULL;
    if (address->count >= shares->of_address)
        return false;
    if (network->count >= shares->of_network) {
        victim = greediest(&network->members, address->count + 2);
    } else if (q->count >= shares->all) {
        const struct auth_group *of = greediest(&q->networks, network->count + 2);
        victim = of ? greediest(&of->members, 0) : NULL;
    } else {
        return true;
    }
    if (victim)
        *gone = container_of(victim->members.prev, struct auth_item, link);
    return victim != NULL;
}

static void enter(struct auth_queue *q, struct auth_item *item)
{
    list_push_back(&item->of->members, &item->link);
    item->of->count++;
    item->of->waiting++;
    item->of->network->count++;
    item->of->network->waiting++;
    item->gate->count++;
    q->count++;
}

int auth_queue_push(struct auth_queue *q, struct auth_item *item, const struct auth_shares *shares,
                    struct auth_item **gone)
{
    struct auth_group *network = group_get(q->network_buckets, &item->network, NULL, &q->networks);
    struct auth_group *address = NULL;
    struct auth_gate *gate = gate_get(q, &item->name);
    *gone = NULL;
    if (network && gate)
        address = group_get(q->address_buckets, &item->address, network, &network->members);
    int rc = !address ? ERR_NOMEM : find_room(q, address, shares, gone) ? 0 : ERR_OVERLOADED;
    if (rc == 0) {
        item->of = address;
        item->gate = gate;
        item->taken = false;
        enter(q, item);
        if (*gone)
            auth_queue_leave(q, *gone, 0);
        return 0;
    }
    group_drop_unused(address);
    group_drop_unused(network);
    gate_drop_unused(gate);
    return rc;
}

bool auth_queue_is_behind(const struct auth_item *item)
{
    return item->gate->count > 1;
}

/* ---- turns ---- */

/* The first of the address whose time has come; *at_ms: the earliest of the others. */
static struct auth_item *first_due(const struct auth_group *address, int64_t now_ms, int64_t *at_ms)
{
    list_for_each (link, &address->members) {
        struct auth_item *item = container_of(link, struct auth_item, link);
        const struct auth_gate *gate = item->gate;
        int64_t due_ms =
            item->not_before_ms > gate->not_before_ms ? item->not_before_ms : gate->not_before_ms;
        if (gate->busy)
            continue;
        if (due_ms <= now_ms)
            return item;
        if (*at_ms < 0 || due_ms < *at_ms)
            *at_ms = due_ms;
    }
    return NULL;
}

static void go_to_the_end(struct auth_queue *q, struct auth_group *address)
{
    list_remove(&address->link);
    list_push_back(&address->network->members, &address->link);
    list_remove(&address->network->link);
    list_push_back(&q->networks, &address->network->link);
}

static void take(struct auth_queue *q, struct auth_item *item)
{
    list_remove(&item->link);
    item->taken = item->gate->busy = true;
    item->of->waiting--;
    item->of->network->waiting--;
    go_to_the_end(q, item->of);
}

struct auth_item *auth_queue_take(struct auth_queue *q, int64_t now_ms, int64_t *wait_ms)
{
    int64_t at_ms = -1;
    *wait_ms = -1;
    list_for_each (n, &q->networks) {
        const struct auth_group *network = container_of(n, struct auth_group, link);
        list_for_each (a, &network->members) {
            struct auth_group *address = container_of(a, struct auth_group, link);
            struct auth_item *item = first_due(address, now_ms, &at_ms);
            if (item) {
                take(q, item);
                return item;
            }
        }
    }
    *wait_ms = at_ms < 0 ? -1 : at_ms - now_ms;
    return NULL;
}

void auth_queue_leave(struct auth_queue *q, struct auth_item *item, int64_t not_before_ms)
{
    struct auth_group *address = item->of, *network = address->network;
    struct auth_gate *gate = item->gate;
    list_remove(&item->link);
    if (item->taken) {
        gate->busy = false;
        go_to_the_end(q, address); /* behind those that came meanwhile */
    } else {
        address->waiting--;
        network->waiting--;
    }
    if (not_before_ms > gate->not_before_ms)
        gate->not_before_ms = not_before_ms;
    address->count--;
    network->count--;
    gate->count--;
    q->count--;
    item->of = NULL;
    item->gate = NULL;
    group_drop_unused(address);
    group_drop_unused(network);
    gate_drop_unused(gate);
}
