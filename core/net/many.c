#include "net/many.h"

#include "wire/mpw.h"

#include <stdlib.h>

struct many {
    struct target target;
    struct buf items; /* packed items, in the order in which they came */
    uint32_t count, pending, came;
    bool in_order; /* they came in the order of their keys so far */
    int rc;
    struct {
        size_t offset, size;
    } at[];
};

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
    /* What may be unread when it is asked for, and it, come to max_output. */
    buf_init(&m->items, (size_t)t->io->snapshot->conf->max_output - t->io->out_pause);
    return m;
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
    m->target.conn = NULL;
}

/* Its bytes are not gathered for the connection any more. */
static void many_let_go(struct many *m)
{
    struct conn *c = m->target.conn;
    if (!c)
        return;
    c->gathered -= m->items.size;
    if (c->full)
        conn_touch(c);
}

static void many_answer(struct many *m)
{
    struct answer a;
    if (m->rc != 0) {
        struct err e;
        err_set(&e, ERR_TOO_LARGE,
                "get_many: an answer, beside those that wait, above max_output (%zu bytes)",
                (size_t)m->target.io->snapshot->conf->max_output);
        answer_error(&m->target, &e);
        return;
    }
    answer_begin(&a, &m->target);
    int rc = mpw_array(a.out, m->count);
    if (m->in_order)
        rc |= buf_append(a.out, m->items.data, m->items.size);
    for (uint32_t i = 0; i < m->count && !m->in_order; i++)
        rc |= buf_append(a.out, m->items.data + m->at[i].offset, m->at[i].size);
    answer_done(&a, rc);
}

struct buf *many_items(struct many *m)
{
    return &m->items;
}

const struct target *many_target(const struct many *m)
{
    return &m->target;
}

void many_release(struct many *m)
{
    if (--m->pending > 0)
        return;
    many_let_go(m);
    if (m->target.conn)
        many_answer(m);
    buf_fini(&m->items);
    free(m);
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
        if (__builtin_expect(c->gathered > CONN_NOBODY_PAUSE, 0))
            conn_fill_if(c);
    }
    if (m->rc != 0) { /* nothing of it will be answered */
        if (c)
            c->gathered -= m->items.size;
        buf_clear(&m->items);
    }
    many_release(m);
}
