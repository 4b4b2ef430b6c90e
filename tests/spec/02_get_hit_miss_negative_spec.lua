local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local msgpack = require "rtcache.msgpack"

describe("get", function()
  local server, source, cache

  setup(function()
    server, source = Source.sqlite {
      loaders = {
        { pattern = "user:*", ttl = "60s", negative_ttl = "60s" },
        { pattern = "blob:*", ttl = "60s", script = "blob.lua" },
      },
      scripts = {
        ["blob.lua"] = [[
          return { load = function(key, ctx) return ("x"):rep(tonumber(ctx.match[1])) end }
        ]],
      },
    }
    cache = server:connect()
  end)
  teardown(function()
    source:close()
    server:stop()
  end)

  it("loads what is not there", function()
    source:put("user:1", "Ann")
    assert.equal("Ann", expect.value(cache:get "user:1"))
    assert.equal(1, source:loads "user:1")
  end)

  it("answers from memory what is there, and leaves the source alone", function()
    source:put("user:2", "Bob")
    for _ = 1, 20 do assert.equal("Bob", expect.value(cache:get "user:2")) end
    assert.equal(1, source:loads "user:2")
  end)

  it("does not notice a change of the source before the ttl ends", function()
    source:put("user:3", "before")
    expect.value(cache:get "user:3")
    source:put("user:3", "after")
    assert.equal("before", expect.value(cache:get "user:3"))
  end)

  it("answers nil for what the source has not, and remembers that too", function()
    for _ = 1, 20 do expect.absent(cache:get "user:nobody") end
    assert.equal(1, source:loads "user:nobody")
  end)

  it("shares an entry between connections", function()
    source:put("user:4", "Eve")
    expect.value(cache:get "user:4")
    assert.equal("Eve", expect.value(server:connect({ tcp = true }):get "user:4"))
    assert.equal(1, source:loads "user:4")
  end)

  it("takes str and bin for the same key", function()
    source:put("user:5", "Joe")
    assert.equal("Joe", expect.value(cache:get(msgpack.bin "user:5")))
    assert.equal("Joe", expect.value(cache:get "user:5"))
    assert.equal(1, source:loads "user:5")
  end)

  it("takes the method as bin", function()
    cache:write("\148\0" .. msgpack.encode(77) .. msgpack.encode(msgpack.bin "ping") .. "\144")
    assert.equal("pong", expect.value(cache:receive(77)))
  end)

  it("tells keys apart that differ in a byte of any kind", function()
    for _, key in ipairs { "k\0a", "k\0b", "k\255", "k\254", "k " } do
      expect.value(cache:set(key, "value of " .. key))
    end
    for _, key in ipairs { "k\0a", "k\0b", "k\255", "k\254", "k " } do
      assert.equal("value of " .. key, expect.value(cache:get(key)))
    end
  end)

  it("takes keys from one byte to max_key", function()
    local longest = "user:" .. ("x"):rep(4096 - 5)
    for _, key in ipairs { "k", longest } do
      expect.value(cache:set(key, "value of " .. #key))
      assert.equal("value of " .. #key, expect.value(cache:get(key)))
    end
  end)

  it("brings values of every size, from empty to a megabyte", function()
    for _, size in ipairs { 0, 1, 31, 32, 255, 256, 4095, 4096, 4097, 65535, 65536, 1000000 } do
      for _ = 1, 2 do
        local value = expect.value(cache:get("blob:" .. size))
        assert.equal(size, #value)
        assert.equal(("x"):rep(size), value)
      end
    end
  end)
end)
