/*
 * pg_step: whether the results that came are those of the steps that were sent.
 *
 * libpq tells results in the order in which they come. Where one is missing, or one more has come,
 * all that follows would be taken for another step's; so each has as many as its kind has.
 */
#include "backend/postgres/pg_step.h"

struct pg_step *pg_step_oldest(const struct pg_conn *c)
{
    return container_of(c->steps.next, struct pg_step, link);
}

struct pg_step *pg_step_next(const struct pg_step *step)
{
    return container_of(step->link.next, struct pg_step, link);
}

struct pg_call *pg_step_call(const struct pg_conn *c)
{
    return c->at && c->at->kind == PG_STEP_RUN ? container_of(c->at, struct pg_call, step) : NULL;
}

/* A description is a Parse and a Describe. */
static unsigned results_of(const struct pg_step *step)
{
    return step->kind == PG_STEP_DESCRIBE ? 2 : 1;
}

bool pg_step_has_all(const struct pg_step *step)
{
    return step->results == results_of(step);
}

void pg_step_count(struct pg_step *step)
{
    if (!pg_step_has_all(step))
        step->results++;
}

bool pg_step_answered(const struct pg_conn *c)
{
    const struct pg_step *step = pg_step_oldest(c);
    while (pg_step_has_all(step)) {
        if (step->ends)
            return true;
        step = pg_step_next(step);
    }
    return false;
}
