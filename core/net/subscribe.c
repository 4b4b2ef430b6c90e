#include "net/subscribe.h"

#include "net/commands.h"
#include "net/subscriptions.h"
#include "net/texts.h"
#include "wire/mpw.h"

#include <stdlib.h>

#define NOTIFICATION 2

/* ---- telling ---- */

/* [2, "invalidated", [{key | tag | pattern | all, cause, version?}]] */
static int pack_notice(struct buf *out, const struct news *n)
{
    static const char *const names[] = {
        [NEWS_KEY] = "key", [NEWS_TAG] = "tag", [NEWS_MATCH] = "pattern", [NEWS_ALL] = "all"};
    int rc = mpw_array(out, 3) | mpw_int(out, NOTIFICATION) | mpw_cstr(out, "invalidated");
    rc |= mpw_array(out, 1) | mpw_map(out, n->has_version ? 3 : 2) | mpw_cstr(out, names[n->what]);
    rc |= n->what == NEWS_ALL ? mpw_bool(out, true) : mpw_text(out, n->text);
    rc |= mpw_cstr(out, "cause") | mpw_cstr(out, news_cause_name(n->cause));
    if (n->has_version)
        rc |= mpw_cstr(out, "version") | mpw_int(out, n->version);
    return rc;
}

static void send_notice(struct conn *c, const struct news *n)
{
    struct buf *out = conn_out(c);
    size_t mark = out->size;
    if (pack_notice(out, n) != 0) {
        out->size = mark;
        conn_break(c, "no room for its notifications");
        return;
    }
    metrics_inc(c->io->metrics, M_NOTICES);
    conn_touch(c);
}

struct telling {
    struct io *io;
    const struct news *news;
};

static void tell(struct subscriber *r, void *arg)
{
    const struct telling *t = arg;
    struct conn *c = r->conn;
    if (r->told == t->io->subscriptions->events || r->lost)
        return;
    r->told = t->io->subscriptions->events;
    size_t half = (size_t)t->io->snapshot->conf->max_output / 2;
    if (conn_unread(c) > (half < CONN_OUT_PAUSE ? half : CONN_OUT_PAUSE)) {
        r->lost = true;
        metrics_inc(t->io->metrics, M_NOTICES_LOST);
        return;
    }
    if (t->news->cause == CAUSE_LOST)
        metrics_inc(t->io->metrics, M_NOTICES_LOST);
    send_notice(c, t->news);
}

void subscribe_drained(struct conn *c)
{
    if (!c->subscriber || !c->subscriber->lost)
        return;
    c->subscriber->lost = false;
    send_notice(c, &(struct news){.what = NEWS_ALL, .cause = CAUSE_LOST});
}

/* Whether no key matches both: their literal beginnings differ. */
static bool excludes(const struct glob *a, const struct glob *b)
{
    struct slice x = glob_segment(a, 0), y = glob_segment(b, 0);
    size_t common = x.size < y.size ? x.size : y.size;
    return memcmp(x.data, y.data, common) != 0;
}

static bool concerns(const struct subscriber *r, const struct glob *g)
{
    if (r->count[SUBSCRIBED_TAG] > 0)
        return true; /* who knows which keys carry it */
    list_for_each (link, &r->all) {
        const struct subscription *one = container_of(link, struct subscription, link);
        if (one->kind == SUBSCRIBED_PATTERN ? !excludes(one->glob, g)
                                            : glob_matches(g, subscription_text(one), NULL))
            return true;
    }
    return false;
}

static void tell_all(struct telling *t, bool (*wanted)(const struct subscriber *r, const void *arg),
                     const void *arg)
{
    list_for_each (link, &t->io->subscriptions->subscribers) {
        struct subscriber *r = container_of(link, struct subscriber, link);
        if (!wanted || wanted(r, arg))
            tell(r, t);
    }
}

static bool has_keys(const struct subscriber *r, const void *arg)
{
    (void)arg;
    return r->count[SUBSCRIBED_KEY] + r->count[SUBSCRIBED_PATTERN] > 0;
}

static bool is_concerned(const struct subscriber *r, const void *arg)
{
    return concerns(r, arg);
}

static void tell_match(struct telling *t)
{
    char room[GLOB_MAX];
    struct glob g;
    glob_compile(&g, t->news->text, room);
    tell_all(t, is_concerned, &g);
}

static void tell_news(struct telling *t)
{
    struct subscriptions *s = t->io->subscriptions;
    struct slice text = t->news->text;
    s->events++;
    switch (t->news->what) {
    case NEWS_KEY:
        subscriptions_find(s, SUBSCRIBED_KEY, text, tell, t);
        list_for_each (link, &s->patterns) {
            struct subscription *one = container_of(link, struct subscription, chain);
            if (glob_matches(one->glob, text, NULL))
                tell(one->subscriber, t);
        }
        break;
    case NEWS_TAG:
        subscriptions_find(s, SUBSCRIBED_TAG, text, tell, t);
        tell_all(t, has_keys, NULL);
        break;
    case NEWS_MATCH: tell_match(t); break;
    case NEWS_ALL: tell_all(t, NULL, NULL); break;
    }
}

void subscribe_recv_news(struct message *m, void *owner)
{
    struct io *io = owner;
    struct telling t = {.io = io, .news = news_of(m)};
    if (t.news->what == NEWS_ALL)
        news_done(io->options.changes->news, m); /* what is lost from here on is told anew */
    if (io->subscriptions)
        tell_news(&t);
    if (t.news->what != NEWS_ALL)
        news_done(io->options.changes->news, m);
}

/* ---- subscribing ---- */

static struct subscriber *subscriber_of(struct conn *c, struct err *e)
{
    struct io *io = c->io;
    if (!io->subscriptions)
        io->subscriptions = subscriptions_new(rng_next(&io->rng));
    if (!c->subscriber && io->subscriptions) {
        c->subscriber = calloc(1, sizeof *c->subscriber);
        if (c->subscriber) {
            c->subscriber->conn = c;
            list_init(&c->subscriber->all);
            list_push_back(&io->subscriptions->subscribers, &c->subscriber->link);
        }
    }
    if (!c->subscriber)
        err_set(e, ERR_NOMEM, "subscribe: no memory for a subscription");
    return c->subscriber;
}

static void listen_if_anyone(struct io *io)
{
    news_listen(io->options.changes->news, io->options.index, io->subscriptions->count > 0);
}

struct wishes {
    struct texts texts[SUBSCRIBED_KINDS];
    uint32_t count;
};

static int check_patterns(struct texts patterns, const struct params *p, struct err *e)
{
    struct slice pattern;
    int rc = 0;
    while (rc == 0 && texts_next(&patterns, &pattern))
        rc = glob_check(pattern, e);
    if (rc != 0) {
        e->code = ERR_BAD_REQUEST;
        err_prefix(e, "%s", p->method);
    }
    return rc;
}

/* The one argument of both methods. */
static int read_wishes(struct params *p, struct wishes *w, struct err *e)
{
    const struct texts_rule rules[SUBSCRIBED_KINDS] = {
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
    *w = (struct wishes){.count = 0};
    int rc = params_options(p, specs, SUBSCRIBED_KINDS, e);
    for (int kind = 0; kind < SUBSCRIBED_KINDS && rc == 0; kind++) {
        rc = texts_of(&w->texts[kind], p, packed[kind], &rules[kind], e);
        w->count += w->texts[kind].count;
    }
    return rc != 0 ? rc : check_patterns(w->texts[SUBSCRIBED_PATTERN], p, e);
}

static void answer_count(const struct target *t, uint32_t count)
{
    struct answer a;
    answer_begin(&a, t);
    answer_done(&a, mpw_uint(a.out, count));
}

/* All or nothing. */
static int add_all(struct subscriptions *s, struct subscriber *r, struct wishes *w, int64_t most,
                   struct err *e)
{
    uint32_t before = subscriber_count(r);
    struct slice text;
    int rc = 0;
    for (int kind = 0; kind < SUBSCRIBED_KINDS; kind++)
        while (rc == 0 && texts_next(&w->texts[kind], &text)) {
            rc = subscriptions_add(s, r, (enum subscription_kind)kind, text);
            if (rc != 0)
                err_set(e, rc, "subscribe: no memory for a subscription");
            else if (subscriber_count(r) > most)
                rc = err_set(e, ERR_OVERLOADED,
                             "subscribe: more than max_subscriptions (%lld) of one connection",
                             (long long)most);
        }
    if (rc != 0)
        subscriptions_cut(s, r, before);
    return rc;
}

void subscribe_subscribe(const struct target *t, struct params *p)
{
    struct io *io = t->io;
    struct wishes w;
    struct err e;
    int rc = read_wishes(p, &w, &e);
    if (rc == 0 && w.count == 0)
        rc = err_set(&e, ERR_BAD_REQUEST,
                     "subscribe: it takes a map of keys, patterns and tags, "
                     "at least one of any");
    struct subscriber *r = rc == 0 ? subscriber_of(t->conn, &e) : NULL;
    if (!r) {
        answer_error(t, &e);
        return;
    }
    uint32_t before = subscriber_count(r);
    rc = add_all(io->subscriptions, r, &w, io->snapshot->conf->max_subscriptions, &e);
    listen_if_anyone(io);
    metrics_add(io->metrics, M_SUBSCRIBED, subscriber_count(r) - before);
    if (rc != 0)
        answer_error(t, &e);
    else
        answer_count(t, subscriber_count(r));
}

void subscribe_unsubscribe(const struct target *t, struct params *p)
{
    struct io *io = t->io;
    struct subscriber *r = t->conn->subscriber;
    struct wishes w;
    struct slice text;
    struct err e;
    bool everything = p->left == 0;
    if (read_wishes(p, &w, &e) != 0) {
        answer_error(t, &e);
        return;
    }
    uint32_t before = r ? subscriber_count(r) : 0;
    if (r && everything)
        subscriptions_cut(io->subscriptions, r, 0);
    for (int kind = 0; r && kind < SUBSCRIBED_KINDS; kind++)
        while (texts_next(&w.texts[kind], &text))
            subscriptions_remove(io->subscriptions, r, (enum subscription_kind)kind, text);
    uint32_t left = r ? subscriber_count(r) : 0;
    metrics_add(io->metrics, M_UNSUBSCRIBED, before - left);
    if (r)
        listen_if_anyone(io);
    answer_count(t, left);
}

void subscribe_client_left(struct conn *c)
{
    struct subscriber *r = c->subscriber;
    if (!r)
        return;
    metrics_add(c->io->metrics, M_UNSUBSCRIBED, subscriber_count(r));
    subscriptions_cut(c->io->subscriptions, r, 0);
    listen_if_anyone(c->io);
    list_remove(&r->link);
    free(r);
    c->subscriber = NULL;
}
