--- One mutation per rule of what an answer holds and which error is told, in the form of rules.lua. A race
--- that has no number is named by a word.

return {
  {
    race = "31", rule = "a name at a server is one of a statement whose types are known",
    file = "core/backend/postgres/pg_send.c",
    from = " && st->desc.exact", to = "",
    tests = { "backend_postgres_pg_describe" },
  },
  {
    race = "31", rule = "a statement is described anew when it is statement_age old",
    file = "core/backend/postgres/pg_age.c",
    from = "clock_ms() - st->described_ms < p->statement_age_ms", to = "true",
    tests = { "backend_postgres_pg_describe" },
  },
  {
    race = "31", rule = "a name holds a hash of the types of its parameters",
    file = "core/backend/postgres/pg_stmt.c",
    from = "hash_bytes(d->param_types, size, seed)", to = "hash_bytes(d->param_types, 0 * size, seed)",
    tests = { "backend_postgres_pg_send" },
  },
  {
    race = "31", rule = "and of the server's own seed: two behind one pooler share none",
    file = "core/backend/postgres/pg_stmt.c",
    from = "hash_bytes(d->param_types, size, seed)", to = "hash_bytes(d->param_types, size, seed & 0)",
    tests = { "backend_postgres_pg_send" },
  },
  {
    race = "33", rule = "a query whose name the server does not know is sent once more",
    file = "core/backend/postgres/pg_flow.c",
    from = "return PG_REDO_LOST & ~call->redone;", to = "return 0;",
    tests = { "backend_postgres_pg_send" },
  },
  {
    race = "32", rule = "a table with row-level security is not read in company",
    file = "core/backend/postgres/pg_pure.sql",
    from = "WHERE relrowsecurity", to = "WHERE false",
    tests = { "backend_postgres_pg_pure_catalog" },
  },
  {
    race = "32", rule = "nor what asks for the time of its transaction",
    file = "core/backend/postgres/pg_pure_names.c",
    from = "    \"count\",\n", to = "    \"now\",\n    \"count\",\n",
    tests = { "backend_postgres_pg_pure_tree" },
  },
  {
    race = "32", rule = "what is not shown to read tables alone goes alone",
    file = "core/backend/postgres/pg_group.c",
    from = " || !call->shares", to = "",
    tests = { "backend_postgres_pg_group" },
  },
  {
    race = "37", rule = "an id has one spelling: no zeros in front, no minus before 0",
    file = "core/base/glob.c",
    from = " || (s.data[sign] == '0' && (sign || digits > 1))", to = "",
    tests = { "base_glob" },
  },
  {
    race = "37", rule = "at equal literals a typed star goes before a plain one",
    file = "core/load/route.c",
    from = "order = narrower(&a->glob, &b->glob);", to = "order = 0 * narrower(&a->glob, &b->glob);",
    tests = { "load_route" },
  },
  {
    race = "37", rule = "a key that fits but for its type is known for one",
    file = "core/load/route.c",
    from = "misfit = ROUTE_MISFIT - r->patterns[i].index;", to = "misfit = ROUTE_NONE;",
    tests = { "load_route" },
  },
  {
    race = "37", rule = "the id of a row is a number only where it is spelt as one",
    file = "core/bind/run_answer.c",
    from = "decimal_parse_printed", to = "decimal_parse",
    tests = { "bind_run_answer" },
  },
  {
    race = "39", rule = "a list that a script gives has no hole, before its end or in it",
    file = "core/script/pack_places.c",
    from = "k.places == k.count && k.last == (lua_Number)k.count", to = "k.places == k.count",
    tests = { "script_value", "bind_result" },
  },
  {
    race = "39", rule = "a time that is too short to be kept is not 0, which is for ever",
    file = "core/bind/result.c",
    from = " && (ms > 0 || seconds == 0)", to = "",
    tests = { "bind_result" },
  },
  {
    race = "40", rule = "a key that another one was answered for is asked for apart",
    file = "core/bind/run_many.c",
    from = "        key->apart = true;\n", to = "",
    tests = { "bind_run_many", "bind_run_answer" },
  },
  {
    race = "40", rule = "and is no absence",
    file = "core/bind/run_many.c",
    from = "if (!key->unsaid)", to = "if (true)",
    tests = { "bind_run_many", "bind_run_answer" },
  },
  {
    race = "write", rule = "what the database has undone did nothing",
    file = "core/bind/op.c",
    from = "is_undone_by_error(q->text)))", to = "is_undone_by_error(q->text) && false))",
    tests = { "bind_write" },
  },
  {
    race = "write", rule = "what was sent and not answered is not known",
    file = "core/bind/op.c",
    from = "effect = EFFECT_UNKNOWN;", to = "effect = EFFECT_SOME;",
    tests = { "bind_write" },
  },
  {
    race = "breaker", rule = "what a key or a script did is no sign of the source's health",
    file = "core/load/breaker.c",
    from = "if (sign == SIGN_NONE) {", to = "if (false) {",
    tests = { "load_breaker" },
  },
  {
    race = "error", rule = "a time to retry after is told only where a retry may help",
    file = "core/wire/rpc.c",
    from = " && err_may_retry(e)", to = "",
    tests = { "wire_rpc" },
  },
  {
    race = "error", rule = "a script gives no code that clients of Redis act on",
    file = "core/bind/run_error.c",
    from = "IS_AMONG(word.data, foreign)", to = "IS_AMONG(word.data, foreign) && false",
    tests = { "bind_result" },
  },
  {
    race = "sqlite", rule = "a file that was written in the tick in which it was looked at may be another",
    file = "core/backend/sqlite/sqlite_file.c",
    from = "!before->fresh && ", to = "",
    tests = { "backend_sqlite_sqlite_file" },
  },
  {
    race = "sqlite", rule = "changes of the file before are not played into the one that has its name now",
    file = "core/backend/sqlite/sqlite_conn.c",
    from = "if (c->real && sqlite_beside_drop(c->real))", to = "if (false)",
    tests = { "backend_sqlite_sqlite_file" },
  },
  {
    race = "types", rule = "a negative zero stays one",
    file = "core/wire/mpw.c",
    from = " && !(v == 0 && signbit(v))", to = "",
    tests = { "wire_mpw" },
  },
}
