local Server = require "spec.support.server"
local expect = require "spec.support.expect"
local msgpack = require "rtcache.msgpack"

describe("a request that is wrong", function()
  local server, cache

  setup(function()
    server = Server.start {
      loaders = { { pattern = "user:*", script = "user.lua" } },
      scripts = { ["user.lua"] = "return { load = function(key) return key end }" },
    }
    cache = server:connect()
  end)
  teardown(function() server:stop() end)
  after_each(function()
    assert.equal("pong", expect.value(cache:ping()), "the connection must have stayed")
  end)

  it("names the method that is unknown", function()
    expect.error("UNKNOWN_METHOD", "fetch", cache:call("fetch", "user:1"))
    expect.error("UNKNOWN_METHOD", "GET", cache:call("GET", "user:1"))
    expect.error("UNKNOWN_METHOD", {}, cache:call("", "user:1"))
    expect.error("UNKNOWN_METHOD", {}, cache:call(("long"):rep(1000)))
  end)

  it("survives a method's name that is no text", function()
    expect.error("UNKNOWN_METHOD", {}, cache:call("\255\254\0"))
  end)

  it("has too few or too many arguments", function()
    expect.error("BAD_REQUEST", "get", cache:call "get")
    expect.error("BAD_REQUEST", "get", cache:call("get", "user:1", msgpack.map {}, 3))
    expect.error("BAD_REQUEST", "get_many", cache:call "get_many")
    expect.error("BAD_REQUEST", "peek", cache:call "peek")
    expect.error("BAD_REQUEST", "set", cache:call "set")
    expect.error("BAD_REQUEST", "set", cache:call("set", "user:1"))
    expect.error("BAD_REQUEST", "set", cache:call("set", "user:1", 2, msgpack.map {}, 4))
    expect.error("BAD_REQUEST", "invalidate", cache:call "invalidate")
    expect.error("BAD_REQUEST", "touch", cache:call "touch")
    expect.error("BAD_REQUEST", "ping", cache:call("ping", 1))
    expect.error("BAD_REQUEST", "reload", cache:call("reload", 1))
  end)

  it("has a key that is neither str nor bin", function()
    for _, key in ipairs { 1, true, 1.5, { "user:1" }, msgpack.map { user = 1 }, msgpack.null } do
      local _, err = cache:call("get", key)
      assert.truthy(err and (err.code == "BAD_REQUEST" or err.code == "BAD_KEY"), tostring(err))
    end
    expect.error("BAD_REQUEST", {}, cache:call("get_many", "user:1"))
  end)

  it("has a key that is empty or too long", function()
    for _, method in ipairs { "get", "get_entry", "peek", "invalidate", "touch", "refresh" } do
      expect.error("BAD_KEY", {}, cache:call(method, ""))
      expect.error("BAD_KEY", "4096", cache:call(method, ("x"):rep(4097)))
    end
    expect.error("BAD_KEY", {}, cache:set("", 1))
    expect.error("BAD_KEY", {}, cache:set(("x"):rep(4097), 1))
  end)

  it("has an option that is unknown, which the answer names", function()
    for _, method in ipairs { "get", "get_entry", "refresh", "touch" } do
      expect.error("BAD_REQUEST", "colour", cache:call(method, "user:1", { colour = "red" }))
    end
    expect.error("BAD_REQUEST", "colour", cache:call("set", "user:1", 1, { colour = "red" }))
    expect.error("BAD_REQUEST", "colour", cache:call("hello", { colour = "red" }))
    expect.error("BAD_REQUEST", "ttl_ms", cache:call("get", "user:1", { ttl_ms = 5 }))
    expect.error("BAD_REQUEST", {}, cache:call("peek", "user:1", { timeout_ms = 5 }))
  end)

  it("has an option of the wrong type or sign, which the answer names", function()
    expect.error("BAD_REQUEST", "timeout_ms", cache:get("user:1", { timeout_ms = "fast" }))
    expect.error("BAD_REQUEST", "timeout_ms", cache:get("user:1", { timeout_ms = -1 }))
    expect.error("BAD_REQUEST", "timeout_ms", cache:get("user:1", { timeout_ms = 1.5 }))
    expect.error("BAD_REQUEST", "timeout_ms",
      cache:get("user:1", { timeout_ms = 18446744073709551615ULL }))
    expect.error("BAD_REQUEST", "ttl_ms", cache:set("user:1", 1, { ttl_ms = {} }))
    expect.error("BAD_REQUEST", "version", cache:set("user:1", 1, { version = "new" }))
    expect.error("BAD_REQUEST", "background", cache:refresh("user:1", { background = 1 }))
    expect.error("BAD_REQUEST", {}, cache:call("get", "user:1", "fast"))
  end)

  it("has options whose names are no texts", function()
    expect.error("BAD_REQUEST", {}, cache:call("get", "user:1", msgpack.map { [5] = 1 }))
  end)

  it("sets a value larger than max_value", function()
    local limit = expect.value(cache:hello()).max_value
    local frame = expect.value(cache:hello()).max_frame
    if limit + 200 < frame then
      expect.error("TOO_LARGE", {}, cache:set("user:big", ("x"):rep(limit + 1)))
    end
  end)

  it("takes an empty map of options for none", function()
    assert.equal("user:1", expect.value(cache:call("get", "user:1", msgpack.map {})))
  end)

  it("takes times of some years, and refuses those that would overflow", function()
    expect.value(cache:set("user:eternal", 1, { ttl_ms = 315360000000 }))
    assert.equal(1, expect.value(cache:get "user:eternal"))
    expect.value(cache:get("user:1", { timeout_ms = 3600000 }))
    expect.error("BAD_REQUEST", "ttl_ms", cache:set("user:1", 1, { ttl_ms = 2000000000000 }))
    expect.error("BAD_REQUEST", "ttl_ms", cache:set("user:1", 1, { ttl_ms = 9223372036854775807LL }))
  end)
end)
