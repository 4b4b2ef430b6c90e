local Server = require "spec.support.server"
local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local msgpack = require "rtcache.msgpack"
local wait = require "spec.support.wait"

-- Says what it was given: the values of the stars, by number and by name, and their types.
local SHOW = [[
local function show(match)
  local id = match.id
  return { text = match[1], id = id, type = type(id), slug = match.slug, key = match.key, sum = id and id + 1 }
end
return {
  load = function(_, ctx) return show(ctx.match) end,
  save = function(_, value, ctx) return { text = ctx.match[1], id = ctx.match.id, value = value } end,
  remove = function() end,
}
]]

local MANY = [[
return {
  load_many = function(keys, ctx)
    local values = {}
    for i, key in ipairs(keys) do
      values[key] = { id = ctx.match[i].id, text = ctx.match[i][1], slug = ctx.match[i].slug }
    end
    return values
  end,
}
]]

local UUID = "0f8fad5b-d9cb-469f-a165-70867728950e"

-- Spellings of user:8 that are not how 8 is printed, and what is no integer of 64 bits.
local ALIASES = {
  "user:08", "user:+8", "user: 8", "user:8 ", "user:8\n", "user:8\0", "user:8.0", "user:8e0", "user:0x8",
  "user:-0",
  "user:", "user:-", "user:abc", "user:9223372036854775808", "user:-9223372036854775809", "user:8:8",
  "user:99999999999999999999999", "user:\239\188\152",
}

local function stats(cache) return expect.value(cache:stats()) end

describe("a typed star", function()
  local server, cache

  setup(function()
    server = Server.start {
      scripts = { ["show.lua"] = SHOW, ["many.lua"] = MANY },
      loaders = {
        { pattern = "user:{id:int}", script = "show.lua", ttl = "60s" },
        { pattern = "doc:{key:uuid}", script = "show.lua" },
        { pattern = "page:{slug:text}", script = "show.lua" },
        { pattern = "many:{id:int}", script = "many.lua" },
        { pattern = "both:{id:int}", script = "show.lua" },
        { pattern = "both:*", script = "show.lua" },
        { pattern = "wide:{id:int}:name", script = "show.lua" },
        { pattern = "wid*", script = "show.lua" },
        { pattern = "order:{slug:text}", script = "show.lua" },
        { pattern = "order:{id:int}", script = "show.lua" },
        { pattern = "brace:\\{*", script = "show.lua" },
      },
    }
    cache = server:connect()
  end)
  teardown(function() server:stop() end)

  it("gives the text by number and the value by name", function()
    assert.same({ text = "42", id = 42, type = "number", sum = 43 }, expect.value(cache:get "user:42"))
    assert.same(0, expect.value(cache:get "user:0").id)
    assert.same(-7, expect.value(cache:get "user:-7").id)
    assert.same({ text = UUID, key = UUID, type = "nil" }, expect.value(cache:get("doc:" .. UUID)))
    assert.same("a/b:ü", expect.value(cache:get "page:a/b:ü").slug)
    assert.equal("{x}", "{" .. expect.value(cache:get "brace:{x}").text)
  end)

  it("is exact to 64 bits", function()
    local last = 9007199254740992
    assert.equal(last, expect.value(cache:get "user:9007199254740992").id)
    for text, id in pairs {
      ["9007199254740993"] = 9007199254740993LL,
      ["-9007199254740993"] = -9007199254740993LL,
      ["9223372036854775807"] = 9223372036854775807LL,
      ["-9223372036854775808"] = -9223372036854775807LL - 1,
    } do
      local value = expect.value(cache:get("user:" .. text))
      assert.equal("cdata", value.type)
      assert.equal(id, value.id)
      assert.equal(text, value.text)
    end
  end)

  it("is there in a batch", function()
    local items = expect.value(cache:get_many { "many:1", "many:007", "many:9223372036854775807" })
    assert.equal(1, items[1].value.id)
    assert.equal("1", items[1].value.text)
    assert.same({}, items[2])
    assert.equal(9223372036854775807LL, items[3].value.id)
    assert.equal("9223372036854775807", items[3].value.text)
  end)

  it("race 37: takes one spelling of a key alone, and answers the others by nil, without a load", function()
    expect.value(cache:get "user:8")
    local before = stats(cache)
    for _, key in ipairs(ALIASES) do
      expect.absent(cache:get(key))
      expect.absent(cache:peek(key))
      local entry = expect.value(cache:get_entry(key))
      assert.equal("negative", entry.status)
      assert.equal(0, entry.ttl_ms)
      assert.equal("negative", expect.value(cache:refresh(key)).status)
      assert.is_true(expect.value(cache:refresh(key, { background = true })))
    end
    for _, item in ipairs(expect.value(cache:get_many(ALIASES))) do assert.same({}, item) end
    for _, item in ipairs(expect.value(cache:get_many(ALIASES, { partial = true }))) do assert.same({}, item) end
    expect.absent(cache:get("user:08", { min_version = 7, stale_wait_ms = 10 }))
    local after = stats(cache)
    assert.equal(before.counters.loads, after.counters.loads)
    assert.equal(before.counters.errors, after.counters.errors)
    assert.equal(before.store.entries, after.store.entries)
    assert.equal(before.store.negatives, after.store.negatives)
    assert.equal(before.counters.misfits + 5 * #ALIASES + 1, after.counters.misfits)
  end)

  it("takes lower-case uuids with hyphens alone", function()
    for _, text in ipairs {
      UUID:upper(), (UUID:gsub("-", "")), "{" .. UUID .. "}", UUID .. "\n", UUID:sub(1, -2), UUID .. "0",
      (UUID:gsub("f", "g")), "",
    } do
      expect.absent(cache:get("doc:" .. text))
    end
  end)

  it("takes any text that is not empty, of UTF-8 without NUL", function()
    assert.equal("08", expect.value(cache:get "page:08").slug)
    assert.equal("a\n", expect.value(cache:get "page:a\n").slug)
    for _, text in ipairs { "", "a\0b", "\255", "\195", "a\237\160\128" } do
      expect.absent(cache:get("page:" .. text))
      expect.absent(cache:get(msgpack.bin("page:" .. text)))
    end
  end)

  it("leaves what it does not take to a plain star, also a less specific one", function()
    assert.equal("7", expect.value(cache:get "both:7").text)
    assert.equal("07", expect.value(cache:get "both:07").text)
    assert.equal(nil, expect.value(cache:get "both:07").id)
    assert.equal(7, expect.value(cache:get "both:7").id)
    assert.equal("e:07:name", expect.value(cache:get "wide:07:name").text)
    assert.equal(7, expect.value(cache:get "order:7").id)
    assert.equal("7x", expect.value(cache:get "order:7x").slug)
    expect.error("NO_LOADER", nil, cache:get "used:7")
  end)

  it("refuses a write of a key that can be no row", function()
    expect.error("BAD_KEY", { "user:08", "user:{id:int}" }, cache:set("user:08", 1))
    expect.error("BAD_KEY", { "user:08", "user:{id:int}" }, cache:put("user:08", 1))
    expect.error("BAD_KEY", { "user:08", "user:{id:int}" }, cache:delete "user:08")
    assert.is_true(expect.value(cache:set("user:9", "set")))
    assert.equal("set", expect.value(cache:get "user:9"))
    expect.absent(cache:get "user:09")
    expect.value(cache:put("user:9223372036854775807", "x"))
  end)

  it("has nothing to invalidate under another spelling", function()
    expect.value(cache:get "user:8")
    assert.is_false(expect.value(cache:invalidate "user:08"))
    assert.is_false(expect.value(cache:expire "user:08"))
    assert.is_false(expect.value(cache:touch "user:08"))
    assert.equal(0, expect.value(cache:invalidate_many { "user:08", "user:abc" }))
    assert.equal(0, expect.value(cache:expire_many { "user:08", "user:abc" }))
    assert.truthy(expect.value(cache:peek "user:8"))
  end)

  it("is shown as it was written", function()
    local seen = {}
    for _, l in ipairs(expect.value(cache:loaders())) do seen[l.pattern] = true end
    assert.is_true(seen["user:{id:int}"])
    assert.is_true(seen["brace:\\{*"])
  end)
end)

describe("a pattern of typed stars", function()
  local server, cache

  setup(function()
    server = Server.start {
      scripts = { ["one.lua"] = "return { load = function(key) return key end }" },
      loaders = { { pattern = "*", script = "one.lua", ttl = "60s", stale_ttl = "60s" } },
    }
    cache = server:connect()
  end)
  teardown(function() server:stop() end)

  local KEYS = { "user:8", "user:-8", "user:08", "user:abc", "user:" .. UUID, "user:", "user:8:name" }

  local function fill()
    for _, key in ipairs(KEYS) do expect.value(cache:get(key)) end
  end

  local function status() -- of all keys, in their order
    local s = {}
    for i, key in ipairs(KEYS) do
      local entry = cache:peek(key)
      s[i] = type(entry) == "table" and entry.status or "none"
    end
    return table.concat(s, " ")
  end

  it("is the same keys in invalidate_match and expire_match", function()
    fill()
    expect.value(cache:invalidate_match "user:{id:int}")
    assert.equal("none none hit hit hit hit hit", status())
    fill()
    expect.value(cache:invalidate_match "user:{id:uuid}")
    assert.equal("hit hit hit hit none hit hit", status())
    fill()
    expect.value(cache:expire_match "user:{name:text}")
    assert.equal("stale stale stale stale stale hit stale", status())
    expect.value(cache:invalidate_match "user:{a:int}:{b:text}")
    assert.equal("stale stale stale stale stale hit none", status())
  end)

  it("is the same keys for a subscriber", function()
    local c = server:connect()
    expect.value(c:subscribe { patterns = "user:{id:int}" })
    for _, key in ipairs(KEYS) do expect.value(cache:invalidate(key)) end
    expect.value(cache:invalidate "user:100")
    local told = {}
    repeat
      local _, params = assert(c:notification(wait.PATIENCE))
      told[#told + 1] = params[1].key
    until told[#told] == "user:100"
    assert.same({ "user:8", "user:-8", "user:100" }, told)
  end)

  it("says at which byte it is wrong", function()
    for pattern, text in pairs {
      ["user:{id:flaot}"] = "a star of a type that is none of int, uuid and text at byte 6",
      ["user:{id}"] = "a star without a type at byte 6",
      ["user:{:int}"] = "a star without a name at byte 6",
      ["user:{Id:int}"] = "a star whose name is not of a-z, 0-9 and _ with no digit first",
      ["user:{1d:int}"] = "a star whose name is not of a-z",
      ["user:{id:int"] = "a { without a } at byte 6",
      ["user:{"] = "a { without a } at byte 6; a typed star is {name:type}, a { of the key is \\{",
      ["{a:int}{b:int}"] = "a star that touches another one at byte 8",
      ["a*{b:int}"] = "a star that touches another one at byte 3",
      ["{a:text}*"] = "a star that touches another one at byte 9",
      ["{a:int}:{a:uuid}"] = "a star of the name of an earlier one at byte 9",
      ["{a:int}7"] = "a digit right behind an int star at byte 8",
      ["a\\}"] = "a lone backslash at byte 2",
    } do
      expect.error("BAD_REQUEST", { "invalidate_match", text }, cache:invalidate_match(pattern))
      expect.error("BAD_REQUEST", { "subscribe", text }, cache:subscribe { patterns = pattern })
    end
  end)
end)

describe("a reload that gives a pattern its types", function()
  it("drops what was stored under other spellings, and keeps the rest", function()
    local function loaders(pattern)
      return { { pattern = pattern, script = "one.lua", ttl = "60s" } }
    end
    local o = {
      scripts = { ["one.lua"] = "return { load = function(key) return key end }" },
      loaders = loaders "user:*",
    }
    local server = Server.start(o)
    local cache, near = server:connect(), server:connect()
    expect.value(cache:get "user:8")
    expect.value(cache:get "user:08")
    expect.value(near:subscribe { keys = "user:08" })
    server:write_conf { scripts = o.scripts, loaders = loaders "user:{id:int}" }
    expect.value(cache:reload())
    assert.equal("user:8", expect.value(cache:peek "user:8").value)
    expect.absent(cache:get "user:08")
    expect.absent(cache:peek "user:08")
    local _, params = assert(near:notification(wait.PATIENCE))
    assert.equal("user:*", params[1].pattern)
    -- What was said of it then is no more when the types go again.
    server:write_conf { scripts = o.scripts, loaders = loaders "user:*" }
    expect.value(cache:reload())
    assert.equal("user:08", expect.value(cache:get "user:08"))
    server:stop()
  end)
end)

for name, start in pairs { SQLite = Source.sqlite, PostgreSQL = Source.postgres } do
  describe("typed stars in SQL over " .. name, function()
    local server, source, cache

    setup(function()
      server, source = start {
        loaders = {
          { pattern = "item:{id:int}", sql = "SELECT id, name, '$id' AS text FROM items WHERE id = $id" },
          { pattern = "pair:{slug:text}:{id:int}", sql = "SELECT id FROM items WHERE id = $id AND name = $slug" },
          { pattern = "view:{id:int}", sql = "SELECT twice FROM doubled WHERE twice = $id" },
          { pattern = "mixed:*:{id:int}", sql = "SELECT id FROM items WHERE name = $1 AND id = $id" },
        },
      }
      source.db:exec [[
        CREATE TABLE items (id bigint PRIMARY KEY, name text);
        INSERT INTO items VALUES (1, 'mug'), (9007199254740993, 'jar'), (9223372036854775807, 'pot'), (-5, 'tin');
        CREATE VIEW doubled AS SELECT id + id AS twice FROM items WHERE id < 100;
      ]]
      cache = server:connect()
    end)
    teardown(function()
      source:close()
      server:stop()
    end)

    it("are bound by their names, exactly", function()
      assert.same({ id = 1, name = "mug", text = "$id" }, expect.value(cache:get "item:1"))
      assert.equal("jar", expect.value(cache:get "item:9007199254740993").name)
      expect.absent(cache:get "item:9007199254740992")
      assert.equal("pot", expect.value(cache:get "item:9223372036854775807").name)
      assert.equal("tin", expect.value(cache:get "item:-5").name)
      assert.same({ id = 1 }, expect.value(cache:get "pair:mug:1"))
      expect.absent(cache:get "pair:jar:1")
      assert.same({ id = 1 }, expect.value(cache:get "mixed:mug:1"))
    end)

    it("are integers also beside what is no column", function()
      assert.same({ twice = 2 }, expect.value(cache:get "view:2"))
    end)

    it("make a batch where one key cannot fail the others", function()
      local items = expect.value(cache:get_many {
        "item:1", "item:abc", "item:01", "item:9223372036854775807", "item:99999999999999999999",
        "item:9007199254740993", "item:2",
      })
      local names = {}
      for i, item in ipairs(items) do
        assert.equal(nil, item.error)
        names[i] = item.value and item.value.name or "none"
      end
      assert.equal("mug none none pot none jar none", table.concat(names, " "))
    end)
  end)
end
