#include "net/gather.h"

#include "net/held.h"

#include <stdlib.h>

#define LITTLE_BYTES ((size_t)16 * 1024) /* gathered, that fill no connection */

struct gather *gather_new(const struct target *t, uint32_t count, void (*end)(struct gather *g))
{
    struct gather *g = calloc(1, sizeof *g + count * sizeof g->at[0]);
    if (!g)
        return NULL;
    g->target = *t;
    g->target.form = FORM_VALUE;
    g->count = count;
    g->pending = count;
    g->in_order = true;
    g->watch = GATHER_UNTOLD;
    list_init(&g->link);
    list_init(&g->ordering.link);
    g->end = end;
    buf_init(&g->items, 0);
    /* What may be unread when it is asked for, and it, come to max_output. */
    g->items.max = (size_t)t->io->snapshot->conf->max_output - t->io->out_pause;
    return g;
}

static size_t bytes_of(const struct gather *g)
{
    return sizeof *g + g->count * sizeof g->at[0] + g->items.capacity + g->ordered.capacity;
}

void gather_account(struct gather *g)
{
    size_t now = bytes_of(g), before = g->held;
    g->held = now;
    g->watch = g->items.capacity;
    if (now > before)
        held_add(g->target.io, g->target.conn, LEDGER_GATHERED, now - before);
    else if (before > now)
        held_take(g->target.io, g->target.conn, LEDGER_GATHERED, before - now);
}

/* So much more will be there if those that are to come are as large as those that came: taken at
 * once it needs to be moved no more. */
static size_t room_for_rest(const struct gather *g)
{
    size_t whole = g->items.size / g->came * g->count;
    size_t most = whole < g->items.max ? whole : g->items.max;
    return most > g->items.capacity ? most - g->items.size : 0;
}

/* Its items have grown past what is written down; nothing of it will be answered where there is no
 * room for that. */
static __attribute__((noinline)) void grew(struct gather *g)
{
    size_t more = room_for_rest(g);
    if (more > 0 && held_admits(g->target.io, more + bytes_of(g) - g->held))
        g->rc |= buf_grow(&g->items, more);
    g->refused = !held_admits(g->target.io, bytes_of(g) - g->held);
    if (g->refused)
        g->rc |= ERR_OVERLOADED;
    else
        gather_account(g);
}

void gather_hold(struct gather *g)
{
    g->pending++;
}

void gather_cut(struct gather *g, uint32_t count)
{
    g->pending -= count;
}

void gather_client_left(struct gather *g)
{
    if (g->target.conn)
        held_part(g->target.conn, g->held);
    g->target.conn = NULL;
}

static size_t gathered_of(const struct gather *g)
{
    return g->items.size - g->head;
}

void gather_let_go(struct gather *g)
{
    struct conn *c = g->target.conn;
    if (!c)
        return;
    c->gathered -= gathered_of(g);
    if (c->halts & CONN_HALT_FULL)
        conn_touch(c);
}

void gather_free(struct gather *g)
{
    if (g->held > 0)
        held_take(g->target.io, g->target.conn, LEDGER_GATHERED, g->held);
    buf_fini(&g->items);
    buf_fini(&g->ordered);
    free(g);
}

void gather_release(struct gather *g)
{
    if (--g->pending == 0)
        g->end(g);
}

static void shrink(struct gather *g)
{
    if (g->items.capacity <= GATHER_UNTOLD)
        return;
    buf_fini(&g->items);
    if (g->held > 0)
        gather_account(g);
    g->watch = GATHER_UNTOLD;
}

/* Its connection has gathered more than a little, which is no more than the least max_output. */
static __attribute__((noinline)) void fills(struct gather *g, struct conn *c)
{
    if (c->gathered > (size_t)g->target.io->snapshot->conf->max_output)
        g->rc |= ERR_TOO_LARGE;
    conn_fill_if(c);
}

void gather_item_done(struct gather *g, uint32_t index, size_t offset, int rc)
{
    struct conn *c = g->target.conn;
    g->in_order &= index == g->came++;
    g->at[index].offset = offset;
    g->at[index].size = g->items.size - offset;
    g->rc |= rc;
    if (c) {
        c->gathered += g->at[index].size;
        if (__builtin_expect(c->gathered > LITTLE_BYTES, 0))
            fills(g, c);
    }
    if (__builtin_expect(g->items.capacity > g->watch, 0))
        grew(g);
    if (g->rc != 0) { /* nothing of it will be answered */
        if (c)
            c->gathered -= gathered_of(g);
        g->head = 0;
        buf_clear(&g->items);
        shrink(g);
    }
    if (--g->pending == 0)
        g->end(g);
}
