#include "net/many.h"

#include "net/answer.h"
#include "net/held.h"
#include "wire/mpw.h"

#define STEP_BYTES ((size_t)256 * 1024) /* that are put in order in one step */

static void many_refuse(const struct gather *g)
{
    struct err e;
    if (g->refused)
        held_refusal(g->target.io, "get_many", &e);
    else
        err_set(&e, ERR_TOO_LARGE,
                "get_many: an answer, beside those that wait, above max_output (%zu bytes)",
                (size_t)g->target.io->snapshot->conf->max_output);
    answer_error(&g->target, &e);
}

static void many_answer(const struct gather *g)
{
    struct buf *out = conn_out(g->target.conn);
    struct answer a = {.target = &g->target, .out = out, .mark = out->size};
    int rc = buf_append(out, g->items.data, g->in_order ? g->items.size : g->head);
    for (uint32_t i = 0; rc == 0 && i < g->count && !g->in_order; i++)
        rc = buf_append(out, g->items.data + g->at[i].offset, g->at[i].size);
    answer_done(&a, rc);
}

/* ---- large answers ---- */

/* Some items. false: all are in their order. */
static bool order_some(struct gather *g)
{
    size_t end = g->ordered.size + STEP_BYTES;
    int rc = g->placed == 0 ? buf_append(&g->ordered, g->items.data, g->head) : 0;
    for (; g->placed < g->count && g->ordered.size < end && rc == 0; g->placed++)
        rc =
            buf_append(&g->ordered, g->items.data + g->at[g->placed].offset, g->at[g->placed].size);
    g->rc |= rc;
    return rc == 0 && g->placed < g->count;
}

static bool order_on_slice(struct slice_work *w)
{
    struct gather *g = container_of(w, struct gather, ordering);
    while (order_some(g))
        if (slices_over(&g->target.io->slices))
            return true;
    buf_fini(&g->items);
    g->items = g->ordered;
    g->ordered = (struct buf){0};
    gather_account(g);
    g->in_order = true;
    conn_touch(g->target.conn);
    return false;
}

/* It has been sent, or its client has left. */
static void many_leave(struct gather *g)
{
    struct io *io = g->target.io;
    list_remove(&g->link);
    slices_remove(&io->slices, &g->ordering);
    gather_let_go(g);
    gather_free(g);
    ticket_close(io);
}

static void many_left(struct ticket *t, struct conn *c)
{
    (void)c;
    many_leave(container_of(t, struct gather, ticket));
}

/* It waits until all before it is sent. */
static void many_is_ready(struct gather *g)
{
    static const struct ticket_kind kind = {.request = true, .owes = true, .left = many_left};
    struct conn *c = g->target.conn;
    if (!g->in_order && buf_grow(&g->ordered, g->items.size) != 0)
        g->rc = ERR_NOMEM;
    list_push_back(&c->ready, &g->link);
    c->more = true;
    ticket_open(&g->ticket, &kind, c, false);
    gather_account(g);
    if (!g->in_order)
        slices_add(&g->target.io->slices, &g->ordering);
    conn_touch(c);
}

bool many_send_ready(struct conn *c)
{
    struct gather *g = NULL;
    list_for_each (link, &c->ready) {
        g = container_of(link, struct gather, link);
        if (g->in_order)
            break;
        g = NULL;
    }
    if (!g)
        return false;
    if (g->rc != 0) {
        many_refuse(g);
    } else {
        conn_give_back(c);
        struct buf whole = g->items;
        gather_let_go(g);
        g->items = (struct buf){0};
        g->head = 0;
        whole.max = 0;
        c->out = whole;
    }
    ticket_done(&g->ticket, c);
    many_leave(g);
    return true;
}

/* All of its items are there. */
static __attribute__((noinline)) void many_end(struct gather *g)
{
    struct conn *c = g->target.conn;
    bool answers = c && c->state != CONN_BROKEN && !g->target.notify;
    if (answers && g->rc == 0 && gather_is_large(g)) {
        size_t more = g->in_order ? 0 : g->items.size;
        g->refused = !held_admits(g->target.io, more);
        if (!g->refused) {
            many_is_ready(g);
            return;
        }
    }
    gather_let_go(g);
    if (answers && (g->rc != 0 || g->refused))
        many_refuse(g);
    else if (answers)
        many_answer(g);
    gather_free(g);
}

struct gather *many_new(const struct target *t, uint32_t count)
{
    struct gather *g = gather_new(t, count, many_end);
    if (!g)
        return NULL;
    g->ordering.run = order_on_slice;
    g->rc = rpc_reply_head(&g->items, t->msgid) | mpw_array(&g->items, count);
    g->head = g->items.size;
    g->items.max += g->head;
    return g;
}
