local Source = require "spec.support.source"
local client = require "rtcache.client"
local expect = require "spec.support.expect"
local process = require "spec.support.process"
local Server = require "spec.support.server"
local wait = require "spec.support.wait"

describe("touch", function()
  local server, source, cache

  setup(function()
    server, source = Source.sqlite {
      loaders = {
        { pattern = "user:*", ttl = "1h", stale_ttl = "1h", negative_ttl = "1min" },
        { pattern = "kept:*", ttl = "1ms", stale_if_error = "1h", backoff_base = "30s", retries = 0 },
      },
    }
    cache = server:connect()
  end)
  teardown(function()
    source:close()
    server:stop()
  end)

  local expirations = {
    expire = function(key) cache:expire(key) end,
    expire_many = function(key) cache:expire_many { key } end,
    expire_tag = function(key) cache:expire_tag("of " .. key) end,
    expire_match = function(key) cache:expire_match(key) end,
  }
  for name, expire in pairs(expirations) do
    it("does not make fresh again what " .. name .. " has made stale", function()
      local key = "user:" .. name
      expect.value(cache:set(key, "v", { tags = { "of " .. key } }))
      expire(key)
      assert.is_false(expect.value(cache:touch(key, { ttl_ms = 60000 })))
      assert.equal("stale", expect.value(cache:peek(key)).status)
      assert.is_false(expect.value(cache:touch(key)))
      assert.equal("stale", expect.value(cache:peek(key)).status)
    end)
  end

  it("finds nothing of what was invalidated", function()
    expect.value(cache:set("user:gone", "v", { tags = { "gone" } }))
    expect.value(cache:invalidate_tag "gone")
    assert.is_false(expect.value(cache:touch "user:gone"))
    expect.value(cache:set("user:gone", "v"))
    expect.value(cache:invalidate_match "user:gone")
    assert.is_false(expect.value(cache:touch "user:gone"))
    expect.absent(cache:peek "user:gone")
  end)

  it("does not make an absence last as a value does", function()
    expect.absent(cache:get "user:nobody")
    assert.is_false(expect.value(cache:touch "user:nobody"))
    assert.is_true(expect.value(cache:peek "user:nobody").ttl_ms <= 60000)
  end)

  it("does not make fresh what is only kept for errors", function()
    source:put("kept:1", "v")
    assert.equal("v", expect.value(cache:get "kept:1"))
    source:put("kept:1", "v", { fail = "down" })
    wait.until_true("it is served for want of better", function()
      return expect.value(cache:get_entry "kept:1").status == "stale_error"
    end)
    assert.is_false(expect.value(cache:touch("kept:1", { ttl_ms = 60000 })))
    expect.status("stale_error", cache:get_entry "kept:1")
  end)

  it("with a ttl of 0 is for ever", function()
    expect.value(cache:set("user:ever", "v"))
    assert.is_true(expect.value(cache:touch("user:ever", { ttl_ms = 0 })))
    assert.is_nil(expect.status("hit", cache:get_entry "user:ever").ttl_ms)
  end)
end)

describe("expire", function()
  it("does not lengthen the time of what is stale already", function()
    local server, source = Source.sqlite { loaders = { { pattern = "user:*", ttl = "1h", stale_ttl = "1h" } } }
    local cache = server:connect()
    finally(function()
      source:close()
      server:stop()
    end)
    expect.value(cache:set("user:1", "v", { stale_ttl_ms = 300 }))
    for _ = 1, 2 do assert.is_true(expect.value(cache:expire "user:1")) end
    wait.until_true("it is over, however often it is asked for", function()
      return not expect.value(cache:expire "user:1")
    end)
    expect.absent(cache:peek "user:1")
  end)
end)

describe("a value that is too large to be kept", function()
  local SCRIPT = [[return {
    load = function(key, ctx) return ("x"):rep(tonumber(ctx.match[1])), { version = 1 } end,
    save = function(key, value, ctx) return value, { version = 2, tags = {} } end,
  }]]
  local server, cache

  setup(function()
    server = Server.start {
      options = { memory = "64mb", shards = 64 },
      scripts = { ["size.lua"] = SCRIPT },
      loaders = { { pattern = "size:*", script = "size.lua", ttl = "1h" } },
    }
    cache = server:connect()
  end)
  teardown(function() server:stop() end)

  it("is answered, and said so: by get_entry, by loaders, and once in the log", function()
    for i = 1, 3 do
      local entry = expect.status("miss", cache:get_entry "size:1000000")
      assert.equal(1000000, #entry.value)
      assert.is_false(entry.cached)
      assert.truthy(entry.reason:find "100%d%d%d%d bytes, where the memory allows %d+", entry.reason)
      server:await_loader("size:*", "too_large", i)
    end
    local small = expect.status("miss", cache:get_entry "size:10")
    assert.is_nil(small.cached)
    assert.equal(3, expect.value(cache:stats()).counters.loads_too_large)
    local log = server:log()
    local _, lines = log:gsub("load%.too_large", "")
    assert.equal(1, lines)
    assert.truthy(log:find('pattern="size:*" key="size:1000000" bytes=100', 1, true), log)
  end)

  it("is no answer to a set, and not stored by a put, which says why", function()
    local large = ("x"):rep(1000000)
    expect.error("TOO_LARGE", "the memory allows", cache:set("size:1", large))
    local outcome = expect.value(cache:put("size:1", large))
    assert.is_false(outcome.stored)
    assert.truthy(outcome.reason:find "too large")
  end)

  it("is told of by the tool as well", function()
    local _, text = process.run { Server.tool, "-s", "unix:" .. server.socket_path, "entry", "size:1000000", "--json" }
    assert.truthy(text:find('"cached": *false'), #text < 2000 and text or "")
  end)
end)

describe("a large value that many small ones leave for", function()
  it("has its tags, though room was made for it in steps", function()
    local SMALL, LARGE = 200000, 1800000
    local server = Server.start { options = { memory = "16mb", shards = 1, max_value = "2mb", max_frame = "3mb" } }
    local cache = server:connect()
    local small = ("x"):rep(20)
    for from = 1, SMALL, 1000 do
      local frames = {}
      for i = from, from + 999 do -- no answer comes of a notification
        frames[#frames + 1] = "\147\2" .. client.encode_request(0, "set", "small:" .. i, small):sub(4)
      end
      assert(cache:write(table.concat(frames)))
    end
    local held = expect.value(cache:stats()).store.entries
    for i = 1, 3 do
      local key, tags = "large:" .. i, { "first of " .. i, "second" }
      expect.value(cache:set(key, ("y"):rep(LARGE), { tags = tags, version = i }))
      local entry = expect.status("hit", cache:get_entry(key))
      assert.equal(LARGE, #entry.value)
      assert.equal(i, entry.version)
      assert.same(tags, entry.tags)
      expect.value(cache:invalidate_tag("first of " .. i))
      expect.absent(cache:peek(key))
    end
    assert.is_true(expect.value(cache:stats()).store.entries < held)
    server:stop()
  end)
end)
