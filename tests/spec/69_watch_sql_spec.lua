local Server = require "spec.support.server"
local expect = require "spec.support.expect"
local postgres = require "spec.support.postgres"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

local function tool(...)
  local status, text = process.run { Server.tool, "watch-sql", ... }
  assert(status == 0, text)
  return text
end

-- The SQL of rtcache watch-sql, run by a real psql; one session listens to itself, so that what a statement
-- told stands in its answer.
describe("watch-sql", function()
  local cluster, db

  local function watch(...) return db:exec(tool(...)) end

  -- What a statement told, in the order of its text.
  local function told(sql)
    local payloads = {}
    for _, line in ipairs(db:exec(sql)) do
      payloads[#payloads + 1] = line:match '^Asynchronous notification "rtcache" with payload "(.*)" received from'
    end
    table.sort(payloads)
    return payloads
  end

  local function warnings(sql)
    local found = {}
    db:exec "SET client_min_messages = notice"
    for _, line in ipairs(db:exec(sql)) do
      found[#found + 1] = line:match "WARNING: +(.*)" or line:match "NOTICE: +(.*)"
    end
    db:exec "SET client_min_messages = error"
    return table.concat(found, "\n")
  end

  local function refused(sql)
    local ok, err = pcall(db.exec, db, sql)
    assert.is_false(ok)
    -- The error, and what the session printed after it; not the statement, which has words of its own.
    return err:match "^[^\n]*" .. "\n" .. table.concat(db:exec "SELECT 1", "\n")
  end

  local function missed() return db:number "SELECT coalesce(sum(last_value), 0) FROM pg_sequences" end

  setup(function() cluster = postgres.start() end)
  teardown(function() cluster:stop() end)
  before_each(function()
    db = cluster:database()
    db:exec [[
      CREATE TABLE users (id bigint PRIMARY KEY, email text, team text, version bigint NOT NULL DEFAULT 1);
      LISTEN rtcache;]]
  end)
  after_each(function() db:close() end)

  describe("is installed", function()
    it("for several keys of a table: each is kept, and the same one replaces itself alone", function()
      watch("users", "--key", "user:{id}")
      watch("users", "--key", "mail:{email}", "--version", "version")
      watch("users", "--key", "user:{id}", "--channel", "rtcache")
      assert.same({ '{"k":"mail:a","v":1}', '{"k":"user:1"}' }, told "INSERT INTO users VALUES (1, 'a')")
      assert.equal("", warnings(tool("users", "--key", "user:{id}")))
      assert.matches("replaces: rtcache watch%-sql 'users' %-%-key 'user:{id}'",
        warnings(tool("users", "--key", "user:{id}", "--version", "version")))
      assert.same({ '{"k":"mail:a","v":2}', '{"k":"user:1","v":2}' }, told "UPDATE users SET version = 2")
    end)

    it("and can be listed and removed, one or all of a table", function()
      watch("users", "--key", "user:{id}")
      watch("users", "--key", "mail:{email}", "--tag", "team:{team}")
      local list = table.concat(watch "--list", "\n")
      assert.matches("users|rtcache watch%-sql 'users' %-%-key 'mail:{email}' %-%-tag 'team:{team}'", list)
      assert.matches("%-%-key 'user:{id}'", list)
      watch("users", "--key", "user:{id}", "--drop")
      assert.same({ '{"k":"mail:a","t":["team:x"]}' }, told "INSERT INTO users VALUES (1, 'a', 'x')")
      assert.matches("not watched so", refused(tool("users", "--key", "user:{id}", "--drop")))
      watch("users", "--drop")
      assert.same({}, told "DELETE FROM users")
      assert.equal("0", db:value "SELECT count(*) FROM pg_proc WHERE proname LIKE 'rtcache%'")
    end)

    it("beside a watch of an older version, which it names", function()
      db:exec [[
        CREATE FUNCTION rtcache_watch_users() RETURNS trigger LANGUAGE plpgsql AS 'BEGIN RETURN NULL; END';
        CREATE TRIGGER rtcache_watch AFTER INSERT ON users FOR EACH ROW EXECUTE FUNCTION rtcache_watch_users();]]
      assert.matches("older rtcache.*DROP TRIGGER rtcache_watch ON users",
        warnings(tool("users", "--key", "user:{id}")))
      watch("users", "--drop")
      assert.equal("0", db:value "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal")
    end)

    it("all of it or nothing, with a reason", function()
      db:exec [[
        CREATE VIEW v AS SELECT * FROM users;
        CREATE TEMPORARY TABLE temporary (id int);
        CREATE FOREIGN DATA WRAPPER w; CREATE SERVER s FOREIGN DATA WRAPPER w;
        CREATE FOREIGN TABLE f (id int) SERVER s;
        ALTER TABLE users ADD COLUMN gone int; ALTER TABLE users DROP COLUMN gone;
        ALTER TABLE users ADD COLUMN amount numeric;
        CREATE ROLE stranger;]]
      local cases = {
        { "no table .*nothing", "nothing", "--key", "x:{id}" },
        { "users_pkey is no table", "users_pkey", "--key", "x:{id}" },
        { "v is a view", "v", "--key", "x:{id}" },
        { "temporary is a temporary table", "temporary", "--key", "x:{id}" },
        { "f is a foreign table", "f", "--key", "x:{id}" },
        { "a table of the system", "pg_catalog.pg_class", "--key", "x:{relname}" },
        { "users has no column nome", "users", "--key", "x:{nome}" },
        { "users has no column gone", "users", "--key", "x:{gone}" },
        { "users has no column ctid", "users", "--key", "x:{ctid}" },
        { "users has no column ID", "users", "--key", "x:{ID}" },
        { "users has no column crew", "users", "--key", "x:{id}", "--tag", "t:{crew}" },
        { "users has no column v", "users", "--key", "x:{id}", "--version", "v" },
        { "version email is of type text", "users", "--key", "x:{id}", "--version", "email" },
        { "version amount is of type numeric", "users", "--key", "x:{id}", "--version", "amount" },
      }
      for _, case in ipairs(cases) do assert.matches(case[1], refused(tool(unpack(case, 2)))) end
      assert.matches("It has id, email", refused(tool("users", "--key", "x:{nome}")))
      db:exec "SET ROLE stranger"
      assert.matches("stranger may not watch users: only its owner, postgres",
        refused(tool("users", "--key", "x:{id}")))
      db:exec "RESET ROLE"
      assert.equal("0", db:value "SELECT count(*) FROM pg_class WHERE relname = 'rtcache_missed'")
      assert.equal("0", db:value "SELECT count(*) FROM pg_proc WHERE proname LIKE 'rtcache%'")
      assert.equal("0", db:value "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal")
    end)

    it("by a word where a column's text is not the same for all who read it", function()
      db:exec "CREATE TABLE prices (price money, code char(5), class regclass)"
      assert.matches("price %(money%), code %(character%(5%)%)", warnings(tool("prices", "--key", "p:{price}:{code}")))
      assert.matches("class %(regclass%)", warnings(tool("prices", "--key", "p:{class}")))
    end)

    it("under names that are odd, too long, or the same in two schemas", function()
      local long = ("n"):rep(63)
      db:exec(([[
        CREATE SCHEMA "Odd"; CREATE SCHEMA other; CREATE SCHEMA %s;
        CREATE TABLE "Odd"."a ""b""" ("The Id" text, "it's" text, "select" text);
        CREATE TABLE other.users (id int); CREATE TABLE "漢字" ("é" int);
        CREATE TABLE %s.%s (%s int);]]):format(long, long, long, long))
      watch([["Odd"."a ""b"""]], "--key", [[x{{*}}'{The Id}\{it's}]], "--tag", "{select}")
      watch([["Odd"."a ""b"""]], "--key", [[y\{select}"]])
      watch("users", "--key", "user:{id}")
      watch("other.users", "--key", "user:{id}")
      watch('"漢字"', "--key", "漢:{é}")
      watch(long .. "." .. long, "--key", "a:{" .. long .. "}")
      watch(long .. "." .. long, "--key", "b:{" .. long .. "}")
      assert.same({ [[{"k":"x{*}'1\\2","t":["t"]}]], [[{"k":"y\\t\""}]] },
        told [[INSERT INTO "Odd"."a ""b""" VALUES ('1', '2', 't')]])
      assert.same({ [[{"m" : "x\\{\\*}'*\\\\*"}]], [[{"m" : "y\\\\*\""}]], '{"t":"*"}' },
        told [[TRUNCATE "Odd"."a ""b"""]])
      assert.same({ '{"k":"user:1"}' }, told "INSERT INTO other.users VALUES (1)")
      assert.same({ '{"k":"user:2"}' }, told "INSERT INTO users VALUES (2)")
      assert.same({ '{"k":"漢:7"}' }, told [[INSERT INTO "漢字" VALUES (7)]])
      assert.same({ '{"k":"a:1"}', '{"k":"b:1"}' }, told(("INSERT INTO %s.%s VALUES (1)"):format(long, long)))
    end)
  end)

  describe("tells", function()
    it("the key, with its version where that has grown", function()
      watch("users", "--key", "user:{id}", "--version", "version", "--tag", "team:{team}", "--tag", "mail:{email}")
      assert.same({ '{"k":"user:1","v":1,"t":["team:red"]}' }, told "INSERT INTO users VALUES (1, NULL, 'red')")
      assert.same({ '{"k":"user:1","v":2,"t":["team:red"]}' }, told "UPDATE users SET version = 2")
      assert.same({ '{"k":"user:1","v":3,"t":["team:red","team:blue"]}' },
        told "UPDATE users SET version = 3, team = 'blue'")
      assert.same({ '{"k":"user:1","t":["team:blue","team:red"]}' }, told "UPDATE users SET team = 'red'")
      assert.same({ '{"k":"user:1","t":["team:red"]}' }, told "UPDATE users SET version = 1")
      assert.same({ '{"k":"user:1"}', '{"k":"user:2","v":9}', '{"t" : ["team:red"]}' },
        told "UPDATE users SET id = 2, version = 9")
      assert.same({ '{"k":"user:2","t":["team:red"]}' }, told "DELETE FROM users")
      assert.same({ '{"m" : "user:*"}', '{"t":"*"}' }, told "TRUNCATE users")
      assert.same({}, told "UPDATE users SET version = 1")
    end)

    it("what every way of writing does", function()
      db:exec [[
        CREATE TABLE notes (id int PRIMARY KEY, owner bigint REFERENCES users ON DELETE CASCADE ON UPDATE CASCADE);
        INSERT INTO users SELECT i FROM generate_series(1, 4) i; INSERT INTO notes VALUES (10, 1), (20, 2);]]
      watch("users", "--key", "user:{id}", "--version", "version")
      watch("notes", "--key", "note:{id}")
      assert.same({ '{"k":"user:1","v":2}', '{"k":"user:9","v":1}' }, told [[
        INSERT INTO users (id) VALUES (1), (9) ON CONFLICT (id) DO UPDATE SET version = users.version + 1]])
      assert.same({}, told "INSERT INTO users (id) VALUES (1) ON CONFLICT DO NOTHING")
      assert.same({ '{"k":"user:7","v":1}', '{"k":"user:8","v":1}' }, -- psql 15.20 ends at an empty statement there
        told "COPY users (id) FROM stdin;\n7\n8\n\\.\nSELECT WHERE false")
      assert.same({ '{"k":"note:10"}', '{"k":"user:1"}', '{"k":"user:2","v":5}', '{"k":"user:5","v":1}' }, told [[
        MERGE INTO users u USING (VALUES (1), (2), (5)) AS x(id) ON u.id = x.id
        WHEN MATCHED AND x.id = 1 THEN DELETE WHEN MATCHED THEN UPDATE SET version = 5
        WHEN NOT MATCHED THEN INSERT (id) VALUES (x.id)]])
      assert.same({ '{"k":"note:20"}', '{"k":"user:2"}', '{"k":"user:22","v":5}' },
        told "UPDATE users SET id = 22 WHERE id = 2")
      assert.same({ '{"k":"user:3"}', '{"k":"user:4"}' },
        told "WITH d AS (DELETE FROM users WHERE id IN (3, 4) RETURNING 1) SELECT")
      assert.same({}, told "BEGIN; DELETE FROM users; ROLLBACK")
      -- Rows that take each other's keys.
      assert.same({ '{"k":"user:7"}', '{"k":"user:8"}' }, told [[
        ALTER TABLE users DROP CONSTRAINT users_pkey CASCADE; UPDATE users SET id = 15 - id WHERE id IN (7, 8)]])
    end)

    it("of partitions, however they are written", function()
      db:exec [[
        CREATE TABLE parts (id int, region text, v bigint DEFAULT 1) PARTITION BY LIST (region);
        CREATE TABLE north PARTITION OF parts FOR VALUES IN ('n');]]
      watch("parts", "--key", "part:{id}", "--version", "v", "--tag", "region:{region}")
      db:exec "CREATE TABLE south PARTITION OF parts FOR VALUES IN ('s')"
      assert.same({ '{"k":"part:1","v":1,"t":["region:n"]}' }, told "INSERT INTO parts VALUES (1, 'n')")
      assert.same({ '{"k":"part:2","v":1,"t":["region:s"]}' }, told "INSERT INTO south VALUES (2, 's')")
      assert.same({ '{"k":"part:2","v":2,"t":["region:s"]}' }, told "UPDATE south SET v = 2")
      assert.same({ '{"k":"part:1","t":["region:n"]}', '{"k":"part:1","v":5,"t":["region:s"]}' },
        told "UPDATE parts SET region = 's', v = 5 WHERE id = 1") -- it moves
      assert.same({ '{"m" : "part:*"}', '{"t":"*"}' }, told "TRUNCATE parts")
    end)

    it("of tables that inherit, each by its own watch, and says so", function()
      db:exec "CREATE TABLE admins (level int) INHERITS (users)"
      assert.matches("users inherits, or is inherited from", warnings(tool("users", "--key", "user:{id}")))
      watch("admins", "--key", "user:{id}")
      assert.same({ '{"k":"user:1"}' }, told "INSERT INTO admins (id) VALUES (1)")
      assert.same({ '{"k":"user:1"}' }, told "UPDATE users SET team = 'x'") -- reaches the child's rows
    end)

    it("what a replica applies, where only the rows' triggers run", function()
      watch("users", "--key", "user:{id}", "--version", "version")
      db:exec "SET session_replication_role = replica"
      assert.same({ '{"k":"user:1","v":1}', '{"k":"user:2","v":1}' }, told "INSERT INTO users (id) VALUES (1), (2)")
      assert.same({ '{"m" : "user:*"}' }, told "TRUNCATE users")
    end)

    it("nothing of keys that are none: NULL or empty", function()
      watch("users", "--key", "{email}", "--tag", "{team}")
      assert.same({}, told "INSERT INTO users (id) VALUES (1)")
      assert.same({}, told "UPDATE users SET email = ''")
      assert.same({ '{"t" : ["red"]}' }, told "UPDATE users SET team = 'red'")
      assert.same({ '{"k":"a"}', '{"t" : ["red"]}' }, told "UPDATE users SET email = 'a'")
      assert.same({ '{"k":"a"}', '{"t" : ["red"]}' }, told "INSERT INTO users VALUES (2, 'a', NULL), (3, NULL, 'red')")
    end)

    it("the pattern where a key is too long for NOTIFY, and no tag that is too long to be one", function()
      watch("users", "--key", "mail:{email}", "--tag", "{team}")
      assert.same({ '{"m" : "mail:*"}', '{"t" : ["red"]}' },
        told "INSERT INTO users VALUES (1, repeat('é', 4000), 'red')")
      assert.same({ '{"m" : "mail:*"}', '{"t" : ["red"]}' },
        told "UPDATE users SET team = NULL, email = repeat(E'\\x01', 1999)")
      assert.same({ '{"m" : "mail:*"}' }, told "UPDATE users SET email = repeat('x', 2000)") -- for the old one
      assert.equal('{"k":"mail:' .. ("x"):rep(2000) .. '"}', told("UPDATE users SET team = repeat('x', 300)")[1])
      db:exec "UPDATE users SET email = 'a'"
      assert.same({ '{"k":"mail:a"}' }, told "UPDATE users SET team = repeat('x', 256)")
      assert.same({ '{"k":"mail:a"}', '{"t" : ["' .. ("x"):rep(255) .. '"]}' },
        told "UPDATE users SET team = repeat('x', 255)")
    end)

    it("the pattern of more than a thousand keys, and every tag of more than a thousand", function()
      watch("users", "--key", "user:{id}", "--tag", "team:{team}")
      local some = told "INSERT INTO users SELECT i, NULL, i % 6 FROM generate_series(1, 1000) i"
      assert.equal(1002, #some)
      assert.same({ '{"t" : ["team:0", "team:1", "team:2", "team:3"]}', '{"t" : ["team:4", "team:5"]}' },
        { some[1001], some[1002] })
      assert.same({ '{"m" : "user:*"}' }, told "INSERT INTO users SELECT i FROM generate_series(2001, 3001) i")
      assert.same({ '{"m" : "user:*"}', '{"t":"*"}' }, told "UPDATE users SET team = id")
    end)

    it("without a transaction id of its own for a row: that would slow all down from the 65th on", function()
      watch("users", "--key", "user:{id}")
      for _, role in ipairs { "origin", "replica" } do
        db:exec("SET session_replication_role = " .. role)
        local before = db:number "SELECT pg_snapshot_xmax(pg_current_snapshot())::text"
        db:exec "BEGIN; INSERT INTO users SELECT i FROM generate_series(1, 500) i"
        for i = 1, 100 do db:exec("UPDATE users SET team = 'x' WHERE id = " .. i) end
        db:exec "COMMIT; DELETE FROM users"
        assert.is_true(db:number "SELECT pg_snapshot_xmax(pg_current_snapshot())::text" <= before + 2)
      end
    end)
  end)

  describe("has one text for a key", function()
    local SETTINGS = [[
      SET DateStyle = 'German, DMY'; SET TimeZone = 'Asia/Kolkata'; SET IntervalStyle = 'iso_8601';
      SET extra_float_digits = -15; SET bytea_output = 'escape'; SET lc_monetary = 'C'; SET xmloption = 'document';
      SET standard_conforming_strings = off; SET backslash_quote = on; SET search_path = "Odd", pg_temp, pg_catalog;
      SET row_security = off; SET array_nulls = off; SET quote_all_identifiers = on;
      SET plpgsql.variable_conflict = 'use_variable';]]

    -- type, value, text; reader: what a loader gets for it, where that is no text of the same bytes.
    local TYPES = {
      { "smallint", "-32768", "-32768" },
      { "bigint", "99999999999999", "99999999999999" },
      { "bigint", "9223372036854775807", "9223372036854775807" },
      { "numeric(10,2)", "1.5", "1.50" },
      { "real", "0.1", "0.1" },
      { "double precision", "0.1", "0.1" },
      { "double precision", "'1e300'", "1e+300" },
      { "boolean", "true", "true" },
      { "text", "'a ''b'' \\x'", [[a 'b' \x]] },
      { "varchar(5)", "'ab'", "ab" },
      { "name", "'ab'", "ab" },
      { "uuid", "'A0EEBC99-9C0B-4EF8-BB6D-6BB9BD380A11'", "a0eebc99-9c0b-4ef8-bb6d-6bb9bd380a11" },
      { "date", "'2024-02-29'", "2024-02-29" },
      { "time", "'12:30'", "12:30:00" },
      { "timestamp", "'2024-02-29 12:30:00.5'", "2024-02-29 12:30:00.5" },
      { "timestamptz", "'2024-02-29 12:30:00+00'", "2024-02-29 12:30:00+00" },
      { "interval", "'1 day 02:03:04'", "1 day 02:03:04" },
      { "bytea", "'\\x00ff'", "\\x00ff", reader = "\0\255",
        where = "c = CAST(CAST($1 AS text) AS bytea)" },
      { "inet", "'10.0.0.1'", "10.0.0.1" },
      { "inet", "'10.0.0.1/8'", "10.0.0.1/8" },
      { "cidr", "'10.0.0.0/8'", "10.0.0.0/8" },
      { "bit(4)", "B'1010'", "1010" },
      { "boolean", "false", "false" },
      { "macaddr", "'08-00-2B-01-02-03'", "08:00:2b:01:02:03" },
      { "mood", "'so so'", "so so" },
      { "positive", "7", "7" },
      { "int4range", "'[1,4]'", "[1,5)" },
    }

    it("whatever the writer has set, and it is the text that a loader takes and gives", function()
      db:exec [[CREATE SCHEMA "Odd"; CREATE TYPE mood AS ENUM ('so so');
        CREATE DOMAIN positive AS int CHECK (VALUE > 0)]]
      local loaders = {}
      for i, t in ipairs(TYPES) do
        db:exec(("CREATE TABLE public.t%d (c %s, n int)"):format(i, t[1]))
        watch("public.t" .. i, "--key", "t" .. i .. ":{c}")
        loaders[i] = { pattern = "t" .. i .. ":*", backend = "main", script = "t" .. i .. ".lua" }
      end
      local scripts = {}
      for i, t in ipairs(TYPES) do
        scripts["t" .. i .. ".lua"] = ([[return { load = function(key, ctx)
          local row = ctx.db:row("SELECT c, n FROM public.t%d WHERE %s", ctx.match[1])
          return row and tostring(row.c)
        end }]]):format(i, t.where or "c = $1")
      end
      local server = Server.start {
        scripts = scripts, loaders = loaders, backends = { main = { driver = "postgres", url = db.url } },
      }
      finally(function() server:stop() end)
      local cache = server:connect()
      for i, t in ipairs(TYPES) do
        local key = "t" .. i .. ":" .. t[3]
        local event = ('{"k":"%s"}'):format((key:gsub("\\", "\\\\")))
        local all = told(("%s\nSET standard_conforming_strings = on; INSERT INTO public.t%d VALUES (%s, 1);"
          .. "SET standard_conforming_strings = off; UPDATE public.t%d SET n = 2;"
          .. "RESET ALL; UPDATE public.t%d SET n = 3"):format(SETTINGS, i, t[2], i, i))
        assert.same({ event, event, event }, all, t[1])
        local value, failure = cache:get(key)
        assert.equal(t.reader or t[3], value, t[1] .. tostring(failure or ""))
      end
    end)

    it("with composites, arrays and generated columns as they are cast to text", function()
      db:exec [[
        CREATE TYPE pair AS (a int, b date); SET DateStyle = German;
        CREATE TABLE odd (p pair, l date[], g text GENERATED ALWAYS AS (upper((p).a::text)) STORED, e char(5));]]
      watch("odd", "--key", "o:{p}:{l}:{g}:{e}")
      assert.same({ [[{"k":"o:(1,2024-02-29):{2024-02-29}:1:ab"}]] },
        told "INSERT INTO odd (p, l, e) VALUES (ROW(1, '2024-02-29'), ARRAY['2024-02-29'::date], 'ab')")
    end)

    it("also for who may do nothing but write", function()
      db:exec [[CREATE ROLE writer; GRANT INSERT, UPDATE ON users TO writer;
        ALTER TABLE users ENABLE ROW LEVEL SECURITY;
        CREATE POLICY p ON users FOR ALL TO writer USING (true); REVOKE ALL ON SCHEMA public FROM PUBLIC;
        GRANT USAGE ON SCHEMA public TO writer;]]
      finally(function() db:exec "RESET ROLE; DROP OWNED BY writer; DROP ROLE writer" end)
      watch("users", "--key", "user:{id}")
      db:exec "SET ROLE writer"
      assert.same({ '{"k":"user:1"}' }, told "INSERT INTO users (id) VALUES (1)")
      db:exec "SET rtcache.notify = off"
      assert.same({}, told "INSERT INTO users (id) VALUES (2)")
      db:exec "RESET ROLE; RESET rtcache.notify"
      assert.equal(1, missed())
      db:exec "SET ROLE writer"
      assert.matches("permission denied", refused(([[CREATE TEMP TABLE mine (id int); CREATE TRIGGER t AFTER INSERT
        ON mine FOR EACH ROW EXECUTE FUNCTION %s()]]):format(db:value
        "SELECT oid::regproc FROM pg_proc WHERE proname LIKE 'rtcache_watch%'")))
    end)
  end)

  describe("is never why a write fails", function()
    before_each(function()
      watch("users", "--key", "user:{id}", "--version", "version", "--tag", "team:{team}")
      db:exec "INSERT INTO users VALUES (1, 'a', 'x')"
    end)

    local DDL = {
      "ALTER TABLE users RENAME id TO number",
      "ALTER TABLE users DROP COLUMN team",
      "ALTER TABLE users RENAME version TO v",
      "ALTER TABLE users ALTER version TYPE text USING 'v' || version",
    }

    for _, ddl in ipairs(DDL) do
      it("after " .. ddl .. ": it tells of all keys and all tags, and warns", function()
        db:exec "UPDATE users SET email = 'b'" -- a plan of it is kept
        db:exec(ddl)
        local everything = { '{"m" : "user:*"}', '{"t":"*"}' }
        assert.same(everything, told "UPDATE users SET email = 'c'")
        assert.same(everything, told "DELETE FROM users")
        assert.same(everything, told(ddl:find "text"
          and "INSERT INTO users VALUES (2, 'b', 'x', 'v1')" or "INSERT INTO users VALUES (2, 'b')"))
        db:exec "SET rtcache.warned = ''"
        assert.matches("public.users: all keys user:%* are told as changed", warnings "UPDATE users SET email = 'd'")
        db:exec "SET session_replication_role = replica"
        assert.same(everything, told "UPDATE users SET email = 'd'")
        assert.equal(0, missed())
      end)
    end

    it("after the table has another name, or schema", function()
      db:exec "ALTER TABLE users RENAME TO people; CREATE SCHEMA other; ALTER TABLE people SET SCHEMA other"
      assert.same({ '{"k":"user:1","v":2,"t":["team:x"]}' }, told "UPDATE other.people SET version = 2")
      watch("other.people", "--key", "user:{id}", "--version", "version", "--tag", "team:{team}")
      assert.equal("1", db:value "SELECT count(*) FROM pg_proc WHERE proname LIKE 'rtcache%'")
      assert.same({ '{"k":"user:1","v":3,"t":["team:x"]}' }, told "UPDATE other.people SET version = 3")
    end)

    it("when NOTIFY would be: what was not told moves a sequence, also when nothing is committed", function()
      local sql = tool("users", "--key", "user:{id}", "--version", "version", "--tag", "team:{team}")
      db:exec((sql:gsub("> 0%.5", ">= 0"))) -- as if the queue were half full
      assert.same({}, told "UPDATE users SET version = 2")
      assert.equal(1, missed())
      db:exec "BEGIN; UPDATE users SET version = 3; ROLLBACK"
      assert.equal(2, missed())
      db:exec(sql)
      db:exec "SET rtcache.notify = off"
      assert.same({}, told "TRUNCATE users")
      assert.equal(3, missed())
      db:exec "RESET rtcache.notify"
      -- NOTIFY itself fails: its channel has become too long.
      db:exec((sql:gsub("pg_notify%('rtcache'", "pg_notify(repeat('x', 64)")))
      assert.same({}, told "INSERT INTO users (id) VALUES (1)")
      assert.equal(4, missed())
    end)

    it("when even that is gone: it says so", function()
      db:exec "DROP SEQUENCE rtcache_missed; SET rtcache.notify = off"
      assert.matches("not told of at all", warnings "UPDATE users SET version = 2")
      assert.equal("2", db:value "SELECT version FROM users")
    end)

    it("goes by the names: a column of another type, or another column of the name", function()
      db:exec "ALTER TABLE users ALTER id TYPE text"
      assert.same({ '{"k":"user:1","t":["team:x"]}' }, told "UPDATE users SET email = 'b'")
      db:exec "ALTER TABLE users RENAME team TO was; ALTER TABLE users RENAME email TO team"
      assert.same({ '{"k":"user:1","t":["team:b"]}' }, told "UPDATE users SET was = 'y'")
    end)
  end)

  describe("has a mark that the feed takes as a gap", function()
    local server, cache, writer

    local function feed() return expect.value(cache:stats()).feeds.main end

    before_each(function()
      watch("users", "--key", "user:{id}", "--version", "version")
      db:exec "INSERT INTO users VALUES (1, 'a', 'x')"
      writer = cluster:open(db.name)
      server = Server.start {
        backends = { main = { driver = "postgres", url = db.url, feed = "rtcache", feed_heartbeat = "100ms" } },
        loaders = { {
          pattern = "user:*", backend = "main", ttl = "1h", stale_ttl = "1h",
          sql = "SELECT id, email FROM users WHERE id = CAST($1 AS bigint)",
        } },
      }
      cache = server:connect()
      wait.until_true("the feed is up", function()
        local f = feed()
        return f.connected and f.lag_ms
      end)
      assert.equal("a", expect.value(cache:get "user:1").email)
    end)
    after_each(function()
      writer:close()
      server:stop()
    end)

    it("so that a change that was not told of is seen", function()
      writer:exec "SET rtcache.notify = off; UPDATE users SET email = 'b'"
      wait.until_true("it is seen", function() return expect.value(cache:get "user:1").email == "b" end)
      assert.is_true(feed().gaps > 0)
    end)

    it("also when it is committed long after it left its mark", function()
      writer:exec "BEGIN; SET rtcache.notify = off; UPDATE users SET email = 'b'"
      local gaps = feed().gaps
      wait.until_true("gaps", function() return feed().gaps > gaps + 3 end)
      assert.equal("a", expect.value(cache:get "user:1").email) -- is loaded again, and stored
      writer:exec "COMMIT"
      wait.until_true("it is seen", function() return expect.value(cache:get "user:1").email == "b" end)
    end)

    it("and without one it is not seen to be a gap", function()
      local gaps = feed().gaps
      writer:exec "UPDATE users SET email = 'b', version = 2"
      wait.until_true("it is seen", function() return expect.value(cache:get "user:1").email == "b" end)
      assert.equal(gaps, feed().gaps)
    end)
  end)
end)
