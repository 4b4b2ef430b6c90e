/* get, get_entry, peek, refresh. */
#include "net/commands.h"

#include "net/held.h"
#include "net/park.h"
#include "net/read.h"
#include "wire/mpw.h"

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
    if (__builtin_expect(answer_holds(a), 0)) {
        close_entry(a, status, hit, err);
        return;
    }
    if (__builtin_expect(hit->entry != NULL, 0)) /* it was not copied under the store's lock */
        answer_share(a, hit->entry);
    answer_done(a, 0);
}

static void close_absent(struct answer *a, const struct hit *hit)
{
    struct facts f = facts_of_hit(STATUS_NEGATIVE, hit);
    answer_absent(a, &f);
}

static void read_wait(const struct read *r, const struct ask_loader *l, bool stale);

/* Answers as v says, or waits; a is open. */
static void follow(const struct read *r, struct answer *a, const struct ask_loader *l,
                   struct ask_verdict *v)
{
    io_submit(r->target->io, v);
    if (v->kind == VERDICT_VALUE) {
        close_hit(a, v->status, &v->hit, v->status == STATUS_STALE_ERROR ? &v->err : NULL);
        return;
    }
    if (v->kind == VERDICT_ABSENT) {
        close_absent(a, &v->hit);
        return;
    }
    answer_undo(a);
    if (v->kind == VERDICT_WAIT)
        read_wait(r, l, v->stale);
    else if (v->kind == VERDICT_PENDING)
        answer_pending(r->target);
    else if (v->kind == VERDICT_FAILED)
        park_answer_failure(r->target, &r->ask, v);
    else
        answer_error(r->target, &v->err);
}

/* Parks the request on the key's flight, unless it can be answered after all. */
static void read_wait(const struct read *r, const struct ask_loader *l, bool stale)
{
    struct io *io = r->target->io;
    struct ask_verdict v;
    struct answer a;
    if (r->target->conn->parked_count >= (uint64_t)io->snapshot->conf->max_parked) {
        metrics_inc(io->metrics, M_PARKED_REFUSED);
        ask_refuse(&r->ask, ERR_OVERLOADED, "this connection has max_parked requests waiting", &v);
        answer_error(r->target, &v.err);
        return;
    }
    if (!held_admits(io, sizeof(struct request) + r->ask.key.size)) {
        held_refusal(io, "a wait for a load", &v.err);
        answer_error(r->target, &v.err);
        return;
    }
    struct request *request = request_new(r->target, &r->ask);
    if (!request) {
        ask_refuse(&r->ask, ERR_NOMEM, "no memory to wait for a load", &v);
        answer_error(r->target, &v.err);
        return;
    }
    answer_open(&a, r->target);
    ask_join(&io->asker, &request->parked, l, io->now_ms, stale, answer_ask_room(&a), &v);
    if (v.kind != VERDICT_TIMER) {
        request_free(request);
        follow(r, &a, l, &v);
        return;
    }
    answer_undo(&a);
    park(request, v.wait_ms);
    io_submit(io, &v);
}

/* A look found something past its time, which is in the answer already, or nothing. */
static __attribute__((noinline)) void read_on(const struct read *r, struct answer *a,
                                              enum lookup found, const struct hit *hit)
{
    struct io *io = r->target->io;
    struct ask_verdict v;
    struct ask_loader l = io_loader_of(io, r->ask.key);
    v.hit = *hit;
    ask_decide(&io->asker, &r->ask, &l, io->now_ms, found, &v);
    follow(r, a, &l, &v);
}

/* A fresh hit of a loader with early_beta: the load of the next value may begin by it. */
static __attribute__((noinline)) void read_early(const struct read *r, const struct hit *hit)
{
    struct io *io = r->target->io;
    struct ask_verdict v;
    if (!ask_is_early(hit))
        return;
    struct ask_loader l = io_loader_of(io, r->ask.key);
    ask_early(&io->asker, &r->ask, &l, io->now_ms, hit, &v);
    io_submit(io, &v);
}

void read_key(struct read *r)
{
    struct io *io = r->target->io;
    struct answer a;
    struct hit hit;
    answer_open(&a, r->target);
    enum lookup found =
        ask_get(&io->asker, &r->ask, io->now_ms, !answer_holds(&a), answer_room(&a), &hit);
    switch (found) {
    case LOOKUP_FRESH:
        if (__builtin_expect(hit.early, 0))
            read_early(r, &hit);
        close_hit(&a, STATUS_HIT, &hit, NULL);
        break;
    case LOOKUP_NEGATIVE: close_absent(&a, &hit); break;
    default: read_on(r, &a, found, &hit); break;
    }
}

/* ---- the methods ---- */

static void no_options(struct read *r)
{
    r->ask.timeout_ms = r->ask.stale_wait_ms = -1;
}

int read_options(struct read *r, struct params *p, bool many, struct err *e)
{
    no_options(r);
    if (p->left == 0)
        return 0;
    const struct option_spec specs[] = {
        {"timeout_ms", OPTION_WAIT, &r->ask.timeout_ms, NULL},
        {"stale_wait_ms", OPTION_WAIT, &r->ask.stale_wait_ms, NULL},
        {"min_version", OPTION_INT, &r->ask.min_version, &r->ask.has_min},
        {"partial", OPTION_BOOL, &r->ask.partial, NULL},
    };
    return params_options(p, specs, many ? 4 : 3, e);
}

/* Apart, with the text of an error, which the way of a hit needs no room for. */
static __attribute__((noinline)) bool read_arguments(struct read *r, struct params *p)
{
    struct err e;
    if (params_key(p, &r->ask.key, &e) == 0 && read_options(r, p, false, &e) == 0)
        return true;
    answer_error(r->target, &e);
    return false;
}

static void read_one(const struct target *t, struct params *p)
{
    struct read r = {.target = t};
    if (p->left == 1 && params_key_ahead(p, &r.ask.key))
        no_options(&r);
    else if (!read_arguments(&r, p))
        return;
    r.ask.hash = params_hash(p, t->io->options.store, r.ask.key);
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
    const struct conf_user *u = t->conn->session.user;
    return !u || (u->rights & RIGHT_READ);
}

void read_refresh(const struct target *t, struct params *p)
{
    struct io *io = t->io;
    struct target entry = *t;
    struct read r = {.target = &entry,
                     .ask = {.timeout_ms = -1, .stale_wait_ms = -1, .strict = true}};
    bool background = false;
    const struct option_spec specs[] = {
        {"timeout_ms", OPTION_WAIT, &r.ask.timeout_ms, NULL},
        {"background", OPTION_BOOL, &background, NULL},
        {"min_version", OPTION_INT, &r.ask.min_version, &r.ask.has_min},
    };
    struct err e;
    struct ask_verdict v;
    struct answer a;
    entry.form = FORM_ENTRY;
    if (params_key(p, &r.ask.key, &e) != 0 || params_options(p, specs, 3, &e) != 0) {
        answer_error(t, &e);
        return;
    }
    struct ask_loader l = io_loader_of(io, r.ask.key);
    r.ask.hash = params_hash(p, io->options.store, r.ask.key);
    ask_refresh(&io->asker, &r.ask, &l, io->now_ms, background || !may_read(t), &v);
    if (v.kind == VERDICT_PENDING) {
        io_submit(io, &v);
        answer_true(t, true);
        return;
    }
    answer_open(&a, &entry);
    follow(&r, &a, &l, &v);
}
