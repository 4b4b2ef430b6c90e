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
    buf_init(&m->items, (size_t)t->io->snapshot->conf->max_output);
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

static void many_answer(struct many *m)
{
    struct answer a;
    if (m->rc != 0) {
        struct err e;
        err_set(&e, ERR_TOO_LARGE, "get_many: an answer above max_output (%zu bytes)",
                m->items.max);
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
    if (m->target.conn)
        many_answer(m);
    buf_fini(&m->items);
    free(m);
}

void many_item_done(struct many *m, uint32_t index, size_t offset, int rc)
{
    m->rc |= rc;
    m->in_order &= index == m->came++;
    m->at[index].offset = offset;
    m->at[index].size = m->items.size - offset;
    many_release(m);
}
