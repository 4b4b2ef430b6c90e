#include "server/verifier.h"

#include "base/clock.h"
#include "net/auth.h"
#include "server/auth_memory.h"
#include "server/auth_queue.h"
#include "server/server.h"
#include "sys/pool.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define DOUBLE_MOST 20 /* times that a delay doubles */
#define BUCKETS     256

/* One verification, and the equal requests of its address that wait for it. */
struct attempt {
    struct pool_task task;
    struct auth_item item;
    struct verifier *verifier;
    struct list in_bucket, requests;
    struct auth_key digest;
    bool of_user, looked, cached, right;
    char hash[CONF_HASH_MAX + 1]; /* "": there is none to spend time on */
    size_t password_size;
    char password[AUTH_PASSWORD_MAX];
};

struct verifier {
    struct server *server;
    struct pool *pool;
    struct auth_queue *queue;
    struct auth_memory *memory;
    struct list attempts[BUCKETS]; /* by digest */
    unsigned running, threads;
    ev_timer held;
    uint64_t dummy_of; /* the generation of: */
    char dummy[CONF_HASH_MAX + 1];
};

static void verifier_run(struct verifier *v);

/* ---- delays ---- */

static int64_t hold_of(const struct conf *conf, unsigned failures)
{
    if (failures == 0)
        return 0;
    unsigned doubled = failures - 1 < DOUBLE_MOST ? failures - 1 : DOUBLE_MOST;
    int64_t ms = conf->auth_delay_ms << doubled;
    return ms < conf->auth_delay_cap_ms ? ms : conf->auth_delay_cap_ms;
}

/* When the next attempt of the same name may be verified, or one that has come now. */
static int64_t not_before(const struct verifier *v, const struct auth_key *who, unsigned at_least)
{
    int64_t now_ms = clock_ms();
    unsigned failures = auth_memory_failures(v->memory, who, now_ms);
    return now_ms + hold_of(v->server->snapshot->conf, failures > at_least ? failures : at_least);
}

/* ---- attempts ---- */

static struct slice name_of(const struct auth_request *r)
{
    return slice_of(r->name, r->name_size);
}

static void answer_all(struct attempt *a, int rc, const char *text)
{
    struct list *link;
    while ((link = list_pop_front(&a->requests))) {
        struct auth_request *r = container_of(link, struct auth_request, link);
        if (rc == ERR_AUTH_FAILED)
            metrics_inc(metrics_mine(), M_AUTHS_FAILED);
        if (rc == 0) {
            memcpy(r->hash, a->hash, sizeof r->hash);
            metrics_inc(metrics_mine(), M_AUTHS);
            metrics_add(metrics_mine(), M_AUTHS_CACHED, a->cached);
        } else {
            err_set(&r->err, rc, "auth: %s", text);
        }
        auth_request_answer(r, rc);
    }
}

/* a is out of the queue. */
static void attempt_free(struct attempt *a)
{
    list_remove(&a->in_bucket);
    sodium_memzero(a, sizeof *a);
    free(a);
}

/* On a thread of the pool. */
static void attempt_work(struct pool_task *t, void *worker)
{
    (void)worker;
    struct attempt *a = container_of(t, struct attempt, task);
    bool fits = a->hash[0] && crypto_pwhash_str_verify(a->hash, a->password, a->password_size) == 0;
    a->right = fits && a->of_user;
    sodium_memzero(a->password, sizeof a->password);
}

static void remember_right(struct attempt *a)
{
    struct auth_memory *memory = a->verifier->memory;
    int64_t now_ms = clock_ms();
    const struct auth_request *r =
        container_of(a->requests.next, struct auth_request, link); /* all are of one address */
    auth_memory_right(memory, &a->digest, now_ms,
                      now_ms + a->verifier->server->snapshot->conf->auth_cache_ms);
    if (a->looked)
        auth_memory_looked_well(memory, &a->item.name);
    auth_memory_befriend(memory, name_of(r), auth_peer_address(&r->peer), now_ms);
}

static void attempt_end(struct attempt *a, bool right)
{
    struct verifier *v = a->verifier;
    if (right)
        remember_right(a);
    else
        auth_memory_failed(v->memory, &a->item.name, clock_ms());
    auth_queue_leave(v->queue, &a->item, not_before(v, &a->item.name, 0));
    answer_all(a, right ? 0 : ERR_AUTH_FAILED,
               "there is no such user, or the password is another one");
    attempt_free(a);
}

static struct list *bucket_of(struct verifier *v, const struct auth_key *digest)
{
    return &v->attempts[digest->bytes[0] % BUCKETS];
}

static void attempt_done(struct pool_task *t)
{
    struct attempt *a = container_of(t, struct attempt, task);
    struct verifier *v = a->verifier;
    v->running--;
    attempt_end(a, a->right);
    verifier_run(v);
}

/* What a hash costs, as far as it is told. */
static uint64_t cost_of(const char *hash)
{
    unsigned long kib, passes;
    return hash && conf_hash_cost(hash, &kib, &passes) ? (uint64_t)kib * passes : 0;
}

/* The dearest hash there is: with it a name that is unknown takes as long as one that is not. */
static const char *dummy_of(struct verifier *v)
{
    const struct snapshot *s = v->server->snapshot;
    const char *dearest = "";
    if (v->dummy_of == s->generation)
        return v->dummy;
    for (size_t i = 0; i < s->conf->user_count; i++)
        if (cost_of(s->conf->users[i].password_hash) > cost_of(dearest))
            dearest = s->conf->users[i].password_hash;
    snprintf(v->dummy, sizeof v->dummy, "%s", dearest);
    v->dummy_of = s->generation;
    return v->dummy;
}

/* ---- turns ---- */

static void verifier_on_held(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    verifier_run(timer->data);
}

/* As many as there are threads, so that the order is the queue's and not the pool's. What was found
 * right meanwhile, of another address, costs no hash; but it has its turn like any other, or what
 * is held back would be tried with every login. */
static void verifier_run(struct verifier *v)
{
    int64_t wait_ms = -1;
    while (v->running < v->threads) {
        struct auth_item *item = auth_queue_take(v->queue, clock_ms(), &wait_ms);
        if (!item)
            break;
        struct attempt *a = container_of(item, struct attempt, item);
        if (a->of_user && auth_memory_knows(v->memory, &a->digest, clock_ms())) {
            a->cached = true;
            attempt_end(a, true);
            continue;
        }
        v->running++;
        pool_submit(v->pool, &a->task);
    }
    ev_timer_stop(v->server->loop, &v->held);
    if (v->running == v->threads || wait_ms < 0)
        return;
    ev_timer_set(&v->held, (double)wait_ms / 1e3, 0.);
    ev_timer_start(v->server->loop, &v->held);
}

/* ---- requests ---- */

/* No failure: nobody looked at the password. */
static void refuse(struct auth_request *r, int code, const char *why)
{
    err_set(&r->err, code, "auth: %s", why);
    metrics_inc(metrics_mine(), M_AUTHS_REFUSED);
    auth_request_answer(r, code);
}

/* An equal attempt of the same address. One of another has its own turn, which may be sooner. */
static struct attempt *find(struct verifier *v, const struct auth_key *digest,
                            const struct auth_key *address)
{
    list_for_each (link, bucket_of(v, digest)) {
        struct attempt *a = container_of(link, struct attempt, in_bucket);
        if (sodium_memcmp(&a->digest, digest, sizeof *digest) == 0 &&
            memcmp(&a->item.address, address, sizeof *address) == 0)
            return a;
    }
    return NULL;
}

static int64_t share_of(double part, int64_t all)
{
    int64_t n = (int64_t)(part * (double)all);
    return n > 0 ? n : 1;
}

/* It made room for an attempt of somebody who has less. */
static void give_way(struct auth_item *item)
{
    struct attempt *a = container_of(item, struct attempt, item);
    struct list *link;
    while ((link = list_pop_front(&a->requests))) {
        metrics_inc(metrics_mine(), M_AUTHS_DISPLACED);
        refuse(container_of(link, struct auth_request, link), ERR_OVERLOADED,
               "its place among max_auth_queue went to somebody who has fewer");
    }
    attempt_free(a);
}

/* 0, or why it has no place. */
static int queue_up(struct verifier *v, struct attempt *a)
{
    const struct conf *conf = v->server->snapshot->conf;
    const struct auth_shares shares = {
        .all = conf->max_auth_queue,
        .of_network = share_of(conf->auth_share_network, conf->max_auth_queue),
        .of_address = share_of(conf->auth_share_address, conf->max_auth_queue),
    };
    struct auth_item *gone;
    int rc = auth_queue_push(v->queue, &a->item, &shares, &gone);
    if (rc != 0)
        return rc;
    if (gone)
        give_way(gone);
    if (a->item.not_before_ms > clock_ms() || auth_queue_is_behind(&a->item))
        metrics_inc(metrics_mine(), M_AUTHS_HELD);
    return 0;
}

static struct attempt *attempt_new(struct verifier *v, const struct auth_request *r,
                                   const struct auth_key *digest, const struct auth_key *who)
{
    const struct slice address = auth_peer_address(&r->peer), network = auth_peer_network(&r->peer);
    struct attempt *a = calloc(1, sizeof *a);
    if (!a)
        return NULL;
    a->verifier = v;
    a->digest = *digest;
    a->item.name = *who;
    a->item.address = auth_memory_key(v->memory, &address, 1);
    a->item.network = auth_memory_key(v->memory, &network, 1);
    a->item.not_before_ms = not_before(v, who, r->failures);
    a->password_size = r->password_size;
    memcpy(a->password, r->password, r->password_size);
    a->task.work = attempt_work;
    a->task.done = attempt_done;
    list_init(&a->requests);
    list_push_back(bucket_of(v, digest), &a->in_bucket);
    return a;
}

/* A new attempt with a place in the queue, or NULL: then r is refused. */
static struct attempt *attempt_begin(struct verifier *v, struct auth_request *r,
                                     const struct auth_key *digest, const struct auth_key *who)
{
    struct attempt *a = attempt_new(v, r, digest, who);
    int rc = a ? queue_up(v, a) : ERR_NOMEM;
    if (rc == 0)
        return a;
    if (a)
        attempt_free(a);
    refuse(r, rc,
           rc == ERR_NOMEM ? "no memory"
                           : "max_auth_queue attempts are waiting, or as many of this address or "
                             "network as may");
    return NULL;
}

/* The password was right before. */
static void recognized(struct verifier *v, struct auth_request *r, const char *hash)
{
    metrics_inc(metrics_mine(), M_AUTHS);
    metrics_inc(metrics_mine(), M_AUTHS_CACHED);
    auth_memory_befriend(v->memory, name_of(r), auth_peer_address(&r->peer), clock_ms());
    snprintf(r->hash, sizeof r->hash, "%s", hash);
    auth_request_answer(r, 0);
}

static void verify(struct verifier *v, struct auth_request *r)
{
    const struct conf_user *u = conf_user_find(v->server->snapshot->conf, name_of(r));
    const struct slice from = auth_peer_address(&r->peer), network = auth_peer_network(&r->peer);
    bool of_user = u && u->password_hash;
    const char *hash = of_user ? u->password_hash : dummy_of(v);
    const struct slice parts[] = {name_of(r), slice_str(of_user ? "user" : ""), slice_str(hash),
                                  slice_of(r->password, r->password_size)};
    const struct auth_key digest = auth_memory_key(v->memory, parts, 4);
    const struct auth_key address = auth_memory_key(v->memory, &from, 1);
    const struct auth_key who = auth_memory_who(v->memory, name_of(r), from, network);
    struct attempt *a = find(v, &digest, &address);
    if (!a && of_user && auth_memory_look(v->memory, &who, &digest, clock_ms())) {
        recognized(v, r, hash);
        return;
    }
    if (!a) {
        a = attempt_begin(v, r, &digest, &who);
        if (!a)
            return;
        a->of_user = a->looked = of_user;
        snprintf(a->hash, sizeof a->hash, "%s", hash);
    }
    list_push_back(&a->requests, &r->link);
    sodium_memzero(r->password, sizeof r->password);
    if (v->server->draining)
        verifier_drain(v);
    else
        verifier_run(v);
}

void verifier_recv(struct message *m, void *owner)
{
    struct server *s = owner;
    verify(s->verifier, container_of(m, struct auth_request, message));
}

/* Nobody looked at its password, and nobody waits to hear that. */
static void withdraw(struct auth_request *r)
{
    list_remove(&r->link);
    metrics_inc(metrics_mine(), M_AUTHS_LEFT);
    err_set(&r->err, ERR_SHUTDOWN, "auth: its client has left");
    r->withdrawn = true;
    auth_request_answer(r, ERR_SHUTDOWN);
}

static void client_left(struct verifier *v, struct auth_request *r)
{
    if (list_empty(&r->link))
        return;
    bool alone = r->link.prev == r->link.next; /* both are the attempt's list */
    if (!alone) {
        withdraw(r);
        return;
    }
    struct attempt *a = container_of(r->link.next, struct attempt, requests);
    if (a->item.taken)
        return;
    withdraw(r);
    auth_queue_leave(v->queue, &a->item, 0);
    attempt_free(a);
    verifier_run(v);
}

void verifier_recv_left(struct message *m, void *owner)
{
    struct server *s = owner;
    struct auth_request *r = container_of(m, struct auth_request, left);
    client_left(s->verifier, r);
    m->recv = r->heard;
    mailbox_send(r->answer_to, m);
}

/* ---- life ---- */

int verifier_new(struct verifier **out, struct server *s, struct err *e)
{
    *out = NULL;
    struct verifier *v = calloc(1, sizeof *v);
    if (!v)
        return err_set(e, ERR_NOMEM, "no memory to verify passwords with");
    const struct pool_options o = {.name = "auth", .threads = (unsigned)s->conf->auth_threads};
    v->server = s;
    v->threads = o.threads;
    for (size_t i = 0; i < BUCKETS; i++)
        list_init(&v->attempts[i]);
    ev_timer_init(&v->held, verifier_on_held, 0., 0.);
    v->held.data = v;
    int rc = auth_memory_new(&v->memory, e);
    if (rc == 0)
        rc = auth_queue_new(&v->queue, e);
    if (rc == 0)
        rc = pool_new(&v->pool, s->loop, &o, e);
    if (rc != 0) {
        verifier_free(v);
        return rc;
    }
    *out = v;
    return 0;
}

/* Those that are on a thread of the pool are left alone, unless the pool is gone. */
static void answer_shutdown(struct verifier *v, bool taken_too)
{
    for (size_t i = 0; i < BUCKETS; i++) {
        list_for_each_safe (link, next, &v->attempts[i]) {
            struct attempt *a = container_of(link, struct attempt, in_bucket);
            if (a->item.taken && !taken_too)
                continue;
            auth_queue_leave(v->queue, &a->item, 0);
            answer_all(a, ERR_SHUTDOWN, "the server is going down");
            attempt_free(a);
        }
    }
}

void verifier_drain(struct verifier *v)
{
    answer_shutdown(v, false);
}

void verifier_free(struct verifier *v)
{
    if (!v)
        return;
    v->threads = 0; /* what ends now is followed by nothing */
    pool_free(v->pool);
    ev_timer_stop(v->server->loop, &v->held);
    answer_shutdown(v, true);
    auth_queue_free(v->queue);
    auth_memory_free(v->memory);
    sodium_memzero(v, sizeof *v);
    free(v);
}
