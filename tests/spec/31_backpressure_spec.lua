local Server = require "spec.support.server"
local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local wait = require "spec.support.wait"

local GATE = 31

describe("a source that cannot keep up", function()
  local server, source, cache

  setup(function()
    local function loader(pattern, fields)
      local l = { pattern = pattern, retries = 0, ttl = "60s", load_timeout = "60s", wait_timeout = "60s",
        backoff_base = "1ms", backoff_cap = "1ms", breaker_failures = 0 }
      for name, v in pairs(fields) do l[name] = v end
      return l
    end
    server, source = Source.postgres({
      options = { loader_threads = 1, retry_budget = 0 },
      scripts = {
        ["paced.lua"] = [[return { load = function(_, ctx)
          return ctx.db:value "SELECT 'here' FROM pg_sleep(0.003)"
        end }]],
      },
      loaders = {
        loader("full:*", { max_loads = 1, max_queue = 1 }),
        loader("shed:*", { max_loads = 1, max_queue = 1, ttl = "20ms", stale_ttl = "10min" }),
        loader("left:*", { max_loads = 1, max_queue = 1 }),
        loader("paced:*", { max_loads = 1, max_queue = 1000, script = "paced.lua" }),
        loader("one:*", {}),
        loader("other:*", {}),
        loader("again:*", { retries = 3, retry_base = "1ms", retry_cap = "1ms" }),
      },
    }, nil, { max_loads = 2, min_loads = 2 })
    cache = server:connect()
  end)
  teardown(function()
    source:close()
    server:stop()
  end)
  after_each(function() source:open_gates() end)

  -- One load of the pattern stands at the gate.
  local function hold(key)
    source:put(key, "held", { gate = GATE })
    source.db:shut(GATE)
    local id = cache:send("get", key)
    source:await_gate(GATE)
    return id
  end

  it("is answered OVERLOADED with the time to retry after, in both forms of errors", function()
    local held = hold "full:held"
    local queued = cache:send("get", "full:queued")
    server:await_loader("full:*", "queued", 1)
    local err = expect.error("OVERLOADED", { "full:refused", "1 queued", "(retry after " }, cache:get "full:refused")
    assert.is_truthy(err.retry_after_ms > 0)
    local maps = server:connect()
    expect.value(maps:hello { errors = "map" })
    err = expect.error("OVERLOADED", "full:refused", maps:get "full:refused")
    assert.is_truthy(err.retry_after_ms > 0)
    assert.is_nil(err.message:find("retry after", 1, true))
    maps:close()
    source.db:open(GATE)
    expect.value(cache:receive(held))
    expect.absent(cache:receive(queued))
  end)

  it("drops a refresh that nobody waits for, before it refuses a get", function()
    source:put("shed:stale", "old")
    expect.value(cache:get "shed:stale")
    wait.until_true("it is stale", function() return cache:peek("shed:stale").status == "stale" end)
    local held = hold "shed:held"
    assert.equal("old", expect.value(cache:get "shed:stale"))
    server:await_loader("shed:*", "queued", 1)
    local before = source:loads "shed:stale"
    source:put("shed:missed", "here")
    local missed = cache:send("get", "shed:missed")
    assert.equal("pong", expect.value(cache:ping()))
    source.db:open(GATE)
    expect.value(cache:receive(held))
    assert.equal("here", expect.value(cache:receive(missed)))
    assert.equal(before, source:loads "shed:stale")
  end)

  it("gives the place of a request that has left to one that waits", function()
    local held = hold "left:held"
    local leaver = server:connect()
    leaver:send("get", "left:abandoned")
    server:await_loader("left:*", "queued", 1)
    expect.error("OVERLOADED", {}, cache:get "left:refused")
    leaver:close()
    source:put("left:waits", "here")
    local waits
    wait.until_true("the place is free", function()
      waits = cache:send("get", "left:waits")
      assert.equal("pong", expect.value(cache:ping()))
      if not cache.answers[waits] then return true end
      expect.error("OVERLOADED", {}, cache:receive(waits))
    end)
    source.db:open(GATE)
    expect.value(cache:receive(held))
    assert.equal("here", expect.value(cache:receive(waits)))
    assert.equal(0, source:loads "left:abandoned")
  end)

  it("is not asked for what would come after its waiter's deadline", function()
    local ids = {}
    for i = 1, 400 do ids[i] = cache:send("get", "paced:" .. i) end
    local err, asked = nil, 0
    wait.until_true("how fast the queue moves is known", function()
      asked = asked + 1 -- another key each time, for a flight in the queue is joined
      err = select(2, cache:get("paced:late " .. asked, { timeout_ms = 1 }))
      return err.code == "OVERLOADED"
    end)
    assert.is_truthy(err.message:find("too late", 1, true))
    assert.is_truthy(err.retry_after_ms > 1)
    for i = 1, 400 do expect.value(cache:receive(ids[i])) end
  end)

  it("sees max_loads of its backend at once, whatever their loaders", function()
    source:put("one:a", "a", { gate = GATE })
    source:put("other:a", "a", { gate = GATE })
    source:put("other:b", "b", { gate = GATE })
    source.db:shut(GATE)
    local ids = { cache:send("get", "one:a"), cache:send("get", "other:a") }
    source:await_gate(GATE, 2)
    ids[3] = cache:send("get", "other:b")
    server:await_loader("other:*", "queued", 1)
    assert.equal(2, source.db:waiting(GATE))
    source.db:open(GATE)
    for i = 1, 3 do expect.value(cache:receive(ids[i])) end
  end)

  it("is tried again only as the retry budget allows", function()
    local stats = expect.value(cache:stats()).counters
    local before = source:loads()
    for i = 1, 60 do
      source:put("again:" .. i, "", { fail = "sick" })
      expect.error("LOAD_FAILED", "sick", cache:get("again:" .. i))
    end
    local now = expect.value(cache:stats()).counters
    local retried = tonumber(now.loads_retried - stats.loads_retried)
    assert.is_truthy(retried < 60, retried .. " attempts more")
    assert.is_truthy(now.retries_refused > stats.retries_refused)
    assert.equal(60 + retried, source:loads() - before)
  end)
end)

describe("a source that slows down", function()
  local server, cache
  local asked, AT_ONCE, WELL, SLOW = 0, 60, 0.005, 0.1

  setup(function()
    server = Server.start {
      options = { loader_threads = 1 },
      files = { ["x.db"] = "" },
      backends = { main = { driver = "sqlite", path = "x.db", min_loads = 4 } },
      scripts = { ["nap.lua"] = [[return { load = function(_, ctx)
        rtcache.sleep(tonumber(ctx.match[1]))
        return ctx.db:value "SELECT 1"
      end }]] },
      loaders = { { pattern = "nap:*:*", script = "nap.lua", backend = "main" } },
    }
    cache = server:connect()
  end)
  teardown(function() server:stop() end)

  -- Loads that take so long; how many of them wait for their turn when all have been asked for.
  local function load(seconds)
    local ids, let_out, queued = {}, nil, nil
    for i = 1, AT_ONCE do
      asked = asked + 1
      ids[i] = cache:send("get", ("nap:%g:%d"):format(seconds, asked))
    end
    if seconds == SLOW then
      wait.until_true("all are there, and no more of them are let out", function()
        local l, before = server:loader "nap:*:*", let_out
        let_out, queued = tonumber(l.in_flight), tonumber(l.queued)
        return let_out + queued == AT_ONCE and let_out == before
      end)
    end
    for i = 1, AT_ONCE do expect.value(cache:receive(ids[i])) end
    return queued
  end

  it("is asked for less and less at once", function()
    local began = wait.now()
    while wait.now() < began + 0.4 do load(WELL) end
    -- on a slow machine it has been slow before
    assert.is_true(load(SLOW) < AT_ONCE / 2)
    wait.until_true("most of them wait for their turn", function() return load(SLOW) > AT_ONCE / 2 end)
  end)
end)
