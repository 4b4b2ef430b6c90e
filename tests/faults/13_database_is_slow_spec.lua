local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local figures = require "faults.figures"
local postgres = require "spec.support.postgres"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

local KEYS = 400 -- a tenth of a second for a database that is well
local KEPT = 50
local ROUNDS = figures.pick(1, 30)
local KNOWN = { LOAD_TIMEOUT = true, LOAD_FAILED = true, OVERLOADED = true, BREAKER_OPEN = true, TIMEOUT = true }

local SCRIPT = [[
return { load = function(key, ctx)
  return ctx.db:value("SELECT $1 || pg_sleep(seconds)::text FROM speed", key)
end }]]

-- 8 connections and 2 ms a query: 4,000 a second while it is well.
describe("a database that slows down under load", function()
  local server, source, loads, hits
  local seen = { value = 0, error = 0, slowest_hit = 0, slowest_stale = 0, recovery = 0, grown_kb = 0 }

  setup(function()
    server, source = Source.postgres({
      scripts = { ["slow.lua"] = SCRIPT },
      loaders = {
        {
          pattern = "row:*", script = "slow.lua", ttl = "1ms", retries = 0, backoff_base = "10ms", backoff_cap = "50ms",
          load_timeout = "500ms", wait_timeout = "1s", breaker_open = "100ms",
        },
        { pattern = "hit:*", script = "slow.lua", ttl = "1h" },
        { pattern = "kept:*", script = "slow.lua", ttl = "1ms", stale_ttl = "1h", load_timeout = "500ms" },
      },
    }, postgres.start(), { pool = 8, pipeline = 16 })
    source.db:exec "CREATE TABLE speed (seconds float); INSERT INTO speed VALUES (0.002)"
    loads, hits = server:connect(), server:connect()
    expect.value(hits:set("hit:1", "hit"))
  end)
  teardown(function()
    local cluster = source.db.cluster
    source:close()
    server:stop()
    cluster:stop()
    figures.print("requests of a slow database, answered with a value", seen.value, "", "all are answered")
    figures.print("requests of a slow database, answered with an error", seen.error, "", "all are answered")
    figures.print("longest hit meanwhile", seen.slowest_hit * 1000, "ms", "none (printed only)")
    figures.print("longest answer from a stale value meanwhile", seen.slowest_stale * 1000, "ms", "none (printed only)")
    figures.print("till every key had its value again", seen.recovery * 1000, "ms", "2000 (printed only)")
    figures.print("memory that it took at most", seen.grown_kb / 1024, "MB", "32")
  end)

  local function take(seconds) source.db:exec("UPDATE speed SET seconds = " .. seconds) end

  -- All keys at once: each is answered, and a hit with every tenth.
  local function ask_all()
    local ids, values = {}, 0
    for i = 1, KEYS do ids[i] = loads:send("get", "row:" .. i) end
    for i, id in ipairs(ids) do
      if i % 10 == 0 then
        local began = wait.now()
        assert.equal("hit", expect.value(hits:get "hit:1"))
        seen.slowest_hit = math.max(seen.slowest_hit, wait.now() - began)
      end
      local value, err = loads:receive(id)
      if err then
        assert.truthy(KNOWN[err.code], tostring(err))
      else
        assert.equal("row:" .. i, value)
        values = values + 1
      end
    end
    seen.value, seen.error = seen.value + values, seen.error + KEYS - values
    return values
  end

  local function stats() return expect.value(hits:stats()) end

  local function backend() return stats().backends.main end

  local function await_quiet()
    wait.until_true("nothing is in the air or waits", function()
      local s = stats()
      local b = s.backends.main
      return tonumber(b.in_flight) == 0 and tonumber(b.queued) == 0 and tonumber(s.scripts.parked) == 0
    end)
    assert.equal(0, source.db:number("SELECT count(*) FROM pg_stat_activity WHERE state = 'active' "
      .. "AND query LIKE '%pg_sleep%' AND pid <> pg_backend_pid()"))
  end

  local function await_well()
    take(0.002)
    local began = wait.now()
    wait.until_true("every key has its value again", function() return ask_all() == KEYS end)
    seen.recovery = math.max(seen.recovery, wait.now() - began)
  end

  -- What it took while it was slow is compared with what it had after the first time, when it was well.
  local function check(seconds)
    await_well()
    local before = process.resident(server.pid) / 1024
    for _ = 1, ROUNDS do
      take(seconds)
      ask_all()
      seen.grown_kb = math.max(seen.grown_kb, process.resident(server.pid) / 1024 - before)
      await_well()
    end
    await_quiet()
    assert.is_true(seen.grown_kb < 32 * 1024, seen.grown_kb .. " kB more")
  end

  it("tenfold answers every request, takes no memory for it, and recovers", function() check(0.02) end)

  it("answers from stale values while no query ends in time", function()
    await_well()
    for i = 1, KEPT do assert.equal("kept:" .. i, expect.value(hits:get("kept:" .. i))) end
    take(600)
    for _ = 1, ROUNDS do
      local stale = tonumber(stats().counters.hits_stale)
      for i = 1, KEPT do
        local began = wait.now()
        assert.equal("kept:" .. i, expect.value(hits:get("kept:" .. i)))
        seen.slowest_stale = math.max(seen.slowest_stale, wait.now() - began)
      end
      assert.is_true(tonumber(stats().counters.hits_stale) > stale)
    end
    await_well()
    await_quiet()
  end)

  it("until no query ends in time: the queries are stopped, and it recovers", function()
    local before = tonumber(backend().cancels)
    check(600)
    assert.is_true(tonumber(backend().cancels) > before)
  end)
end)
