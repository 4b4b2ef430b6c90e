local Server = require "spec.support.server"
local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local postgres = require "spec.support.postgres"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

describe("when the database", function()
  local cluster, server, source, cache

  setup(function() cluster = postgres.start() end)
  teardown(function() cluster:stop() end)

  before_each(function()
    local function loader(pattern, fields)
      local l = {
        pattern = pattern, retries = 0, backoff_base = "20ms", backoff_cap = "100ms",
        breaker_failures = 0, wait_timeout = "60s", load_timeout = "60s", max_queue = 5000,
      }
      for name, v in pairs(fields) do l[name] = v end
      return l
    end
    server, source = Source.postgres({
      loaders = {
        loader("user:*", { ttl = "60s" }),
        loader("kept:*", { ttl = "50ms", stale_if_error = "10min" }),
        loader("plain:*", { ttl = "50ms", load_timeout = "2s" }),
      },
      options = { max_parked = 5000, max_batch = 5000 },
    }, cluster, {
      pool = 2, pipeline = 64, max_queue = 5000, reconnect_base = "100ms", reconnect_cap = "200ms",
    })
    cache = server:connect()
  end)
  after_each(function()
    if cluster.frozen then cluster:thaw() end
    source:close()
    server:stop()
  end)

  local function await_expired(key)
    wait.until_true(key .. " is past its ttl", function()
      local entry = cache:peek(key)
      return not entry or entry.status ~= "hit"
    end)
  end

  it("is killed, hits and marked stale values are served, the rest are errors, and it recovers", function()
    for i = 1, 20 do
      source:put("user:" .. i, "user " .. i)
      source:put("kept:" .. i, "kept " .. i)
      expect.value(cache:get("user:" .. i))
      expect.value(cache:get("kept:" .. i))
    end
    await_expired "kept:20"
    cluster:kill()
    for i = 1, 20 do
      assert.equal("user " .. i, expect.value(cache:get("user:" .. i)))
      local entry = expect.status("stale_error", cache:get_entry("kept:" .. i))
      assert.equal("kept " .. i, entry.value)
      assert.equal("BACKEND_DOWN", entry.error.code)
    end
    local err = expect.error("BACKEND_DOWN", "user:new", cache:get "user:new")
    assert.truthy(err.message)
    cluster:launch()
    source.db:reconnect()
    source:put("user:new", "back again")
    source:put("kept:1", "changed")
    wait.until_true("the new user", function() return cache:get "user:new" == "back again" end)
    wait.until_true("the new value", function() return cache:get "kept:1" == "changed" end)
  end)

  it("is killed under load, every request is answered, and none with a wrong value", function()
    for i = 1, 100 do source:put("plain:" .. i, "plain " .. i) end
    local outcomes = { value = 0, error = 0 }
    local clients = {}
    for i = 1, 4 do clients[i] = server:connect() end
    local function round()
      local ids = {}
      for c, connection in ipairs(clients) do
        ids[c] = {}
        for i = 1, 100 do ids[c][i] = connection:send("get", "plain:" .. i) end
      end
      for c, connection in ipairs(clients) do
        for i = 1, 100 do
          local value, err = connection:receive(ids[c][i])
          if err then
            outcomes.error = outcomes.error + 1
            local known = { BACKEND_DOWN = 1, BACKEND_ERROR = 1, LOAD_TIMEOUT = 1, OVERLOADED = 1 }
            assert.truthy(known[err.code], tostring(err))
          else
            outcomes.value = outcomes.value + 1
            assert.equal("plain " .. i, value)
          end
        end
      end
    end
    round()
    for _ = 1, 3 do
      cluster:kill()
      for i = 1, 100 do await_expired("plain:" .. i) end
      round()
      cluster:launch()
      source.db:reconnect()
      local last = outcomes.value
      wait.until_true("values again", function()
        round()
        return outcomes.value >= last + 400
      end)
    end
    assert.truthy(outcomes.error > 0)
  end)

  it("is away, it is not stormed with connections, and the first sign of life is enough", function()
    source:put("user:1", "one")
    expect.value(cache:get "user:1")
    source.db:exec "ALTER SYSTEM SET max_connections = 60"
    local name = source.db.name
    source.db:exec("ALTER ROLE postgres CONNECTION LIMIT -1")
    local admin = cluster:database()
    admin:exec("ALTER DATABASE " .. name .. " ALLOW_CONNECTIONS false")
    admin:exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity "
      .. "WHERE datname = '" .. name .. "' AND application_name <> 'spec'")
    local function refusals()
      local count = 0
      for _ in cluster:log():gmatch("FATAL:  database \"" .. name .. "\" is not currently accepting") do
        count = count + 1
      end
      return count
    end
    local asked = 0
    local since = wait.now()
    wait.until_true("the third attempt", function()
      for _ = 1, 50 do
        asked = asked + 1
        local value, err = cache:get("user:away " .. asked)
        assert.is_nil(value)
        assert.truthy(err)
      end
      return refusals() >= 3
    end)
    -- Two connections try every 100 to 200 ms, less jitter; a storm would try for each request.
    local seconds = wait.now() - since
    assert.truthy(refusals() < asked / 3 and refusals() <= 2 * (seconds / 0.02 + 3),
      refusals() .. " attempts in " .. seconds .. " s for " .. asked .. " requests")
    admin:exec("ALTER DATABASE " .. name .. " ALLOW_CONNECTIONS true")
    admin:close()
    source:put("user:2", "two")
    wait.until_true("a load", function() return cache:get "user:2" == "two" end)
  end)

  -- The driver asks the catalog what a statement reads, for all its loads: none of them can give that up.
  it("stops in the middle of a question of the driver's own, another connection is asked", function()
    local other = cluster:open(source.db.name)
    other:exec "CREATE TABLE moods AS SELECT id, 'glad' AS mood FROM generate_series(1, 10000) id"
    local moody = Server.start {
      loaders = {
        { pattern = "mood:{id:int}", sql = "SELECT mood FROM moods WHERE id = $id", backend = "main", retries = 0,
          load_timeout = "300ms", backoff_base = "1ms", backoff_cap = "1ms", breaker_failures = 0 },
        { pattern = "one", sql = "SELECT 1 AS one", backend = "main" },
      },
      options = { loader_threads = 1 },
      backends = { main = { driver = "postgres", url = source.db.url, pool = 2, connect_timeout = "500ms" } },
    }
    local client = moody:connect()
    expect.value(client:get "one") -- a connection is there
    other:exec "BEGIN; LOCK TABLE pg_inherits IN ACCESS EXCLUSIVE MODE"
    local asked, pid = 0, nil
    local function ask()
      asked = asked + 1
      return client:send("get", "mood:" .. asked)
    end
    wait.until_true("the question waits for the lock", function() -- it is asked after some loads
      ask()
      pid = source.db:number [[SELECT pid FROM pg_stat_activity WHERE wait_event_type = 'Lock'
        AND datname = current_database() AND query LIKE '%-- Why the statement%'
        AND pid <> pg_backend_pid()]]
      return pid
    end)
    process.signal(pid, "STOP")
    other:exec "COMMIT"
    wait.until_true("its connection is given up", function()
      return moody:log():find "a cancelled query did not end within 500 ms"
    end)
    wait.until_true("a load", function()
      asked = asked + 1
      local row = client:get("mood:" .. asked)
      return row and row.mood == "glad"
    end)
    process.signal(pid, "CONT")
    other:close()
    moody:stop()
  end)

  it("hangs, 2,000 loads park while hits go on, and all end when it wakes", function()
    source:put("user:hit", "hit")
    expect.value(cache:get "user:hit")
    source.db:exec [[
      INSERT INTO source (key, value)
      SELECT 'user:parked ' || i, 'value ' || i FROM generate_series(1, 2000) i
    ]]
    cluster:freeze()
    local parked, ids = server:connect(), {}
    for i = 1, 2000 do ids[i] = parked:send("get", "user:parked " .. i) end
    assert.equal("pong", expect.value(parked:ping()))
    for _ = 1, 200 do assert.equal("hit", expect.value(cache:get "user:hit")) end
    wait.until_true("2,000 loads are in the air or queued", function()
      local loader = server:loader "user:*"
      return loader.in_flight + loader.queued == 2000
    end)
    expect.error("TIMEOUT", {}, cache:get("user:parked 1", { timeout_ms = 50 }))
    cluster:thaw()
    for i = 1, 2000 do assert.equal("value " .. i, expect.value(parked:receive(ids[i], 60))) end
    assert.equal(2000, source.db:number "SELECT count(*) FROM loads WHERE key LIKE 'user:parked %'")
  end)

  it("hangs past load_timeout, the loads end with it, and later ones work", function()
    source:put("plain:1", "one")
    expect.value(cache:get "plain:1")
    await_expired "plain:1"
    cluster:freeze()
    expect.error("LOAD_TIMEOUT", "plain:1", cache:get "plain:1")
    cluster:thaw()
    wait.until_true("a load", function() return cache:get "plain:1" == "one" end)
  end)
end)

describe("when the database was never there", function()
  it("the server starts all the same, and says so on every load", function()
    local server = Server.start {
      backends = { main = { driver = "postgres", url = "postgresql:///none?host=/nowhere/at/all" } },
      loaders = { { pattern = "user:*", script = "source.lua", backend = "main", retries = 0 } },
      scripts = { ["source.lua"] = Source.script },
    }
    local cache = server:connect()
    expect.error("BACKEND_DOWN", { "user:1", "/nowhere/at/all" }, cache:get "user:1")
    expect.value(cache:set("user:2", "set"))
    assert.equal("set", expect.value(cache:get "user:2"))
    server:stop()
  end)
end)
