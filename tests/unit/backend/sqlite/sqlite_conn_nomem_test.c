/* A query without one of the allocations that it asks for is whole or says so; the next one is
 * answered on the same connection. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend/sqlite/sqlite_conn.h"
#include "wire/json_read.h"

#include "backend/sqlite/sqlite_files.h"
#include "faulty.h"

static char path[128];
static struct sqlite_settings settings;
static struct sqlite_run run;

static bool never(const struct sqlite_run *r)
{
    (void)r;
    return false;
}

static int start(void **state)
{
    if (files_make(state) != 0)
        return -1;
    json_read_install(); /* as the server does it */
    snprintf(path, sizeof path, "%s", files_path("t.db"));
    files_sql(path, "CREATE TABLE t (id INTEGER PRIMARY KEY, j JSON, name TEXT);"
                    "INSERT INTO t VALUES (1, '{\"a\": [1, 2]}', 'one'), (2, NULL, 'two')");
    settings = (struct sqlite_settings){
        .path = path, .statements = 4, .max_result = 1 << 20, .busy_timeout_ms = 50};
    return 0;
}

static void ask(struct sqlite_conn *conn, const char *sql, struct slice params)
{
    buf_fini(&run.result);
    run = (struct sqlite_run){
        .sql = slice_str(sql), .params = params, .shape = CALL_ROWS, .given_up = never};
    buf_init(&run.result, settings.max_result);
    sqlite_conn_run(conn, &run);
}

#define SQL "SELECT id, j, name, $1 AS p FROM t WHERE name <> $2 ORDER BY name"
/* [{id = 1, j = {a = [1, 2]}, name = one, p = 7}, ...] */
#define WHOLE                                                                                      \
    "\x92\x84\xa2id\x01\xa1j\x81\xa1"                                                              \
    "a\x92\x01\x02\xa4name\xa3one\xa1p\xa7{\"k\":1}"                                               \
    "\x84\xa2id\x02\xa1j\xc0\xa4name\xa3two\xa1p\xa7{\"k\":1}"

static void is_whole(void)
{
    if (run.code != 0)
        fail_msg("%s", run.err.text);
    assert_true(slice_eq_str(buf_slice(&run.result), WHOLE));
}

/* fresh: each time on a new connection, whose opening asks for more. */
static int refusals(bool fresh)
{
    static const struct slice params = {"\x92\x81\xa1k\x01\xa1x", 7};
    struct sqlite_conn *conn = sqlite_conn_new(&settings);
    int count = 0;
    bool failed = true;
    assert_non_null(conn);
    for (int64_t nth = 1; failed; nth++) {
        if (fresh) {
            sqlite_conn_free(conn);
            conn = sqlite_conn_new(&settings);
        } else {
            ask(conn, "SELECT 1", slice_of("", 0)); /* it is open */
            settings.statements = 0;
            ask(conn, "SELECT 1", slice_of("", 0)); /* and keeps no statement */
            settings.statements = 4;
        }
        failed = FAULTY_WITHOUT(nth, 0, ask(conn, SQL, params));
        if (run.code == 0) { /* there was another way */
            is_whole();
            continue;
        }
        bool said = strstr(run.err.text, "no memory for ") || strstr(run.err.text, "no room for ");
        if (run.code != ERR_NOMEM || !said)
            fail_msg("allocation %d: %d %s", (int)nth, run.code, run.err.text);
        assert_int_equal(run.err.code, run.code);
        assert_true(run.err.text[0] != '\0');
        assert_int_equal(run.result.size, 0);
        count++;
        ask(conn, SQL, params);
        is_whole();
    }
    is_whole();
    sqlite_conn_free(conn);
    buf_fini(&run.result);
    buf_init(&run.result, 0);
    return count;
}

static void a_query_is_whole_or_says_so(void **state)
{
    (void)state;
    assert_true(refusals(false) > 10);
}

static void a_connection_opens_or_says_so(void **state)
{
    (void)state;
    assert_true(refusals(true) > 20);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(a_query_is_whole_or_says_so),
        cmocka_unit_test(a_connection_opens_or_says_so),
    };
    return cmocka_run_group_tests(tests, start, files_remove);
}
