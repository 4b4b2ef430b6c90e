#include "net/many.h"

#include "net/held.h"
#include "wire/mpw.h"

#include <stdlib.h>

struct many {
    struct target target;
    struct buf items;   /* the answer's head, then packed items, in the order in which they came */
    size_t head;        /* bytes; 0: nothing of it will be answered */
    struct buf ordered; /* the same in their order, as far as that is done */
    struct ticket ticket;
    struct list link; /* conn->ready */
    struct slice_work ordering;
    uint32_t count, pending, came, placed;
    bool in_order; /* they came in the order of their keys so far */
    bool refused;  /* for client_memory */
    int rc;
    size_t held;  /* bytes that are written down (held.h); 0: it does not wait yet */
    size_t watch; /* the capacity of items up to which nothing needs to be written down */
    struct {
        size_t offset, size;
    } at[];
};

#define UNTOLD_BYTES ((size_t)64 * 1024)  /* of items that are gathered within a turn */
#define LITTLE_BYTES ((size_t)16 * 1024)  /* gathered, that fill no connection */
#define STEP_BYTES   ((size_t)256 * 1024) /* that are put in order in one step */

static bool order_on_slice(struct slice_work *w);

struct many *many_new(const struct target *t, uint32_t count)
{
    struct many *m = calloc(1, sizeof *m + count * sizeof m->at[0]);
    if (!m)
        return NULL;
    m->target = *t;
    m->target.form = FORM_VALUE;
    m->count = count;
    m->pending = count;
    m->in_order = true;
    m->watch = UNTOLD_BYTES;
    list_init(&m->link);
    list_init(&m->ordering.link);
    m->ordering.run = order_on_slice;
    buf_init(&m->items, 0);
    m->rc = rpc_reply_head(&m->items, t->msgid) | mpw_array(&m->items, count);
    m->head = m->items.size;
    /* What may be unread when it is asked for, and it, come to max_output. */
    m->items.max = m->head + (size_t)t->io->snapshot->conf->max_output - t->io->out_pause;
    return m;
}

static size_t bytes_of(const struct many *m)
{
    return sizeof *m + m->count * sizeof m->at[0] + m->items.capacity + m->ordered.capacity;
}

void many_account(struct many *m)
{
    size_t now = bytes_of(m), before = m->held;
    m->held = now;
    m->watch = m->items.capacity;
    if (now > before)
        held_add(m->target.io, m->target.conn, LEDGER_GATHERED, now - before);
    else if (before > now)
        held_take(m->target.io, m->target.conn, LEDGER_GATHERED, before - now);
}

/* So much more will be there if those that are to come are as large as those that came: taken at
 * once it needs to be moved no more. */
static size_t room_for_rest(const struct many *m)
{
    size_t whole = m->items.size / m->came * m->count;
    size_t most = whole < m->items.max ? whole : m->items.max;
    return most > m->items.capacity ? most - m->items.size : 0;
}

/* Its items have grown past what is written down; nothing of it will be answered where there is no
 * room for that. */
static __attribute__((noinline)) void many_grew(struct many *m)
{
    size_t more = room_for_rest(m);
    if (more > 0 && held_admits(m->target.io, more + bytes_of(m) - m->held))
        m->rc |= buf_grow(&m->items, more);
    m->refused = !held_admits(m->target.io, bytes_of(m) - m->held);
    if (m->refused)
        m->rc |= ERR_OVERLOADED;
    else
        many_account(m);
}

void many_hold(struct many *m)
{
    m->pending++;
}

void many_cut(struct many *m, uint32_t count)
{
    m->pending -= count;
}

void many_client_left(struct many *m)
{
    if (m->target.conn)
        held_part(m->target.conn, m->held);
    m->target.conn = NULL;
}

static size_t gathered_of(const struct many *m)
{
    return m->items.size - m->head;
}

/* Its bytes are not gathered for the connection any more. */
static void many_let_go(struct many *m)
{
    struct conn *c = m->target.conn;
    if (!c)
        return;
    c->gathered -= gathered_of(m);
    if (c->full)
        conn_touch(c);
}

static void many_free(struct many *m)
{
    if (m->held > 0)
        held_take(m->target.io, m->target.conn, LEDGER_GATHERED, m->held);
    buf_fini(&m->items);
    buf_fini(&m->ordered);
    free(m);
}

static void many_refuse(const struct many *m)
{
    struct err e;
    if (m->refused)
        held_refusal(m->target.io, "get_many", &e);
    else
        err_set(&e, ERR_TOO_LARGE,
                "get_many: an answer, beside those that wait, above max_output (%zu bytes)",
                (size_t)m->target.io->snapshot->conf->max_output);
    answer_error(&m->target, &e);
}

static void many_answer(const struct many *m)
{
    struct buf *out = conn_out(m->target.conn);
    struct answer a = {.target = &m->target, .out = out, .mark = out->size};
    int rc = buf_append(out, m->items.data, m->in_order ? m->items.size : m->head);
    for (uint32_t i = 0; i < m->count && !m->in_order; i++)
        rc |= buf_append(out, m->items.data + m->at[i].offset, m->at[i].size);
    answer_done(&a, rc);
}

/* ---- large answers ---- */

/* Some items. false: all are in their order. */
static bool order_some(struct many *m)
{
    size_t end = m->ordered.size + STEP_BYTES;
    int rc = m->placed == 0 ? buf_append(&m->ordered, m->items.data, m->head) : 0;
    for (; m->placed < m->count && m->ordered.size < end && rc == 0; m->placed++)
        rc =
            buf_append(&m->ordered, m->items.data + m->at[m->placed].offset, m->at[m->placed].size);
    m->rc |= rc;
    return rc == 0 && m->placed < m->count;
}

static bool order_on_slice(struct slice_work *w)
{
    struct many *m = container_of(w, struct many, ordering);
    while (order_some(m))
        if (slices_over(&m->target.io->slices))
            return true;
    buf_fini(&m->items);
    m->items = m->ordered;
    m->ordered = (struct buf){0};
    many_account(m);
    m->in_order = true;
    conn_touch(m->target.conn);
    return false;
}

/* It has been sent, or its client has left. */
static void many_leave(struct many *m)
{
    struct io *io = m->target.io;
    list_remove(&m->link);
    slices_remove(&io->slices, &m->ordering);
    many_let_go(m);
    many_free(m);
    ticket_close(io);
}

static void many_left(struct ticket *t, struct conn *c)
{
    (void)c;
    many_leave(container_of(t, struct many, ticket));
}

/* It waits until all before it is sent. */
static void many_is_ready(struct many *m)
{
    static const struct ticket_kind kind = {.request = true, .left = many_left};
    struct conn *c = m->target.conn;
    if (!m->in_order && buf_grow(&m->ordered, m->items.size) != 0)
        m->rc |= ERR_NOMEM;
    list_push_back(&c->ready, &m->link);
    ticket_open(&m->ticket, &kind, c, false);
    many_account(m);
    if (!m->in_order)
        slices_add(&m->target.io->slices, &m->ordering);
    conn_touch(c);
}

bool many_send_ready(struct conn *c)
{
    struct many *m = NULL;
    list_for_each (link, &c->ready) {
        m = container_of(link, struct many, link);
        if (m->in_order)
            break;
        m = NULL;
    }
    if (!m)
        return false;
    if (m->rc != 0) {
        many_refuse(m);
    } else {
        conn_give_back(c);
        struct buf whole = m->items;
        many_let_go(m);
        m->items = (struct buf){0};
        m->head = 0;
        whole.max = 0;
        c->out = whole;
    }
    ticket_done(&m->ticket, c);
    many_leave(m);
    return true;
}

bool many_has_failed(const struct many *m)
{
    return m->rc != 0;
}

bool many_is_large(const struct many *m)
{
    return m->items.size > UNTOLD_BYTES;
}

/* ---- items ---- */

struct buf *many_items(struct many *m)
{
    return &m->items;
}

const struct target *many_target(const struct many *m)
{
    return &m->target;
}

/* All of its items are there. */
static __attribute__((noinline)) void many_end(struct many *m)
{
    struct conn *c = m->target.conn;
    bool answers = c && !c->broken && !m->target.notify;
    if (answers && m->rc == 0 && many_is_large(m)) {
        size_t more = m->in_order ? 0 : m->items.size;
        m->refused = !held_admits(m->target.io, more);
        if (!m->refused) {
            many_is_ready(m);
            return;
        }
    }
    many_let_go(m);
    if (answers && (m->rc != 0 || m->refused))
        many_refuse(m);
    else if (answers)
        many_answer(m);
    many_free(m);
}

void many_release(struct many *m)
{
    if (--m->pending == 0)
        many_end(m);
}

static void many_shrink(struct many *m)
{
    if (m->items.capacity <= UNTOLD_BYTES)
        return;
    buf_fini(&m->items);
    if (m->held > 0)
        many_account(m);
    m->watch = UNTOLD_BYTES;
}

void many_item_done(struct many *m, uint32_t index, size_t offset, int rc)
{
    struct conn *c = m->target.conn;
    m->in_order &= index == m->came++;
    m->at[index].offset = offset;
    m->at[index].size = m->items.size - offset;
    m->rc |= rc;
    if (c) {
        c->gathered += m->at[index].size;
        if (c->gathered > (size_t)m->target.io->snapshot->conf->max_output)
            m->rc |= ERR_TOO_LARGE;
        if (__builtin_expect(c->gathered > LITTLE_BYTES, 0))
            conn_fill_if(c);
    }
    if (__builtin_expect(m->items.capacity > m->watch, 0))
        many_grew(m);
    if (m->rc != 0) { /* nothing of it will be answered */
        if (c)
            c->gathered -= gathered_of(m);
        m->head = 0;
        buf_clear(&m->items);
        many_shrink(m);
    }
    if (--m->pending == 0)
        many_end(m);
}
