#include "net/telling.h"

#include "net/conn.h"
#include "serve/rights.h"
#include "serve/subscriptions.h"
#include "wire/mpw.h"

#define NOTIFICATION 2
#define STEPS        16 /* between two looks at the clock, where keys are short */
#define STEP_BYTES   64 /* of a key that count as one step more */

/* ---- one connection ---- */

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

/* What a user may know of it. Who has keys of his own reads no names of tags, and of patterns those
 * alone that his keys cover: they tell of what others have. */
static struct news shown_to(const struct conf_user *u, const struct news *n)
{
    bool hidden = u && u->keys.count > 0 &&
                  (n->what == NEWS_TAG || (n->what == NEWS_MATCH && !rights_pattern(u, n->text)));
    return hidden ? (struct news){.what = NEWS_ALL, .cause = n->cause} : *n;
}

/* It is told later that something was lost. */
static void lose(struct subscriber *r, struct conn *c)
{
    r->lost = c->more = true;
    metrics_inc(c->io->metrics, M_NOTICES_LOST);
}

static void tell(struct telling *t, struct subscriber *r)
{
    struct io *io = t->io;
    struct conn *c = r->owner;
    if (r->lost)
        return;
    if (c->ahead) { /* an answer comes first */
        lose(r, c);
        return;
    }
    size_t half = (size_t)io->snapshot->conf->max_output / 2;
    if (conn_unread(c) > (half < CONN_OUT_PAUSE ? half : CONN_OUT_PAUSE)) {
        lose(r, c);
        return;
    }
    if (t->now.cause == CAUSE_LOST)
        metrics_inc(io->metrics, M_NOTICES_LOST);
    struct news shown = shown_to(c->session.user, &t->now);
    send_notice(c, &shown);
}

bool telling_waits(const struct conn *c)
{
    return c->subscriber && c->subscriber->lost;
}

bool telling_drained(struct conn *c)
{
    if (!telling_waits(c) || c->ahead)
        return false;
    c->subscriber->lost = false;
    send_notice(c, &(struct news){.what = NEWS_ALL, .cause = CAUSE_LOST});
    return true;
}

/* ---- the queue ---- */

static struct news_hub *hub_of(const struct telling *t)
{
    return t->io->options.changes->news;
}

/* The next event is begun. false: there is none. */
static bool begin(struct telling *t)
{
    static const enum subscriptions_event events[] = {[NEWS_KEY] = EVENT_KEY,
                                                      [NEWS_TAG] = EVENT_TAG,
                                                      [NEWS_MATCH] = EVENT_MATCH,
                                                      [NEWS_ALL] = EVENT_ALL};
    struct message *m = t->first;
    if (!m)
        return false;
    t->first = m->next;
    t->now = *news_of(m);
    t->held = m;
    if (t->now.what == NEWS_ALL) { /* what is lost from here on is told anew */
        news_done(hub_of(t), m);
        t->held = NULL;
    }
    subscriptions_begin(t->io->subscriptions, events[t->now.what], t->now.text);
    t->busy = true;
    return true;
}

static void end(struct telling *t)
{
    if (t->held)
        news_done(hub_of(t), t->held);
    t->held = NULL;
    t->busy = false;
}

static bool telling_on_slice(struct slice_work *w)
{
    struct telling *t = container_of(w, struct telling, work);
    struct subscriber *r;
    size_t steps = 0;
    while (t->busy || begin(t)) {
        if (!subscriptions_step(t->io->subscriptions, &r))
            end(t);
        else if (r)
            tell(t, r);
        steps += 1 + t->now.text.size / STEP_BYTES;
        if (steps < STEPS)
            continue;
        steps = 0;
        if (slices_over(&t->io->slices))
            return true;
    }
    return false;
}

void telling_init(struct telling *t, struct io *io)
{
    *t = (struct telling){.work.run = telling_on_slice, .io = io};
    list_init(&t->work.link);
}

void telling_fini(struct telling *t)
{
    end(t);
    while (t->first) {
        struct message *m = t->first;
        t->first = m->next;
        news_done(hub_of(t), m);
    }
}

void telling_recv_news(struct message *m, void *owner)
{
    struct io *io = owner;
    struct telling *t = &io->telling;
    if (!io->subscriptions) {
        news_done(hub_of(t), m);
        return;
    }
    m->next = NULL;
    if (t->first)
        t->last->next = m;
    else
        t->first = m;
    t->last = m;
    slices_add(&io->slices, &t->work);
}
