local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local wait = require "spec.support.wait"

local GATE = 8

describe("a flight, the one load in progress for a key,", function()
  local server, source

  setup(function()
    server, source = Source.postgres {
      options = { defaults = { retries = 0 } },
      loaders = {
        { pattern = "user:*", ttl = "60s", wait_timeout = "60s", load_timeout = "60s" },
        { pattern = "few:*", ttl = "60s", wait_timeout = "60s", load_timeout = "60s", max_waiters = 5 },
      },
    }
  end)
  teardown(function()
    source:close()
    server:stop()
  end)
  after_each(function() source:open_gates() end)

  it("is joined by all who ask: 10,000 gets of one absent key make one query", function()
    source:put("user:nobody", "", { gate = GATE })
    source.db:shut(GATE)
    local clients, ids = {}, {}
    for i = 1, 50 do
      clients[i] = server:connect({ tcp = i % 2 == 0 })
      ids[i] = {}
      for j = 1, 200 do ids[i][j] = clients[i]:send("get", "user:nobody") end
    end
    source:await_gate(GATE)
    for _, c in ipairs(clients) do assert.equal("pong", expect.value(c:ping())) end
    source:remove "user:nobody"
    source.db:open(GATE)
    for i, c in ipairs(clients) do
      for _, id in ipairs(ids[i]) do expect.absent(c:receive(id)) end
    end
    assert.equal(1, source:loads "user:nobody")
  end)

  it("is joined by all who ask for a value, over TCP and Unix sockets", function()
    source:put("user:hot", "one", { gate = GATE })
    source.db:shut(GATE)
    local clients, ids = {}, {}
    for i = 1, 50 do
      clients[i] = server:connect({ tcp = i % 2 == 0 })
      ids[i] = {}
      for j = 1, 40 do ids[i][j] = clients[i]:send("get", "user:hot") end
    end
    source:await_gate(GATE)
    -- A ping is answered after the gets that stand before it were looked at.
    for _, c in ipairs(clients) do assert.equal("pong", expect.value(c:ping())) end
    source.db:open(GATE)
    for i, c in ipairs(clients) do
      for _, id in ipairs(ids[i]) do assert.equal("one", expect.value(c:receive(id))) end
    end
    assert.equal(1, source:loads "user:hot")
    server:await_loader("user:*", "in_flight", 0)
  end)

  it("gives an absence to all who wait, too", function()
    source:put("user:vanishing", "", { gate = GATE })
    source.db:shut(GATE)
    local a, b = server:connect(), server:connect()
    local first, second = a:send("get", "user:vanishing"), b:send("get", "user:vanishing")
    source:await_gate(GATE)
    source:remove "user:vanishing"
    source.db:open(GATE)
    expect.absent(a:receive(first))
    expect.absent(b:receive(second))
    assert.equal(1, source:loads "user:vanishing")
  end)

  it("gives a failure to all who wait, too", function()
    source:put("user:failing", "", { gate = GATE, fail = "out of luck" })
    source.db:shut(GATE)
    local a, b = server:connect(), server:connect()
    local first, second = a:send("get", "user:failing"), b:send("get", "user:failing")
    source:await_gate(GATE)
    assert.equal("pong", expect.value(b:ping()))
    source.db:open(GATE)
    expect.error("LOAD_FAILED", "out of luck", a:receive(first))
    expect.error("LOAD_FAILED", "out of luck", b:receive(second))
    assert.equal(1, source:loads "user:failing")
  end)

  it("goes on when the client leaves that started it", function()
    source:put("user:left", "still wanted", { gate = GATE })
    source.db:shut(GATE)
    local first, second = server:connect(), server:connect()
    first:send("get", "user:left")
    source:await_gate(GATE)
    local id = second:send("get", "user:left")
    assert.equal("pong", expect.value(second:ping()))
    first:close()
    assert.equal("pong", expect.value(second:ping()))
    source.db:open(GATE)
    assert.equal("still wanted", expect.value(second:receive(id)))
    assert.equal(1, source:loads "user:left")
  end)

  it("fills the cache when all have left", function()
    source:put("user:nobody waits", "stored", { gate = GATE })
    source.db:shut(GATE)
    local first = server:connect()
    first:send("get", "user:nobody waits")
    source:await_gate(GATE)
    first:close()
    source.db:open(GATE)
    local cache = server:connect()
    wait.until_true("the value is stored", function() return cache:peek "user:nobody waits" end)
    assert.equal("stored", expect.value(cache:get "user:nobody waits"))
    assert.equal(1, source:loads "user:nobody waits")
  end)

  it("takes max_waiters, and the next is told at once that there are too many", function()
    source:put("few:1", "few", { gate = GATE })
    source.db:shut(GATE)
    local cache = server:connect()
    local ids = {}
    for i = 1, 5 do ids[i] = cache:send("get", "few:1") end
    source:await_gate(GATE)
    expect.error("OVERLOADED", "few:1", cache:get "few:1")
    source.db:open(GATE)
    for _, id in ipairs(ids) do assert.equal("few", expect.value(cache:receive(id))) end
  end)

  it("is left behind by an invalidation: who asks later starts another", function()
    source:put("user:moved", "before", { gate = GATE })
    source.db:shut(GATE)
    local early, late = server:connect(), server:connect()
    local first = early:send("get", "user:moved")
    source:await_gate(GATE)
    expect.value(late:invalidate("user:moved") or true)
    source:put("user:moved", "after", { gate = GATE })
    local second = late:send("get", "user:moved")
    source:await_gate(GATE, 2)
    source.db:open(GATE)
    expect.value(early:receive(first))
    assert.equal("after", expect.value(late:receive(second)))
    assert.equal("after", expect.value(late:get "user:moved"))
    assert.equal(2, source:loads "user:moved")
  end)

  it("does not overwrite what was set meanwhile", function()
    source:put("user:set meanwhile", "loaded", { gate = GATE })
    source.db:shut(GATE)
    local reader, writer = server:connect(), server:connect()
    local id = reader:send("get", "user:set meanwhile")
    source:await_gate(GATE)
    expect.value(writer:set("user:set meanwhile", "set"))
    source.db:open(GATE)
    expect.value(reader:receive(id))
    assert.equal("set", expect.value(writer:get "user:set meanwhile"))
    server:await_loader("user:*", "in_flight", 0)
    assert.equal("set", expect.value(writer:get "user:set meanwhile"))
  end)

  it("is joined by refresh and get_many as well", function()
    source:put("user:joined", "one", { gate = GATE })
    source.db:shut(GATE)
    local cache = server:connect()
    local get = cache:send("get", "user:joined")
    source:await_gate(GATE)
    local many = cache:send("get_many", { "user:joined", "user:joined" })
    local refresh = cache:send("refresh", "user:joined")
    assert.equal("pong", expect.value(cache:ping()))
    source.db:open(GATE)
    assert.equal("one", expect.value(cache:receive(get)))
    assert.equal("one", expect.value(cache:receive(many))[2].value)
    assert.equal("one", expect.value(cache:receive(refresh)).value)
    assert.equal(1, source:loads "user:joined")
  end)
end)
