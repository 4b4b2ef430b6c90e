local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local wait = require "spec.support.wait"

local GATE = 11

describe("a time limit", function()
  local server, source, cache

  setup(function()
    server, source = Source.postgres {
      options = { defaults = { retries = 0, breaker_failures = 0 } },
      loaders = {
        { pattern = "user:*", ttl = "60s", wait_timeout = "60s", load_timeout = "60s" },
        { pattern = "impatient:*", ttl = "60s", wait_timeout = "60ms", load_timeout = "60s" },
        {
          pattern = "limited:*", ttl = "60s", wait_timeout = "60s", load_timeout = "80ms",
          backoff_base = "1ms", backoff_cap = "1ms",
        },
        {
          pattern = "stale:*", ttl = "50ms", stale_ttl = "10min", stale_wait = "60s",
          wait_timeout = "60s", load_timeout = "60s",
        },
      },
    }
    cache = server:connect()
  end)
  teardown(function()
    source:close()
    server:stop()
  end)
  after_each(function() source:open_gates() end)

  local function gated(key)
    source:put(key, "late", { gate = GATE })
    source.db:shut(GATE)
  end

  it("of the request ends its waiting, and the message names key and time", function()
    gated "user:1"
    expect.error("TIMEOUT", { "user:1", "no answer within", " ms" }, cache:get("user:1", { timeout_ms = 70 }))
    source.db:open(GATE)
  end)

  it("of the request does not end the load: a late result fills the cache", function()
    gated "user:2"
    expect.error("TIMEOUT", "user:2", cache:get("user:2", { timeout_ms = 40 }))
    source:await_gate(GATE)
    source.db:open(GATE)
    wait.until_true("the late value", function() return cache:peek "user:2" end)
    assert.equal("late", expect.value(cache:get "user:2"))
    assert.equal(1, source:loads "user:2")
  end)

  it("of one request is not that of another", function()
    gated "user:3"
    local patient = cache:send("get", "user:3")
    expect.error("TIMEOUT", "user:3", cache:get("user:3", { timeout_ms = 40 }))
    assert.is_nil(cache.answers[patient])
    source.db:open(GATE)
    assert.equal("late", expect.value(cache:receive(patient)))
    assert.equal(1, source:loads "user:3")
  end)

  it("of 0 takes what is there and waits for nothing", function()
    gated "user:4"
    expect.error("TIMEOUT", "user:4", cache:get("user:4", { timeout_ms = 0 }))
    source.db:open(GATE)
    assert.equal("late", expect.value(cache:get "user:4"))
    assert.equal("late", expect.value(cache:get("user:4", { timeout_ms = 0 })))
  end)

  it("is the loader's wait_timeout where the request has none", function()
    gated "impatient:1"
    expect.error("TIMEOUT", "impatient:1", cache:get "impatient:1")
    source.db:open(GATE)
    wait.until_true("the late value", function() return cache:peek "impatient:1" end)
  end)

  it("of the request goes before the loader's wait_timeout", function()
    gated "impatient:2"
    local id = cache:send("get", "impatient:2", { timeout_ms = 60000 })
    expect.error("TIMEOUT", "impatient:2", cache:get "impatient:2")
    source.db:open(GATE)
    assert.equal("late", expect.value(cache:receive(id)))
  end)

  it("gives the stale value to who waited for a fresh one", function()
    source:put("stale:1", "old")
    expect.value(cache:get "stale:1")
    wait.until_true("it is stale", function() return cache:peek("stale:1").status == "stale" end)
    gated "stale:1"
    local entry = expect.status("stale", cache:get_entry("stale:1", { timeout_ms = 60 }))
    assert.equal("old", entry.value)
    source.db:open(GATE)
  end)

  it("race 19: of a load ends it with LOAD_TIMEOUT, and the query is cancelled in the database", function()
    gated "limited:1"
    expect.error("LOAD_TIMEOUT", "limited:1", cache:get "limited:1")
    wait.until_true("no query waits any more", function() return source.db:waiting(GATE) == 0 end)
    wait.until_true("no query runs any more", function()
      return 0 == source.db:number [[
        SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND application_name <> 'spec' AND state = 'active' ]]
    end)
    source.db:open(GATE)
  end)

  it("of a load does no harm to the loads after it", function()
    for i = 1, 10 do
      gated("limited:many " .. i)
      expect.error("LOAD_TIMEOUT", {}, cache:get("limited:many " .. i))
      source.db:open(GATE)
    end
    for i = 1, 10 do
      source:put("user:after " .. i, "fine")
      assert.equal("fine", expect.value(cache:get("user:after " .. i)))
    end
    server:await_loader("limited:*", "in_flight", 0)
  end)

  it("of a load wakes all who wait for it", function()
    gated "limited:2"
    local ids = {}
    for i = 1, 20 do ids[i] = cache:send("get", "limited:2") end
    for i = 1, 20 do expect.error("LOAD_TIMEOUT", "limited:2", cache:receive(ids[i])) end
    source.db:open(GATE)
  end)

  it("stands for each key of a get_many", function()
    source:put("user:quick", "quick")
    gated "user:5"
    local list = expect.value(cache:get_many({ "user:quick", "user:5" }, { timeout_ms = 300 }))
    assert.equal("quick", list[1].value)
    assert.equal("TIMEOUT", list[2].error.code)
    source.db:open(GATE)
  end)
end)
