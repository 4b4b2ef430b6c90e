#include "backend/sqlite/sqlite_stmt.h"

#include "wire/mp.h"
#include "wire/mpw.h"

#include <stdlib.h>
#include <string.h>

#define PARAMS_MAX 32766

int sqlite_stmt_failed(sqlite3 *db, int rc, struct err *e)
{
    int code;
    switch (rc & 0xFF) {
    case SQLITE_NOMEM: return err_set(e, ERR_NOMEM, "no memory for SQLite");
    case SQLITE_INTERRUPT: return err_set(e, ERR_CANCELLED, "the query was given up");
    case SQLITE_TOOBIG:
        return err_set(e, ERR_TOO_LARGE,
                       "too big: a value or a row of more than %d bytes (4 x max_result)",
                       db ? sqlite3_limit(db, SQLITE_LIMIT_LENGTH, -1) : 0);
    case SQLITE_BUSY:
    case SQLITE_CANTOPEN:
    case SQLITE_IOERR: code = ERR_BACKEND_DOWN; break;
    default: code = ERR_BACKEND; break;
    }
    err_set(e, code, "%s", db ? sqlite3_errmsg(db) : sqlite3_errstr(rc));
    int kind = rc & 0xFF;
    e->sick = kind == SQLITE_FULL || kind == SQLITE_CORRUPT || kind == SQLITE_NOTADB ||
              kind == SQLITE_PROTOCOL;
    return code;
}

/* ---- prepare ---- */

/* The number in "$7"; 0 where it is none, or past PARAMS_MAX. */
static unsigned dollar_number(const char *name)
{
    char *end;
    if (name[0] != '$' || name[1] < '1' || name[1] > '9')
        return 0;
    unsigned long n = strtoul(name + 1, &end, 10);
    return *end == '\0' && n <= PARAMS_MAX ? (unsigned)n : 0;
}

/* Learns which numbers the parameters have. */
static int stmt_number(struct sqlite_stmt *s, struct err *e)
{
    int count = sqlite3_bind_parameter_count(s->raw);
    int dollars = 0, others = 0;
    unsigned highest = 0;
    for (int i = 1; i <= count; i++) {
        const char *name = sqlite3_bind_parameter_name(s->raw, i);
        unsigned n = name ? dollar_number(name) : 0;
        if (name && name[0] != '?' && n == 0)
            return err_set(e, ERR_BAD_REQUEST,
                           "parameter \"%s\": parameters are written $1, $2, ... or ?", name);
        dollars += n > 0;
        others += n == 0;
        highest = n > highest ? n : highest;
    }
    if (dollars > 0 && others > 0)
        return err_set(e, ERR_BAD_REQUEST, "parameters are written $1, $2, ... or ?, not both");
    s->params = dollars > 0 ? highest : (unsigned)count;
    if (dollars == 0)
        return 0;
    s->index_of = calloc(highest, sizeof *s->index_of);
    if (!s->index_of)
        return err_set(e, ERR_NOMEM, "no memory for a statement");
    for (int i = 1; i <= count; i++)
        s->index_of[dollar_number(sqlite3_bind_parameter_name(s->raw, i)) - 1] = i;
    return 0;
}

/* Whether something other than blanks and comments follows the first statement. */
static int check_tail(sqlite3 *db, const char *tail, const char *end, struct err *e)
{
    while (tail < end) {
        sqlite3_stmt *more = NULL;
        const char *next = end;
        int rc = sqlite3_prepare_v2(db, tail, (int)(end - tail), &more, &next);
        sqlite3_finalize(more);
        if (rc != SQLITE_OK || more)
            return err_set(e, ERR_BAD_REQUEST, "more than one statement in a query");
        tail = next > tail ? next : end;
    }
    return 0;
}

static int stmt_prepare(struct sqlite_stmt *s, sqlite3 *db, struct err *e)
{
    const char *tail = NULL;
    int rc = sqlite3_prepare_v3(db, s->sql, (int)s->sql_size + 1, SQLITE_PREPARE_PERSISTENT,
                                &s->raw, &tail);
    if (rc != SQLITE_OK)
        return sqlite_stmt_failed(db, rc, e);
    if (!s->raw)
        return err_set(e, ERR_BAD_REQUEST, "a query without a statement");
    int code = check_tail(db, tail, s->sql + s->sql_size, e);
    return code != 0 ? code : stmt_number(s, e);
}

int sqlite_stmt_new(struct sqlite_stmt **out, sqlite3 *db, struct slice sql, uint64_t hash,
                    struct err *e)
{
    *out = NULL;
    if (sql.size >= (size_t)sqlite3_limit(db, SQLITE_LIMIT_SQL_LENGTH, -1))
        return err_set(e, ERR_TOO_LARGE, "a query of %zu bytes", sql.size);
    struct sqlite_stmt *s = calloc(1, sizeof *s + sql.size + 1);
    if (!s)
        return err_set(e, ERR_NOMEM, "no memory for a statement");
    list_init(&s->lru);
    s->hash = hash;
    s->columns_seen = -1;
    s->sql_size = sql.size;
    if (sql.size > 0)
        memcpy(s->sql, sql.data, sql.size);
    int code = stmt_prepare(s, db, e);
    if (code != 0)
        sqlite_stmt_free(s);
    else
        *out = s;
    return code;
}

static void columns_drop(struct sqlite_stmt *s)
{
    for (int i = 0; s->columns && i < s->column_count; i++)
        free(s->columns[i].name);
    free(s->columns);
    s->columns = NULL;
    s->twice = NULL;
    s->column_count = 0;
    s->columns_seen = -1;
}

void sqlite_stmt_free(struct sqlite_stmt *s)
{
    if (!s)
        return;
    sqlite3_finalize(s->raw);
    columns_drop(s);
    free(s->index_of);
    free(s);
}

/* ---- parameters ---- */

int sqlite_stmt_bind(struct sqlite_stmt *s, struct slice params, struct err *e)
{
    struct mp_reader r = mp_reader_of(params);
    struct mp_token head = {.type = MP_ARRAY};
    if (params.size > 0 && (mp_next(&r, &head) != MP_OK || head.type != MP_ARRAY))
        return err_set(e, ERR_BACKEND, "the parameters are no array");
    if (head.count != s->params)
        return err_set(e, ERR_BAD_REQUEST, "the query takes %u parameter%s, %u %s given", s->params,
                       s->params == 1 ? "" : "s", head.count, head.count == 1 ? "was" : "were");
    for (unsigned n = 1; n <= head.count; n++) {
        struct slice value;
        if (mp_take(&r, &value) != MP_OK)
            return err_set(e, ERR_BACKEND, "parameter %u: malformed MessagePack", n);
        int index = s->index_of ? s->index_of[n - 1] : (int)n;
        int code = index > 0 ? sqlite_value_bind(s->raw, index, n, value, e) : 0;
        if (code != 0)
            return code;
    }
    return 0;
}

/* ---- columns ---- */

/* A name that two columns have, or NULL. */
static const char *name_twice(const struct sqlite_stmt *s)
{
    for (int i = 1; i < s->column_count; i++)
        for (int j = 0; j < i; j++)
            if (strcmp(s->columns[i].name, s->columns[j].name) == 0)
                return s->columns[i].name;
    return NULL;
}

int sqlite_stmt_look(struct sqlite_stmt *s, struct err *e)
{
    int seen = sqlite3_stmt_status(s->raw, SQLITE_STMTSTATUS_REPREPARE, 0);
    if (s->columns_seen == seen)
        return 0;
    columns_drop(s);
    int count = sqlite3_column_count(s->raw);
    s->columns = calloc((size_t)count + 1, sizeof *s->columns);
    if (!s->columns)
        return err_set(e, ERR_NOMEM, "no memory for %d columns", count);
    s->column_count = count;
    for (int i = 0; i < count; i++) {
        const char *name = sqlite3_column_name(s->raw, i);
        s->columns[i].name = name ? strdup(name) : NULL;
        s->columns[i].kind = sqlite_value_kind(sqlite3_column_decltype(s->raw, i));
        if (!s->columns[i].name) {
            columns_drop(s);
            return err_set(e, ERR_NOMEM, "no memory for %d columns", count);
        }
    }
    s->columns_seen = seen;
    s->twice = name_twice(s);
    return 0;
}

static int pack_column(struct sqlite_stmt *s, int i, struct buf *out, struct err *e)
{
    struct err own;
    struct err *err = e ? e : &own;
    err_clear(err);
    int code = sqlite_value_pack(s->raw, i, s->columns[i].kind, out, err);
    if (code == 0)
        return 0;
    if (code == ERR_TOO_LARGE)
        return err_set(err, code, "the result takes more than %zu bytes (max_result)", out->max);
    if (err->code == 0)
        err_set(err, code, "no memory for a result");
    err_prefix(err, "column \"%s\"", s->columns[i].name);
    return code;
}

int sqlite_stmt_pack_row(struct sqlite_stmt *s, struct buf *out, struct err *e)
{
    if (s->twice)
        return err_set(e, ERR_BAD_REQUEST, "two columns are named \"%s\": name one with AS",
                       s->twice);
    int code = mpw_map(out, (uint32_t)s->column_count);
    for (int i = 0; code == 0 && i < s->column_count; i++) {
        code = mpw_cstr(out, s->columns[i].name);
        if (code == 0) {
            code = pack_column(s, i, out, e);
            if (code != 0)
                return code;
        }
    }
    if (code == ERR_TOO_LARGE)
        return err_set(e, code, "the result takes more than %zu bytes (max_result)", out->max);
    return code != 0 ? err_set(e, code, "no memory for a result") : 0;
}

int sqlite_stmt_pack_value(struct sqlite_stmt *s, struct buf *out, struct err *e)
{
    return pack_column(s, 0, out, e);
}
