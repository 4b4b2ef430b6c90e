#include "backend/postgres/pg_log_sql.h"

#include "backend/postgres/pg_missed.h"
#include "base/sql_name.h"

#include <inttypes.h>
#include <stdio.h>

static int put_part(struct buf *out, const struct sql_name *log, const char *more)
{
    char name[2 * SQL_NAME_MAX];
    snprintf(name, sizeof name, "%s%s", log->text[log->parts - 1], more);
    return sql_name_put_beside(out, log, name) | buf_append(out, "", 1);
}

int pg_log_sql_init(struct pg_log_sql *q, const char *log, const char *channel, struct err *e)
{
    struct sql_name name;
    struct buf *const all[] = {&q->log, &q->meta, &q->purge, &q->channel};
    for (size_t i = 0; i < sizeof all / sizeof *all; i++)
        buf_init(all[i], 0);
    int rc = sql_name_read(&name, log, e);
    if (rc != 0)
        return rc;
    rc = put_part(&q->log, &name, "") | put_part(&q->meta, &name, "_meta");
    rc |= put_part(&q->purge, &name, "_purge");
    rc |= sql_put_literal(&q->channel, slice_str(channel)) | buf_append(&q->channel, "", 1);
    if (rc == 0)
        return 0;
    pg_log_sql_fini(q);
    return err_set(e, ERR_NOMEM, "no memory for a feed");
}

void pg_log_sql_fini(struct pg_log_sql *q)
{
    buf_fini(&q->log);
    buf_fini(&q->meta);
    buf_fini(&q->purge);
    buf_fini(&q->channel);
}

/* clang-format off */
#define DOUBT                                                                                      \
    "SELECT s.low::text, s.high::text,"                                                            \
    " (SELECT string_agg(x::text, ',' ORDER BY x) FROM"                                            \
    "  (SELECT generate_series(greatest(s.low, '%" PRIu64 "'::bigint), s.high - 1)"                \
    "   UNION ALL SELECT unnest('{%s}'::bigint[])) AS c(x)"                                        \
    "  WHERE x >= s.low AND pg_xact_status(x::text::xid8) = 'in progress')"                        \
    " FROM (SELECT pg_snapshot_xmin(p)::text::bigint AS low,"                                      \
    "  pg_snapshot_xmax(p)::text::bigint AS high FROM pg_current_snapshot() AS p) AS s; "
/* clang-format on */

/* Of what the last place was in doubt about, and of what has begun since. */
static int put_doubt(struct buf *out, const struct pg_place *from)
{
    return buf_printf(
        out, "BEGIN TRANSACTION ISOLATION LEVEL READ COMMITTED READ ONLY; " DOUBT "COMMIT; ",
        pg_place_known(from) ? from->xmax : 0, pg_place_list(from));
}

/* A snapshot ends with what has ended; those behind it may be under way. */
#define BEGUN                                                                                      \
    "(SELECT (x::text::bigint + age(x::xid))::text FROM pg_snapshot_xmax(pg_current_snapshot())"   \
    " AS x)"

static int put_state(const struct pg_log_sql *q, struct buf *out, const bool *may)
{
    int rc = buf_printf(out, "SELECT pg_current_snapshot()::text, pg_is_in_recovery(),"
                             " m.purged_below::text, m.id || '/' || d.oid, " PG_MISSED ", " BEGUN);
    for (int part = 0; part < PG_IDENTITY_PARTS; part++)
        rc |= buf_printf(out, ", %s",
                         may[part] ? pg_identity_expression((enum pg_identity_part)part) : "''");
    return rc | buf_printf(out,
                           " FROM %s AS m, pg_catalog.pg_database AS d"
                           " WHERE d.datname = current_database(); ",
                           q->meta.data);
}

/* By the index, whatever the planner knows of a table that is filled and emptied all the time; what
 * claims to be of a transaction that has not begun yet was copied from another cluster. */
static int put_rows(const struct pg_log_sql *q, struct buf *out, const struct pg_place *from)
{
    return buf_printf(out,
                      "SET LOCAL enable_seqscan = off; SET LOCAL jit = off;"
                      " SELECT l.e::text, l.xid::text FROM %s AS l WHERE l.channel = %s"
                      " AND l.xid >= '%" PRIu64 "'::xid8"
                      " AND NOT pg_visible_in_snapshot(l.xid, '%s'::pg_snapshot)"
                      " AND l.xid < pg_snapshot_xmax(pg_current_snapshot()); ",
                      q->log.data, q->channel.data, from->xmin, from->snapshot.data);
}

int pg_log_sql_poll(const struct pg_log_sql *q, struct buf *out, const bool *may, bool standby,
                    const struct pg_place *from)
{
    buf_clear(out);
    int rc = standby ? put_doubt(out, from) : 0;
    rc |= buf_printf(out, "BEGIN TRANSACTION ISOLATION LEVEL REPEATABLE READ READ ONLY; ");
    rc |= put_state(q, out, may);
    if (pg_place_known(from))
        rc |= put_rows(q, out, from);
    rc |= buf_printf(out, "COMMIT") | buf_append(out, "", 1);
    return rc == 0 ? 0 : ERR_NOMEM;
}

int pg_log_sql_purge(const struct pg_log_sql *q, struct buf *out, int64_t keep_ms, int most)
{
    buf_clear(out);
    int rc = buf_printf(out, "SELECT %s(interval '%" PRId64 " milliseconds', %d)", q->purge.data,
                        keep_ms, most);
    rc |= buf_append(out, "", 1);
    return rc == 0 ? 0 : ERR_NOMEM;
}
