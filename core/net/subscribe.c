#include "net/subscribe.h"

#include "net/commands.h"
#include "net/held.h"
#include "net/job.h"
#include "serve/subscriptions.h"
#include "net/text_list.h"
#include "wire/mpw.h"

#include <stdlib.h>

#define BATCH 16 /* texts of one step */

/* ---- who subscribes ---- */

struct listener {
    struct subscriber subscriber;
    struct slice_work leaving;
    struct io *io;
    size_t held; /* of its bytes and its own, what is written down */
};

static struct listener *listener_of(struct subscriber *r)
{
    return container_of(r, struct listener, subscriber);
}

static size_t bytes_of(const struct listener *l)
{
    return sizeof *l + l->subscriber.bytes;
}

/* Writes down that it has so much now. */
static void account(struct listener *l, size_t now)
{
    size_t before = l->held;
    l->held = now;
    if (now > before)
        held_add(l->io, l->subscriber.owner, LEDGER_SUBSCRIPTIONS, now - before);
    else if (now < before)
        held_take(l->io, l->subscriber.owner, LEDGER_SUBSCRIPTIONS, before - now);
}

static void listen_if_anyone(struct io *io)
{
    news_listen(io->options.changes->news, io->options.index, io->subscriptions->count > 0);
}

/* false: it has none any more. */
static bool remove_some(struct subscriptions *s, struct subscriber *r, uint32_t left)
{
    for (int i = 0; i < BATCH && subscriber_count(r) > left; i++)
        subscriptions_remove_last(s, r);
    account(listener_of(r), bytes_of(listener_of(r)));
    return subscriber_count(r) > left;
}

/* The subscriptions of a connection that is gone. */
static bool leave_on_slice(struct slice_work *w)
{
    struct listener *l = container_of(w, struct listener, leaving);
    struct io *io = l->io;
    while (remove_some(io->subscriptions, &l->subscriber, 0))
        if (slices_over(&io->slices))
            return true;
    subscriptions_leave(io->subscriptions, &l->subscriber);
    listen_if_anyone(io);
    account(l, 0);
    free(l);
    return false;
}

static struct subscriber *subscriber_of(struct conn *c, struct err *e)
{
    struct io *io = c->io;
    if (!io->subscriptions)
        io->subscriptions = subscriptions_new(rng_next(&io->rng));
    if (!c->subscriber && io->subscriptions) {
        struct listener *l = calloc(1, sizeof *l);
        if (l) {
            l->subscriber.owner = c;
            l->leaving.run = leave_on_slice;
            l->io = io;
            list_init(&l->leaving.link);
            subscriptions_enter(io->subscriptions, &l->subscriber);
            c->subscriber = &l->subscriber;
        }
    }
    if (!c->subscriber)
        err_set(e, ERR_NOMEM, "subscribe: no memory for a subscription");
    return c->subscriber;
}

void subscribe_client_left(struct conn *c)
{
    struct subscriber *r = c->subscriber;
    if (!r)
        return;
    metrics_add(c->io->metrics, M_UNSUBSCRIBED, subscriber_count(r));
    held_part(c, listener_of(r)->held);
    r->owner = NULL;
    c->subscriber = NULL;
    slices_add(&c->io->slices, &listener_of(r)->leaving);
}

void subscribe_fini(struct io *io)
{
    struct subscriptions *s = io->subscriptions;
    while (s && !list_empty(&s->subscribers)) {
        struct subscriber *r = container_of(s->subscribers.next, struct subscriber, link);
        while (remove_some(s, r, 0)) {
        }
        subscriptions_leave(s, r);
        account(listener_of(r), 0);
        free(listener_of(r));
    }
}

/* ---- subscribe and unsubscribe ---- */

/* What a call names, done in slices: first all patterns are checked, then it is all or nothing. */
struct wish {
    struct job job;
    const char *method;
    struct text_list patterns; /* to be checked */
    struct text_list texts[SUBSCRIBED_KINDS];
    uint32_t before, given;
    bool everything; /* of unsubscribe */
    bool undo;       /* err says why */
    struct err err;
};

static void wish_moved(struct job *j, const char *from, const char *to)
{
    struct wish *w = container_of(j, struct wish, job);
    job_move_reader(&w->patterns.at, from, to);
    for (int kind = 0; kind < SUBSCRIBED_KINDS; kind++)
        job_move_reader(&w->texts[kind].at, from, to);
}

/* Some patterns. ERR_BAD_REQUEST says which one is wrong. */
static int check_some(struct wish *w)
{
    struct slice pattern;
    int rc = 0;
    for (int i = 0; i < BATCH && rc == 0 && text_list_next(&w->patterns, &pattern); i++)
        rc = glob_check(pattern, &w->err);
    if (rc != 0) {
        w->err.code = ERR_BAD_REQUEST;
        err_prefix(&w->err, "%s", w->method);
    }
    return rc;
}

/* The next text that it names. false: there is none. */
static bool next_wish(struct wish *w, enum subscription_kind *kind, struct slice *text)
{
    for (int k = 0; k < SUBSCRIBED_KINDS; k++)
        if (text_list_next(&w->texts[k], text)) {
            *kind = (enum subscription_kind)k;
            return true;
        }
    return false;
}

/* The one argument of both methods. */
static int read_wishes(struct params *p, struct wish *w, struct err *e)
{
    const struct text_list_rule rules[SUBSCRIBED_KINDS] = {
        [SUBSCRIBED_KEY] = {.what = "key", .longest = (size_t)p->conf->max_key},
        [SUBSCRIBED_PATTERN] = {.what = "pattern", .longest = GLOB_MAX},
        [SUBSCRIBED_TAG] = {.what = "tag", .longest = MARKS_TAG_SIZE},
    };
    struct slice packed[SUBSCRIBED_KINDS] = {{0}};
    const struct option_spec specs[] = {
        {"keys", OPTION_RAW, &packed[SUBSCRIBED_KEY], NULL},
        {"patterns", OPTION_RAW, &packed[SUBSCRIBED_PATTERN], NULL},
        {"tags", OPTION_RAW, &packed[SUBSCRIBED_TAG], NULL},
    };
    int rc = params_options(p, specs, SUBSCRIBED_KINDS, e);
    for (int kind = 0; kind < SUBSCRIBED_KINDS && rc == 0; kind++) {
        rc = text_list_of(&w->texts[kind], p, packed[kind], &rules[kind], e);
        w->given += w->texts[kind].count;
    }
    if (rc == 0 && w->given > p->conf->max_batch)
        rc = err_set(e, ERR_BAD_REQUEST, "%s: %u texts, where at most %lld are taken", p->method,
                     w->given, (long long)p->conf->max_batch);
    w->patterns = w->texts[SUBSCRIBED_PATTERN];
    return rc;
}

static void answer_count(const struct target *t, uint32_t count)
{
    struct answer a;
    answer_begin(&a, t);
    answer_done(&a, mpw_uint(a.out, count));
}

static uint32_t count_of(const struct wish *w)
{
    const struct subscriber *r = w->job.target.conn->subscriber;
    return r ? subscriber_count(r) : 0;
}

static int add_one(struct wish *w, struct subscriber *r, enum subscription_kind kind,
                   struct slice text)
{
    struct io *io = w->job.target.io;
    int64_t most = io->snapshot->conf->max_subscriptions;
    int rc = subscriptions_add(io->subscriptions, r, kind, text);
    if (rc != 0)
        return err_set(&w->err, rc, "subscribe: no memory for a subscription");
    const struct listener *l = listener_of(r);
    size_t now = bytes_of(l);
    if (now > l->held && !held_admits(io, now - l->held))
        return held_refusal(io, "subscribe", &w->err);
    if (subscriber_count(r) > most)
        return err_set(&w->err, ERR_OVERLOADED,
                       "subscribe: more than max_subscriptions (%lld) of one connection",
                       (long long)most);
    return 0;
}

/* Some of what it names. false: it has all, or has to undo what it has. */
static bool add_some(struct wish *w, struct subscriber *r)
{
    enum subscription_kind kind;
    struct slice text;
    bool more = true;
    for (int i = 0; i < BATCH && !w->undo && more; i++) {
        more = next_wish(w, &kind, &text);
        w->undo = more && add_one(w, r, kind, text) != 0;
    }
    account(listener_of(r), bytes_of(listener_of(r)));
    return more;
}

static bool subscribe_step(struct job *j)
{
    struct wish *w = container_of(j, struct wish, job);
    struct io *io = j->target.io;
    struct subscriber *r = j->target.conn->subscriber;
    if (w->patterns.count > 0 && !w->undo) {
        w->undo = check_some(w) != 0;
        return true;
    }
    if (w->undo ? remove_some(io->subscriptions, r, w->before) : add_some(w, r))
        return true;
    listen_if_anyone(io);
    if (w->undo) {
        answer_error(&j->target, &w->err);
        return false;
    }
    subscriptions_settle(r);
    metrics_add(io->metrics, M_SUBSCRIBED, count_of(w) - w->before);
    answer_count(&j->target, count_of(w));
    return false;
}

/* What it has so far is counted, as what the connection takes away is. */
static void subscribe_drop(struct job *j)
{
    const struct wish *w = container_of(j, struct wish, job);
    metrics_add(j->target.io->metrics, M_SUBSCRIBED, count_of(w) - w->before);
}

void subscribe_subscribe(const struct target *t, struct params *p)
{
    static const struct job_kind kind = {sizeof(struct wish), subscribe_step, wish_moved,
                                         subscribe_drop};
    struct wish w = {.job = {.kind = &kind, .target = *t}, .method = p->method};
    struct err e;
    int rc = read_wishes(p, &w, &e);
    if (rc == 0 && w.given == 0)
        rc = err_set(&e, ERR_BAD_REQUEST,
                     "subscribe: it takes a map of keys, patterns and tags, "
                     "at least one of any");
    if (rc != 0 || !subscriber_of(t->conn, &e)) {
        answer_error(t, &e);
        return;
    }
    w.before = count_of(&w);
    job_start(&w.job, p->msg->params);
}

/* Some of what it names. false: there is no more. */
static bool remove_named(struct wish *w, struct subscriptions *s, struct subscriber *r)
{
    enum subscription_kind kind;
    struct slice text;
    bool more = true;
    for (int i = 0; i < BATCH && more; i++) {
        more = next_wish(w, &kind, &text);
        if (more)
            subscriptions_remove(s, r, kind, text);
    }
    account(listener_of(r), bytes_of(listener_of(r)));
    return more;
}

static bool unsubscribe_step(struct job *j)
{
    struct wish *w = container_of(j, struct wish, job);
    struct io *io = j->target.io;
    struct subscriber *r = j->target.conn->subscriber;
    if (w->patterns.count > 0) {
        if (check_some(w) == 0)
            return true;
        answer_error(&j->target, &w->err);
        return false;
    }
    if (r && (w->everything ? remove_some(io->subscriptions, r, 0)
                            : remove_named(w, io->subscriptions, r)))
        return true;
    metrics_add(io->metrics, M_UNSUBSCRIBED, w->before - count_of(w));
    if (r)
        listen_if_anyone(io);
    answer_count(&j->target, count_of(w));
    return false;
}

static void unsubscribe_drop(struct job *j)
{
    const struct wish *w = container_of(j, struct wish, job);
    metrics_add(j->target.io->metrics, M_UNSUBSCRIBED, w->before - count_of(w));
}

void subscribe_unsubscribe(const struct target *t, struct params *p)
{
    static const struct job_kind kind = {sizeof(struct wish), unsubscribe_step, wish_moved,
                                         unsubscribe_drop};
    struct wish w = {
        .job = {.kind = &kind, .target = *t}, .method = p->method, .everything = p->left == 0};
    struct err e;
    if (read_wishes(p, &w, &e) != 0) {
        answer_error(t, &e);
        return;
    }
    w.before = count_of(&w);
    job_start(&w.job, p->msg->params);
}
