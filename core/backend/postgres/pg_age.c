#include "backend/postgres/pg_age.h"

#include "base/clock.h"

bool pg_age_is_young(const struct pg_conn *c, const struct pg_stmt *st)
{
    const struct pg_pool *p = c->pool;
    return st->described && st->described_ms >= p->changed_ms &&
           clock_ms() - st->described_ms < p->statement_age_ms;
}

bool pg_age_is_due(const struct pg_conn *c, const struct pg_stmt *st)
{
    return !st->describing && !list_empty(&st->lru) &&
           clock_ms() - st->described_ms >= c->pool->statement_age_ms / 2;
}

void pg_age_hint(struct pg_pool *p, const struct pg_stmt *st, int64_t seen_ms)
{
    if (st->changed && st->described_ms >= p->changed_ms) /* else it was known to be old */
        p->changed_ms = seen_ms;
}

void pg_age_doubt(const struct pg_conn *c, struct pg_stmt *st)
{
    st->described_ms = clock_ms() - c->pool->statement_age_ms;
}
