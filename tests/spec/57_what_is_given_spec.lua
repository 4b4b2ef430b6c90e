-- What a script returns and what a client sends is taken exactly, or refused by name.

local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local msgpack = require "rtcache.msgpack"
local wait = require "spec.support.wait"

local LONGEST_MS = 3650 * 86400 * 1000 -- what rtcache.conf takes as `ttl`

-- The key's last part names what is returned; it stands in `given` by that name.
local GIVEN = [[
local given = {
  ["hole"] = function() return { 1, nil, 3 } end,
  ["late hole"] = function() local t = { 1 } t[3] = 3 return t end,
  ["inner hole"] = function() return { list = { "a", nil, "c" } } end,
  ["tags with a hole"] = function() return 1, { tags = { "a", nil, "c" } } end,
  ["tags with a late hole"] = function() local t = { "a" } t[3] = "c" return 1, { tags = t } end,
  ["a tenth of a millisecond"] = function() return 1, { ttl = 0.0001 } end,
  ["a date"] = function() return 1, { ttl = os.time() + 5 } end,
  ["eleven years"] = function() return 1, { stale_ttl = "4015d" } end,
  ["no unit"] = function() return 1, { ttl = "60" } end,
  ["negative"] = function() return 1, { ttl = -1 } end,
  ["not a number"] = function() return 1, { ttl = 0/0 } end,
  ["a third result"] = function() return nil, nil, { ttl = 5 } end,
  ["text for false"] = function() return 1, { cache = "false" } end,
  ["fine"] = function() return 1, { ttl = 0.29, stale_ttl = "5 min", version = 3.0, tags = { "t" } } end,
  ["for ever"] = function() return 1, { ttl = 0 } end,
  ["absent"] = function() return rtcache.absent, { ttl = 3000, tags = { "gone" } } end,
  ["absent at 5"] = function() return rtcache.absent, { ttl = 3000, version = 5 } end,
  ["absent, not kept"] = function() return rtcache.absent, { cache = false } end,
  ["absent, ttl 0"] = function() return rtcache.absent, { ttl = 0 } end,
  ["absent, plainly"] = function() return rtcache.absent end,
}
return { load = function(_, ctx) return given[ctx.match[1] ]() end }]]

local MANY = [[
return { load_many = function(keys, ctx)
  local values, options = {}, {}
  for i, key in ipairs(keys) do
    options[key] = { ttl = 3000, tags = { "many" } }
    if ctx.match[i][1] == "there" then values[key] = 1 end
    if ctx.match[i][1] == "explicit" then values[key] = rtcache.absent end
  end
  return values, options
end }]]

local ROWS = [[
return { load_many = function(keys, ctx)
  local options = {}
  for _, key in ipairs(keys) do options[key] = { ttl = 3000 } end
  return ctx:answer({ { id = 1 } }, "id"), options
end }]]

describe("what is given", function()
  local server, cache

  setup(function()
    server = Source.sqlite {
      scripts = { ["given.lua"] = GIVEN, ["many.lua"] = MANY, ["rows.lua"] = ROWS },
      loaders = {
        { pattern = "given:*", script = "given.lua", ttl = "60s", negative_ttl = "5s", retries = 0 },
        { pattern = "many:*", script = "many.lua", ttl = "60s", negative_ttl = "5s", retries = 0 },
        { pattern = "rows:*", script = "rows.lua", ttl = "60s", negative_ttl = "5s", retries = 0 },
      },
    }
    cache = server:connect()
  end)
  teardown(function()
    if cache then cache:close() end
    if server then server:stop() end
  end)

  describe("by a script", function()
    for name, text in pairs {
      ["hole"] = "value: the array has no element 2",
      ["late hole"] = "value: the array has no element 2",
      ["inner hole"] = "value.list: the array has no element 2",
      ["tags with a hole"] = 'option "tags": the array has no element 2',
      ["tags with a late hole"] = 'option "tags": the array has no element 2',
      ["a tenth of a millisecond"] = 'option "ttl": 0.0001 s is no whole number of milliseconds',
      ["a date"] = "more than 3650d, the most there is: a time since 1970? It is how long from now",
      ["eleven years"] = 'option "stale_ttl": 346896000 s is more than 3650d',
      ["no unit"] = 'found "60" without a unit: write "60s"',
      ["negative"] = 'option "ttl": -1',
      ["not a number"] = 'option "ttl": ',
      ["a third result"] = "a third result, a table",
      ["text for false"] = 'option "cache" is a string, not true or false',
    } do
      it("is refused by name: " .. name, function()
        local value, err = cache:get("given:" .. name)
        assert.is_nil(value)
        assert.truthy(err.code == "SCRIPT_ERROR" or err.code == "BAD_VALUE", tostring(err))
        assert.truthy(err.message:find(text, 1, true), err.message)
        assert.truthy(err.message:find("given.lua:", 1, true), err.message)
      end)
    end

    it("is taken exactly where it is right", function()
      expect.value(cache:refresh "given:fine")
      local entry = expect.value(cache:get_entry "given:fine")
      local ttl_ms = tonumber(entry.age_ms + entry.ttl_ms)
      assert.truthy(ttl_ms >= 289 and ttl_ms <= 290, ttl_ms)
      assert.equal(3, entry.version)
      assert.same({ "t" }, entry.tags)
      wait.until_true("it is stale, by its stale_ttl", function()
        return expect.value(cache:peek "given:fine").status == "stale"
      end)
      expect.value(cache:get "given:for ever")
      assert.is_nil(cache:get_entry("given:for ever").ttl_ms)
    end)
  end)

  describe("as an absence", function()
    local function negative(key)
      expect.absent(cache:get(key))
      return expect.status("negative", cache:get_entry(key))
    end

    it("has a ttl and tags of its own", function()
      assert.is_true(negative("given:absent").ttl_ms > 2000000)
      assert.is_true(negative("given:absent, plainly").ttl_ms <= 5000)
      expect.value(cache:invalidate_tag "gone")
      expect.absent(cache:peek "given:absent")
    end)

    it("is not kept where it says so", function()
      for _, name in ipairs { "absent, not kept", "absent, ttl 0" } do
        expect.absent(cache:get("given:" .. name))
        expect.absent(cache:peek("given:" .. name))
      end
    end)

    it("has a version, with which it is kept below a floor and answers min_version", function()
      assert.equal(5, negative("given:absent at 5").version)
      cache:invalidate("given:absent at 5", { version = 5 })
      expect.absent(cache:peek "given:absent at 5") -- any invalidation ends an absence
      assert.equal(5, negative("given:absent at 5").version)
      expect.absent(cache:get("given:absent at 5", { min_version = 5 }))
      cache:invalidate("given:absent at 5", { version = 6 })
      expect.error("TIMEOUT", "", cache:get("given:absent at 5", { timeout_ms = 50 }))
    end)

    it("has options by key in load_many, with a word of it or without", function()
      expect.value(cache:get_many { "many:there", "many:explicit", "many:silent" })
      for _, key in ipairs { "many:explicit", "many:silent" } do
        assert.is_true(negative(key).ttl_ms > 2000000)
      end
      expect.value(cache:invalidate_tag "many")
      expect.absent(cache:peek "many:silent")
    end)

    it("has options by key beside ctx:answer", function()
      expect.value(cache:get_many { "rows:1", "rows:2" })
      assert.equal("hit", cache:get_entry("rows:1").status)
      assert.is_true(negative("rows:2").ttl_ms > 2000000)
    end)
  end)

  describe("by a client", function()
    it("is refused by name past the bounds of rtcache.conf", function()
      for _, ms in ipairs { -1, LONGEST_MS + 1, 2 ^ 53, 9223372036854775807LL, 1.5, 0 / 0, "60s", true } do
        for _, option in ipairs { "ttl_ms", "stale_ttl_ms" } do
          expect.error("BAD_REQUEST", { "set: option " .. option, "0 to 315360000000 (3650d)" },
            cache:set("given:fine", 1, { [option] = ms }))
          expect.error("BAD_REQUEST", "touch: option " .. option, cache:touch("given:fine", { [option] = ms }))
        end
      end
      for _, option in ipairs { "timeout_ms", "stale_wait_ms" } do
        expect.error("BAD_REQUEST", { "get: option " .. option, "0 to 3600000 (1h)" },
          cache:get("given:fine", { [option] = 3600001 }))
      end
      expect.error("BAD_REQUEST", "put: option timeout_ms", cache:put("given:fine", 1, { timeout_ms = 3600001 }))
      for _, version in ipairs { "3", 1.5, msgpack.float(3), 18446744073709551615ULL, false } do
        expect.error("BAD_REQUEST", "option version is an integer of 64 bits",
          cache:set("given:fine", 1, { version = version }))
        expect.error("BAD_REQUEST", "option min_version is an integer of 64 bits",
          cache:get("given:fine", { min_version = version }))
      end
    end)

    it("is taken at the bounds", function()
      expect.value(cache:set("given:bounds", 1, { ttl_ms = LONGEST_MS, stale_ttl_ms = 0 }))
      expect.value(cache:set("given:bounds", 1, { ttl_ms = 0 }))
      assert.is_nil(cache:get_entry("given:bounds").ttl_ms)
      assert.equal(1, expect.value(cache:get("given:bounds", { timeout_ms = 3600000, stale_wait_ms = 3600000 })))
    end)

    it("never leaves a client of ours with a hole", function()
      local late = { 1 }
      late[3] = 3
      for _, value in ipairs { { 1, nil, 3 }, late, { list = late } } do
        local ok, err = pcall(cache.set, cache, "given:hole of a client", value)
        assert.is_false(ok)
        assert.truthy(tostring(err):find("the array has no element 2", 1, true), tostring(err))
      end
      assert.is_true(expect.value(cache:set("given:after", { 1, msgpack.null, 3 }))) -- the connection goes on
    end)
  end)
end)
