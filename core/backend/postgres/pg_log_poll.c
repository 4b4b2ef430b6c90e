#include "backend/postgres/pg_log_poll.h"

#include "backend/postgres/pg_log_sql.h"

#include <stdio.h>

/* Who hears of rows. */
struct sink {
    bool standby;
    void (*notified)(void *arg, struct slice event);
    void *arg;
};

void pg_log_poll_init(struct pg_log_poll *p)
{
    *p = (struct pg_log_poll){.stated = false};
    pg_place_init(&p->next);
}

void pg_log_poll_fini(struct pg_log_poll *p)
{
    pg_place_fini(&p->next);
}

void pg_log_poll_begin(struct pg_log_poll *p)
{
    p->stated = false;
    p->found = 0;
    p->after.count = 0;
    pg_place_forget(&p->next);
}

void pg_log_poll_done(struct pg_log_poll *p, struct pg_place *place)
{
    struct pg_place last = *place;
    *place = p->next;
    p->next = last;
    p->before = p->after;
}

static struct slice column(const PGresult *res, int row, int i)
{
    return slice_of(PQgetvalue(res, row, i), (size_t)PQgetlength(res, row, i));
}

static void take_doubt(struct pg_log_poll *p, const PGresult *res, int row)
{
    (void)!pg_place_take_doubt(&p->next, column(res, row, PG_LOG_XMAX),
                               column(res, row, PG_LOG_DOUBT));
}

static void take_state(struct pg_log_poll *p, const PGresult *res, int row)
{
    struct pg_place *next = &p->next;
    next->standby = PQgetvalue(res, row, PG_LOG_STANDBY)[0] == 't';
    snprintf(next->log, sizeof next->log, "%s", PQgetvalue(res, row, PG_LOG_ID));
    snprintf(next->missed, sizeof next->missed, "%s", PQgetvalue(res, row, PG_LOG_MISSED));
    next->identity = (struct identity){.wal_end = 0};
    for (int part = 0; part < PG_IDENTITY_PARTS; part++)
        pg_identity_take(&next->identity, (enum pg_identity_part)part,
                         column(res, row, PG_LOG_IDENTITY + part));
    p->stated = pg_place_number(column(res, row, PG_LOG_PURGED), &p->purged_below) &&
                pg_place_number(column(res, row, PG_LOG_BEGUN), &p->begun);
    if (!next->standby)
        (void)!pg_place_take(next, column(res, row, PG_LOG_SNAPSHOT));
}

static bool told_has(const struct pg_log_told *t, uint64_t xid)
{
    for (size_t i = t->count; i > 0; i--)
        if (t->xids[i - 1] == xid)
            return true;
    return false;
}

static void told_add(struct pg_log_told *t, uint64_t xid)
{
    if (t->count < PG_LOG_TWICE && !told_has(t, xid))
        t->xids[t->count++] = xid;
}

static void take_row(struct pg_log_poll *p, const PGresult *res, int row, const struct sink *to)
{
    uint64_t xid;
    bool known = to->standby && pg_place_number(column(res, row, PG_LOG_XID), &xid);
    p->found++;
    if (known && !pg_place_has(&p->next, xid))
        told_add(&p->after, xid);
    if (!known || !told_has(&p->before, xid))
        to->notified(to->arg, column(res, row, PG_LOG_EVENT));
}

void pg_log_poll_take(struct pg_log_poll *p, const PGresult *res, bool standby,
                      void (*notified)(void *arg, struct slice event), void *arg)
{
    const struct sink to = {standby, notified, arg};
    for (int row = 0; row < PQntuples(res); row++)
        switch (PQnfields(res)) {
        case PG_LOG_DOUBT_COLUMNS: take_doubt(p, res, row); break;
        case PG_LOG_STATE_COLUMNS: take_state(p, res, row); break;
        case PG_LOG_ROW_COLUMNS: take_row(p, res, row, &to); break;
        default: break;
        }
}

const char *pg_log_poll_why(const struct pg_log_poll *poll, const struct pg_place *p)
{
    const struct pg_place *next = &poll->next;
    if (p->standby != next->standby)
        return next->standby ? "a standby answers" : "a primary answers";
    if (!identity_same(&p->identity, &next->identity))
        return "another history of commits answers";
    if (strcmp(p->log, next->log) != 0)
        return "the log is another one, or somebody emptied it";
    if (p->xmin < poll->purged_below)
        return "what was not read yet is purged";
    return "a change could not be logged";
}
