local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local wait = require "spec.support.wait"

local GATE = 12

describe("a loader with bounds", function()
  local server, source, cache

  setup(function()
    local patience = { wait_timeout = "60s", load_timeout = "60s", ttl = "60s" }
    local function loader(pattern, fields)
      local l = { pattern = pattern, retries = 0, backoff_base = "1ms", backoff_cap = "1ms" }
      for name, v in pairs(patience) do l[name] = v end
      for name, v in pairs(fields) do l[name] = v end
      return l
    end
    server, source = Source.postgres {
      options = { loader_threads = 1 }, -- which would share the bounds out
      loaders = {
        loader("narrow:*", { max_loads = 2, max_queue = 3, breaker_failures = 0 }),
        loader("free:*", {}),
        loader("stale:*", { max_loads = 1, max_queue = 1, ttl = "50ms", stale_ttl = "10min" }),
        loader("fragile:*", { breaker_failures = 3, breaker_open = "10min" }),
        loader("healing:*", { breaker_failures = 3, breaker_open = "200ms" }),
        loader("relapsing:*", { breaker_failures = 3, breaker_open = "200ms" }),
        loader("reloaded:*", { breaker_failures = 3, breaker_open = "200ms" }),
        loader("absent:*", { breaker_failures = 3, breaker_open = "10min" }),
      },
    }
    cache = server:connect()
  end)
  teardown(function()
    source:close()
    server:stop()
  end)
  after_each(function() source:open_gates() end)

  it("loads max_loads keys at once, queues max_queue, and refuses the next at once", function()
    source.db:shut(GATE)
    local ids = {}
    for i = 1, 5 do
      source:put("narrow:" .. i, "value " .. i, { gate = GATE })
      ids[i] = cache:send("get", "narrow:" .. i)
    end
    source:await_gate(GATE, 2)
    assert.equal("pong", expect.value(cache:ping()))
    local err = expect.error("OVERLOADED", "narrow:", cache:get "narrow:6")
    assert.truthy(err)
    server:await_loader("narrow:*", "in_flight", 2)
    server:await_loader("narrow:*", "queued", 3)
    assert.equal(2, source.db:waiting(GATE))
    source.db:open(GATE)
    for i = 1, 5 do assert.equal("value " .. i, expect.value(cache:receive(ids[i]))) end
    assert.equal(0, source:loads "narrow:6")
    server:await_loader("narrow:*", "queued", 0)
  end)

  it("still answers hits, and other loaders load, while it is full", function()
    source:put("narrow:hit", "hit")
    source:put("free:1", "free")
    expect.value(cache:get "narrow:hit")
    source.db:shut(GATE)
    local ids = {}
    for i = 1, 5 do
      source:put("narrow:full " .. i, "", { gate = GATE })
      ids[i] = cache:send("get", "narrow:full " .. i)
    end
    source:await_gate(GATE, 2)
    assert.equal("hit", expect.value(cache:get "narrow:hit"))
    assert.equal("free", expect.value(cache:get "free:1"))
    source.db:open(GATE)
    for i = 1, 5 do expect.value(cache:receive(ids[i])) end
  end)

  it("lets a request join a flight in the queue", function()
    source.db:shut(GATE)
    local ids = {}
    for i = 1, 5 do
      source:put("narrow:join " .. i, "v", { gate = GATE })
      ids[i] = cache:send("get", "narrow:join " .. i)
    end
    source:await_gate(GATE, 2)
    for _ = 1, 10 do ids[#ids + 1] = cache:send("get", "narrow:join 5") end
    assert.equal("pong", expect.value(cache:ping()))
    source.db:open(GATE)
    for _, id in ipairs(ids) do assert.equal("v", expect.value(cache:receive(id))) end
    assert.equal(1, source:loads "narrow:join 5")
  end)

  it("serves stale values while it is full", function()
    for i = 1, 3 do
      source:put("stale:" .. i, "old")
      expect.value(cache:get("stale:" .. i))
    end
    wait.until_true("all are stale", function()
      for i = 1, 3 do
        if cache:peek("stale:" .. i).status ~= "stale" then return false end
      end
      return true
    end)
    source.db:shut(GATE)
    for i = 1, 3 do source:put("stale:" .. i, "new", { gate = GATE }) end
    for _ = 1, 10 do
      for i = 1, 3 do assert.equal("old", expect.value(cache:get("stale:" .. i))) end
    end
    source.db:open(GATE)
    for i = 1, 3 do
      wait.until_true("the new value", function() return cache:get("stale:" .. i) == "new" end)
    end
  end)

  local failing = 0

  -- Failed loads in a row, each of another key, for a key that failed is in backoff.
  local function fail(prefix, count)
    for _ = 1, count do
      failing = failing + 1
      local key = prefix .. "bad " .. failing
      source:put(key, "", { fail = "down" })
      expect.error("BACKEND_DOWN", "the source is down", cache:get(key))
    end
  end

  it("opens its breaker after failures in a row, and the source is left alone", function()
    source:put("fragile:good", "good")
    fail("fragile:", 2)
    expect.value(cache:get "fragile:good")
    assert.equal("closed", server:loader("fragile:*").breaker)
    fail("fragile:", 3)
    server:await_loader("fragile:*", "breaker", "open")
    local before = source:loads()
    for i = 1, 20 do
      local err = expect.error("BREAKER_OPEN", "fragile:", cache:get("fragile:other " .. i))
      assert.truthy(err.retry_after_ms and err.retry_after_ms > 0, tostring(err))
    end
    assert.equal(before, source:loads())
    assert.equal("good", expect.value(cache:get "fragile:good"))
  end)

  -- The id of a request whose load is let through, and waits at the gate.
  local function send_probe(key)
    source:put(key, "works", { gate = GATE })
    source.db:shut(GATE)
    local id
    wait.until_true("a probe is let through", function()
      id = id or cache:send("get", key)
      if source.db:waiting(GATE) > 0 then return true end
      assert.equal("pong", expect.value(cache:ping()))
      if cache.answers[id] then
        expect.error("BREAKER_OPEN", {}, cache:receive(id))
        id = nil
      end
    end)
    return id
  end

  it("lets one probe through an open breaker, whose success closes it", function()
    fail("healing:", 3)
    local id = send_probe "healing:probe"
    server:await_loader("healing:*", "breaker", "half-open")
    expect.error("BREAKER_OPEN", {}, cache:get "healing:another")
    assert.equal(0, source:loads "healing:another")
    source.db:open(GATE)
    assert.equal("works", expect.value(cache:receive(id)))
    server:await_loader("healing:*", "breaker", "closed")
    source:put("healing:another", "works too")
    assert.equal("works too", expect.value(cache:get "healing:another"))
  end)

  it("lets another probe through after a reload that the first one was overtaken by", function()
    fail("reloaded:", 3)
    local id = send_probe "reloaded:probe"
    server:write_script("unrelated.lua", "return {}\n")
    assert.is_true(expect.value(server:connect():reload()).changed)
    source.db:open(GATE)
    assert.equal("works", expect.value(cache:receive(id)))
    source:put("reloaded:another", "works too")
    wait.until_true("it closes in the end", function() return cache:get "reloaded:another" == "works too" end)
  end)

  it("opens again when the probe fails", function()
    fail("relapsing:", 3)
    source:put("relapsing:failing", "", { fail = "down" })
    wait.until_true("the probe has failed", function()
      local _, err = cache:get "relapsing:failing"
      return err.code == "BACKEND_DOWN"
    end)
    expect.error("BREAKER_OPEN", {}, cache:get "relapsing:next")
    source:put("relapsing:last", "works")
    wait.until_true("it closes in the end", function() return cache:get "relapsing:last" == "works" end)
  end)

  it("takes no absence for a failure", function()
    for i = 1, 10 do expect.absent(cache:get("absent:" .. i)) end
    assert.equal("closed", server:loader("absent:*").breaker)
  end)
end)
