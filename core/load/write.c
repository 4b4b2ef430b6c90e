/* One write: its key's turn, its place, its run, and what becomes of the entry. */
#include "load/write.h"

#include "base/clock.h"
#include "base/log.h"
#include "base/show.h"
#include "load/loader_priv.h"
#include "load/spread.h"

#include <stdlib.h>

/* What a write has while its script runs. */
struct write_state {
    struct list link; /* loader->writing */
    struct loader *loader;
    struct loader_set *set; /* one reference */
    struct gate *gate;
    struct write *write;
    struct run *run;
    uint64_t since; /* marks_now when it began */
    struct write_token token;
    ev_timer deadline;
};

static const char *method_of(const struct write *w)
{
    return w->what == WRITE_PUT ? "put" : "delete";
}

static enum run_what run_of(const struct write *w)
{
    return w->what == WRITE_PUT ? RUN_SAVE : RUN_REMOVE;
}

/* ---- the key's turn ---- */

static struct list *bucket_of(struct loader *l, uint64_t hash)
{
    return &l->writes.buckets[(hash >> 8) % WRITE_BUCKETS];
}

static struct write *first_of_key(struct loader *l, const struct write *w)
{
    list_for_each (link, bucket_of(l, w->hash)) {
        struct write *first = container_of(link, struct write, chain);
        if (first->hash == w->hash && slice_eq(first->key, w->key))
            return first;
    }
    return NULL;
}

static void answer(struct write *w)
{
    w->ended = true;
    w->message.recv = w->answered;
    mailbox_send(w->answer_to, &w->message);
}

static bool enter(struct loader *l, struct write *w);

/* w, the first of its key, has ended: it is answered, and the next one has its turn. */
static void leave(struct loader *l, struct write *w)
{
    for (struct write *next; w; w = next) {
        struct list *link = list_pop_front(&w->behind);
        next = link ? container_of(link, struct write, link) : NULL;
        list_remove(&w->chain);
        if (next) {
            list_splice(&next->behind, &w->behind);
            list_push_back(bucket_of(l, next->hash), &next->chain);
            l->writes.waiting--;
        }
        answer(w);
        if (next && enter(l, next))
            return;
    }
}

/* ---- what becomes of the entry ---- */

static void drop_entry(struct write_state *st, const int64_t *version)
{
    struct write *w = st->write;
    bool dropped;
    struct err e;
    struct invalidation i = {
        .key = w->key,
        .hash = w->hash,
        .now_ms = clock_ms(),
        .version = version,
        .floor_ttl_ms = st->set->snapshot->conf->floor_ttl_ms,
        .gone = version && w->what == WRITE_DELETE,
    };
    enum news_cause cause = w->what == WRITE_PUT ? CAUSE_PUT : CAUSE_DELETE;
    if (change_invalidate(st->loader->options.changes, &i, cause, &dropped, &e) != 0)
        log_warn("write.floor", "key=%s error=%s", log_key(w->key), log_q(e.text));
}

/* It may still take place: nothing that is loaded in the time that it could need is kept. */
static void doubt_entry(struct write_state *st)
{
    struct write *w = st->write;
    struct invalidation i = {.key = w->key, .hash = w->hash, .now_ms = clock_ms()};
    int64_t until_ms = i.now_ms + st->gate->conf->policy.write_timeout_ms;
    if (change_doubt(st->loader->options.changes, &i, until_ms) != 0)
        log_warn("write.doubt", "key=%s error=\"no memory\"", log_key(w->key));
}

/* Where save says nothing of tags. false: that is not to be stored. */
static bool tags_of(struct write_state *st, const struct run_result *r, struct entry_tags *tags)
{
    const struct marks *m = st->loader->options.changes->marks;
    struct loader_facts *facts = gate_facts(st->gate);
    seat_read_tags(m, &r->tags, tags);
    if (r->has_tags)
        return true;
    seat_any_tag(m, tags);
    if (!facts->gives_tags)
        return true;
    st->write->left = LEFT_UNTAGGED;
    metrics_inc(st->loader->metrics, M_WRITES_UNTAGGED);
    if (snapshot_once(&facts->told_untagged))
        log_warn("write.untagged",
                 "pattern=%s key=%s error=\"loads give tags, and save returned none: the entry is "
                 "dropped; return tags with the row, or tags = {}\"",
                 log_q(st->gate->conf->pattern), log_key(st->write->key));
    return false;
}

static void store_entry(struct write_state *st, const struct run_result *r,
                        const struct entry_tags *tags)
{
    struct write *w = st->write;
    struct loader *l = st->loader;
    const struct policy *p = &st->gate->conf->policy;
    struct put put = {
        .key = w->key,
        .hash = w->hash,
        .value = buf_slice(&r->value),
        .has_version = true,
        .version = r->version,
        .ttl_ms = spread_ms(r->ttl_ms >= 0 ? r->ttl_ms : p->ttl_ms, p->jitter, &l->rng),
        .stale_ttl_ms =
            spread_ms(r->stale_ttl_ms >= 0 ? r->stale_ttl_ms : p->stale_ttl_ms, p->jitter, &l->rng),
        .keep_ms = p->stale_if_error_ms,
        .tags = tags->slots,
        .tag_count = tags->count,
        .tag_texts = tags->texts,
        .since = st->since,
    };
    if (gate_is_cut(st->gate))
        put.ttl_ms = -1; /* stale from now on */
    put.refresh = snapshot_refresh(st->set->snapshot, (int)(st->gate - st->set->gates), put.ttl_ms,
                                   put.load_us, 0, &l->rng);
    struct written written = {
        .put = &put,
        .token = st->token,
        .now_ms = clock_ms(),
        .floor_ttl_ms = st->set->snapshot->conf->floor_ttl_ms,
    };
    if (change_write(l->options.changes, &written, &w->stored) != 0)
        log_warn("write.floor", "key=%s error=\"no memory\"", log_key(w->key));
    if (w->stored)
        metrics_inc(l->metrics, M_WRITES_STORED);
    else if (store_size_of(&put) > store_largest(l->options.store, w->hash))
        w->left = LEFT_TOO_LARGE;
}

static void write_succeeded(struct write_state *st, const struct run_result *r)
{
    struct write *w = st->write;
    const char *mode = st->gate->conf->write;
    w->has_version = r->has_version;
    w->version = r->version;
    if (r->effect == EFFECT_UNKNOWN) { /* the script goes by another query than the lost one */
        doubt_entry(st);
        return;
    }
    if (strcmp(mode, "none") == 0)
        return;
    /* As with a load, what an older configuration's script made is not stored. */
    bool through = strcmp(mode, "through") == 0 && st->set == st->loader->current;
    struct entry_tags tags;
    if (through && r->outcome == RUN_FOUND && r->has_version && !r->no_store &&
        tags_of(st, r, &tags)) {
        store_entry(st, r, &tags);
        return;
    }
    if (r->has_version)
        drop_entry(st, &r->version); /* for the floor */
    drop_entry(st, NULL);            /* and what is stored goes whatever its version */
}

/* Only what was sent and not answered may still take place. What the source has answered is known:
 * the error is what the client gets. Where the source undid each query, or none was sent, nothing
 * has happened, and the entry stays. */
static void write_failed(struct write_state *st, const struct err *err, enum run_effect effect)
{
    static const char *const effects[] = {"none", "some", "unknown"};
    struct write *w = st->write;
    struct metrics *m = st->loader->metrics;
    char key[SHOW_KEY_TEXT];
    show_key(key, w->key);
    if (err->code == ERR_WRITE_UNKNOWN) /* the script says so */
        effect = EFFECT_UNKNOWN;
    log_warn("write.failed", "method=%s pattern=%s key=%s effect=%s code=%s error=%s", method_of(w),
             log_q(st->gate->conf->pattern), log_key(w->key), effects[effect], err_word(err),
             log_q(err->text));
    metrics_inc(m, M_WRITES_FAILED);
    w->err = *err;
    if (effect == EFFECT_UNKNOWN) {
        metrics_inc(m, M_WRITES_UNKNOWN);
        if (err->code != ERR_WRITE_UNKNOWN)
            err_set(&w->err, ERR_WRITE_UNKNOWN, "%s: %s", err_word(err), err->text);
        doubt_entry(st);
    } else if (effect == EFFECT_SOME) {
        drop_entry(st, NULL);
    }
    err_prefix(&w->err, "%s", key);
}

/* ---- the run ---- */

static void write_ended(struct write_state *st)
{
    struct loader *l = st->loader;
    struct write *w = st->write;
    struct gate *g = st->gate;
    struct loader_set *set = st->set;
    ev_timer_stop(l->worker.loop, &st->deadline);
    list_remove(&st->link);
    free(st);
    w->state = NULL;
    g->writing--;
    leave(l, w);
    writes_pump(g);
    loader_set_unref(set);
}

static void write_run_done(struct run *run, struct run_result *r, void *arg)
{
    (void)run;
    struct write_state *st = arg;
    st->run = NULL;
    if (r->outcome == RUN_FAILED)
        write_failed(st, &r->err, r->effect);
    else
        write_succeeded(st, r);
    write_ended(st);
}

static void write_cancel(struct write_state *st, int code, const char *why)
{
    enum run_effect effect = st->run ? run_cancel(st->run) : EFFECT_NONE;
    struct err err;
    st->run = NULL;
    err_set(&err, code, "%s: %s", st->gate->conf->script, why);
    write_failed(st, &err, effect);
    write_ended(st);
}

static void write_on_deadline(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    write_cancel(timer->data, ERR_TIMEOUT, "the write took more than its write_timeout");
}

static void run(struct write_state *st)
{
    struct gate *g = st->gate;
    struct write *w = st->write;
    struct glob_match match = {0};
    routes_match(st->set->snapshot->routes, w->key, &match);
    struct run_request q = {
        .what = run_of(w),
        .script = g->script,
        .key = w->key,
        .captures = match.capture,
        .capture_count = match.captures,
        .stars = g->stars,
        .backend = g->primary >= 0 ? g->primary : g->backend,
        .pattern = g->conf->pattern,
        .attempt = 1,
        .deadline_ms = clock_ms() + g->conf->policy.write_timeout_ms,
        .has_version = w->has_seen,
        .version = w->seen,
        .input = w->value,
        .done = write_run_done,
        .arg = st,
    };
    struct err err;
    struct run *started = NULL;
    int rc = run_start(&started, st->set->runtime, &q, &err);
    if (rc == ERR_NOMEM) /* nothing has run, and another VM may have taken the full one's place */
        rc = run_start(&started, st->set->runtime, &q, &err);
    if (rc != 0) {
        write_failed(st, &err, EFFECT_NONE);
        write_ended(st);
    } else if (started) {
        st->run = started; /* else it is done, and st is gone */
    }
}

/* w has its key's turn and a place in the air. */
static void begin(struct gate *g, struct write *w)
{
    struct loader *l = g->set->loader;
    struct write_state *st = calloc(1, sizeof *st);
    if (!st) {
        err_set(&w->err, ERR_NOMEM, "no memory for a write");
        leave(l, w);
        return;
    }
    *st = (struct write_state){
        .loader = l,
        .set = loader_set_ref(g->set),
        .gate = g,
        .write = w,
        .since = marks_now(l->options.changes->marks),
    };
    flights_write_begins(l->options.flights, w->hash, clock_ms(), &st->token);
    w->state = st;
    g->writing++;
    metrics_inc(l->metrics, M_WRITES);
    list_push_back(&l->writes.running, &st->link);
    ev_now_update(l->worker.loop);
    ev_timer_init(&st->deadline, write_on_deadline, (double)g->conf->policy.write_timeout_ms / 1e3,
                  0.);
    st->deadline.data = st;
    ev_timer_start(l->worker.loop, &st->deadline);
    run(st);
}

/* A write may end inside begin, which comes back here: the flag keeps that from nesting. */
void writes_pump(struct gate *g)
{
    if (g->pumping_writes)
        return;
    g->pumping_writes = true;
    struct loader_set *set = loader_set_ref(g->set);
    struct list *link;
    while (g->writing < g->max_writes && (link = list_pop_front(&g->writes))) {
        g->set->loader->writes.waiting--;
        begin(g, container_of(link, struct write, link));
    }
    g->pumping_writes = false;
    loader_set_unref(set);
}

/* ---- admission ---- */

/* The gate of its key's loader, if that can write; else w->err. */
static struct gate *gate_of(struct loader *l, struct write *w)
{
    char key[SHOW_KEY_TEXT];
    show_key(key, w->key);
    int index = routes_match(l->current->snapshot->routes, w->key, NULL);
    struct gate *g = index >= 0 ? &l->current->gates[index] : NULL;
    if (!g)
        err_set(&w->err, ERR_NO_LOADER, "%s: no loader's pattern matches", key);
    else if (!runtime_has(l->current->runtime, g->script, run_of(w)))
        err_set(&w->err, ERR_BAD_REQUEST, "%s: %s: %s has no function \"%s\"", key, method_of(w),
                g->conf->script, w->what == WRITE_PUT ? "save" : "remove");
    return w->err.code == 0 ? g : NULL;
}

/* w is the first of its key: it goes to its loader as that is now. false: w->err says why not, and
 * it has yet to leave. */
static bool enter(struct loader *l, struct write *w)
{
    if (l->stopping)
        err_set(&w->err, ERR_SHUTDOWN, "the server is going down");
    struct gate *g = l->stopping ? NULL : gate_of(l, w);
    if (!g)
        return false;
    list_push_back(&g->writes, &w->link);
    l->writes.waiting++;
    writes_pump(g);
    return true;
}

static void loader_recv_write(struct message *m, void *owner)
{
    struct loader *l = owner;
    struct write *w = container_of(m, struct write, message);
    err_clear(&w->err);
    w->stored = w->has_version = w->ended = false;
    w->left = LEFT_SO;
    list_init(&w->link);
    list_init(&w->chain);
    list_init(&w->behind);
    if (l->stopping || !l->current) {
        err_set(&w->err, ERR_SHUTDOWN, "the server is going down");
        answer(w);
        return;
    }
    struct gate *g = gate_of(l, w);
    struct write *first = g ? first_of_key(l, w) : NULL;
    bool waits = first || (g && g->writing >= g->max_writes);
    if (waits && l->writes.waiting >= g->max_write_queue) {
        err_set(&w->err, ERR_OVERLOADED, "loader %s: %u writes in the air and %u waiting",
                g->conf->pattern, g->writing, l->writes.waiting);
        metrics_inc(l->metrics, M_WRITES_REFUSED);
    }
    if (w->err.code != 0) {
        answer(w);
    } else if (first) {
        list_push_back(&first->behind, &w->link);
        l->writes.waiting++;
    } else {
        list_push_back(bucket_of(l, w->hash), &w->chain);
        if (!enter(l, w))
            leave(l, w);
    }
}

void loader_write(struct loader *l, struct write *w)
{
    w->message.recv = loader_recv_write;
    mailbox_send(&l->worker.mailbox, &w->message);
}

static void loader_recv_give_up(struct message *m, void *owner)
{
    struct loader *l = owner;
    struct write *w = container_of(m, struct write, give_up);
    if (!w->ended && !w->state) {
        char key[SHOW_KEY_TEXT];
        list_remove(&w->link);
        l->writes.waiting--;
        err_set(&w->err, ERR_TIMEOUT, "%s: its turn did not come in time, and nothing was written",
                show_key(key, w->key));
        if (list_empty(&w->chain)) /* behind another one of its key */
            answer(w);
        else
            leave(l, w);
    }
    m->recv = w->heard;
    mailbox_send(w->answer_to, m);
}

void loader_give_up(struct loader *l, struct write *w)
{
    w->give_up.recv = loader_recv_give_up;
    mailbox_send(&l->worker.mailbox, &w->give_up);
}

int writes_init(struct loader *l, struct err *e)
{
    list_init(&l->writes.running);
    l->writes.buckets = malloc(WRITE_BUCKETS * sizeof *l->writes.buckets);
    if (!l->writes.buckets)
        return err_set(e, ERR_NOMEM, "no memory for the writes of a loader thread");
    for (size_t i = 0; i < WRITE_BUCKETS; i++)
        list_init(&l->writes.buckets[i]);
    return 0;
}

void writes_fini(struct loader *l)
{
    free(l->writes.buckets);
}

void writes_move(struct loader *l, struct gate *before)
{
    struct list *link;
    while ((link = list_pop_front(&before->writes))) {
        struct write *w = container_of(link, struct write, link);
        l->writes.waiting--;
        if (!enter(l, w))
            leave(l, w);
    }
}

void writes_shutdown(struct loader *l)
{
    while (!list_empty(&l->writes.running))
        write_cancel(container_of(l->writes.running.next, struct write_state, link), ERR_SHUTDOWN,
                     "the server is going down");
}
