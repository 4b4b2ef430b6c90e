/* Whose turn it is among the writes of a key, and of a loader. */
#include "load/writes.h"

#include "base/hash.h"
#include "base/show.h"
#include "load/write_run.h"

#include <stdlib.h>

/* ---- the key's turn ---- */

static struct list *bucket_of(struct writes *ws, uint64_t hash)
{
    return &ws->buckets[hash_writes(hash, WRITES_BUCKETS)];
}

static struct write *first_of_key(struct writes *ws, const struct write *w)
{
    list_for_each (link, bucket_of(ws, w->hash)) {
        struct write *first = container_of(link, struct write, chain);
        if (first->hash == w->hash && slice_eq(first->key, w->key))
            return first;
    }
    return NULL;
}

static void send_answer(struct write *w)
{
    w->message.recv = w->answered;
    mailbox_send(w->answer_to, &w->message);
}

static void answer(struct writes *ws, struct write *w)
{
    const struct journal_lane *lane = ws->thread->changes->lane;
    w->ended = true;
    if (lane && journal_waits(lane))
        list_push_back(&ws->ended, &w->link);
    else
        send_answer(w);
}

void writes_tell_all(struct writes *ws)
{
    struct journal_lane *lane = ws->thread->changes->lane;
    struct list *link;
    if (lane)
        journal_flush(lane);
    while ((link = list_pop_front(&ws->ended)))
        send_answer(container_of(link, struct write, link));
}

static bool enter(struct writes *ws, struct write *w);

/* w, the first of its key, has ended: it is answered, and the next one has its turn. */
static void leave(struct writes *ws, struct write *w)
{
    for (struct write *next; w; w = next) {
        struct list *link = list_pop_front(&w->behind);
        next = link ? container_of(link, struct write, link) : NULL;
        list_remove(&w->chain);
        if (next) {
            list_splice(&next->behind, &w->behind);
            list_push_back(bucket_of(ws, next->hash), &next->chain);
            ws->waiting--;
        }
        answer(ws, w);
        if (next && enter(ws, next))
            return;
    }
}

/* ---- a place in the air ---- */

static void pump(struct writes *ws, struct admission *a);

static void writes_run_done(struct write *w, struct binding *b, void *arg)
{
    struct writes *ws = arg;
    struct admission *a = container_of(b, struct admission, binding);
    a->writes.in_air--;
    leave(ws, w);
    pump(ws, a);
}

/* w has its key's turn and a place in the air. */
static void begin(struct writes *ws, struct admission *a, struct write *w)
{
    a->writes.in_air++;
    if (write_run_begin(w, &a->binding, &ws->running, writes_run_done, ws))
        return;
    a->writes.in_air--;
    err_set(&w->err, ERR_NOMEM, "no memory for a write");
    leave(ws, w);
}

/* A write may end inside begin, which comes back here: the flag keeps that from nesting. */
static void pump(struct writes *ws, struct admission *a)
{
    if (a->writes.pumping)
        return;
    a->writes.pumping = true;
    struct edition *edition = edition_ref(a->binding.edition);
    struct list *link;
    while (a->writes.in_air < a->writes.max && (link = list_pop_front(&a->writes.queue))) {
        ws->waiting--;
        begin(ws, a, container_of(link, struct write, link));
    }
    a->writes.pumping = false;
    edition_unref(edition);
}

/* ---- admission ---- */

/* The admission of its key's loader, if that can write; else w->err. */
static struct admission *admission_of(struct writes *ws, struct write *w)
{
    char key[SHOW_KEY_TEXT];
    show_key(key, w->key);
    int index = routes_match(ws->current->snapshot->routes, w->key, NULL);
    struct admission *a = index >= 0 ? &ws->current->admissions[index] : NULL;
    if (!a)
        err_set(&w->err, ERR_NO_LOADER, "%s: no loader's pattern matches", key);
    else if (!runtime_has(ws->current->runtime, a->binding.script, write_function(w)))
        err_set(&w->err, ERR_BAD_REQUEST, "%s: %s: %s has no function \"%s\"", key, write_method(w),
                a->binding.conf->script, w->what == WRITE_PUT ? "save" : "remove");
    return w->err.code == 0 ? a : NULL;
}

/* w is the first of its key: it waits for a place in the air. */
static void wait_at(struct writes *ws, struct admission *a, struct write *w)
{
    list_push_back(&a->writes.queue, &w->link);
    ws->waiting++;
    pump(ws, a);
}

/* w is the first of its key by now: it goes to its loader as that is now. false: w->err says why
 * not, and it has yet to leave. */
static bool enter(struct writes *ws, struct write *w)
{
    if (ws->thread->stopping)
        err_set(&w->err, ERR_SHUTDOWN, "the server is going down");
    struct admission *a = ws->thread->stopping ? NULL : admission_of(ws, w);
    if (a)
        wait_at(ws, a, w);
    return a != NULL;
}

void writes_take(struct writes *ws, struct write *w)
{
    err_clear(&w->err);
    w->stored = w->has_version = w->ended = false;
    w->left = LEFT_SO;
    list_init(&w->link);
    list_init(&w->chain);
    list_init(&w->behind);
    if (ws->thread->stopping || !ws->current) {
        err_set(&w->err, ERR_SHUTDOWN, "the server is going down");
        answer(ws, w);
        return;
    }
    struct admission *a = admission_of(ws, w);
    struct write *first = a ? first_of_key(ws, w) : NULL;
    bool waits = first || (a && a->writes.in_air >= a->writes.max);
    if (waits && ws->waiting >= a->writes.max_queue) {
        err_set(&w->err, ERR_OVERLOADED, "loader %s: %u writes in the air and %u waiting",
                a->binding.conf->pattern, a->writes.in_air, ws->waiting);
        metrics_inc(ws->thread->metrics, M_WRITES_REFUSED);
    }
    if (w->err.code != 0) {
        answer(ws, w);
    } else if (first) {
        list_push_back(&first->behind, &w->link);
        ws->waiting++;
    } else {
        list_push_back(bucket_of(ws, w->hash), &w->chain);
        wait_at(ws, a, w);
    }
}

void writes_give_up(struct writes *ws, struct write *w)
{
    char key[SHOW_KEY_TEXT];
    if (w->ended || w->run)
        return;
    list_remove(&w->link);
    ws->waiting--;
    err_set(&w->err, ERR_TIMEOUT, "%s: its turn did not come in time, and nothing was written",
            show_key(key, w->key));
    if (list_empty(&w->chain)) /* behind another one of its key */
        answer(ws, w);
    else
        leave(ws, w);
}

int writes_init(struct writes *ws, struct thread_state *t, struct err *e)
{
    *ws = (struct writes){.thread = t};
    list_init(&ws->running);
    list_init(&ws->ended);
    ws->buckets = malloc(WRITES_BUCKETS * sizeof *ws->buckets);
    if (!ws->buckets)
        return err_set(e, ERR_NOMEM, "no memory for the writes of a loader thread");
    for (size_t i = 0; i < WRITES_BUCKETS; i++)
        list_init(&ws->buckets[i]);
    return 0;
}

void writes_fini(struct writes *ws)
{
    free(ws->buckets);
}

void writes_move(struct writes *ws, struct admission *before)
{
    struct list *link;
    while ((link = list_pop_front(&before->writes.queue))) {
        struct write *w = container_of(link, struct write, link);
        ws->waiting--;
        if (!enter(ws, w))
            leave(ws, w);
    }
}

void writes_shutdown(struct writes *ws)
{
    while (!list_empty(&ws->running))
        write_run_shutdown(&ws->running);
}
