local Server = require "spec.support.server"
local expect = require "spec.support.expect"

describe("a server without any loader", function()
  local server

  setup(function() server = Server.start {} end)
  teardown(function() server:stop() end)

  it("answers a ping over its Unix socket", function()
    assert.equal("pong", expect.value(server:connect():ping()))
  end)

  it("answers a ping over TCP", function()
    assert.equal("pong", expect.value(server:connect({ tcp = true }):ping()))
  end)

  it("introduces itself to whoever says hello", function()
    local me = expect.value(server:connect():hello())
    assert.equal("rtcache", me.server)
    assert.truthy(me.version:match "^%d+%.%d+%.%d+")
    assert.equal(1, me.protocol)
    assert.equal(4096, me.max_key)
    assert.truthy(me.max_frame >= me.max_key)
    assert.truthy(me.max_value > 0)
  end)

  it("lists in hello the methods of the protocol, all of which it knows", function()
    local cache = server:connect()
    local listed = {}
    for _, name in ipairs(expect.value(cache:hello()).methods) do listed[name] = true end
    for _, name in ipairs {
      "ping", "hello", "get", "get_entry", "get_many", "peek", "set", "invalidate", "refresh",
      "touch", "stats", "loaders", "reload", "snapshot",
    } do
      assert.truthy(listed[name], name .. " is not listed")
    end
    for name in pairs(listed) do
      local _, err = cache:call(name, "a", "b", "c", "d", "e")
      assert.not_equal("UNKNOWN_METHOD", err and err.code, name)
    end
  end)

  it("takes a client's name in hello", function()
    expect.value(server:connect():hello { client = "a spec" })
  end)

  it("sends errors as one string, the code first", function()
    local cache = server:connect()
    local id = cache:send "no_such_method"
    local message = cache:read_message()
    assert.equal(id, message[2])
    assert.equal("string", type(message[3]))
    assert.truthy(message[3]:match "^UNKNOWN_METHOD ")
  end)

  it("sends errors as maps to a connection that asked for them, until it asks for strings", function()
    local cache, other = server:connect(), server:connect()
    expect.value(cache:hello { errors = "map" })
    cache:send "no_such_method"
    local map = cache:read_message()[3]
    assert.equal("UNKNOWN_METHOD", map.code)
    assert.truthy(map.message:find("no_such_method", 1, true))
    other:send "no_such_method"
    assert.equal("string", type(other:read_message()[3]))
    expect.value(cache:hello { errors = "string" })
    cache:send "no_such_method"
    assert.equal("string", type(cache:read_message()[3]))
  end)

  it("refuses a form of errors that it does not know", function()
    expect.error("BAD_REQUEST", "errors", server:connect():hello { errors = "xml" })
  end)

  it("lists no loaders and counts its requests", function()
    local cache = server:connect()
    assert.same({}, expect.value(cache:loaders()))
    local before = expect.value(cache:stats()).counters.requests
    for _ = 1, 5 do expect.value(cache:ping()) end
    assert.equal(before + 6, expect.value(cache:stats()).counters.requests)
  end)

  it("says for a get that no loader matches", function()
    expect.error("NO_LOADER", "user:1", server:connect():get "user:1")
  end)

  it("still stores what is set, for it is a cache", function()
    local cache = server:connect()
    assert.is_true(expect.value(cache:set("user:1", { name = "Ann" })))
    assert.same({ name = "Ann" }, expect.value(cache:get "user:1"))
  end)
end)
