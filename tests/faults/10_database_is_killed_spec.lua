local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local figures = require "faults.figures"
local postgres = require "spec.support.postgres"
local wait = require "spec.support.wait"

local KEYS = 100
local KNOWN = {
  BACKEND_DOWN = true, BACKEND_ERROR = true, LOAD_TIMEOUT = true, OVERLOADED = true, BREAKER_OPEN = true,
  TIMEOUT = true,
}

describe("a database under load", function()
  local cluster, server, source, loads, hits
  local seen = { value = 0, error = 0, hit = 0, slowest_hit = 0, recovery = 0 }

  setup(function()
    cluster = postgres.start()
    server, source = Source.postgres({
      scripts = { ["row.lua"] = [[
        return { load = function(key, ctx)
          return ctx.db:value("SELECT value FROM source WHERE key = $1", key)
        end }]] },
      loaders = {
        {
          pattern = "row:*", script = "row.lua", ttl = "1ms", retries = 0, backoff_base = "10ms", backoff_cap = "50ms",
          load_timeout = "1s", wait_timeout = "2s", breaker_open = "100ms",
        },
        { pattern = "hit:*", script = "row.lua", ttl = "1h" },
      },
    }, cluster, { pool = 4, pipeline = 16, reconnect_base = "20ms", reconnect_cap = "100ms" })
    for i = 1, KEYS do source:put("row:" .. i, "value " .. i) end
    loads, hits = server:connect(), server:connect()
    expect.value(hits:set("hit:1", "hit"))
  end)
  teardown(function()
    source:close()
    server:stop()
    cluster:stop()
    figures.print("requests answered, with a value", seen.value, "", "all are answered")
    figures.print("requests answered, with an error of the database", seen.error, "", "all are answered")
    figures.print("longest hit meanwhile", seen.slowest_hit * 1000, "ms", "none (printed only)")
    figures.print("longest time until rows came again", seen.recovery * 1000, "ms", "1000 (printed only)")
  end)

  local function ask()
    local ids = {}
    for i = 1, KEYS do ids[i] = loads:send("get", "row:" .. i) end
    return ids
  end

  -- Every request has an answer, right or an error that is known; hits go on meanwhile.
  local function check_answers(ids)
    for i, id in ipairs(ids) do
      local began = wait.now()
      assert.equal("hit", expect.value(hits:get "hit:1"))
      seen.slowest_hit = math.max(seen.slowest_hit, wait.now() - began)
      local value, err = loads:receive(id)
      if err then
        assert.truthy(KNOWN[err.code], tostring(err))
        seen.error = seen.error + 1
      else
        assert.equal("value " .. i, value)
        seen.value = seen.value + 1
      end
    end
  end

  local function await_recovery()
    local began = wait.now()
    wait.until_true("rows come again", function() return loads:get("row:" .. math.random(KEYS)) end)
    seen.recovery = math.max(seen.recovery, wait.now() - began)
  end

  it("that is killed answers every request, and recovers", function()
    for _ = 1, figures.pick(3, 100) do
      local ids = ask()
      cluster:kill()
      check_answers(ids)
      check_answers(ask())
      cluster:launch()
      source.db:reconnect()
      await_recovery()
    end
  end)

  it("whose connections are killed answers every request, and recovers", function()
    for _ = 1, figures.pick(10, 100) do
      local ids = ask()
      source.db:exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database() "
        .. "AND pid <> pg_backend_pid()")
      check_answers(ids)
      await_recovery()
    end
  end)

  it("that is stopped with SIGSTOP answers every request, and recovers", function()
    for _ = 1, figures.pick(1, 20) do
      cluster:freeze()
      check_answers(ask())
      cluster:thaw()
      await_recovery()
    end
  end)
end)
