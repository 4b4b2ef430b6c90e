-- The keys of a loader without code are asked for by one query where that reads plain tables, and one by one where
-- they could see each other in it.

local Server = require "spec.support.server"
local expect = require "spec.support.expect"
local postgres = require "spec.support.postgres"
local wait = require "spec.support.wait"

local SCHEMA = [[
  CREATE TABLE items (id int PRIMARY KEY, name text);
  INSERT INTO items SELECT i, 'item ' || i FROM generate_series(1, 1000) i;
  CREATE TABLE jobs (id int PRIMARY KEY);
  INSERT INTO jobs SELECT generate_series(1, 5);
  CREATE TABLE docs (id int PRIMARY KEY, tenant text, title text);
  INSERT INTO docs VALUES (1, 'acme', 'salaries'), (2, 'globex', 'plans');
  ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
  CREATE POLICY own ON docs USING (tenant = current_setting('app.tenant', true));
  CREATE FUNCTION held(n int) RETURNS bigint LANGUAGE plpgsql AS $$BEGIN
    RETURN (SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND pid = pg_backend_pid());
  END$$;
]]

-- The last star makes another key of the same question.
local LOADERS = {
  ["plain:*"] = "SELECT name AS it FROM items WHERE id = $1",
  ["setting:*"] = "SELECT coalesce(current_setting('app.who', true), '') AS it, "
    .. "set_config('app.who', $1, true) AS mine",
  ["lock:*"] = "SELECT held(0) AS it, pg_try_advisory_xact_lock(length($1)) AS got",
  ["job:*"] = "SELECT id AS it, txid_current() AS tx FROM jobs WHERE $1::text <> '' ORDER BY id LIMIT 1 "
    .. "FOR UPDATE SKIP LOCKED",
  ["moment:*"] = "SELECT 0 AS it, now()::text AS tx WHERE $1::text <> ''",
  ["doc:*:*:*"] = "SELECT d.title AS it, set_config('app.tenant', $1, true) AS tenant "
    .. "FROM (SELECT set_config('app.tenant', $1, true) OFFSET 0) s, docs d WHERE d.id = $2 AND $3::text <> ''",
}

-- What each key that is not of a plain table gives, whatever others do; `tx` differs from key to key.
local ALONE = { ["setting:"] = "", ["lock:"] = 0, ["job:"] = 1, ["moment:"] = 0,
  ["doc:acme:1:"] = "salaries", ["doc:globex:2:"] = "plans" }

local function start(db, options)
  local backend = { driver = "postgres", url = db.url, pool = 1, pipeline = 200 }
  for name, v in pairs(options or {}) do backend[name] = v end
  local loaders = {}
  for pattern, sql in pairs(LOADERS) do
    loaders[#loaders + 1] = { pattern = pattern, backend = "main", sql = sql, ttl = "60s", batch_window = "1ms" }
  end
  return Server.start { options = { loader_threads = 1 }, backends = { main = backend }, loaders = loaders }
end

local serial = 0
local function others(prefix, count)
  local keys = {}
  for i = 1, count do
    serial = serial + 1
    keys[i] = prefix .. serial
  end
  return keys
end

-- The backend's queries so far, when so many runs of scripts are over: the loader's thread counts on its own time.
local function queries(cache, runs)
  local stats = wait.until_true("the numbers of " .. runs .. " runs", function()
    local now = expect.value(cache:stats())
    local main = now.backends.main
    return now.scripts.runs == runs and main.in_flight == 0 and main.queued == 0 and now
  end)
  return stats.backends.main.queries
end

local function check(prefix, item, seen)
  assert.is_nil(item.error, prefix .. tostring(item.error))
  assert.equal(ALONE[prefix], item.value.it, prefix)
  if item.value.got ~= nil then assert.is_true(item.value.got) end
  if item.value.tx then
    assert.is_nil(seen[item.value.tx], prefix .. ": two keys in one transaction")
    seen[item.value.tx] = true
  end
end

for name, options in pairs { ["by prepared statements"] = {}, ["without"] = { prepared = false } } do
  describe("keys of a loader without code, " .. name, function()
    local db, server, cache

    setup(function()
      db = postgres.database()
      db:exec(SCHEMA)
      db:exec "CREATE ROLE readers LOGIN"
      db:exec "GRANT SELECT, UPDATE ON ALL TABLES IN SCHEMA public TO readers"
      options.url = db.url:gsub("postgres@", "readers@", 1)
      server = start(db, options)
      cache = server:connect()
    end)
    teardown(function()
      server:stop()
      db:exec "DROP OWNED BY readers; DROP ROLE readers"
      db:close()
    end)

    it("see nothing of each other in a get_many", function()
      for prefix in pairs(ALONE) do
        local seen = {}
        for _ = 1, 3 do
          for _, item in ipairs(expect.value(cache:get_many(others(prefix, 40)))) do check(prefix, item, seen) end
        end
      end
    end)

    it("see nothing of each other when several clients ask at once", function()
      local clients, sent, seen = {}, {}, {}
      for i = 1, 4 do clients[i] = server:connect() end
      for prefix in pairs(ALONE) do
        seen[prefix] = {}
        for _, key in ipairs(others(prefix, 40)) do
          local client = clients[#sent % #clients + 1]
          sent[#sent + 1] = { client = client, prefix = prefix, id = client:send("get", key) }
        end
      end
      for _, s in ipairs(sent) do
        check(s.prefix, { value = expect.value(s.client:receive(s.id)) }, seen[s.prefix])
      end
      for _, client in ipairs(clients) do client:close() end
    end)

    it("are one query from the first batch on, where that reads plain tables", function()
      local lasting = { statement_age = "1h" } -- what is known of the query is asked for once
      for option, value in pairs(options) do lasting[option] = value end
      local other = start(db, lasting)
      cache = other:connect()
      for first = 1, 901, 100 do
        local keys = {}
        for i = first, first + 99 do keys[#keys + 1] = "plain:" .. i end
        for i, item in ipairs(expect.value(cache:get_many(keys))) do
          assert.equal("item " .. first + i - 1, item.value.it)
        end
      end
      -- Each of ten batches is a query; before the first its types are asked for, and what makes the query.
      assert.equal(3 + 10, queries(cache, 10))
      other:stop()
    end)
  end)
end

describe("a batch of a table that gets row-level security", function()
  it("goes key by key soon after, and together again without", function()
    local db = postgres.database()
    db:exec(SCHEMA)
    local server = start(db, { statement_age = "100ms" })
    local cache = server:connect()
    local at, runs, before = 0, 0, 0
    -- So many queries for a batch of ten.
    local function asked()
      local keys = {}
      for i = 1, 10 do keys[i] = "plain:" .. at + i end
      at = at + 10
      for i, item in ipairs(expect.value(cache:get_many(keys))) do
        assert.equal("item " .. at - 10 + i, item.value.it)
      end
      runs = runs + 1
      local now = queries(cache, runs)
      local more = now - before
      before = now
      return more
    end
    assert.equal(4, asked())
    assert.equal(2, asked())
    db:exec "ALTER TABLE items ENABLE ROW LEVEL SECURITY"
    wait.until_true("they go key by key", function() return asked() == 11 end)
    db:exec "ALTER TABLE items DISABLE ROW LEVEL SECURITY"
    wait.until_true("they go together", function() return asked() == 2 end)
    server:stop()
    db:close()
  end)
end)
