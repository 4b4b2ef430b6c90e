#include "backend/postgres/pg_share.h"

#include "backend/postgres/pg_print.h"

#include "base/clock.h"

#include <string.h>

#define WAIT_MS 250

static bool same_oids(const Oid *a, int a_count, const Oid *b, int b_count)
{
    return a && b && a_count == b_count && memcmp(a, b, (size_t)a_count * sizeof *a) == 0;
}

static bool same_types(const struct pg_desc *a, const struct pg_desc *b)
{
    return same_oids(a->param_types, a->params, b->param_types, b->params) &&
           same_oids(a->column_types, a->columns, b->column_types, b->columns);
}

static bool is_answered(const struct pg_pool *p, const struct pg_stmt *st)
{
    return (st->pure.state == PG_PURE_YES || st->pure.state == PG_PURE_NO) &&
           pg_print_is_any(st->pure.print) && st->pure.generation == st->generation &&
           pg_print_is_fresh(p, st->pure.asked_ms);
}

/* It may stand behind a slow query: one that does not come soon is not waited for. */
static bool is_asking(const struct pg_pool *p, const struct pg_stmt *st)
{
    return st->pure.asking && pg_print_is_fresh(p, st->pure.sent_ms) &&
           clock_ms() - st->pure.sent_ms < WAIT_MS;
}

enum pg_share pg_share_find(const struct pg_conn *c, const struct pg_stmt *st, struct pg_pure *out)
{
    const struct pg_pool *p = c->pool;
    bool known = pg_print_is_fresh(p, c->print_ms), asking = false, answered = false;
    if (!p->prepared || (known && !pg_print_is_any(c->print)))
        return PG_SHARE_NONE;
    for (unsigned i = 0; i < p->conn_count; i++) {
        const struct pg_conn *other = &p->conns[i];
        const struct pg_stmt *its = NULL;
        if (other != c && other->state == PG_READY)
            its = pg_stmt_peek(&other->stmts, st);
        if (!its || !same_types(&its->desc, &st->desc))
            continue;
        asking = asking || is_asking(p, its);
        if (!is_answered(p, its))
            continue;
        answered = true;
        if (known && pg_print_equal(its->pure.print, c->print)) {
            *out = its->pure;
            if (c->print_ms < out->asked_ms)
                out->asked_ms = c->print_ms;
            return PG_SHARE_FOUND;
        }
    }
    if (!known && (asking || answered))
        return PG_SHARE_UNKNOWN;
    return asking ? PG_SHARE_AWAITED : PG_SHARE_NONE;
}
