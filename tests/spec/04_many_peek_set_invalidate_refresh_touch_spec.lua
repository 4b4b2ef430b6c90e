local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local msgpack = require "rtcache.msgpack"
local wait = require "spec.support.wait"

local GATE = 4

describe("the methods beside get:", function()
  local server, source, cache

  setup(function()
    server, source = Source.postgres {
      options = { max_batch = 100, loader_threads = 1 },
      loaders = {
        { pattern = "user:*", ttl = "60s", negative_ttl = "60s" },
        { pattern = "short:*", ttl = "50ms", stale_ttl = "60s" },
        { pattern = "stale:*", ttl = "60s", stale_ttl = "10min" },
      },
    }
    cache = server:connect()
  end)
  teardown(function()
    source:close()
    server:stop()
  end)

  after_each(function() source:open_gates() end)

  -- No load of a key has begun: one that was asked for later, of the same thread, has ended by now.
  local others = 0
  local function assert_not_loaded(key)
    others = others + 1
    expect.absent(cache:get("user:other " .. others))
    assert.equal(0, source:loads(key))
  end

  local function await_stale(key)
    wait.until_true(key .. " is stale", function()
      local entry = expect.value(cache:peek(key))
      return entry.status == "stale"
    end)
  end

  describe("get_many", function()
    it("answers in the order of the keys, hits and misses alike", function()
      for i = 1, 5 do source:put("user:many " .. i, "value " .. i) end
      expect.value(cache:get "user:many 3")
      local list = expect.value(cache:get_many {
        "user:many 5", "user:many 3", "user:many 1", "user:many 4", "user:many 2",
      })
      local values = {}
      for i, item in ipairs(list) do values[i] = item.value end
      assert.same({ "value 5", "value 3", "value 1", "value 4", "value 2" }, values)
    end)

    it("has a map without a value for what the source has not", function()
      source:put("user:there", "yes")
      local list = expect.value(cache:get_many { "user:not there", "user:there" })
      assert.is_nil(list[1].value)
      assert.is_nil(list[1].error)
      assert.equal("yes", list[2].value)
    end)

    it("fails single keys, not the whole", function()
      source:put("user:fails", "", { fail = "no way" })
      source:put("user:works", "fine")
      local list = expect.value(cache:get_many { "user:fails", "user:works", "nobody's:1" })
      assert.equal("LOAD_FAILED", list[1].error.code)
      assert.equal("fine", list[2].value)
      assert.equal("NO_LOADER", list[3].error.code)
    end)

    it("has its errors in the form of the connection", function()
      local other = server:connect()
      other:hello { errors = "map" }
      other:send("get_many", { "nobody's:1" })
      local map = other:read_message()[4][1].error
      assert.equal("NO_LOADER", map.code)
      cache:send("get_many", { "nobody's:1" })
      assert.truthy(cache:read_message()[4][1].error:match "^NO_LOADER ")
    end)

    it("loads a key once that stands there twice", function()
      source:put("user:twice", "one")
      local list = expect.value(cache:get_many { "user:twice", "user:twice" })
      assert.equal("one", list[1].value)
      assert.equal("one", list[2].value)
      assert.equal(1, source:loads "user:twice")
    end)

    it("answers no keys with no values", function()
      assert.same({}, expect.value(cache:get_many(msgpack.array {})))
    end)

    it("refuses more keys than max_batch", function()
      local keys = {}
      for i = 1, 101 do keys[i] = "user:" .. i end
      local _, err = cache:get_many(keys)
      assert.truthy(err and (err.code == "BAD_REQUEST" or err.code == "TOO_LARGE"), tostring(err))
      assert.equal("pong", cache:ping())
    end)
  end)

  describe("peek", function()
    it("never loads", function()
      source:put("user:peeked", "there")
      expect.absent(cache:peek "user:peeked")
      assert_not_loaded "user:peeked"
    end)

    it("shows what is stored, fresh, stale or negative", function()
      source:put("user:shown", "fresh")
      expect.value(cache:get "user:shown")
      assert.equal("fresh", expect.status("hit", cache:peek "user:shown").value)
      source:put("short:shown", "soon stale")
      expect.value(cache:get "short:shown")
      await_stale "short:shown"
      assert.equal("soon stale", expect.status("stale", cache:peek "short:shown").value)
      assert.equal(1, source:loads "short:shown")
      expect.absent(cache:get "user:nobody")
      expect.status("negative", cache:peek "user:nobody")
    end)

    it("needs no loader", function() expect.absent(cache:peek "nobody's:1") end)
  end)

  describe("set", function()
    it("stores a value of every type", function()
      for i, value in ipairs {
        1, -1, 1.5, true, false, "text", "", 9223372036854775807LL, -9223372036854775807LL - 1,
        18446744073709551615ULL, { 1, 2, 3 }, { a = { b = { c = "deep" } } },
      } do
        assert.is_true(expect.value(cache:set("set:" .. i, value)))
        assert.same(value, expect.value(cache:get("set:" .. i)))
      end
    end)

    it("gives back byte for byte what was packed, also in a longer form than needed", function()
      -- 1 as uint 64, a map of one pair with the longest headers, a bin, an ext
      local packed = "\223\0\0\0\1\219\0\0\0\1k\148\207\0\0\0\0\0\0\0\1\196\2\255\254\199\1\5x\203"
        .. ("\0"):rep(8)
      cache:write("\148\0" .. msgpack.encode(900) .. "\163set\146" .. msgpack.encode "set:raw" .. packed)
      assert.is_true(expect.value(cache:receive(900)))
      local raw = server:connect()
      raw:write("\148\0\9\163get\145" .. msgpack.encode "set:raw")
      local expected = "\148\1\9\192" .. packed
      assert.equal(expected, raw.sock:receive(#expected))
    end)

    it("stores nil, which is answered without a load", function()
      source:put("user:nil", "in the source")
      assert.is_true(expect.value(cache:set("user:nil", nil)))
      expect.absent(cache:get "user:nil")
      assert.is_nil(expect.status("hit", cache:get_entry "user:nil").value)
      assert.equal(0, source:loads "user:nil")
    end)

    it("needs no loader, and no load follows", function()
      expect.value(cache:set("user:set", "by hand"))
      source:put("user:set", "by the source")
      assert.equal("by hand", expect.value(cache:get "user:set"))
      assert.equal(0, source:loads "user:set")
    end)

    it("takes a ttl, a stale_ttl and a version", function()
      expect.value(cache:set("user:timed", "v", { ttl_ms = 5000, stale_ttl_ms = 100, version = 7 }))
      local entry = expect.status("hit", cache:get_entry "user:timed")
      assert.equal(7, entry.version)
      assert.truthy(entry.ttl_ms > 0 and entry.ttl_ms <= 5000)
      for stale_ttl_ms, status in pairs { [0] = "gone", [600000] = "stale" } do -- the loader's is 10 minutes
        local key = "stale:" .. status
        expect.value(cache:set(key, "v", { ttl_ms = 1, stale_ttl_ms = stale_ttl_ms }))
        wait.until_true(key, function()
          local entry_now = cache:peek(key)
          return (entry_now and entry_now.status or "gone") == status
        end)
      end
      expect.value(cache:set("user:kept stale", "v", { ttl_ms = 1, stale_ttl_ms = 600000 })) -- the loader's is 0
      await_stale "user:kept stale"
    end)

    it("has the loader's policy where it gives none", function()
      expect.value(cache:set("user:policy", "v"))
      local ttl_ms = expect.status("hit", cache:get_entry "user:policy").ttl_ms
      assert.truthy(ttl_ms > 30000 and ttl_ms <= 60000)
    end)

    it("keeps a version to the last bit", function()
      expect.value(cache:set("user:v", "v", { version = 9007199254740993LL }))
      assert.equal(9007199254740993LL, expect.value(cache:peek "user:v").version)
    end)

    it("replaces what is stored", function()
      expect.value(cache:set("user:again", "one"))
      expect.value(cache:set("user:again", { "two" }))
      assert.same({ "two" }, expect.value(cache:get "user:again"))
    end)
  end)

  describe("invalidate", function()
    it("makes the next get load", function()
      source:put("user:changed", "before")
      expect.value(cache:get "user:changed")
      source:put("user:changed", "after")
      assert.is_true(expect.value(cache:invalidate "user:changed"))
      assert.equal("after", expect.value(cache:get "user:changed"))
      assert.equal(2, source:loads "user:changed")
    end)

    it("says false where there was nothing", function()
      assert.is_false(expect.value(cache:invalidate "user:never seen"))
      assert.is_false(expect.value(cache:invalidate "nobody's:1"))
    end)

    it("leaves nothing to be served stale", function()
      source:put("short:changed", "before")
      expect.value(cache:get "short:changed")
      await_stale "short:changed"
      source:put("short:changed", "after")
      assert.is_true(expect.value(cache:invalidate "short:changed"))
      assert.equal("after", expect.status("miss", cache:get_entry "short:changed").value)
    end)

    it("drops a negative entry too", function()
      expect.absent(cache:get "user:late")
      source:put("user:late", "here now")
      assert.is_true(expect.value(cache:invalidate "user:late"))
      assert.equal("here now", expect.value(cache:get "user:late"))
    end)
  end)

  describe("refresh", function()
    it("loads now, whatever is stored", function()
      source:put("user:refreshed", "before")
      expect.value(cache:get "user:refreshed")
      source:put("user:refreshed", "after")
      assert.equal("after", expect.status("miss", cache:refresh "user:refreshed").value)
      assert.equal("after", expect.status("hit", cache:get_entry "user:refreshed").value)
    end)

    it("loads what is not there", function()
      source:put("user:first", "one")
      assert.equal("one", expect.value(cache:refresh "user:first").value)
    end)

    it("goes on in the background when asked to, and the old value is served till it ends", function()
      source:put("user:background", "before")
      expect.value(cache:get "user:background")
      source:put("user:background", "after", { gate = GATE })
      source.db:shut(GATE)
      assert.is_true(expect.value(cache:refresh("user:background", { background = true })))
      source:await_gate(GATE)
      assert.equal("before", expect.status("hit", cache:get_entry "user:background").value)
      source.db:open(GATE)
      wait.until_true("the new value", function()
        local value = expect.value(cache:get "user:background")
        assert.truthy(value == "before" or value == "after")
        return value == "after"
      end)
      assert.equal(2, source:loads "user:background")
    end)

    it("answers an error when the load fails, and the old value stays", function()
      source:put("user:unlucky", "good")
      expect.value(cache:get "user:unlucky")
      source:put("user:unlucky", "", { fail = "not today" })
      expect.error("LOAD_FAILED", "not today", cache:refresh "user:unlucky")
      assert.equal("good", expect.value(cache:get "user:unlucky"))
    end)
  end)

  describe("touch", function()
    it("starts an entry's time again", function()
      expect.value(cache:set("user:touched", "v", { ttl_ms = 1000 }))
      assert.is_true(expect.value(cache:touch("user:touched", { ttl_ms = 600000 })))
      assert.truthy(expect.value(cache:peek "user:touched").ttl_ms > 500000)
      assert.is_true(expect.value(cache:touch "user:touched"))
      local ttl_ms = expect.value(cache:peek "user:touched").ttl_ms
      assert.truthy(ttl_ms > 30000 and ttl_ms <= 60000)
    end)

    it("makes a stale entry fresh, with its value", function()
      source:put("short:touched", "old")
      expect.value(cache:get "short:touched")
      await_stale "short:touched"
      assert.is_true(expect.value(cache:touch("short:touched", { ttl_ms = 60000 })))
      assert.equal("old", expect.status("hit", cache:get_entry "short:touched").value)
    end)

    it("says false where there is nothing, and loads nothing", function()
      assert.is_false(expect.value(cache:touch "user:untouchable"))
      assert_not_loaded "user:untouchable"
    end)
  end)
end)
