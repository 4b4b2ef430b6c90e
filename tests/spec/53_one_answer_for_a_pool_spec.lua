-- Connections of one pool ask the catalog once whether a statement may share a transaction, where names
-- mean the same in all their sessions.

local Server = require "spec.support.server"
local expect = require "spec.support.expect"
local postgres = require "spec.support.postgres"
local wait = require "spec.support.wait"

local SCHEMA = [[
  CREATE SCHEMA one;
  CREATE TABLE one.items (id int PRIMARY KEY, name text);
  INSERT INTO one.items SELECT i, 'item ' || i FROM generate_series(1, 9) i;
  CREATE SCHEMA two;
  CREATE VIEW two.items AS SELECT * FROM one.items;
]]

local SCRIPT = [[
return {
  load = function(_, ctx)
    return ctx.db:row("SELECT name AS it FROM items WHERE id = $1::int AND $2::text <> ''", 1, ctx.match[1])
  end,
}
]]

describe("a pool of two connections", function()
  local db, server, cache, serial

  before_each(function()
    db = postgres.database()
    db:exec(SCHEMA)
    db:exec("ALTER DATABASE " .. db.name .. " SET search_path = one")
    db:exec("ALTER DATABASE " .. db.name .. " SET log_statement = 'all'")
    server = Server.start {
      options = { loader_threads = 1 },
      backends = { main = { driver = "postgres", url = db.url, pool = 2, statement_age = "1h" } },
      loaders = { { pattern = "item:*", backend = "main", script = "item.lua", ttl = "60s" } },
      scripts = { ["item.lua"] = SCRIPT },
    }
    cache = server:connect()
    serial = 0
  end)
  after_each(function()
    server:stop()
    db:close()
  end)

  local function backend() return expect.value(cache:stats()).backends.main end

  -- So many loads at once, each a query.
  local function load(count)
    local ids = {}
    for i = 1, count do
      serial = serial + 1
      ids[i] = cache:send("get", "item:" .. serial)
    end
    for _, id in ipairs(ids) do assert.equal("item 1", expect.value(cache:receive(id)).it) end
    return backend()
  end

  -- How often a session of the pool has run the question.
  local function questions()
    local count = 0
    for _ in db.cluster:log():gmatch("execute [^\n]*SELECT ARRAY%[[^\n]*" .. "current_schemas[^\n]*, %(\n") do
      count = count + 1
    end
    return count
  end

  -- One is kept idle, which nothing was asked on: a new session takes its place.
  local function replace_the_idle_one()
    db:exec [[SELECT pg_terminate_backend(pid) FROM pg_stat_activity
      WHERE datname = current_database() AND pid <> pg_backend_pid() ORDER BY backend_start DESC LIMIT 1]]
    wait.until_true("it is gone", function() return backend().disconnects == 1 end)
  end

  -- The first connection alone, and then, after a change of what new sessions begin with, both.
  local function judge_one_by_one(change)
    local before = questions()
    wait.until_true("the first knows", function() return load(1).statements_shared == 1 end)
    wait.until_true("another is open", function() return backend().connects == 2 end)
    assert.equal(1, questions() - before)
    if change then db:exec(change) end
    replace_the_idle_one()
    wait.until_true("both know", function()
      local b = load(40)
      return b.statements_shared + b.statements_alone >= 2
    end)
    assert.equal(3, backend().connects)
    return questions() - before
  end

  it("asks once where both sessions are alike", function()
    assert.equal(1, judge_one_by_one())
    assert.equal(2, backend().statements_shared)
  end)

  it("asks on each where a name may mean something else there", function()
    assert.equal(2, judge_one_by_one("ALTER DATABASE " .. db.name .. " SET search_path = two"))
    assert.equal(1, backend().statements_shared)
  end)
end)
