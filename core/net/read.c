/* get, get_entry, get_many, peek, refresh: the way of a read, from the store to a flight. */
#include "net/commands.h"

#include "base/show.h"
#include "load/early.h"
#include "net/job.h"
#include "net/many.h"
#include "net/park.h"
#include "wire/mpw.h"

#define BULK_LEAST 16 /* keys of a get_many that leave single ones their share of the loads */

/* One read of one key. */
struct read {
    const struct target *target; /* borrowed */
    struct slice key;            /* borrowed from the input */
    uint64_t hash;
    int64_t timeout_ms, stale_wait_ms; /* -1: the loader's */
    int64_t min_version;
    bool has_min; /* what is older than min_version, or has no version, will not do */
    bool reload;  /* refresh */
    bool bulk;    /* one of a large get_many */
    bool partial; /* of a get_many that waits for no load */
};

static __attribute__((noinline)) void close_entry(struct answer *a, enum status status,
                                                  struct hit *hit, const struct err *err)
{
    struct facts f = facts_of_hit(status, hit);
    f.err = err;
    answer_found(a, hit, &f);
}

static inline void close_hit(struct answer *a, enum status status, struct hit *hit,
                             const struct err *err)
{
    if (__builtin_expect(a->target->form == FORM_ENTRY, 0)) {
        close_entry(a, status, hit, err);
        return;
    }
    if (__builtin_expect(hit->entry != NULL, 0)) /* it was not copied under the store's lock */
        answer_share(a, hit->entry);
    answer_done(a, 0);
}

static void close_negative(struct answer *a, const struct hit *hit)
{
    metrics_hit(a->target->io->metrics, hit->owner, HIT_NEGATIVE);
    a->rc |= mpw_nil(a->out);
    struct facts f = facts_of_hit(STATUS_NEGATIVE, hit);
    answer_close(a, &f);
}

static void refuse(const struct read *r, int code, const char *what)
{
    char text[SHOW_KEY_TEXT];
    struct err e;
    err_set(&e, code, "%s: %s", show_key(text, r->key), what);
    answer_error(r->target, &e);
}

static struct join_request join_of(const struct read *r, const struct policy *policy)
{
    struct io *io = r->target->io;
    return (struct join_request){
        .key = r->key,
        .hash = r->hash,
        .now_ms = io->now_ms,
        .generation = io->snapshot->generation,
        .max_waiters = policy->max_waiters,
        .slot = io->options.index,
        .reason = r->reload ? REASON_REFRESH : REASON_MISS,
        .reload = r->reload,
        .bulk = r->bulk,
        .min_version = r->has_min ? &r->min_version : NULL,
    };
}

static bool is_old(const struct read *r, const struct hit *hit)
{
    return r->has_min && !(hit->has_version && hit->version >= r->min_version);
}

/* Starts a load that nobody waits for. false: the key is in backoff, err has why. */
static bool load_in_background(const struct read *r, const struct policy *policy,
                               enum load_reason reason, struct err *err)
{
    struct io *io = r->target->io;
    struct join_request q = join_of(r, policy);
    struct join_result joined = {0};
    q.reason = reason;
    /* A client that asks for a refresh, or for the rest of a partial answer, wants it stored in any
     * case. */
    q.replaces = reason != REASON_MISS && !r->reload;
    switch (flights_join(io->options.flights, &q, &joined)) {
    case JOIN_STARTED: io_submit(io, &joined); return true;
    case JOIN_BACKOFF: *err = joined.err; return false;
    default: return true;
    }
}

/* A read found nothing that it could take; first: its load began with it. */
static void count_wait(struct io *io, int loader, bool first)
{
    struct loader_counters *c = snapshot_counters(io->snapshot, 0, (size_t)loader);
    metrics_inc(io->metrics, first ? M_MISSES : M_COALESCED);
    loader_count(first ? &c->misses : &c->coalesced, 1);
}

/* Parks the request on the key's flight, unless it can be answered after all. */
static void read_join(const struct read *r, const struct policy *policy, int loader,
                      bool stale_there)
{
    struct io *io = r->target->io;
    struct conn *c = r->target->conn;
    if (c->parked_count >= (uint64_t)io->snapshot->conf->max_parked) {
        metrics_inc(io->metrics, M_PARKED_REFUSED);
        refuse(r, ERR_OVERLOADED, "this connection has max_parked requests waiting");
        return;
    }
    struct request *request = request_new(r->target, r->key, r->hash);
    if (!request) {
        refuse(r, ERR_NOMEM, "no memory to wait for a load");
        return;
    }
    request->target.has_min = r->has_min;
    request->target.min_version = r->min_version;
    request->waiter.seq = marks_now(io->options.changes->marks);
    struct join_request q = join_of(r, policy);
    struct join_result joined = {0};
    struct answer a;
    answer_open(&a, r->target);
    int64_t wait_ms = r->timeout_ms >= 0 ? r->timeout_ms : policy->wait_timeout_ms;
    q.waiter = &request->waiter;
    q.wait_until_ms = io->now_ms + wait_ms;
    q.out = a.out;
    q.held = answer_holds(&a);
    enum join join = flights_join(io->options.flights, &q, &joined);
    if (join == JOIN_HIT) {
        request_free(request);
        if (joined.lookup == LOOKUP_NEGATIVE) {
            close_negative(&a, &joined.hit);
        } else {
            metrics_hit(io->metrics, joined.hit.owner, HIT_FRESH);
            close_hit(&a, STATUS_HIT, &joined.hit, NULL);
        }
        return;
    }
    answer_undo(&a);
    switch (join) {
    case JOIN_STARTED:
    case JOIN_PARKED:
        count_wait(io, loader, join == JOIN_STARTED);
        request->joined = join == JOIN_PARKED;
        park(request,
             !stale_there            ? -1
             : r->stale_wait_ms >= 0 ? r->stale_wait_ms
                                     : policy->stale_wait_ms,
             wait_ms);
        if (join == JOIN_STARTED || joined.promote)
            io_submit(io, &joined);
        return;
    case JOIN_BACKOFF:
        metrics_inc(io->metrics, M_BACKOFF_ANSWERS);
        park_answer_failure(&request->target, r->key, r->hash, &joined.err);
        break;
    case JOIN_FULL:
        metrics_inc(io->metrics, M_WAITERS_REFUSED);
        refuse(r, ERR_OVERLOADED, "its flight has max_waiters waiting");
        break;
    default: refuse(r, ERR_NOMEM, "no memory for a flight"); break;
    }
    request_free(request);
}

/* A stale value is there, and is in the answer already. */
static void read_stale(const struct read *r, struct answer *a, struct hit *hit)
{
    int loader;
    const struct policy *policy = snapshot_policy(r->target->io->snapshot, r->key, &loader);
    int64_t wait_ms = r->stale_wait_ms >= 0 ? r->stale_wait_ms : policy->stale_wait_ms;
    if (wait_ms > 0 && loader >= 0 && !r->partial) {
        answer_undo(a);
        entry_unref(hit->entry);
        read_join(r, policy, loader, true);
        return;
    }
    struct err err;
    bool failing = loader >= 0 && !load_in_background(r, policy, REASON_REFRESH, &err);
    metrics_hit(r->target->io->metrics, hit->owner, failing ? HIT_STALE_ERROR : HIT_STALE);
    close_hit(a, failing ? STATUS_STALE_ERROR : STATUS_STALE, hit, failing ? &err : NULL);
}

/* The load begins, and nobody waits for it. */
static void read_later(const struct read *r, const struct policy *policy, int loader)
{
    struct io *io = r->target->io;
    struct err err;
    count_wait(io, loader, true);
    if (load_in_background(r, policy, REASON_MISS, &err))
        answer_pending(r->target);
    else
        park_answer_failure(r->target, r->key, r->hash, &err);
}

/* A fresh hit of a loader with early_beta: the load of the next value may begin by it. */
static __attribute__((noinline)) void read_early(const struct read *r, const struct hit *hit)
{
    int loader;
    struct io *io = r->target->io;
    struct err unused;
    if (hit->ttl_ms == STORE_FOREVER_MS || !early_in_reach(hit->load_us, hit->ttl_ms))
        return;
    const struct policy *policy = snapshot_policy(io->snapshot, r->key, &loader);
    if (loader >= 0 && early_refreshes(hit->load_us, policy->early_beta, hit->ttl_ms, &io->rng))
        load_in_background(r, policy, REASON_EARLY, &unused);
}

static void read_miss(const struct read *r)
{
    int loader;
    const struct policy *policy = snapshot_policy(r->target->io->snapshot, r->key, &loader);
    if (route_is_misfit(loader))
        answer_misfit(r->target);
    else if (loader < 0)
        refuse(r, ERR_NO_LOADER, "no loader's pattern matches");
    else if (r->partial)
        read_later(r, policy, loader);
    else
        read_join(r, policy, loader, false);
}

static void read_key(struct read *r)
{
    struct io *io = r->target->io;
    struct answer a;
    struct hit hit;
    answer_open(&a, r->target);
    unsigned want = WANT_STALE | (r->target->form == FORM_ENTRY || r->has_min ? 0 : WANT_BARE);
    enum lookup found =
        store_get(io->options.store, r->key, r->hash, io->now_ms, want, answer_room(&a), &hit);
    if (__builtin_expect(found != LOOKUP_MISS && is_old(r, &hit), 0)) {
        entry_unref(hit.entry);
        found = LOOKUP_MISS;
    }
    switch (found) {
    case LOOKUP_FRESH:
        metrics_hit(io->metrics, hit.owner, HIT_FRESH);
        if (__builtin_expect(hit.early, 0))
            read_early(r, &hit);
        close_hit(&a, STATUS_HIT, &hit, NULL);
        break;
    case LOOKUP_NEGATIVE: close_negative(&a, &hit); break;
    case LOOKUP_STALE: read_stale(r, &a, &hit); break;
    case LOOKUP_KEPT:
    case LOOKUP_MISS:
        answer_undo(&a);
        read_miss(r);
        break;
    }
}

/* ---- the methods ---- */

static void no_options(struct read *r)
{
    r->timeout_ms = r->stale_wait_ms = -1;
}

static int read_options(struct read *r, struct params *p, bool many, struct err *e)
{
    no_options(r);
    if (p->left == 0)
        return 0;
    const struct option_spec specs[] = {
        {"timeout_ms", OPTION_WAIT, &r->timeout_ms, NULL},
        {"stale_wait_ms", OPTION_WAIT, &r->stale_wait_ms, NULL},
        {"min_version", OPTION_INT, &r->min_version, &r->has_min},
        {"partial", OPTION_BOOL, &r->partial, NULL},
    };
    return params_options(p, specs, many ? 4 : 3, e);
}

/* Apart, with the text of an error, which the way of a hit needs no room for. */
static __attribute__((noinline)) bool read_arguments(struct read *r, struct params *p)
{
    struct err e;
    if (params_key(p, &r->key, &e) == 0 && read_options(r, p, false, &e) == 0)
        return true;
    answer_error(r->target, &e);
    return false;
}

static void read_one(const struct target *t, struct params *p)
{
    struct read r = {.target = t};
    if (p->left == 1 && params_key_ahead(p, &r.key))
        no_options(&r);
    else if (!read_arguments(&r, p))
        return;
    r.hash = params_hash(p, t->io->options.store, r.key);
    read_key(&r);
}

void read_get(const struct target *t, struct params *p)
{
    read_one(t, p); /* FORM_VALUE, as it comes */
}

void read_get_entry(const struct target *t, struct params *p)
{
    struct target entry = *t;
    entry.form = FORM_ENTRY;
    read_one(&entry, p);
}

#define MANY_AHEAD  16  /* keys that are looked at before the first of them is read */
#define MANY_EACH   64  /* keys of one step */
#define MANY_SLICED 128 /* keys of a get_many that is done in slices, if it takes that long */

/* A get_many, as far as its keys are read. */
struct read_many {
    struct job job;
    struct read read;
    struct target item; /* read's target */
    struct params keys; /* of which it is known that they are so many values */
    uint32_t begin, count;
};

static void read_keys(struct read_many *m, uint32_t n)
{
    struct read *r = &m->read;
    const struct store *s = m->item.io->options.store;
    struct mp_token tokens[MANY_AHEAD];
    uint64_t hashes[MANY_AHEAD];
    for (uint32_t i = 0; i < n; i++) {
        if (mp_next_whole(&m->keys.at, &tokens[i]) != MP_OK)
            tokens[i] = (struct mp_token){.type = MP_NIL};
        bool text = tokens[i].type == MP_STR || tokens[i].type == MP_BIN;
        hashes[i] = text ? store_hash(s, tokens[i].bytes) : 0;
        store_prefetch(s, hashes[i]);
    }
    for (uint32_t i = 0; i < n; i++)
        store_prefetch_entry(s, hashes[i]);
    for (uint32_t i = 0; i < n; i++) {
        struct err e;
        m->item.index = m->begin++;
        r->hash = hashes[i];
        if (params_check_key(&m->keys, &tokens[i], &r->key, &e) == 0)
            read_key(r);
        else
            answer_error(r->target, &e);
    }
}

static bool read_many_step(struct job *j)
{
    struct read_many *m = container_of(j, struct read_many, job);
    uint32_t rest = m->count - m->begin, end = m->begin + (rest < MANY_EACH ? rest : MANY_EACH);
    m->keys.conf = m->item.io->snapshot->conf;
    while (m->begin < end)
        read_keys(m, end - m->begin < MANY_AHEAD ? end - m->begin : MANY_AHEAD);
    if (m->begin < m->count)
        return true;
    many_release(m->item.many);
    return false;
}

static void read_many_moved(struct job *j, const char *from, const char *to)
{
    struct read_many *m = container_of(j, struct read_many, job);
    job_move_reader(&m->keys.at, from, to);
    m->read.target = &m->item;
}

static void read_many_drop(struct job *j)
{
    struct read_many *m = container_of(j, struct read_many, job);
    many_client_left(m->item.many);
    many_cut(m->item.many, m->count - m->begin);
    many_release(m->item.many);
}

void read_get_many(const struct target *t, struct params *p)
{
    static const struct job_kind kind = {sizeof(struct read_many), read_many_step, read_many_moved,
                                         read_many_drop};
    struct read_many m = {.job = {.kind = &kind, .target = *t}, .item = *t};
    struct err e;
    int rc = params_array(p, &m.count, &e);
    m.keys = *p;
    size_t tokens = params_tokens_max(p);
    struct mp_token ignored;
    for (uint32_t i = 0; i < m.count && rc == 0; i++)
        if (mp_next_some(&p->at, &ignored, &tokens) != MP_OK)
            rc = err_set(&e, ERR_BAD_REQUEST, "get_many: the array of keys is malformed");
    if (rc == 0)
        rc = read_options(&m.read, p, true, &e);
    m.item.many = rc == 0 ? many_new(t, m.count) : NULL;
    if (rc == 0 && !m.item.many)
        rc = err_set(&e, ERR_NOMEM, "get_many: no memory for %u keys", m.count);
    if (rc != 0) {
        answer_error(t, &e);
        return;
    }
    many_hold(m.item.many);
    m.read.target = &m.item;
    m.read.bulk = m.count > BULK_LEAST;
    m.item.form = FORM_ITEM;
    if (m.count >= MANY_SLICED) {
        job_start(&m.job, p->msg->params);
        return;
    }
    while (read_many_step(&m.job)) {
    }
}

void read_peek(const struct target *t, struct params *p)
{
    struct io *io = t->io;
    struct target entry = *t;
    struct slice key;
    struct err e;
    entry.form = FORM_ENTRY;
    if (params_key(p, &key, &e) != 0 || params_options(p, NULL, 0, &e) != 0) {
        answer_error(t, &e);
        return;
    }
    struct answer a;
    struct hit hit;
    answer_open(&a, &entry);
    enum lookup found =
        store_get(io->options.store, key, params_hash(p, io->options.store, key), io->now_ms,
                  WANT_PEEK | WANT_STALE | WANT_KEPT, answer_room(&a), &hit);
    if (found == LOOKUP_MISS) {
        answer_undo(&a);
        entry.form = FORM_VALUE;
        answer_nil(&entry, NULL);
    } else if (found == LOOKUP_NEGATIVE) {
        a.rc |= mpw_nil(a.out);
        close_hit(&a, STATUS_NEGATIVE, &hit, NULL);
    } else {
        close_hit(&a, found == LOOKUP_FRESH ? STATUS_HIT : STATUS_STALE, &hit, NULL);
    }
}

/* Whether its client may be shown a value. */
static bool may_read(const struct target *t)
{
    const struct conf_user *u = t->conn->user;
    return !u || (u->rights & RIGHT_READ);
}

void read_refresh(const struct target *t, struct params *p)
{
    struct io *io = t->io;
    struct target entry = *t;
    struct read r = {.target = &entry, .timeout_ms = -1, .stale_wait_ms = -1, .reload = true};
    bool background = false;
    const struct option_spec specs[] = {
        {"timeout_ms", OPTION_WAIT, &r.timeout_ms, NULL},
        {"background", OPTION_BOOL, &background, NULL},
        {"min_version", OPTION_INT, &r.min_version, &r.has_min},
    };
    struct err e;
    entry.form = FORM_ENTRY;
    entry.strict = true;
    if (params_key(p, &r.key, &e) != 0 || params_options(p, specs, 3, &e) != 0) {
        answer_error(t, &e);
        return;
    }
    int loader;
    const struct policy *policy = snapshot_policy(io->snapshot, r.key, &loader);
    r.hash = params_hash(p, io->options.store, r.key);
    background = background || !may_read(t);
    if (route_is_misfit(loader) && background)
        answer_true(t, true);
    else if (route_is_misfit(loader))
        answer_misfit(&entry);
    else if (loader < 0)
        refuse(&r, ERR_NO_LOADER, "no loader's pattern matches");
    else if (!background)
        read_join(&r, policy, loader, false);
    else if (load_in_background(&r, policy, REASON_REFRESH, &e))
        answer_true(t, true);
    else
        answer_error(t, &e);
}
