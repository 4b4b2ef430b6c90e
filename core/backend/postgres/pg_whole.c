/*
 * pg_whole: whether the rows of an answer come one by one or all at once.
 *
 * How they come is to be said when the query becomes the one whose results are read: one by one,
 * for which libpq makes an object of each, or all at once where they are few. Where they turn out
 * to be many the query runs again; so only those come at once of which it was shown that nobody can
 * tell how often they ran.
 */
#include "backend/postgres/pg_whole.h"

#include "backend/postgres/pg_step.h"
#include "base/memory.h"

/* A statement whose last answer had no more is expected to have few rows again, and may take so
 * much memory of libpq. */
#define FEW_ROWS  1000
#define FEW_BYTES (64U << 10)
#define WHOLE_MAX (1U << 20)

void pg_whole_begin(struct pg_conn *c)
{
    struct pg_call *call = pg_step_call(c);
    c->whole = call && call->shares && call->stmt->few && !call->stmt->many && !call->many &&
               memory_is_counted();
    c->taken = 0;
    if (call && !c->whole)
        (void)PQsetSingleRowMode(c->pg);
}

bool pg_whole_is_past(struct pg_conn *c, uint64_t took)
{
    c->taken += took;
    return c->taken > WHOLE_MAX;
}

void pg_whole_learn(struct pg_call *call)
{
    struct pg_stmt *st = call->stmt;
    st->few = st->reads && call->rows.count <= FEW_ROWS && call->q->result.size <= FEW_BYTES;
}
