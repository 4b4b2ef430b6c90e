-- A client may close its half of the connection once it has asked (shutdown(2), `nc -N`, a shell's
-- pipe): what it asked for is still answered.

local Server = require "spec.support.server"
local Source = require "spec.support.source"
local msgpack = require "rtcache.msgpack"
local process = require "spec.support.process"
local socket = require "socket"
local wait = require "spec.support.wait"

local GATE = 41

-- All that comes until the server closes, as answers by id.
local function rest_of(sock)
  sock:settimeout(wait.PATIENCE)
  local bytes = assert(sock:receive "*a")
  local answers, at = {}, 1
  while at <= #bytes do
    local message
    message, at = msgpack.decode(bytes, at)
    answers[message[2]] = message
  end
  return answers
end

local function requests(...)
  local bytes = {}
  for id, request in ipairs { ... } do
    local method = table.remove(request, 1)
    bytes[id] = msgpack.encode { 0, id, method, request }
  end
  return table.concat(bytes)
end

for _, over in ipairs { "TCP", "a Unix socket" } do
  describe("a client that has closed its half over " .. over, function()
    local server, source

    setup(function()
      server, source = Source.postgres {
        loaders = { { pattern = "user:*", ttl = "60s", wait_timeout = "60s", load_timeout = "60s" } },
      }
    end)
    teardown(function()
      source:close()
      server:stop()
    end)

    local function connect()
      local sock
      if over == "TCP" then
        sock = assert(socket.connect("127.0.0.1", server.port))
      else
        sock = require "socket.unix"()
        assert(sock:connect(server.socket_path))
      end
      return sock
    end

    it("gets the answers of loads that take their time", function()
      source:put("user:slow", "late", { gate = GATE })
      source:put("user:quick", "soon")
      source.db:shut(GATE)
      local sock = connect()
      local both = { "user:quick", "user:slow" }
      assert(sock:send(requests({ "get", "user:slow" }, { "get", "user:quick" }, { "get_many", both })))
      assert(sock:shutdown "send")
      source:await_gate(GATE)
      source.db:open(GATE)
      local answers = rest_of(sock)
      assert.equal("late", answers[1][4])
      assert.equal("soon", answers[2][4])
      assert.equal("late", answers[3][4][2].value)
      sock:close()
    end)

    it("gets the answer of a reload", function()
      local sock = connect()
      assert(sock:send(requests { "reload" }))
      assert(sock:shutdown "send")
      assert.equal("number", type(rest_of(sock)[1][4].generation))
      sock:close()
    end)

    it("is closed at once where nothing is owed, and once a request without an answer is done", function()
      local alone = connect()
      assert(alone:send(requests { "ping" }))
      assert(alone:shutdown "send")
      assert.equal("pong", rest_of(alone)[1][4])
      alone:close()
      source:put("user:told", "nobody waits", { gate = GATE + 1 })
      source.db:shut(GATE + 1)
      local sock = connect()
      assert(sock:send(requests { "ping" } .. msgpack.encode { 2, "get", { "user:told" } }))
      assert(sock:shutdown "send")
      source:await_gate(GATE + 1)
      source.db:open(GATE + 1)
      local answers = rest_of(sock)
      assert.equal("pong", answers[1][4])
      sock:close()
    end)
  end)
end

describe("the nesting of a value", function()
  local server, cache

  local function nested(depth)
    local value = "bottom"
    for _ = 1, depth do value = { value } end
    return value
  end

  setup(function()
    server = Server.start {
      loaders = { { pattern = "k:*", script = "k.lua" } },
      scripts = { ["k.lua"] = [[return {
        load = function(key)
          local value = "bottom"
          for _ = 1, tonumber(key:match "%d+") do value = { value } end
          return value
        end,
        save = function(key, value) return value, { version = 1 } end,
      }]] },
    }
    cache = server:connect()
  end)
  teardown(function() server:stop() end)

  it("counts from the value, whichever way it comes", function()
    assert.same(nested(16), assert(cache:get "k:16"))
    assert.truthy(assert(cache:set("k:set", nested(16))))
    assert.same(nested(16), assert(cache:get "k:set"))
    assert.truthy(assert(cache:put("k:put", nested(16))))
    assert.same(nested(16), assert(cache:get "k:put"))
    assert.same(nested(16), assert(cache:get_many { "k:set" })[1].value)
    assert.same(nested(16), assert(cache:get_entry "k:set").value)
  end)

  it("counts from the value in the tool as well", function()
    local function tool(...) return process.run { Server.tool, "-s", "unix:" .. server.socket_path, ... } end
    local deepest, deeper = ("["):rep(16) .. ("]"):rep(16), ("["):rep(17) .. ("]"):rep(17)
    for _, verb in ipairs { "set", "put" } do
      local status, text = tool(verb, "k:tool", deepest)
      assert.equal(0, status, text)
      assert.equal(deepest .. "\n", select(2, tool("--json", "get", "k:tool")))
      status, text = tool(verb, "k:tool", deeper)
      assert.equal(2, status, text)
    end
  end)

  it("is refused above 16, whichever way it comes", function()
    local _, err = cache:get "k:17"
    assert.equal("BAD_VALUE", err.code)
    _, err = server:connect():set("k:set", nested(17))
    assert.equal("PROTOCOL", err.code)
    assert.truthy(err.message:find("a value nested deeper than 16", 1, true), err.message)
  end)
end)
