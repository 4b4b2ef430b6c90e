#include "backend/sqlite/sqlite_conn.h"

#include "backend/sql.h"
#include "backend/sqlite/sqlite_beside.h"
#include "backend/sqlite/sqlite_file.h"
#include "backend/sqlite/sqlite_init.h"
#include "backend/sqlite/sqlite_stmt.h"
#include "base/clock.h"
#include "base/hash.h"
#include "base/log.h"
#include "wire/mp.h"
#include "wire/mpw.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#define BUCKETS 256 /* of statements */
/* Bytes of one value, and of one row, inside SQLite: so many times max_result. */
#define VALUE_TIMES 4
#define VALUE_LEAST ((size_t)1024 * 1024)
#define VALUE_MOST  ((size_t)1000 * 1000 * 1000)

#define PROGRESS_STEPS 1000 /* of SQLite's machine between two looks at given_up: some 10 us */

struct sqlite_conn {
    const struct sqlite_settings *settings;
    sqlite3 *db;             /* NULL: not open */
    struct sqlite_file file; /* as it was before it was opened */
    char *real;              /* its path without links; owned; NULL: not open */
    struct sqlite_run *running;
    const char *refused; /* what the authorizer refused of the statement being prepared */
    int64_t busy_until_ms;
    int64_t changes; /* rows that it had changed when the running query began */
    size_t statements;
    struct list lru; /* the most recently used in front */
    struct sqlite_stmt *buckets[BUCKETS];
};

struct sqlite_conn *sqlite_conn_new(const struct sqlite_settings *s)
{
    struct sqlite_conn *c = calloc(1, sizeof *c);
    if (!c)
        return NULL;
    c->settings = s;
    list_init(&c->lru);
    return c;
}

size_t sqlite_conn_statements(const struct sqlite_conn *c)
{
    return c->statements;
}

/* ---- statements ---- */

static void statement_drop(struct sqlite_conn *c, struct sqlite_stmt *s)
{
    struct sqlite_stmt **at = &c->buckets[s->hash % BUCKETS];
    while (*at != s)
        at = &(*at)->next;
    *at = s->next;
    list_remove(&s->lru);
    sqlite_stmt_free(s);
    c->statements--;
}

static void statements_trim(struct sqlite_conn *c, size_t most)
{
    while (c->statements > most)
        statement_drop(c, container_of(c->lru.prev, struct sqlite_stmt, lru));
}

static int statement_get(struct sqlite_conn *c, struct slice sql, struct sqlite_stmt **out,
                         struct err *e)
{
    uint64_t hash = hash_slice(sql, 0);
    struct sqlite_stmt *s = c->buckets[hash % BUCKETS];
    while (s && !(s->hash == hash && slice_eq(sql, slice_of(s->sql, s->sql_size))))
        s = s->next;
    if (!s) {
        c->refused = NULL;
        int code = sqlite_stmt_new(&s, c->db, sql, hash, e);
        if (code != 0 && c->refused)
            return err_set(e, ERR_BAD_REQUEST, "%s is refused: %s", c->refused,
                           "a query is one transaction and leaves its connection as it was");
        if (code != 0)
            return code;
        s->next = c->buckets[hash % BUCKETS];
        c->buckets[hash % BUCKETS] = s;
        c->statements++;
    }
    list_remove(&s->lru);
    list_push_front(&c->lru, &s->lru);
    *out = s;
    return 0;
}

/* ---- the connection ---- */

/* As long as the file that was replaced is open no other gets its number. */
static void drop_beside(const struct sqlite_conn *c)
{
    if (c->real && sqlite_beside_drop(c->real))
        log_info("sqlite.replaced", "path=%s", log_q(c->settings->path));
}

static void forget_path(struct sqlite_conn *c)
{
    free(c->real);
    c->real = NULL;
}

static void conn_close(struct sqlite_conn *c)
{
    statements_trim(c, 0);
    if (!c->db)
        return;
    drop_beside(c);
    sqlite3_close(c->db);
    c->db = NULL;
    forget_path(c);
    if (c->running)
        c->running->closed++;
}

void sqlite_conn_free(struct sqlite_conn *c)
{
    if (!c)
        return;
    conn_close(c);
    free(c);
}

static bool conn_given_up(const struct sqlite_conn *c)
{
    return c->running && c->running->given_up(c->running);
}

static int conn_on_progress(void *arg)
{
    return conn_given_up(arg);
}

/* Waits for a lock of another connection: as sqlite3_busy_timeout, but it sees that a query is
 * given up. */
static int conn_on_busy(void *arg, int count)
{
    struct sqlite_conn *c = arg;
    int64_t now = clock_ms();
    if (count == 0)
        c->busy_until_ms = now + c->settings->busy_timeout_ms;
    if (now >= c->busy_until_ms || conn_given_up(c))
        return 0;
    poll(NULL, 0, count < 10 ? 1 + count : 20);
    return 1;
}

static bool pragma_only_reads(const char *name, const char *value)
{
    static const char *const with_value[] = {"table_info",      "table_xinfo", "table_list",
                                             "index_list",      "index_info",  "index_xinfo",
                                             "foreign_key_list"};
    for (size_t i = 0; i < sizeof with_value / sizeof with_value[0]; i++)
        if (strcasecmp(name, with_value[i]) == 0)
            return true;
    return !value && strcasecmp(name, "incremental_vacuum") != 0;
}

/* Refuses what would outlive its query on a connection that all queries share, and what would reach
 * other files. */
static int conn_on_authorize(void *arg, int action, const char *a, const char *b,
                             const char *schema, const char *trigger)
{
    struct sqlite_conn *c = arg;
    (void)schema, (void)trigger;
    switch (action) {
    case SQLITE_TRANSACTION: c->refused = a; break; /* BEGIN, COMMIT or ROLLBACK */
    case SQLITE_SAVEPOINT: c->refused = "SAVEPOINT"; break;
    case SQLITE_ATTACH: c->refused = "ATTACH (or VACUUM)"; break;
    case SQLITE_DETACH: c->refused = "DETACH"; break;
    case SQLITE_PRAGMA:
        if (pragma_only_reads(a, b))
            return SQLITE_OK;
        c->refused = "a PRAGMA that changes a setting";
        break;
    default: return SQLITE_OK;
    }
    return SQLITE_DENY;
}

/* Turns WAL on where the file takes it. A file that is read-only stays as it is, and one that
 * another connection has open just now stays so until the next open: the mode is for speed alone,
 * and that connection may be one of ours that is idle and has yet to see that the file changed. */
static int conn_use_wal(struct sqlite_conn *c)
{
    sqlite3_busy_handler(c->db, NULL, NULL);
    int rc = sqlite3_exec(c->db, "PRAGMA journal_mode = WAL", NULL, NULL, NULL);
    sqlite3_busy_handler(c->db, conn_on_busy, c);
    return (rc & 0xFF) == SQLITE_READONLY || (rc & 0xFF) == SQLITE_BUSY ? SQLITE_OK : rc;
}

/* Values that a query makes on its way may be larger than what it answers, within reason. */
static int longest_value(const struct sqlite_settings *s)
{
    if (s->max_result == 0 || s->max_result > VALUE_MOST / VALUE_TIMES)
        return VALUE_MOST;
    size_t bytes = s->max_result * VALUE_TIMES;
    return (int)(bytes > VALUE_LEAST ? bytes : VALUE_LEAST);
}

static int conn_set_up(struct sqlite_conn *c)
{
    sqlite3_limit(c->db, SQLITE_LIMIT_LENGTH, longest_value(c->settings));
    sqlite3_progress_handler(c->db, PROGRESS_STEPS, conn_on_progress, c);
    int rc = sqlite3_db_config(c->db, SQLITE_DBCONFIG_DEFENSIVE, 1, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_exec(c->db, "PRAGMA foreign_keys = ON", NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = conn_use_wal(c);
    if (rc == SQLITE_OK) /* the file is read here at the latest */
        rc = sqlite3_exec(c->db, "SELECT 1 FROM sqlite_schema LIMIT 1", NULL, NULL, NULL);
    if (rc == SQLITE_OK)
        rc = sqlite3_set_authorizer(c->db, conn_on_authorize, c);
    return rc;
}

static int conn_make_file(const struct sqlite_settings *s, struct err *e)
{
    if (access(s->path, F_OK) == 0 || errno != ENOENT)
        return 0;
    if (!s->init)
        return err_set(e, ERR_BACKEND_DOWN, "cannot open %s: %s, and no init file is named",
                       s->path, strerror(ENOENT));
    return sqlite_init_make(s->path, s->init, e);
}

static int conn_open(struct sqlite_conn *c, struct err *e)
{
    const struct sqlite_settings *s = c->settings;
    int code = conn_make_file(s, e);
    if (code != 0)
        return code;
    c->real = realpath(s->path, NULL);
    drop_beside(c);
    c->file = sqlite_file_look(s->path); /* what changes from here on is seen at the next query */
    const int flags = SQLITE_OPEN_READWRITE | SQLITE_OPEN_NOMUTEX | SQLITE_OPEN_EXRESCODE;
    int rc = sqlite3_open_v2(s->path, &c->db, flags, NULL);
    if (rc == SQLITE_OK)
        rc = conn_set_up(c);
    if (rc == SQLITE_OK) {
        if (c->real)
            sqlite_beside_look(c->real, &c->file);
        c->running->opened++;
        return 0;
    }
    code = sqlite_stmt_failed(c->db, rc, e);
    if (code == ERR_BACKEND)
        code = err_set(e, ERR_BACKEND_DOWN, "%s", c->db ? sqlite3_errmsg(c->db) : "no memory");
    err_prefix(e, "cannot open %s", s->path);
    sqlite3_close(c->db);
    c->db = NULL;
    forget_path(c);
    return code;
}

/* A connection whose file is not what the path leads to any more, or was written over, is given
 * up. */
static void conn_look(struct sqlite_conn *c)
{
    if (!c->db)
        return;
    struct sqlite_file now = sqlite_file_look(c->settings->path);
    if (!sqlite_file_unchanged(&c->file, &now))
        conn_close(c);
}

/* ---- a query ---- */

/* What became of the running query, a step of which failed. */
static enum call_fate fate_of(const struct sqlite_conn *c, int rc)
{
    if ((rc & 0xFF) == SQLITE_IOERR) /* in part it may be found in the log of the file */
        return CALL_SENT;
    /* INSERT OR FAIL, and RAISE(FAIL) of a trigger, leave the rows before the one that failed. */
    return sqlite3_total_changes64(c->db) != c->changes ? CALL_DONE
                                                        : sql_fate_undone(c->running->sql);
}

/* A step; whether there is a row. */
static int step(struct sqlite_conn *c, struct sqlite_stmt *s, bool *row, struct err *e)
{
    int rc = sqlite3_step(s->raw);
    *row = rc == SQLITE_ROW;
    if (rc == SQLITE_ROW || rc == SQLITE_DONE)
        return 0;
    c->running->fate = fate_of(c, rc);
    return sqlite_stmt_failed(c->db, rc, e);
}

/* Runs what changes something to its end, also where one row of RETURNING is enough. */
static int step_to_end(struct sqlite_conn *c, struct sqlite_stmt *s, bool row, struct err *e)
{
    int code = 0;
    while (code == 0 && row)
        code = step(c, s, &row, e);
    return code;
}

static int fetch_first(struct sqlite_conn *c, struct sqlite_stmt *s, struct sqlite_run *run)
{
    bool row;
    struct err *e = &run->err;
    int code = step(c, s, &row, e);
    if (code != 0 || !row)
        return code;
    code = sqlite_stmt_look(s, e);
    if (code == 0)
        code = run->shape == CALL_ROW ? sqlite_stmt_pack_row(s, &run->result, e)
                                      : sqlite_stmt_pack_value(s, &run->result, e);
    if (code == 0 && !sqlite3_stmt_readonly(s->raw))
        code = step_to_end(c, s, row, e);
    run->found = code == 0;
    return code;
}

static int fetch_rows(struct sqlite_conn *c, struct sqlite_stmt *s, struct sqlite_run *run)
{
    bool row = true;
    size_t at;
    uint32_t count = 0;
    int code = mpw_array_open(&run->result, &at);
    if (code != 0)
        return err_set(&run->err, code, "no room for a result (max_result)");
    while ((code = step(c, s, &row, &run->err)) == 0 && row) {
        if (count++ == 0 && (code = sqlite_stmt_look(s, &run->err)) != 0)
            return code;
        if ((code = sqlite_stmt_pack_row(s, &run->result, &run->err)) != 0)
            return code;
    }
    if (code == 0)
        mpw_array_close(&run->result, at, count);
    return code;
}

static int execute(struct sqlite_conn *c, struct sqlite_stmt *s, struct sqlite_run *run)
{
    int code = step_to_end(c, s, true, &run->err);
    if (code != 0)
        return code;
    /* sqlite3_changes keeps the last statement's count where this one changes no rows. */
    bool changed = sqlite3_total_changes64(c->db) != c->changes;
    code = mpw_int(&run->result, changed ? sqlite3_changes64(c->db) : 0);
    return code != 0 ? err_set(&run->err, code, "no room for a result (max_result)") : 0;
}

static int run_statement(struct sqlite_conn *c, struct sqlite_stmt *s, struct sqlite_run *run)
{
    if (run->shape == CALL_TYPES)
        return 0;
    int code = sqlite_stmt_bind(s, run->params, &run->err);
    if (code == 0) {
        run->fate = CALL_DONE; /* unless a step fails */
        c->changes = sqlite3_total_changes64(c->db);
        switch (run->shape) {
        case CALL_ROW:
        case CALL_VALUE: code = fetch_first(c, s, run); break;
        case CALL_ROWS: code = fetch_rows(c, s, run); break;
        case CALL_COUNT: code = execute(c, s, run); break;
        case CALL_TYPES: break;
        }
    }
    sqlite3_reset(s->raw);
    sqlite3_clear_bindings(s->raw);
    return code;
}

static int conn_query(struct sqlite_conn *c, struct sqlite_run *run)
{
    struct sqlite_stmt *s = NULL;
    struct err *e = &run->err;
    if (conn_given_up(c))
        return err_set(e, ERR_CANCELLED, "the query was given up");
    if (run->sql.size > 0 && memchr(run->sql.data, '\0', run->sql.size))
        return err_set(e, ERR_BAD_REQUEST, "a NUL byte in the query");
    if (!mp_utf8_valid(run->sql))
        return err_set(e, ERR_BAD_REQUEST, "the query is not UTF-8");
    conn_look(c);
    int code = c->db ? 0 : conn_open(c, e);
    if (code == 0)
        code = statement_get(c, run->sql, &s, e);
    if (code == 0)
        code = run_statement(c, s, run);
    return code;
}

void sqlite_conn_run(struct sqlite_conn *c, struct sqlite_run *run)
{
    c->running = run;
    err_clear(&run->err);
    run->found = false;
    run->fate = CALL_UNSENT;
    run->code = conn_query(c, run);
    if (run->code != 0)
        run->result.size = 0;
    statements_trim(c, c->settings->statements);
    int last = c->db && run->code != 0 ? sqlite3_errcode(c->db) & 0xFF : SQLITE_OK;
    if (last == SQLITE_IOERR || last == SQLITE_CORRUPT || last == SQLITE_NOTADB ||
        last == SQLITE_CANTOPEN)
        conn_close(c);
    c->running = NULL;
}
