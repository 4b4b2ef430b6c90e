#include "server/verifier.h"

#include "base/clock.h"
#include "net/auth.h"
#include "server/server.h"
#include "sys/pool.h"

#include <sodium.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#define WAYS         4  /* rows of a table that one key may have */
#define DOUBLE_MOST  20 /* times that a delay doubles */
#define DIGEST_BYTES 32

struct digest {
    unsigned char bytes[DIGEST_BYTES];
};

struct strike {
    struct digest key; /* of address and name */
    int64_t last_ms;
    unsigned count; /* 0: the row is free */
};

struct known {
    struct digest digest;
    int64_t until_ms; /* 0: the row is free */
};

/* One verification, and the equal requests that wait for it. */
struct attempt {
    struct pool_task task;
    struct verifier *verifier;
    struct list link, requests;
    ev_timer held;
    struct digest digest, peer;
    bool of_user, right;
    char hash[CONF_HASH_MAX + 1]; /* "": there is none to spend time on */
    size_t password_size;
    char password[AUTH_PASSWORD_MAX];
};

struct verifier {
    struct server *server;
    struct pool *pool;
    unsigned char key[crypto_generichash_KEYBYTES];
    struct strike strikes[VERIFIER_STRIKES];
    struct known known[VERIFIER_DIGESTS];
    struct list attempts;
    int64_t count;
    uint64_t dummy_of; /* the generation of: */
    char dummy[CONF_HASH_MAX + 1];
};

/* ---- digests and their tables ---- */

/* Each part ends with a NUL, which none of the first ones has. */
static struct digest digest_of(const struct verifier *v, const struct slice *parts, size_t count)
{
    struct digest d;
    crypto_generichash_state state;
    crypto_generichash_init(&state, v->key, sizeof v->key, sizeof d.bytes);
    for (size_t i = 0; i < count; i++) {
        crypto_generichash_update(&state, (const unsigned char *)parts[i].data, parts[i].size);
        crypto_generichash_update(&state, (const unsigned char *)"", 1);
    }
    crypto_generichash_final(&state, d.bytes, sizeof d.bytes);
    sodium_memzero(&state, sizeof state);
    return d;
}

static bool same(const struct digest *a, const struct digest *b)
{
    return sodium_memcmp(a->bytes, b->bytes, sizeof a->bytes) == 0;
}

/* The first of the rows in which d may stand. */
static size_t row_of(const struct digest *d, size_t rows)
{
    uint32_t n;
    memcpy(&n, d->bytes, sizeof n);
    return n % (rows / WAYS) * WAYS;
}

static struct digest pair_of(const struct verifier *v, const struct auth_request *r)
{
    const struct slice parts[] = {slice_of(r->name, r->name_size), r->peer};
    return digest_of(v, parts, 2);
}

static unsigned strikes_of(const struct verifier *v, const struct digest *pair, int64_t now_ms)
{
    const struct strike *row = &v->strikes[row_of(pair, VERIFIER_STRIKES)];
    for (int i = 0; i < WAYS; i++)
        if (row[i].count > 0 && now_ms - row[i].last_ms < VERIFIER_FORGET_MS &&
            same(&row[i].key, pair))
            return row[i].count;
    return 0;
}

static void strike(struct verifier *v, const struct auth_request *r)
{
    struct digest pair = pair_of(v, r);
    int64_t now_ms = clock_ms();
    unsigned before = strikes_of(v, &pair, now_ms);
    struct strike *row = &v->strikes[row_of(&pair, VERIFIER_STRIKES)], *to = row;
    for (int i = 0; i < WAYS; i++) {
        if (row[i].count > 0 && same(&row[i].key, &pair)) {
            to = &row[i];
            break;
        }
        if (row[i].count == 0 || (to->count > 0 && row[i].last_ms < to->last_ms))
            to = &row[i];
    }
    *to = (struct strike){.key = pair, .last_ms = now_ms, .count = before + (before < UINT32_MAX)};
}

static bool is_known(const struct verifier *v, const struct digest *d)
{
    const struct known *row = &v->known[row_of(d, VERIFIER_DIGESTS)];
    int64_t now_ms = clock_ms();
    bool found = false;
    for (int i = 0; i < WAYS; i++)
        found |= row[i].until_ms > now_ms && same(&row[i].digest, d);
    return found;
}

static void remember(struct verifier *v, const struct digest *d)
{
    struct known *row = &v->known[row_of(d, VERIFIER_DIGESTS)], *to = row;
    int64_t for_ms = v->server->snapshot->conf->auth_cache_ms;
    if (for_ms == 0)
        return;
    for (int i = 1; i < WAYS; i++)
        if (row[i].until_ms < to->until_ms)
            to = &row[i];
    *to = (struct known){.digest = *d, .until_ms = clock_ms() + for_ms};
}

/* ---- attempts ---- */

static void answer_all(struct attempt *a, int rc, const char *text)
{
    struct list *link;
    while ((link = list_pop_front(&a->requests))) {
        struct auth_request *r = container_of(link, struct auth_request, link);
        if (rc == ERR_AUTH_FAILED) {
            strike(a->verifier, r);
            metrics_inc(metrics_mine(), M_AUTHS_FAILED);
        }
        if (rc == 0) {
            memcpy(r->hash, a->hash, sizeof r->hash);
            metrics_inc(metrics_mine(), M_AUTHS);
        } else {
            err_set(&r->err, rc, "%s", text);
        }
        auth_request_answer(r, rc);
    }
}

static void attempt_free(struct attempt *a)
{
    struct verifier *v = a->verifier;
    ev_timer_stop(v->server->loop, &a->held);
    list_remove(&a->link);
    v->count--;
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

static void attempt_done(struct pool_task *t)
{
    struct attempt *a = container_of(t, struct attempt, task);
    if (a->right)
        remember(a->verifier, &a->digest);
    answer_all(a, a->right ? 0 : ERR_AUTH_FAILED,
               "auth: there is no such user, or the password is another one");
    attempt_free(a);
}

static void attempt_on_held(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct attempt *a = timer->data;
    pool_submit(a->verifier->pool, &a->task);
}

static int64_t hold_of(const struct conf *conf, unsigned failures)
{
    if (failures == 0)
        return 0;
    unsigned doubled = failures - 1 < DOUBLE_MOST ? failures - 1 : DOUBLE_MOST;
    int64_t ms = conf->auth_delay_ms << doubled;
    return ms < conf->auth_delay_cap_ms ? ms : conf->auth_delay_cap_ms;
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

/* ---- requests ---- */

/* No failure: nobody looked at the password. */
static void refuse(struct auth_request *r, int code, const char *why)
{
    err_set(&r->err, code, "auth: %s", why);
    metrics_inc(metrics_mine(), M_AUTHS_REFUSED);
    auth_request_answer(r, code);
}

/* An equal attempt; *of_peer: how many that address has. */
static struct attempt *find(const struct verifier *v, const struct digest *digest,
                            const struct digest *peer, int64_t *of_peer)
{
    *of_peer = 0;
    list_for_each (link, &v->attempts) {
        struct attempt *a = container_of(link, struct attempt, link);
        if (same(&a->digest, digest))
            return a;
        *of_peer += same(&a->peer, peer);
    }
    return NULL;
}

static void attempt_begin(struct verifier *v, struct attempt *a, const struct auth_request *r,
                          unsigned failures)
{
    int64_t hold_ms = hold_of(v->server->snapshot->conf, failures);
    a->verifier = v;
    a->password_size = r->password_size;
    memcpy(a->password, r->password, r->password_size);
    a->task.work = attempt_work;
    a->task.done = attempt_done;
    list_init(&a->requests);
    list_push_back(&v->attempts, &a->link);
    v->count++;
    ev_timer_init(&a->held, attempt_on_held, (double)hold_ms / 1e3, 0.);
    a->held.data = a;
    if (hold_ms > 0)
        ev_timer_start(v->server->loop, &a->held);
    else
        pool_submit(v->pool, &a->task);
}

static void verify(struct verifier *v, struct auth_request *r)
{
    const struct conf *conf = v->server->snapshot->conf;
    const struct slice name = slice_of(r->name, r->name_size);
    const struct conf_user *u = conf_user_find(conf, name);
    bool of_user = u && u->password_hash;
    const char *hash = of_user ? u->password_hash : dummy_of(v);
    const struct slice parts[] = {name, slice_str(hash), slice_of(r->password, r->password_size)};
    struct digest digest = digest_of(v, parts, 3), peer = digest_of(v, &r->peer, 1);
    struct digest pair = pair_of(v, r);
    unsigned failures = strikes_of(v, &pair, clock_ms());
    if (of_user && failures < VERIFIER_CACHE_FAILURES && is_known(v, &digest)) {
        metrics_inc(metrics_mine(), M_AUTHS);
        metrics_inc(metrics_mine(), M_AUTHS_CACHED);
        snprintf(r->hash, sizeof r->hash, "%s", hash);
        auth_request_answer(r, 0);
        return;
    }
    int64_t of_peer;
    struct attempt *a = find(v, &digest, &peer, &of_peer);
    int64_t share = conf->max_auth_queue / 8 > 0 ? conf->max_auth_queue / 8 : 1;
    if (!a && (v->count >= conf->max_auth_queue || of_peer >= share)) {
        refuse(r, ERR_OVERLOADED, "max_auth_queue attempts are waiting, or its share of them");
        return;
    }
    if (!a) {
        a = calloc(1, sizeof *a);
        if (!a) {
            refuse(r, ERR_NOMEM, "no memory");
            return;
        }
        a->digest = digest;
        a->peer = peer;
        a->of_user = of_user;
        snprintf(a->hash, sizeof a->hash, "%s", hash);
        attempt_begin(v, a, r, failures > r->failures ? failures : r->failures);
    }
    list_push_back(&a->requests, &r->link);
    sodium_memzero(r->password, sizeof r->password);
}

void verifier_recv(struct message *m, void *owner)
{
    struct server *s = owner;
    verify(s->verifier, container_of(m, struct auth_request, message));
}

int verifier_new(struct verifier **out, struct server *s, struct err *e)
{
    *out = NULL;
    struct verifier *v = sodium_init() < 0 ? NULL : calloc(1, sizeof *v);
    if (!v)
        return err_set(e, ERR_NOMEM, "no memory to verify passwords with");
    const struct pool_options o = {.name = "auth", .threads = (unsigned)s->conf->auth_threads};
    v->server = s;
    list_init(&v->attempts);
    randombytes_buf(v->key, sizeof v->key);
    int rc = pool_new(&v->pool, s->loop, &o, e);
    if (rc != 0) {
        free(v);
        return rc;
    }
    *out = v;
    return 0;
}

void verifier_free(struct verifier *v)
{
    if (!v)
        return;
    pool_free(v->pool);
    while (!list_empty(&v->attempts)) {
        struct attempt *a = container_of(v->attempts.next, struct attempt, link);
        answer_all(a, ERR_SHUTDOWN, "auth: the server is going down");
        attempt_free(a);
    }
    sodium_memzero(v, sizeof *v);
    free(v);
}
