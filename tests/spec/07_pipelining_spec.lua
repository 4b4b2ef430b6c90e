local Server = require "spec.support.server"
local Source = require "spec.support.source"
local client = require "rtcache.client"
local expect = require "spec.support.expect"
local wait = require "spec.support.wait"

local GATE = 7

describe("pipelined requests", function()
  local server, source, cache

  setup(function()
    server, source = Source.postgres {
      loaders = { { pattern = "user:*", ttl = "60s", wait_timeout = "60s", load_timeout = "60s" } },
    }
  end)
  teardown(function()
    source:close()
    server:stop()
  end)
  after_each(function() source:open_gates() end)
  before_each(function() cache = server:connect() end)

  it("are all answered, each under its own id", function()
    local ids = {}
    for i = 1, 1000 do
      if i % 2 == 0 then
        ids[i] = cache:send("ping")
      else
        ids[i] = cache:send("set", "pipe:" .. i, i)
      end
    end
    for i = 1000, 1, -1 do
      local result = expect.value(cache:receive(ids[i]))
      assert.equal(i % 2 == 0 and "pong" or true, result)
    end
  end)

  it("are answered as they are ready: hits overtake a slow load", function()
    source:put("user:slow", "slow", { gate = GATE })
    source:put("user:quick", "quick")
    expect.value(cache:get "user:quick")
    source.db:shut(GATE)
    local slow = cache:send("get", "user:slow")
    source:await_gate(GATE)
    local first = {}
    for i = 1, 50 do first[i] = cache:send("get", "user:quick") end
    for i = 1, 50 do assert.equal("quick", expect.value(cache:receive(first[i]))) end
    assert.is_nil(cache.answers[slow])
    source.db:open(GATE)
    assert.equal("slow", expect.value(cache:receive(slow)))
  end)

  it("may leave the loads of one connection to end in any order", function()
    source:put("user:a", "a", { gate = GATE })
    source:put("user:b", "b", { gate = GATE + 1 })
    source.db:shut(GATE)
    source.db:shut(GATE + 1)
    local a, b = cache:send("get", "user:a"), cache:send("get", "user:b")
    source:await_gate(GATE)
    source:await_gate(GATE + 1)
    source.db:open(GATE + 1)
    assert.equal(b, cache:receive_any())
    source.db:open(GATE)
    assert.equal("a", expect.value(cache:receive(a)))
    assert.equal("b", expect.value(cache:receive(b)))
  end)

  it("wait behind a get_many until that has ended, also where it is refused in its middle", function()
    local keys, other = {}, server:connect()
    for i = 1, 10000 do keys[i] = "big" end -- a gigabyte: of each key it is read that it is too much
    expect.value(cache:set("big", ("x"):rep(100000)))
    for round = 1, 5 do
      source:put("user:late" .. round, "late", { gate = GATE })
      source.db:shut(GATE)
      cache:send("get", "user:late" .. round)
      source:await_gate(GATE)
      local many, ping, places = cache:send("get_many", keys), cache:send "ping", {}
      for _ = 1, 5 * round do expect.value(other:ping()) end
      source.db:open(GATE) -- what is answered meanwhile lets the connection go on
      for place = 1, 3 do
        local id = cache:receive_any()
        local answer, err = cache:receive(id)
        if id == many then expect.error("TOO_LARGE", "max_output", answer, err) end
        places[id] = place
      end
      assert.truthy(places[many] < places[ping])
    end
  end)

  it("may use every id from 0 to 2^32-1, also twice at once", function()
    for _, id in ipairs { 0, 1, 127, 128, 65535, 65536, 2147483647, 2147483648, 4294967295 } do
      cache:write(client.encode_request(id, "ping"))
      assert.equal("pong", expect.value(cache:receive(id)))
    end
    cache:write(client.encode_request(5, "ping") .. client.encode_request(5, "ping"))
    assert.equal(5, cache:read_message()[2])
    assert.equal(5, cache:read_message()[2])
  end)

  it("come in one write of many frames and a half", function()
    local bytes = {}
    for id = 0, 499 do bytes[#bytes + 1] = client.encode_request(id, "set", "burst:" .. id, id) end
    local last = client.encode_request(500, "ping")
    cache:write(table.concat(bytes) .. last:sub(1, 4))
    for id = 0, 499 do assert.is_true(expect.value(cache:receive(id))) end
    cache:write(last:sub(5))
    assert.equal("pong", expect.value(cache:receive(500)))
  end)

  it("may be notifications, which do their work and are not answered", function()
    cache:notify("set", "noted:1", "by notification")
    assert.equal("by notification", expect.value(cache:get "noted:1"))
    cache:notify("invalidate", "noted:1")
    expect.absent(cache:peek "noted:1")
    assert.equal("TIMEOUT", select(2, cache:read_message(0.05)).code)
  end)

  it("keep their order where one connection sets and then gets", function()
    local ids = {}
    for i = 1, 200 do
      cache:send("set", "order:1", i)
      ids[i] = cache:send("get", "order:1")
    end
    for i = 1, 200 do assert.equal(i, expect.value(cache:receive(ids[i]))) end
  end)

  it("are answered to whoever closes his sending side and still listens", function()
    source:put("user:half", "half", { gate = GATE })
    source.db:shut(GATE)
    local half = server:connect({ tcp = true })
    local id = half:send("get", "user:half")
    source:await_gate(GATE)
    half.sock:shutdown "send"
    assert.equal("pong", expect.value(cache:ping()))
    source.db:open(GATE)
    assert.equal("half", expect.value(half:receive(id)))
  end)

  -- The n-th long value: of the least size that is sent from where it lies, and of up to 16 times the socket's room.
  local LONG = { 4093, 4094, 4097, 10000, 65536, 300000, 900000 }
  local function long(n, form) return form:format(n):rep(LONG[n]):sub(1, LONG[n]) end
  -- What it was set to at first, or what it was replaced by.
  local function is_long(n, value) return value == long(n, "%d ") or value == long(n, "-%d-") end

  it("bring long values whole and in their place, however slowly they are read and whatever becomes of them", function()
    local writer = server:connect { timeout = 20 }
    for n = 1, #LONG do expect.value(writer:set("long:" .. n, long(n, "%d "), { version = n })) end
    expect.value(writer:set("short", "short"))
    local sent, n = {}, 0
    local paused = writer:stats().counters.paused
    for i = 1, 120 do
      n = n % #LONG + 1
      local kind = i % 5
      if kind == 0 then
        sent[i] = { cache:send("get_entry", "long:" .. n), function(v)
          return is_long(tonumber(v.version) % 10, v.value)
        end }
      elseif kind == 1 then
        sent[i] = { cache:send("get", "short"), function(v) return v == "short" end }
      elseif kind == 2 then
        local at = n
        sent[i] = { cache:send("get_many", { "short", "long:" .. n }), function(v)
          return v[1].value == "short" and is_long(at, v[2].value)
        end }
      else
        local at = n
        sent[i] = { cache:send("get", "long:" .. n), function(v) return is_long(at, v) end }
      end
    end
    -- They are on their way, and leave the cache meanwhile; others take their room.
    local first = table.remove(sent, 1)
    assert.is_true(first[2](expect.value(cache:receive(first[1]))))
    wait.until_true("it has to read first", function() return writer:stats().counters.paused > paused end)
    for i = 1, #LONG do expect.value(writer:set("long:" .. i, long(i, "-%d-"), { version = 10 + i })) end
    for _ = 1, 3 do
      for i = 1, 40 do expect.value(writer:set("other:" .. i, ("o"):rep(200000))) end
    end
    for _, s in ipairs(sent) do assert.is_true(s[2](expect.value(cache:receive(s[1], 20)))) end
    assert.equal("pong", expect.value(cache:ping()))
    writer:close()
  end)

  it("that bring more than max_output, long values counted, go on as the client reads", function()
    local small = Server.start { options = { max_output = "2mb" } }
    local writer, lazy = small:connect(), small:connect()
    expect.value(writer:set("big", ("x"):rep(1000000)))
    local requests = {}
    for i = 1, 100 do requests[i] = client.encode_request(i, "get", "big") end
    lazy:write(table.concat(requests))
    wait.until_true("it has to read first", function() return writer:stats().counters.paused >= 1 end)
    for i = 1, 100 do assert.equal(1000000, #expect.value(lazy:receive(i))) end
    assert.equal(0, writer:stats().counters.connections_cut)
    small:stop()
  end)

  it("cost their own connection only, when it reads nothing", function()
    local lazy = server:connect()
    expect.value(lazy:set("big", ("x"):rep(200000)))
    lazy.timeout = 0.2
    for _ = 1, 2000 do
      if not lazy:send("get", "big") then break end
    end
    local eager = server:connect()
    for _ = 1, 50 do assert.equal(200000, #expect.value(eager:get "big")) end
    lazy:close()
    wait.until_true("the server still answers", function() return eager:ping() == "pong" end)
  end)
end)
