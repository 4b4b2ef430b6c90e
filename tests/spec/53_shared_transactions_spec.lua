-- SELECTs that come together share a transaction where they read plain tables, and no load can
-- tell that there are others.

local Server = require "spec.support.server"
local expect = require "spec.support.expect"
local postgres = require "spec.support.postgres"
local wait = require "spec.support.wait"

local SCHEMA = [[
  CREATE TABLE items (id int PRIMARY KEY, name text);
  INSERT INTO items SELECT i, 'item ' || i FROM generate_series(1, 9) i;
  CREATE TABLE docs (id int PRIMARY KEY, tenant text, open bool, title text);
  INSERT INTO docs VALUES (1, 'acme', false, 'salaries'), (2, 'globex', false, 'plans'), (3, 'acme', true, 'menu');
  ALTER TABLE docs ENABLE ROW LEVEL SECURITY;
  CREATE POLICY own ON docs USING (open OR tenant = current_setting('app.tenant', true));
  CREATE FUNCTION doc_of(t text, i int) RETURNS SETOF docs LANGUAGE plpgsql AS $$BEGIN
    PERFORM set_config('app.tenant', t, true);
    RETURN QUERY SELECT * FROM docs WHERE id = i;
  END$$;
  CREATE TABLE jobs (id int PRIMARY KEY);
  INSERT INTO jobs SELECT generate_series(1, 5);
]]

-- Each pattern's last star makes another key of the same question, so that it is asked again.
local LOADERS = {
  ["item:*:*"] = "SELECT name AS it FROM items WHERE id = $1::int AND $2::text <> ''",
  ["mine:*:*:*"] = "SELECT title AS it FROM doc_of($1, $2::int) WHERE $3::text <> ''",
  ["public:*:*"] = "SELECT title AS it FROM docs WHERE id = $1::int AND $2::text <> ''",
  ["tenant:*"] = "SELECT coalesce(current_setting('app.tenant', true), '') AS it WHERE $1::text <> ''",
  ["lock:*"] = "SELECT pg_try_advisory_xact_lock(7) AS it WHERE $1::text <> ''",
  ["locks:*"] = "SELECT count(*) AS it FROM pg_locks WHERE locktype = 'advisory' AND $1::text <> ''",
  ["job:*"] = "SELECT id AS it FROM jobs WHERE $1::text <> '' ORDER BY id LIMIT 1 FOR UPDATE SKIP LOCKED",
  ["number:*"] = "SELECT coalesce(txid_current_if_assigned()::text, '') AS it WHERE $1::text <> ''",
  ["moment:*"] = "SELECT now()::text AS it WHERE $1::text <> ''",
}

-- A script to each, since a loader without code puts its own queries together.
local SCRIPT = [==[
return {
  load = function(_, ctx)
    return ctx.db:row([[%s]], %s)
  end,
}
]==]

local function loaders(queries)
  local list, scripts = {}, {}
  for pattern, sql in pairs(queries) do
    local name, matches = pattern:match "^%a+" .. ".lua", {}
    for n in pattern:gmatch "()%*" do
      matches[#matches + 1] = n and ("ctx.match[%d]"):format(#matches + 1)
    end
    scripts[name] = SCRIPT:format(sql, table.concat(matches, ", "))
    list[#list + 1] = { pattern = pattern, backend = "main", script = name, ttl = "60s" }
  end
  return list, scripts
end

-- What is asked for, and the answer; nil: none. A moment is looked at apart.
local ASKED = {
  { "item:1:", "item 1" },
  { "mine:acme:1:", "salaries" },
  { "public:1:", nil },
  { "item:2:", "item 2" },
  { "mine:globex:2:", "plans" },
  { "public:2:", nil },
  { "mine:globex:1:", nil },
  { "public:3:", "menu" },
  { "tenant:", "" },
  { "lock:", true },
  { "item:3:", "item 3" },
  { "locks:", 0 },
  { "job:", 1 },
  { "number:", "" },
  { "item:4:", "item 4" },
}

describe("loads that come together", function()
  local db, server, cache

  setup(function()
    db = postgres.database()
    db:exec(SCHEMA)
    db:exec "DROP ROLE IF EXISTS tenants"
    db:exec "CREATE ROLE tenants LOGIN"
    db:exec "GRANT SELECT, UPDATE ON ALL TABLES IN SCHEMA public TO tenants"
    local list, scripts = loaders(LOADERS)
    server = Server.start {
      options = { log_level = "debug", loader_threads = 1 },
      backends = { main = { driver = "postgres", url = db.url:gsub("postgres@", "tenants@", 1),
        pool = 1, pipeline = 200 } },
      loaders = list,
      scripts = scripts,
    }
    cache = server:connect()
  end)
  teardown(function()
    server:stop()
    db:exec "DROP OWNED BY tenants; DROP ROLE tenants"
    db:close()
  end)

  local function backend() return expect.value(cache:stats()).backends.main end

  local serial = 0
  -- Sends all of ASKED some times over, in one go, and then looks at the answers.
  local function ask_all(times)
    local sent, moments = {}, {}
    for _ = 1, times do
      for _, asked in ipairs(ASKED) do
        serial = serial + 1
        sent[#sent + 1] = { asked = asked, id = cache:send("get", asked[1] .. serial) }
      end
      moments[#moments + 1] = cache:send("get", "moment:" .. serial)
    end
    for _, s in ipairs(sent) do
      local value, err = cache:receive(s.id)
      assert.is_nil(err, s.asked[1])
      assert.equal(s.asked[2], value and value.it, s.asked[1])
    end
    local seen = {}
    for _, id in ipairs(moments) do
      local moment = expect.value(cache:receive(id)).it
      assert.is_nil(seen[moment], "two loads at one moment of the database")
      seen[moment] = true
    end
  end

  it("see nothing of each other, whatever they set and lock", function()
    for _ = 1, 14 do ask_all(12) end -- 2,688 loads
    assert.equal(0, backend().groups_failed)
  end)

  it("share transactions where they read plain tables", function()
    -- One goes alone until it was seen to be quick, which a busy machine may take some time for.
    wait.until_true("transactions of more than one SELECT", function()
      local ids = {}
      for i = 1, 20 do
        serial = serial + 1
        ids[i] = cache:send("get", "item:1:" .. serial)
      end
      for _, id in ipairs(ids) do assert.equal("item 1", expect.value(cache:receive(id)).it) end
      return backend().groups > 0
    end)
    assert.equal(1, backend().statements_shared)
    assert.truthy(backend().statements_alone >= 8)
  end)

  it("are told apart in the log, with a reason", function()
    local log = server:log()
    assert.truthy(log:find 'pg.shares backend=main sql="SELECT name AS it FROM items')
    for _, reason in ipairs {
      'it has a RangeFunction" sql="SELECT title AS it FROM doc_of',
      'docs has row-level security" sql="SELECT title AS it FROM docs',
      'it has SelectStmt.lockingClause" sql="SELECT id AS it FROM jobs',
      'it calls now()" sql="SELECT now()',
      'pg_locks is a view" sql="SELECT count(*)',
    } do
      assert.truthy(log:find('pg.alone backend=main reason="' .. reason, 1, true), reason)
    end
  end)
end)

describe("a table that gets row-level security under load", function()
  it("is in no shared transaction soon after", function()
    local db = postgres.database()
    db:exec(SCHEMA)
    local list, scripts = loaders { ["item:*:*"] = LOADERS["item:*:*"] }
    local server = Server.start {
      options = { loader_threads = 1 },
      backends = { main = { driver = "postgres", url = db.url, pool = 1, statement_age = "200ms" } },
      loaders = list,
      scripts = scripts,
    }
    local cache = server:connect()
    local serial = 0
    local function shared()
      local ids = {}
      for i = 1, 20 do
        serial = serial + 1
        ids[i] = cache:send("get", "item:1:" .. serial)
      end
      for _, id in ipairs(ids) do assert.equal("item 1", expect.value(cache:receive(id)).it) end
      return expect.value(cache:stats()).backends.main.statements_shared
    end
    wait.until_true("it shares", function() return shared() == 1 end)
    db:exec "ALTER TABLE items ENABLE ROW LEVEL SECURITY"
    wait.until_true("it shares no more", function() return shared() == 0 end)
    db:exec "ALTER TABLE items DISABLE ROW LEVEL SECURITY"
    wait.until_true("it shares again", function() return shared() == 1 end)
    server:stop()
    db:close()
  end)
end)
