#include "backend/postgres/pg_print.h"

#include "backend/sql.h"
#include "base/clock.h"
#include "base/hash.h"

#include <stdio.h>
#include <stdlib.h>

/* Whatever may stand in search_path: all that is called here is PostgreSQL's own. A text that is
 * long counts as none. The process comes first: a question that is sent once more may have gone to
 * another session, as any may behind a pooler. */
#define COLUMNS                                                                                    \
    "pg_catalog.pg_backend_pid()::pg_catalog.text, "                                               \
    "(SELECT CASE WHEN pg_catalog.octet_length(p) OPERATOR(pg_catalog.<=) 512 THEN p END "         \
    "FROM (SELECT CASE WHEN pg_catalog.pg_my_temp_schema() OPERATOR(pg_catalog.=) 0 THEN ROW("     \
    "pg_catalog.inet_server_addr(), pg_catalog.inet_server_port(), "                               \
    "pg_catalog.pg_postmaster_start_time(), pg_catalog.current_database(), session_user, "         \
    "current_user, pg_catalog.current_schemas(true), "                                             \
    "pg_catalog.current_setting('transaction_isolation'))::pg_catalog.text END) session(p))"

/* The question to one session. */
struct print_question {
    struct call q;
    struct pg_conn *conn; /* its pool outlives the question */
    int64_t asked_ms;
};

const char *pg_print_columns(void)
{
    return COLUMNS;
}

static bool is_process(struct slice text, int pid)
{
    char own[16];
    snprintf(own, sizeof own, "%d", pid);
    return slice_eq(text, slice_str(own));
}

bool pg_print_read(const struct pg_conn *c, struct mp_reader *r, struct pg_print *out)
{
    struct mp_token process, print;
    *out = (struct pg_print){0, 0};
    if (mp_next(r, &process) != MP_OK || mp_next(r, &print) != MP_OK || process.type != MP_STR)
        return false;
    if (print.type == MP_STR && is_process(process.bytes, PQbackendPID(c->pg))) {
        XXH128_hash_t hash = XXH3_128bits(print.bytes.data, print.bytes.size);
        *out = (struct pg_print){hash.high64, hash.low64};
    }
    return true;
}

bool pg_print_is_any(struct pg_print print)
{
    return print.high != 0 || print.low != 0;
}

bool pg_print_equal(struct pg_print a, struct pg_print b)
{
    return pg_print_is_any(a) && a.high == b.high && a.low == b.low;
}

bool pg_print_is_fresh(const struct pg_pool *p, int64_t asked_ms)
{
    return asked_ms != PG_PRINT_NEVER && asked_ms >= p->changed_ms &&
           clock_ms() - asked_ms < p->statement_age_ms / 2;
}

void pg_print_take(struct pg_conn *c, struct pg_print print, int64_t asked_ms)
{
    c->print = print;
    c->print_ms = asked_ms;
}

static void on_answer(struct call *q)
{
    struct print_question *n = container_of(q, struct print_question, q);
    struct mp_reader r = mp_reader_of(buf_slice(&q->result));
    struct mp_token both;
    struct pg_print print = {0, 0};
    if (q->code == 0 && q->found && mp_next(&r, &both) == MP_OK && both.type == MP_ARRAY)
        (void)pg_print_read(n->conn, &r, &print);
    n->conn->print_asking = false;
    pg_print_take(n->conn, print, n->asked_ms);
    buf_fini(&q->result);
    free(n);
}

struct pg_call *pg_print_ask(struct pg_conn *c)
{
    struct print_question *n = c->print_asking ? NULL : calloc(1, sizeof *n);
    struct pg_call *call = n ? calloc(1, sizeof *call) : NULL;
    if (!call) {
        free(n);
        return NULL;
    }
    n->conn = c;
    n->asked_ms = clock_ms();
    n->q.text = slice_str("SELECT ARRAY[" COLUMNS "]");
    n->q.verb = SQL_VALUE;
    n->q.shape = CALL_VALUE;
    n->q.done = on_answer;
    call_reset(&n->q, c->pool->max_result);
    call->q = &n->q;
    call->own = true;
    n->q.driver = call;
    c->print_asking = true;
    return call;
}
