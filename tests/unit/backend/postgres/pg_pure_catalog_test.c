/* What the database's catalog says of a statement: that it reads plain tables, or why not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "backend/postgres/pg_pure_catalog.h"
#include "pg_fixture.h"

static struct {
    struct fixture *f;
    PGconn *pg; /* prepares what is asked about */
} here;

static void run(const char *sql)
{
    PGresult *res = PQexec(here.pg, sql);
    ExecStatusType status = PQresultStatus(res);
    if (status != PGRES_COMMAND_OK && status != PGRES_TUPLES_OK)
        fail_msg("%s: %s", sql, PQerrorMessage(here.pg));
    PQclear(res);
}

/* The question's parameters for a statement, or "" in reason where the grammar says no. */
static int pack(const char *sql, struct buf *out, char *reason, size_t size)
{
    struct pg_pure_tree t;
    struct err e;
    Oid columns[64], params[16];
    int rc = pg_pure_tree_init(&t, sql, &e);
    if (rc != 0) {
        snprintf(reason, size, "the grammar: %s", e.text);
        pg_pure_tree_fini(&t);
        return rc;
    }
    PGresult *res = PQprepare(here.pg, "", sql, 0, NULL);
    if (PQresultStatus(res) != PGRES_COMMAND_OK)
        fail_msg("%s: %s", sql, PQerrorMessage(here.pg));
    PQclear(res);
    res = PQdescribePrepared(here.pg, "");
    struct pg_pure_types c = {columns, PQnfields(res)}, p = {params, PQnparams(res)};
    for (int i = 0; i < c.count; i++)
        columns[i] = PQftype(res, i);
    for (int i = 0; i < p.count; i++)
        params[i] = PQparamtype(res, i);
    PQclear(res);
    assert_int_equal(pg_pure_catalog_pack(&t, c, p, out), 0);
    pg_pure_tree_fini(&t);
    return 0;
}

/* The whole verdict: "" where the statement may share a transaction. */
static void judge(const char *sql, char *reason, size_t size)
{
    struct ask a;
    struct buf params;
    buf_init(&params, 0);
    reason[0] = '\0';
    if (pack(sql, &params, reason, size) == 0) {
        ask_init(&a, CALL_VALUE, "", NULL);
        a.q.text = pg_pure_catalog_sql();
        a.q.params = buf_slice(&params);
        ask_wait(here.f, &a);
        struct mp_reader r = mp_reader_of(buf_slice(&a.q.result));
        struct mp_token t;
        if (a.q.code != 0)
            fail_msg("%s: %s", sql, a.q.err.text);
        if (a.q.found && mp_next(&r, &t) == MP_OK)
            snprintf(reason, size, "%.*s", SLICE_ARG(t.bytes));
        ask_fini(&a);
    }
    buf_fini(&params);
}

/* why: a part of the reason; NULL: it may share. */
static void expect(const char *sql, const char *why)
{
    char reason[512];
    judge(sql, reason, sizeof reason);
    if (!why && reason[0])
        fail_msg("%s: %s", sql, reason);
    if (why && !strstr(reason, why))
        fail_msg("%s: '%s' is not in '%s'", sql, why, reason);
}

static const char *const tables =
    "CREATE TYPE mood AS ENUM ('good', 'bad');"
    "CREATE TYPE pair AS (a int, b int);"
    "CREATE TYPE span AS RANGE (subtype = int);"
    "CREATE FUNCTION speaks(int) RETURNS bool LANGUAGE plpgsql IMMUTABLE AS"
    " $$BEGIN PERFORM set_config('a.b', 'c', true); RETURN true; END$$;"
    "CREATE DOMAIN checked AS int CHECK (speaks(VALUE));"
    "CREATE DOMAIN unchecked AS int;"
    "CREATE TABLE teams (id int PRIMARY KEY, name text);"
    "CREATE TABLE users (id bigint PRIMARY KEY, name varchar(40) NOT NULL, team_id int REFERENCES "
    "teams,"
    " tags text[], moods mood[], mood mood, at timestamptz DEFAULT now(), born date, extra jsonb, "
    "raw bytea,"
    " score numeric CHECK (score > 0), key uuid DEFAULT gen_random_uuid(), range int4range,"
    " twice bigint GENERATED ALWAYS AS (id * 2) STORED);"
    "CREATE INDEX ON users (lower(name)) WHERE team_id IS NOT NULL;"
    "CREATE TABLE odd (id int, p pair, d checked, u unchecked, r regclass, s span, z timetz, c "
    "text);"
    "CREATE VIEW shown AS SELECT id, speaks(1) AS name FROM teams;"
    "CREATE VIEW plain AS SELECT id, name FROM teams;"
    "CREATE MATERIALIZED VIEW kept AS SELECT id, name FROM teams;"
    "CREATE SEQUENCE numbers;"
    "CREATE TABLE guarded (id int, name text); ALTER TABLE guarded ENABLE ROW LEVEL SECURITY;"
    "CREATE TABLE parted (id int, name text) PARTITION BY RANGE (id);"
    "CREATE TABLE parted_1 PARTITION OF parted FOR VALUES FROM (0) TO (10);"
    "CREATE TABLE half (id int, name text) PARTITION BY LIST (id);"
    "CREATE TABLE half_1 PARTITION OF half FOR VALUES IN (1) PARTITION BY LIST (id);"
    "CREATE TABLE half_1_1 PARTITION OF half_1 DEFAULT;"
    "ALTER TABLE half_1_1 ENABLE ROW LEVEL SECURITY;"
    "CREATE TABLE parent (id int); CREATE TABLE child (x int) INHERITS (parent);"
    "CREATE FUNCTION fullname(users) RETURNS text LANGUAGE sql AS $$SELECT 'x'$$;"
    "CREATE TABLE doubted (id int CHECK (speaks(1)), name text);"
    "CREATE TABLE indexed (id int, name text); CREATE INDEX ON indexed (id) WHERE speaks(1);"
    "CREATE TABLE weighed (id int, name text); CREATE STATISTICS weight ON speaks(id), name FROM "
    "weighed;"
    "CREATE SCHEMA other; CREATE TABLE other.users (id int, name text);"
    "CREATE TABLE \"Odd\"\" name\" (\"a b\" int);"
    "CREATE FUNCTION other.upper(mood) RETURNS text LANGUAGE sql AS $$SELECT 'x'$$;"
    "CREATE FUNCTION other.reverse(odd) RETURNS text LANGUAGE sql AS $$SELECT 'x'$$;"
    "CREATE FUNCTION cut(int, pair) RETURNS int LANGUAGE sql AS $$SELECT 1$$;"
    "CREATE OPERATOR # (LEFTARG = int, RIGHTARG = pair, FUNCTION = cut);"
    "CREATE FUNCTION less(int, int) RETURNS int LANGUAGE sql AS $$SELECT 1$$;"
    "CREATE OPERATOR other.- (LEFTARG = int, RIGHTARG = int, FUNCTION = less);"
    "CREATE OPERATOR <<@ (LEFTARG = int, RIGHTARG = int, FUNCTION = less);";

static void what_reads_plain_tables_may_share(void **state)
{
    (void)state;
    expect("SELECT id, name FROM users WHERE id = $1", NULL);
    expect("SELECT * FROM users WHERE id = ANY($1)", NULL);
    expect("SELECT u.*, t.name AS team FROM users u LEFT JOIN teams t ON t.id = u.team_id"
           " WHERE u.id = $1::bigint ORDER BY team LIMIT 1",
           NULL);
    expect("TABLE teams", NULL);
    expect("SELECT \"a b\" FROM \"Odd\"\" name\"", NULL);
    expect("SELECT o.name FROM other.users o, users u WHERE o.id = u.id", NULL);
    expect("SELECT name FROM kept WHERE id = $1", NULL);
    expect("SELECT name FROM parted WHERE id = $1", NULL);
    expect("SELECT id FROM parent", NULL);
    expect("SELECT twice, id::text, $1::numeric(10, 2), $2::mood, $3::mood[] FROM users", NULL);
    expect(
        "SELECT count(*), json_agg(name ORDER BY id), max(at), lower(name) FROM users"
        " WHERE mood = 'good' AND 'x' = ANY(tags) AND extra ->> 'a' = $1 AND name LIKE $2"
        " AND at > '2020-01-01' AND born < DATE '2020-01-01' AND 1 <@ range GROUP BY lower(name)",
        NULL);
    expect("SELECT at AT TIME ZONE 'UTC', extract(epoch FROM at), date_trunc('day', at) FROM users",
           NULL);
    expect("SELECT id, c FROM odd", NULL);    /* the odd ones are not read */
    expect("SELECT id # 1 FROM users", NULL); /* the other # is of a type of its own */
    expect("SELECT reverse(name) FROM users", NULL);
    expect("SELECT 1 / $1::int", NULL);
}

static void names_that_are_something_else_stay_alone(void **state)
{
    (void)state;
    expect("SELECT name FROM shown WHERE id = $1", "shown is a view");
    expect("SELECT name FROM plain WHERE id = $1", "plain is a view");
    expect("SELECT last_value FROM numbers", "numbers is no table");
    expect("SELECT relname FROM pg_class", "of the system");
    expect("SELECT locktype FROM pg_locks", "pg_locks");
    expect("SELECT table_name FROM information_schema.tables", "tables");
    expect("SELECT name FROM guarded WHERE id = $1", "guarded has row-level security");
    expect("SELECT u.id FROM users u JOIN guarded g ON g.id = u.id", "guarded has row-level");
    expect("SELECT name FROM half WHERE id = $1", "half_1_1 has row-level security");
    expect("SELECT u.fullname FROM users u", "has no column fullname");
    expect("SELECT p FROM odd", "type pair");
    expect("SELECT * FROM odd", "is of the type");
    expect("SELECT d FROM odd", "type checked");
    expect("SELECT u FROM odd", "type unchecked");
    expect("SELECT id FROM odd WHERE z = $1", "time with time zone");
    expect("SELECT id FROM odd WHERE s @> 1", "type span");
    expect("SELECT r FROM odd", "regclass");
    expect("SELECT $1::checked", "checked");
    expect("SELECT $1::text::regclass", "regclass");
    expect("SELECT 'users'::regclass", "regclass");
    expect("SELECT name FROM users WHERE at > $1", "may be \"now\"");
    expect("SELECT name FROM users WHERE born = ANY($1)", "may be \"now\"");
    expect("SELECT c::date FROM odd", "may be \"now\"");
    expect("SELECT '[2020-01-01,2020-02-01)'::daterange && c::daterange FROM odd",
           "may be \"now\"");
    expect("SELECT name FROM doubted WHERE id = $1", "speaks");
    expect("SELECT name FROM indexed WHERE id = $1", "speaks");
    expect("SELECT name FROM weighed WHERE id = $1", "speaks");
    expect("SELECT id <<@ 1 FROM odd", "<<@ is not built in");
    expect("SELECT id - 1 FROM odd", "has the name of a built-in one");
    expect("SELECT upper(c) FROM odd", "has the name of a built-in one");
}

/* sql changes what one statement means, and undo takes it back. */
static void change(const char *sql, const char *undo, const char *asked, const char *why)
{
    expect(asked, NULL);
    run(sql);
    expect(asked, why);
    run(undo);
    expect(asked, NULL);
}

static void a_change_of_the_database_is_seen_with_the_next_question(void **state)
{
    (void)state;
    const char *asked = "SELECT name FROM users WHERE id = $1";
    change("ALTER TABLE users ENABLE ROW LEVEL SECURITY",
           "ALTER TABLE users DISABLE ROW LEVEL SECURITY", asked, "row-level security");
    change("ALTER TABLE parted_1 ENABLE ROW LEVEL SECURITY",
           "ALTER TABLE parted_1 DISABLE ROW LEVEL SECURITY", "SELECT name FROM parted",
           "parted_1");
    change("CREATE FUNCTION feels(mood) RETURNS text LANGUAGE sql AS $$SELECT 'x'$$;"
           "CREATE CAST (mood AS text) WITH FUNCTION feels(mood) AS IMPLICIT",
           "DROP CAST (mood AS text)", asked, "a cast of its own to text");
    change("CREATE FUNCTION same(bigint, pair) RETURNS bool LANGUAGE sql AS $$SELECT true$$;"
           "CREATE OPERATOR = (LEFTARG = bigint, RIGHTARG = pair, FUNCTION = same);"
           "CREATE FUNCTION paired(int) RETURNS pair LANGUAGE sql AS $$SELECT (1, 2)::pair$$;"
           "CREATE CAST (int AS pair) WITH FUNCTION paired(int) AS IMPLICIT",
           "DROP CAST (int AS pair)", asked, "operator =(bigint,pair) has the name");
    run("DROP OPERATOR = (bigint, pair)");
    change("CREATE FUNCTION public.count() RETURNS int LANGUAGE sql AS $$SELECT 1$$",
           "DROP FUNCTION public.count()", "SELECT count(*) FROM users", "public.count()");
    change("CREATE OPERATOR CLASS loud FOR TYPE int4 USING btree AS FUNCTION 1 btint4cmp(int, int)",
           "DROP OPERATOR CLASS loud USING btree", asked,
           NULL); /* not a default, not in an index */
    change("ALTER TABLE users RENAME TO users_0; CREATE VIEW users AS SELECT * FROM users_0",
           "DROP VIEW users; ALTER TABLE users_0 RENAME TO users", asked, "users is a view");
    change("ALTER TABLE parent ALTER id TYPE unchecked", "ALTER TABLE parent ALTER id TYPE int",
           "SELECT 1 FROM parent WHERE id IS NULL", "type unchecked");
}

static void a_session_that_is_set_up_otherwise_shares_nothing(void **state)
{
    (void)state;
    const char *asked = "SELECT name FROM users WHERE id = $1";
    expect(asked, NULL);
    run("ALTER ROLE postgres SET default_transaction_isolation = 'repeatable read'");
    fixture_close(here.f);
    fixture_open(here.f, 1);
    expect(asked, "READ COMMITTED");
    run("ALTER ROLE postgres RESET ALL;"
        "ALTER ROLE postgres SET search_path = other, public, pg_catalog");
    fixture_close(here.f);
    fixture_open(here.f, 1);
    expect(asked, "search_path");
    run("ALTER ROLE postgres RESET ALL");
    fixture_close(here.f);
    fixture_open(here.f, 1);
    expect(asked, NULL);
    gives(here.f, CALL_COUNT, "CREATE TEMP TABLE users AS SELECT * FROM users", NULL, "0");
    expect(asked, "users is temporary");
}

static int setup(void **state)
{
    if (fixture_setup(state) != 0)
        return -1;
    here.f = *state;
    here.pg = PQconnectdb(here.f->server->url);
    if (PQstatus(here.pg) != CONNECTION_OK)
        return -1;
    PGresult *res = PQexec(here.pg, tables);
    if (PQresultStatus(res) != PGRES_COMMAND_OK)
        fprintf(stderr, "%s", PQerrorMessage(here.pg));
    PQclear(res);
    fixture_open(here.f, 1);
    return 0;
}

static int teardown(void **state)
{
    fixture_close(here.f);
    PQfinish(here.pg);
    return fixture_teardown(state);
}

int main(void)
{
    const struct CMUnitTest tests[] = {
        cmocka_unit_test(what_reads_plain_tables_may_share),
        cmocka_unit_test(names_that_are_something_else_stay_alone),
        cmocka_unit_test(a_change_of_the_database_is_seen_with_the_next_question),
        cmocka_unit_test(a_session_that_is_set_up_otherwise_shares_nothing),
    };
    return cmocka_run_group_tests(tests, setup, teardown);
}
