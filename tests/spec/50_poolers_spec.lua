-- Servers behind a real PgBouncer, which gives the sessions of the database to whoever asks next.

local Server = require "spec.support.server"
local expect = require "spec.support.expect"
local pgbouncer = require "spec.support.pgbouncer"
local postgres = require "spec.support.postgres"
local wait = require "spec.support.wait"

local ROWS = 60

local SCHEMA = [[
  CREATE TABLE a (id int PRIMARY KEY, owner text, born date);
  INSERT INTO a SELECT i, 'A' || i, '2024-01-01'::date + i FROM generate_series(1, 60) i;
  CREATE TABLE b (id int PRIMARY KEY, owner text);
  INSERT INTO b SELECT i, 'B' || i FROM generate_series(1, 60) i;
  CREATE TABLE written (id bigint);
  CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS
    'BEGIN INSERT INTO written VALUES (NEW.id); RETURN NULL; END';
  CREATE TRIGGER note AFTER UPDATE ON a FOR EACH ROW EXECUTE FUNCTION note();
]]

local function script(table_name)
  return ([[
    return {
      load = function(_, ctx)
        local row = ctx.db:row("SELECT owner FROM %s WHERE id = $1", ctx.match[1])
        if not row then return nil end
        row.same = ctx.db:value("SELECT count(*) FROM %s WHERE owner = $1", row.owner)
        return row
      end,
      save = function(_, value, ctx)
        return ctx.db:row("UPDATE %s SET owner = $2 WHERE id = $1 RETURNING owner, 1 AS same", ctx.match[1],
          value.owner)
      end,
    }
  ]]):format(table_name, table_name, table_name)
end

local MANY = [[
  return {
    load_many = function(_, ctx)
      return ctx:answer(ctx.db:packed_rows("SELECT id, owner FROM b WHERE id = ANY($1)", ctx.ids), "id")
    end,
  }
]]

-- Nothing is kept, so that every get is a load.
local function start(url, options)
  local backend = { driver = "postgres", url = url, pool = 8, statement_age = "200ms" }
  for name, v in pairs(options) do backend[name] = v end
  return Server.start {
    options = { loader_threads = 1, defaults = { ttl = "1ms", negative_ttl = "1ms", retries = 0 } },
    backends = { main = backend },
    scripts = { ["a.lua"] = script "a", ["b.lua"] = script "b", ["many.lua"] = MANY },
    loaders = {
      { pattern = "a:*", script = "a.lua", backend = "main" },
      { pattern = "b:*", script = "b.lua", backend = "main" },
      { pattern = "many:*", script = "many.lua", backend = "main" },
      { pattern = "born:*", backend = "main", sql = "SELECT * FROM a WHERE born = $1" },
      { pattern = "sql:*", backend = "main", sql = "SELECT id, owner FROM b WHERE id = $1" },
    },
  }
end

-- session: each connection has its own for as long as it lives.
local MODES = {
  { mode = "session", settings = { default_pool_size = 20 }, pool = 2 },
  { mode = "transaction", settings = { default_pool_size = 2 } },
  { mode = "statement", settings = { default_pool_size = 3 } },
}

for _, m in ipairs(MODES) do
  describe("three servers behind PgBouncer in " .. m.mode .. " mode", function()
    local db, pooler, servers, caches

    local function given_up()
      local sum = 0
      for _, cache in ipairs(caches) do sum = sum + expect.value(cache:stats()).backends.main.unprepared end
      return sum
    end

    -- Until a server knows, PgBouncer may mix up the units that it has in the air.
    local function learn_that_sessions_are_shared()
      wait.until_true("two servers give up names", function()
        for n = 1, 20 do
          local ids = {}
          for i, cache in ipairs(caches) do ids[i] = cache:send("get", "b:" .. (i + n)) end
          for i, cache in ipairs(caches) do expect.value(cache:receive(ids[i])) end
        end
        return given_up() == 2
      end)
    end

    setup(function()
      db = postgres.database()
      db:exec(SCHEMA)
      pooler = pgbouncer.start(db.cluster, m.mode, m.settings)
      servers, caches = {}, {}
      for i, options in ipairs { {}, {}, { prepared = false } } do
        options.pool = m.pool
        servers[i] = start(pooler:url(db.name), options)
        caches[i] = servers[i]:connect()
      end
      if m.mode ~= "session" then learn_that_sessions_are_shared() end
    end)
    teardown(function()
      for _, server in ipairs(servers or {}) do server:stop() end
      if pooler then pooler:stop() end
      if db then db:close() end
    end)

    local function check(key, item, suffix)
      local kind, n = key:match "^(%a+):(.+)$"
      assert.is_nil(item.error, key .. ": " .. tostring(item.error))
      assert.is_not_nil(item.value, key)
      if kind == "born" then
        assert.equal("A" .. n:match "%d+$" - 1 .. suffix, item.value.owner)
      elseif kind == "a" then
        assert.same({ owner = "A" .. n .. suffix, same = 1 }, item.value)
      elseif kind == "b" then
        assert.same({ owner = "B" .. n, same = 1 }, item.value)
      else
        assert.same({ id = tonumber(n), owner = "B" .. n }, item.value)
      end
    end

    -- All keys of all loaders, from all servers at once.
    local function ask_for_all(suffix)
      local keys = {}
      for i = 1, ROWS do
        for _, kind in ipairs { "a", "b", "many", "sql" } do keys[#keys + 1] = kind .. ":" .. i end
        if i <= 25 then keys[#keys + 1] = ("born:2024-01-%02d"):format(i + 1) end
      end
      local ids = {}
      for s, cache in ipairs(caches) do ids[s] = cache:send("get_many", keys) end
      for s, cache in ipairs(caches) do
        local list = expect.value(cache:receive(ids[s]))
        for i, key in ipairs(keys) do check(key, list[i], suffix) end
      end
    end

    local function failures()
      local sum = 0
      for _, cache in ipairs(caches) do sum = sum + expect.value(cache:stats()).backends.main.failures end
      return sum
    end

    it("gives every key its own row, and no error", function()
      for _ = 1, 5 do ask_for_all "" end
      assert.equal(0, failures())
    end)

    it("goes without names where sessions are shared, and says so once", function()
      assert.equal(m.mode == "session" and 0 or 2, given_up())
      for i, server in ipairs(servers) do
        local _, lines = server:log():gsub("pg%.unprepared", "")
        assert.equal(m.mode == "session" and 0 or i < 3 and 1 or 0, lines)
      end
    end)

    it("writes once", function()
      for i, cache in ipairs(caches) do
        for id = i, ROWS, 3 do expect.value(cache:put("a:" .. id, { owner = "A" .. id .. "+" })) end
      end
      assert.equal(("%d|%d"):format(ROWS, ROWS), db:value "SELECT count(*), count(DISTINCT id) FROM written")
      ask_for_all "+"
      for i, cache in ipairs(caches) do
        for id = i, ROWS, 3 do expect.value(cache:put("a:" .. id, { owner = "A" .. id })) end
      end
      assert.equal(0, failures())
    end)

    it("follows changes of the schema", function()
      db:exec [[
        ALTER TABLE a ALTER id TYPE bigint;
        ALTER TABLE b ALTER id TYPE bigint;
        INSERT INTO a VALUES (99999999999, 'A99999999999', '2025-01-01');
        INSERT INTO b VALUES (99999999999, 'B99999999999');
      ]]
      ask_for_all ""
      for _, cache in ipairs(caches) do
        for _, kind in ipairs { "a", "b", "many", "sql" } do
          local key = kind .. ":99999999999"
          check(key, expect.value(cache:get_many { key })[1], "")
        end
      end
      db:exec "ALTER TABLE a ALTER born TYPE timestamp; ALTER TABLE a ADD more int DEFAULT 7;"
      for _, cache in ipairs(caches) do
        expect.absent(cache:get "born:2024-01-05 17:30")
        assert.equal(7, expect.value(cache:get "born:2024-01-05 00:00").more)
      end
      ask_for_all ""
      assert.equal(0, failures())
    end)
  end)
end

describe("a query that is given up behind PgBouncer", function()
  it("is stopped in the database", function()
    local db = postgres.database()
    local pooler = pgbouncer.start(db.cluster, "transaction", { default_pool_size = 2 })
    local server = Server.start {
      options = { defaults = { retries = 0 } },
      backends = { main = { driver = "postgres", url = pooler:url(db.name), pool = 2, prepared = false } },
      loaders = {
        { pattern = "slow:*", backend = "main", sql = "SELECT pg_sleep($1::int) IS NULL AS slept",
          load_timeout = "300ms" },
        { pattern = "quick:*", backend = "main", sql = "SELECT $1::int AS n" },
      },
    }
    local cache = server:connect()
    expect.error("LOAD_TIMEOUT", {}, cache:get "slow:600")
    wait.until_true("it is stopped", function()
      return 0 == db:number [[SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND state = 'active' AND query LIKE '%pg_sleep%'
          AND pid <> pg_backend_pid()]]
    end)
    for i = 1, 20 do assert.equal(i, expect.value(cache:get("quick:" .. i)).n) end
    server:stop()
    pooler:stop()
    db:close()
  end)
end)
