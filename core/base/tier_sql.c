#include "base/tier_sql.h"

#include "base/sql_name.h"

#include <stdio.h>

#define LOCK_CLASS 0x7274 /* of the advisory lock under which one server cleans */

/* By enum tier_write_array. */
static const struct column {
    const char *name, *type, *sqlite; /* as the table has it; NULL: of the original table */
    const char *array, *put;          /* of PostgreSQL's unnest, and how a row takes it */
} columns[TIER_WRITE_ARRAYS] = {
    [TIER_WRITE_KEY] = {"cache_key", NULL, NULL, "text", "u.cache_key"},
    [TIER_WRITE_VALUE] = {"value", NULL, NULL, "text", "u.value::jsonb"},
    [TIER_WRITE_VERSION] = {"version_id", NULL, NULL, "bigint", "u.version_id"},
    [TIER_WRITE_LOADED] = {"loaded_at", NULL, NULL, "bigint", "to_timestamp(u.loaded_at / 1000.0)"},
    [TIER_WRITE_EXPIRES] = {"expires_at", NULL, NULL, "bigint",
                            "to_timestamp(u.expires_at / 1000.0)"},
    [TIER_WRITE_PACKED] = {"packed", "bytea", "BLOB", "bytea", "u.packed"},
    [TIER_WRITE_TAGS] = {"tags", "text[]", "JSON", "text", "u.tags::text[]"},
    [TIER_WRITE_GONE] = {"gone", "boolean NOT NULL DEFAULT false", "BOOLEAN NOT NULL DEFAULT 0",
                         "boolean", "u.gone"},
    [TIER_WRITE_STALE] = {"stale_ms", "bigint", "INTEGER", "bigint", "u.stale_ms"},
    [TIER_WRITE_KEEP] = {"keep_ms", "bigint", "INTEGER", "bigint", "u.keep_ms"},
    [TIER_WRITE_LOAD] = {"load_us", "bigint", "INTEGER", "bigint", "u.load_us"},
    [TIER_WRITE_SINCE] = {"since", "bigint", "INTEGER", "bigint", "u.since"},
    [TIER_WRITE_SEEN] = {"seen", "bigint", "INTEGER", "bigint", "u.seen"},
    [TIER_WRITE_UNTIL] = {"until_ms", "bigint", "INTEGER", "bigint", "u.until_ms"},
    [TIER_WRITE_PRINT] = {"print", "bigint", "INTEGER", "bigint", "u.print"},
};

static int put(struct buf *out, const char *text)
{
    return buf_append(out, text, strlen(text));
}

static int put_table(struct buf *out, const struct sql_name *name)
{
    return sql_name_put_beside(out, name, name->text[name->parts - 1]);
}

static int put_names(struct buf *out)
{
    int rc = 0;
    for (size_t i = 0; i < TIER_WRITE_ARRAYS; i++)
        rc |= buf_printf(out, "%s, ", columns[i].name);
    return rc | put(out, "node, incarnation");
}

/* A later row takes the place of an earlier one by its version, never by its arrival. A mark
 * without a version is about every row that is there, whose height stays; one that names a version
 * leaves what is as new. A mark whose time is over is nothing. */
static int put_conflict(struct buf *out, const char *now)
{
    int rc = put(out, " ON CONFLICT (cache_key) DO UPDATE SET ");
    for (size_t i = 0; i < TIER_WRITE_ARRAYS; i++)
        if (i == TIER_WRITE_VERSION)
            rc |= put(out, "version_id = CASE WHEN excluded.gone THEN "
                           "coalesce(excluded.version_id, e.version_id) "
                           "ELSE excluded.version_id END, ");
        else if (i != TIER_WRITE_KEY)
            rc |= buf_printf(out, "%s = excluded.%s, ", columns[i].name, columns[i].name);
    rc |= put(out, "node = excluded.node, incarnation = excluded.incarnation "
                   "WHERE (excluded.gone AND excluded.version_id IS NULL) "
                   "OR e.version_id IS NULL OR excluded.version_id > e.version_id "
                   "OR (excluded.version_id = e.version_id AND NOT excluded.gone) ");
    return rc | buf_printf(out, "OR (e.gone AND e.expires_at <= %s)", now);
}

/* In the order of the keys, so that two servers that write the same rows do not wait for one
 * another in a circle. */
static int put_write(struct buf *out, const struct sql_name *name)
{
    int rc = put(out, "INSERT INTO ") | put_table(out, name) | put(out, " AS e (");
    rc |= put_names(out) | put(out, ") SELECT ");
    for (size_t i = 0; i < TIER_WRITE_ARRAYS; i++)
        rc |= buf_printf(out, "%s, ", columns[i].put);
    rc |= buf_printf(out, "$%d::text, $%d::bigint FROM unnest(", TIER_WRITE_ARRAYS + 1,
                     TIER_WRITE_ARRAYS + 2);
    for (size_t i = 0; i < TIER_WRITE_ARRAYS; i++)
        rc |= buf_printf(out, "%s$%zu::%s[]", i > 0 ? ", " : "", i + 1, columns[i].array);
    rc |= put(out, ") AS u(");
    for (size_t i = 0; i < TIER_WRITE_ARRAYS; i++)
        rc |= buf_printf(out, "%s%s", i > 0 ? ", " : "", columns[i].name);
    return rc | put(out, ") ORDER BY u.cache_key") | put_conflict(out, "now()");
}

int tier_sql_write_rows(struct buf *out, const char *table, size_t rows, struct err *e)
{
    struct sql_name name;
    int rc = sql_name_read(&name, table, e);
    if (rc != 0)
        return rc;
    size_t number = 3;
    rc = put(out, "INSERT INTO ") | put_table(out, &name) | put(out, " AS e (");
    rc |= put_names(out) | put(out, ") VALUES ");
    for (size_t row = 0; row < rows; row++) {
        rc |= put(out, row > 0 ? ",(" : "(");
        for (size_t i = 0; i < TIER_WRITE_ARRAYS; i++)
            rc |= buf_printf(out, "?%zu,", number++);
        rc |= put(out, "?1,?2)");
    }
    rc |= put_conflict(out, "strftime('%Y-%m-%d %H:%M:%f', 'now')");
    return rc == 0 ? 0 : err_set(e, ERR_NOMEM, "no memory for a statement");
}

/* ---- reading ---- */

#define OF_ROW                                                                                     \
    "e.packed, e.version_id, e.tags, e.stale_ms, e.keep_ms, e.load_us, e.incarnation, e.since, "   \
    "e.seen, e.until_ms, e.print, "

static const char *const times[] = {
    [TIER_POSTGRES] = "(extract(epoch FROM e.loaded_at) * 1000)::bigint AS loaded_ms, "
                      "(extract(epoch FROM e.expires_at) * 1000)::bigint AS expires_ms",
    [TIER_SQLITE] = "CAST((julianday(e.loaded_at) - 2440587.5) * 86400000 + 0.5 AS INTEGER) "
                    "AS loaded_ms, CAST((julianday(e.expires_at) - 2440587.5) * 86400000 + 0.5 "
                    "AS INTEGER) AS expires_ms",
};

/* Rows that somebody else put in may have any time. */
static const char *const is_value[] = {
    [TIER_POSTGRES] = " WHERE NOT e.gone AND e.packed IS NOT NULL AND isfinite(e.loaded_at) AND "
                      "isfinite(e.expires_at)",
    [TIER_SQLITE] = " WHERE NOT e.gone AND e.packed IS NOT NULL",
};

static int put_read(struct buf *out, enum tier_dialect d, const struct sql_name *name)
{
    static const char *const place[] = {"k.i", "k.key + 1 AS i"};
    static const char *const keys[] = {"unnest($1::text[]) WITH ORDINALITY AS k(value, i)",
                                       "json_each(?1) AS k"};
    int rc = buf_printf(out, "SELECT %s, " OF_ROW "%s FROM %s JOIN ", place[d], times[d], keys[d]);
    rc |= put_table(out, name) | put(out, " AS e ON e.cache_key = k.value");
    return rc | put(out, is_value[d]);
}

static int put_page(struct buf *out, enum tier_dialect d, const struct sql_name *name, bool first)
{
    static const char *const at[] = {"e.expires_at::text AS at", "e.expires_at AS at"};
    static const char *const behind[] = {
        " AND (e.expires_at, e.cache_key) < ($2::text::timestamptz, $3::text)",
        " AND (e.expires_at, e.cache_key) < (?2, ?3)"};
    static const char *const most[] = {" LIMIT $1::bigint", " LIMIT ?1"};
    int rc = buf_printf(out, "SELECT e.cache_key, %s, " OF_ROW "%s FROM ", at[d], times[d]);
    rc |= put_table(out, name) | put(out, " AS e") | put(out, is_value[d]);
    rc |= first ? 0 : put(out, behind[d]);
    return rc | put(out, " ORDER BY e.expires_at DESC, e.cache_key DESC") | put(out, most[d]);
}

/* ---- cleaning ---- */

static int put_clean_postgres(struct buf *out, const struct sql_name *name, struct slice quoted)
{
    const char *over = "expires_at < to_timestamp($1::bigint / 1000.0)";
    int rc = buf_printf(out, "WITH l AS MATERIALIZED (SELECT pg_try_advisory_xact_lock(%d, ",
                        LOCK_CLASS);
    rc |= sql_put_literal(out, quoted) | put(out, "::regclass::oid::int) AS mine) DELETE FROM ");
    rc |= put_table(out, name) | buf_printf(out, " WHERE %s AND cache_key IN (", over);
    rc |= put(out, "SELECT cache_key FROM ") | put_table(out, name);
    return rc | buf_printf(out, " WHERE %s AND (SELECT mine FROM l) ORDER BY expires_at LIMIT %d)",
                           over, TIER_SQL_CLEAN);
}

static int put_clean_sqlite(struct buf *out, const struct sql_name *name)
{
    int rc = put(out, "DELETE FROM ") | put_table(out, name);
    rc |= put(out, " WHERE cache_key IN (SELECT cache_key FROM ") | put_table(out, name);
    return rc | buf_printf(out,
                           " WHERE expires_at < strftime('%%Y-%%m-%%d %%H:%%M:%%f', ?1 / 1000.0, "
                           "'unixepoch') ORDER BY expires_at LIMIT %d)",
                           TIER_SQL_CLEAN);
}

static int put_size(struct buf *out, enum tier_dialect d, struct slice quoted)
{
    if (d == TIER_SQLITE)
        return put(out, "SELECT (p.page_count - f.freelist_count) * s.page_size FROM "
                        "pragma_page_count() AS p, pragma_freelist_count() AS f, "
                        "pragma_page_size() AS s");
    return put(out, "SELECT pg_total_relation_size(") | sql_put_literal(out, quoted) |
           put(out, "::regclass)");
}

int tier_sql_init(struct tier_sql *s, enum tier_dialect d, const char *table, struct err *e)
{
    struct sql_name name;
    struct buf quoted;
    *s = (struct tier_sql){.dialect = d};
    int rc = sql_name_read(&name, table, e);
    if (rc != 0)
        return rc;
    buf_init(&quoted, 0);
    rc = put_table(&quoted, &name);
    rc |= d == TIER_POSTGRES ? put_write(&s->write, &name) : 0;
    rc |= put_read(&s->read, d, &name);
    rc |= put_page(&s->first, d, &name, true) | put_page(&s->next, d, &name, false);
    rc |= d == TIER_POSTGRES ? put_clean_postgres(&s->clean, &name, buf_slice(&quoted))
                             : put_clean_sqlite(&s->clean, &name);
    rc |= put_size(&s->size, d, buf_slice(&quoted));
    buf_fini(&quoted);
    return rc == 0 ? 0 : err_set(e, ERR_NOMEM, "no memory for the statements of the tier");
}

void tier_sql_fini(struct tier_sql *s)
{
    buf_fini(&s->write);
    buf_fini(&s->read);
    buf_fini(&s->first);
    buf_fini(&s->next);
    buf_fini(&s->clean);
    buf_fini(&s->size);
}

/* ---- the table ---- */

static int put_columns(struct buf *out, enum tier_dialect d)
{
    int rc = 0;
    for (size_t i = 0; i < TIER_WRITE_ARRAYS; i++)
        if (columns[i].type)
            rc |= buf_printf(out, ",\n  %-11s %s", columns[i].name,
                             d == TIER_POSTGRES ? columns[i].type : columns[i].sqlite);
    const char *number = d == TIER_POSTGRES ? "bigint" : "INTEGER";
    return rc | buf_printf(out, ",\n  %-11s %s,\n  %-11s %s", "node",
                           d == TIER_POSTGRES ? "text" : "TEXT", "incarnation", number);
}

static int put_index(struct buf *out, const struct sql_name *name)
{
    char index[SQL_NAME_MAX + 1];
    snprintf(index, sizeof index, "%.40s_expires_at", name->text[name->parts - 1]);
    int rc = put(out, "CREATE INDEX IF NOT EXISTS ") | sql_put_quoted(out, slice_str(index), '"');
    return rc | put(out, " ON ") | put_table(out, name) | put(out, " (expires_at);\n");
}

/* A table with the original's columns alone gets the others. */
static int put_added(struct buf *out, const struct sql_name *name)
{
    int rc = put(out, "ALTER TABLE ") | put_table(out, name);
    for (size_t i = 0; i < TIER_WRITE_ARRAYS; i++)
        if (columns[i].type)
            rc |= buf_printf(out, "\n  ADD COLUMN IF NOT EXISTS %s %s,", columns[i].name,
                             columns[i].type);
    return rc | put(out, "\n  ADD COLUMN IF NOT EXISTS node text,"
                         "\n  ADD COLUMN IF NOT EXISTS incarnation bigint;\n");
}

int tier_sql_table(struct buf *out, enum tier_dialect d, const char *table, struct err *e)
{
    static const char *const heads[] = {
        "-- The tier of rtcache, see docs/tier.md. UNLOGGED: no WAL is written for it, and "
        "PostgreSQL\n"
        "-- empties it after a crash of its own. A standby cannot read it.\n"
        "CREATE UNLOGGED TABLE IF NOT EXISTS ",
        "-- The tier of rtcache, see docs/tier.md. Times are in UTC.\nCREATE TABLE IF NOT EXISTS ",
    };
    static const char *const originals[] = {
        " (\n  cache_key   text PRIMARY KEY,\n  value       jsonb NOT NULL,\n"
        "  version_id  bigint,\n  loaded_at   timestamptz NOT NULL DEFAULT now(),\n"
        "  expires_at  timestamptz NOT NULL",
        " (\n  cache_key   TEXT PRIMARY KEY,\n  value       TEXT NOT NULL,\n"
        "  version_id  INTEGER,\n  loaded_at   TEXT NOT NULL DEFAULT "
        "(strftime('%Y-%m-%d %H:%M:%f', 'now')),\n  expires_at  TEXT NOT NULL",
    };
    struct sql_name name;
    int rc = sql_name_read(&name, table, e);
    if (rc != 0)
        return rc;
    rc = put(out, heads[d]) | put_table(out, &name) | put(out, originals[d]);
    rc |= put_columns(out, d) | put(out, "\n);\n");
    rc |= d == TIER_POSTGRES ? put_added(out, &name) : 0;
    rc |= put_index(out, &name);
    return rc == 0 ? 0 : err_set(e, ERR_NOMEM, "no memory for the table's SQL");
}
