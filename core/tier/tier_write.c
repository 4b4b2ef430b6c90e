#include "tier/tier_write.h"

#include "store/record.h"
#include "tier/tier_batch.h"
#include "wire/mp.h"

#define TICK_S 1.

static void go(struct tier_writer *w);

/* Nothing more can be written now. */
static void rest(struct tier_writer *w)
{
    void (*emptied)(void *arg) = w->emptied;
    w->emptying = false;
    w->emptied = NULL;
    if (emptied)
        emptied(w->emptied_arg);
}

/* ---- what is still to be written ---- */

/* What its key, its tags or a pattern have gone through since it was loaded. */
static bool is_overtaken(const struct tier *t, const struct tier_value *v)
{
    uint32_t slots[MARKS_TAGS_MAX];
    const struct record r = {.tagged = v->tagged, .tag_texts = v->tags};
    if (tier_slots_of(&t->slots, v->hash) > v->seen)
        return true;
    unsigned count = record_slots(&r, t->marks, slots);
    return marks_judge_key(t->marks, v->key, v->since) != MARK_NONE ||
           (count > 0 && marks_judge_tags(t->marks, slots, count, v->since) != MARK_NONE);
}

static bool is_wanted(const struct tier_writer *w, const struct tier_item *i)
{
    struct tier *t = w->link->tier;
    if (i->v.gone)
        return w->wants(w->arg, i->v.key);
    if (is_overtaken(t, &i->v))
        return false;
    if (tier_has_room(t))
        return true;
    tier_slots_stamp(&t->slots, i->v.hash);
    tier_count(&t->numbers.dropped, 1);
    return false;
}

/* The next rows, as many as there are; what need not be written is done with. */
static size_t take(struct tier_writer *w)
{
    size_t taken, n = 0;
    w->marks = 0;
    do {
        struct list some;
        list_init(&some);
        taken = tier_queue_take(w->queue, w->most - n, &some);
        list_for_each_safe (link, next, &some) {
            struct tier_item *i = container_of(link, struct tier_item, link);
            if (!is_wanted(w, i)) {
                tier_queue_drop(w->queue, i);
                continue;
            }
            list_remove(link);
            list_push_back(&w->air, link);
            w->marks += i->v.gone;
            n++;
        }
    } while (taken > 0 && n < w->most);
    return n;
}

/* ---- a statement ---- */

/* The database has refused what is in it, and is well itself. */
static bool is_refused(const struct call *q)
{
    if (q->code == ERR_BAD_VALUE || q->code == ERR_TOO_LARGE)
        return true;
    if (q->code != ERR_BACKEND)
        return false;
    return strncmp(q->err.text, "22", 2) == 0 || strncmp(q->err.text, "54", 2) == 0;
}

/* The one row that cannot be written. */
static void drop_one(struct tier_writer *w)
{
    struct tier *t = w->link->tier;
    struct tier_item *i = container_of(w->air.next, struct tier_item, link);
    tier_slots_stamp(&t->slots, i->v.hash);
    tier_count(&t->numbers.dropped, 1);
    tier_queue_drop(w->queue, i);
    w->most = 2;
}

static void write_refused(struct tier_writer *w)
{
    if (w->rows == 1)
        drop_one(w);
    else
        w->most = w->rows / 2;
    tier_queue_settle(w->queue, &w->air, true);
}

static int64_t rows_of(const struct call *q)
{
    struct mp_reader at = mp_reader_of(buf_slice(&q->result));
    struct mp_token t;
    return mp_next(&at, &t) == MP_OK && t.type == MP_INT ? t.i : 0;
}

static void write_succeeded(struct tier_writer *w)
{
    struct tier *t = w->link->tier;
    int64_t written = rows_of(&w->call);
    size_t most = w->link->sql.dialect == TIER_SQLITE ? TIER_SQL_ROWS : TIER_WRITE_ROWS;
    tier_link_well(w->link);
    tier_count(&t->numbers.writes, w->rows);
    if (written >= 0 && (size_t)written < w->rows)
        tier_count(&t->numbers.outdone, w->rows - (size_t)written);
    w->most = 2 * w->most < most ? 2 * w->most : most;
    tier_queue_settle(w->queue, &w->air, false);
}

static void write_ended(struct tier_writer *w)
{
    ev_timer_stop(w->link->loop, &w->timeout);
    w->busy = false;
}

static void write_on_done(struct call *q)
{
    struct tier_writer *w = container_of(q, struct tier_writer, call);
    write_ended(w);
    bool refused = is_refused(q);
    if (q->code == 0)
        write_succeeded(w);
    else if (refused)
        write_refused(w);
    else
        tier_queue_settle(w->queue, &w->air, true);
    if (q->code != 0 && !refused)
        tier_link_failed(w->link, &q->err);
    buf_fini(&q->result);
    size_t count, bytes;
    tier_queue_read(w->queue, &count, &bytes);
    if (q->code != 0 && !refused)
        rest(w);
    else if (w->emptying || refused || count >= TIER_WRITE_ROWS)
        go(w);
}

/* Whether it took place is not known: it goes again. */
static void give_up(struct tier_writer *w)
{
    backend_cancel(w->link->backend, &w->call);
    buf_fini(&w->call.result);
    write_ended(w);
    tier_queue_settle(w->queue, &w->air, true);
}

static void write_on_timeout(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct tier_writer *w = timer->data;
    give_up(w);
    tier_link_late(w->link, "write", TIER_WRITE_MS);
    rest(w);
}

static int pack(struct tier_writer *w)
{
    const struct tier *t = w->link->tier;
    struct err e;
    buf_clear(&w->params);
    buf_clear(&w->text);
    if (w->link->sql.dialect == TIER_POSTGRES)
        return tier_batch_arrays(&w->params, &w->air, w->rows, t);
    int rc = tier_sql_write_rows(&w->text, t->conf.table, w->rows, &e);
    return rc == 0 ? tier_batch_rows(&w->params, &w->air, w->rows, t) : rc;
}

/* The next statement, unless there is nothing to write, or it cannot be. */
static void go(struct tier_writer *w)
{
    size_t count, bytes;
    if (w->busy)
        return;
    tier_queue_read(w->queue, &count, &bytes);
    w->rows = count > 0 && tier_link_admits(w->link) ? take(w) : 0;
    if (w->rows == 0) {
        rest(w);
        return;
    }
    if (pack(w) != 0) {
        write_refused(w);
        rest(w);
        return;
    }
    struct tier_link *link = w->link;
    w->busy = true;
    ev_now_update(link->loop);
    ev_timer_set(&w->timeout, TIER_WRITE_MS / 1e3, 0.);
    ev_timer_start(link->loop, &w->timeout);
    bool arrays = link->sql.dialect == TIER_POSTGRES;
    tier_link_submit(link, &w->call, SQL_EXEC, buf_slice(arrays ? &link->sql.write : &w->text),
                     buf_slice(&w->params), write_on_done);
}

static void write_on_tick(struct ev_loop *loop, ev_timer *timer, int events)
{
    (void)loop, (void)events;
    struct tier_writer *w = timer->data;
    w->emptying = true;
    go(w);
}

/* ---- life ---- */

void tier_writer_init(struct tier_writer *w, struct tier_link *link, struct tier_queue *queue,
                      bool (*wants)(void *arg, struct slice key), void *arg)
{
    *w = (struct tier_writer){
        .link = link, .queue = queue, .wants = wants, .arg = arg, .most = TIER_SQL_ROWS};
    list_init(&w->air);
    buf_init(&w->text, 0);
    buf_init(&w->params, 0);
    ev_timer_init(&w->timeout, write_on_timeout, 0., 0.);
    ev_timer_init(&w->tick, write_on_tick, TICK_S, TICK_S);
    w->timeout.data = w->tick.data = w;
}

void tier_writer_fini(struct tier_writer *w)
{
    buf_fini(&w->text);
    buf_fini(&w->params);
}

void tier_writer_start(struct tier_writer *w)
{
    ev_timer_start(w->link->loop, &w->tick);
}

void tier_writer_stop(struct tier_writer *w)
{
    if (w->busy)
        give_up(w);
    rest(w);
}

void tier_writer_wake(struct tier_writer *w, size_t count)
{
    if (count >= TIER_WRITE_ROWS)
        go(w);
}

void tier_writer_empty(struct tier_writer *w, void (*done)(void *arg), void *arg)
{
    w->emptied = done;
    w->emptied_arg = arg;
    w->emptying = true;
    go(w);
}
