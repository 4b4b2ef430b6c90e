local Server = require "spec.support.server"
local expect = require "spec.support.expect"
local msgpack = require "rtcache.msgpack"

-- What each method has to be given, of what kind. Behind it stands a map of options at most.
local METHODS = {
  ping = {}, hello = {}, stats = {}, loaders = {}, reload = {}, snapshot = {}, unsubscribe = {},
  auth = { "text", "text" },
  get = { "text" }, get_entry = { "text" }, get_many = { "items" }, peek = { "text" }, subscribe = { "map" },
  set = { "text", "value" }, put = { "text", "value" }, delete = { "text" }, touch = { "text" },
  invalidate = { "text" }, invalidate_many = { "array" }, invalidate_tag = { "texts" },
  invalidate_match = { "texts" }, expire = { "text" }, expire_many = { "texts" }, expire_tag = { "texts" },
  expire_match = { "texts" }, refresh = { "text" }, lift_floors = { "map" },
}

local GOOD = {
  text = "user:1", array = { "user:1" }, items = { "user:1" }, texts = "user:1", value = 1, map = { keys = "user:1" },
}

local function of_kind(kind, value)
  if kind == "items" then return value.kind == "array" end -- each of them is answered for itself
  return kind == "value" or value.kind == kind or kind == "texts" and value.kind == "text"
end

local VALUES = {
  { kind = "nil", msgpack.null }, { kind = "boolean", true }, { kind = "number", 7 }, { kind = "number", 1.5 },
  { kind = "text", "user:1" }, { kind = "array", { 7 } }, { kind = "map", msgpack.map { [7] = 7 } },
  { kind = "map", { colour = "red" } },
}

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

  describe("lacks an argument, or has one of another kind:", function()
    it("of every method there is", function()
      local has, listed = {}, {}
      for _, name in ipairs(expect.value(cache:hello()).methods) do has[name] = true end
      for name in pairs(METHODS) do listed[name] = true end
      assert.same(has, listed)
    end)

    for method, kinds in pairs(METHODS) do
      it(method, function()
        local given = {}
        local function refused(last)
          given[#given + 1] = last
          local _, err = cache:call(method, unpack(given))
          given[#given] = nil
          assert.truthy(err, "it is taken: " .. tostring(last))
          assert.equal("BAD_REQUEST", err.code)
          assert.truthy(err.message:find("^" .. method .. "[:(]"), err.message)
        end
        for _, kind in ipairs(kinds) do
          local _, err = cache:call(method, unpack(given))
          assert.equal("BAD_REQUEST", err and err.code, "an argument is missing")
          for _, value in ipairs(VALUES) do -- a map that fits has wrong names
            if not of_kind(kind, value) or kind == "map" or kind == "array" then refused(value[1]) end
          end
          given[#given + 1] = GOOD[kind]
        end
        if kinds[#kinds] ~= "map" then
          for _, value in ipairs(VALUES) do refused(value[1]) end
        end
      end)
    end
  end)

  it("has an empty list of patterns, or a key of too many parts", function()
    for _, method in ipairs { "invalidate_match", "expire_match" } do
      expect.error("BAD_REQUEST", "a pattern is missing", cache:call(method, {}))
    end
    local parts = {}
    for i = 1, 2 * 10000 + 1000 do parts[i] = i end
    expect.error("BAD_REQUEST", "malformed", cache:get_many { "user:1", parts })
  end)

  it("has a name or a password that is empty or too long", function()
    for _, bad in ipairs { { "", "word" }, { "app", "" }, { ("x"):rep(65), "word" }, { "app", ("x"):rep(513) } } do
      expect.error("BAD_REQUEST", { "auth: the ", " is a str of 1 to " }, cache:auth(unpack(bad)))
    end
    assert.is_true(expect.value(cache:auth(("x"):rep(64), ("x"):rep(512)))) -- there are no users
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
    assert.equal(1048576, limit)
    local header = 5 -- of a str of that size
    expect.error("TOO_LARGE", {}, cache:set("user:big", ("x"):rep(limit - header + 1)))
    expect.value(cache:set("user:big", ("x"):rep(limit - header)))
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
