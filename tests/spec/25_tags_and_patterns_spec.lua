local Server = require "spec.support.server"
local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local wait = require "spec.support.wait"

local GATE = 25

-- user:N carries team:<N % 10> and "all"; a value waits at the gate of its row.
local TAGGED = [[
return {
  load = function(key, ctx)
    ctx.db:exec("INSERT INTO loads (key) VALUES ($1)", key)
    local row = ctx.db:row("SELECT value, gate FROM source WHERE key = $1", key)
    if not row then return nil end
    if row.gate ~= 0 then
      ctx.db:value("SELECT 1 AS passed FROM pg_advisory_xact_lock_shared($1)", row.gate)
    end
    return row.value, { tags = { "team:" .. ctx.match[1] % 10, "all" } }
  end,
}
]]

describe("a tag", function()
  local server, source, cache

  setup(function()
    server, source = Source.postgres {
      scripts = { ["tagged.lua"] = TAGGED },
      loaders = { { pattern = "user:*", script = "tagged.lua", ttl = "60s", stale_ttl = "60s", wait_timeout = "60s",
        load_timeout = "60s" } },
    }
    cache = server:connect()
  end)
  teardown(function()
    source:close()
    server:stop()
  end)
  after_each(function() source:open_gates() end)

  it("takes all that carry it, and nothing else", function()
    for i = 1, 3 do
      source:put("user:" .. i, "old " .. i)
      assert.equal("old " .. i, expect.value(cache:get("user:" .. i)))
      source:put("user:" .. i, "new " .. i)
    end
    assert.is_true(expect.value(cache:invalidate_tag "team:2"))
    assert.equal("old 1", expect.value(cache:get "user:1"))
    assert.equal("new 2", expect.value(cache:get "user:2"))
    assert.is_true(expect.value(cache:invalidate_tag { "team:1", "team:7" }))
    assert.equal("new 1", expect.value(cache:get "user:1"))
    assert.equal("old 3", expect.value(cache:get "user:3"))
    expect.value(cache:invalidate_tag "all")
    assert.equal("new 3", expect.value(cache:get "user:3"))
  end)

  it("race 23: is invalidated while a load that will carry it runs", function()
    source:put("user:14", "old", { gate = GATE })
    source.db:shut(GATE)
    local early, late = server:connect(), server:connect()
    local first = early:send("get", "user:14")
    source:await_gate(GATE)
    source:put("user:14", "new")
    expect.value(cache:invalidate_tag "team:4")
    local second = late:send("get", "user:14")
    expect.value(late:ping()) -- it has joined the load
    source.db:open(GATE)
    assert.equal("old", expect.value(early:receive(first)))
    assert.equal("new", expect.value(late:receive(second)))
    assert.equal("new", expect.status("hit", cache:get_entry "user:14").value)
    assert.equal(2, source:loads "user:14")
    assert.equal(1, expect.value(cache:stats()).counters.rejoined)
  end)

  it("that is expired leaves what carries it stale until it is loaded again", function()
    source:put("user:25", "old")
    assert.equal("old", expect.value(cache:get "user:25"))
    source:put("user:25", "new")
    assert.is_true(expect.value(cache:expire_tag "team:5"))
    assert.equal("old", expect.status("stale", cache:get_entry "user:25").value)
    wait.until_true("it is loaded again", function()
      local entry = cache:peek "user:25"
      return entry and entry.value == "new" and entry.status == "hit"
    end)
  end)

  it("can be given to a set", function()
    expect.value(cache:set("thing:1", "value", { tags = { "things", "red" } }))
    expect.value(cache:invalidate_tag "blue")
    assert.equal("value", expect.value(cache:peek "thing:1").value)
    expect.value(cache:invalidate_tag "red")
    expect.absent(cache:peek "thing:1")
  end)

  it("is a text of 1 to 255 bytes, or an array of them", function()
    expect.error("BAD_REQUEST", "tag", cache:invalidate_tag(7))
    expect.error("BAD_REQUEST", "tag 1 has 0 bytes", cache:invalidate_tag "")
    expect.error("BAD_REQUEST", "tag 2 is no str", cache:invalidate_tag { "a", 7 })
    expect.error("BAD_REQUEST", "256 bytes", cache:expire_tag(("x"):rep(256)))
    expect.error("BAD_REQUEST", "tag", cache:set("thing:2", "v", { tags = { ("x"):rep(256) } }))
    local many = {}
    for i = 1, 65 do many[i] = "t" .. i end
    expect.error("BAD_REQUEST", "at most 64", cache:set("thing:2", "v", { tags = many }))
    expect.absent(cache:peek "thing:2")
  end)

  it("that shares its slot with another one costs loads, and nothing worse", function()
    local narrow = Server.start { options = { tag_slots = 1 } }
    local client = narrow:connect()
    expect.value(client:set("a", "A", { tags = { "one" } }))
    expect.value(client:set("b", "B"))
    expect.value(client:invalidate_tag "two")
    expect.absent(client:peek "a")
    assert.equal("B", expect.value(client:peek "b").value)
    narrow:stop()
  end)
end)

describe("a pattern", function()
  local server, source, cache
  local MANY = 20000

  setup(function()
    server, source = Source.postgres {
      loaders = {
        { pattern = "user:*", ttl = "60s", negative_ttl = "60s", stale_ttl = "60s", wait_timeout = "60s",
          load_timeout = "60s" },
      },
      options = { max_globs = 2 },
    }
    cache = server:connect()
  end)
  teardown(function()
    source:close()
    server:stop()
  end)
  after_each(function()
    source:open_gates()
    -- The scans of this test count against the next one's max_globs.
    wait.until_true("its scans have ended", function()
      return expect.value(cache:stats()).store.globs == 0
    end)
  end)

  local function entries() return expect.value(cache:stats()).store.entries end

  it("is in force at once for all that match, and the memory comes back", function()
    for first = 1, MANY, 1000 do
      local ids = {}
      for i = first, first + 999 do ids[#ids + 1] = cache:send("set", "bulk:" .. i, i, { ttl_ms = 600000 }) end
      for _, id in ipairs(ids) do expect.value(cache:receive(id)) end
    end
    expect.value(cache:set("other", "stays"))
    assert.is_true(expect.value(cache:invalidate_match "bulk:*"))
    for i = 1, MANY, 97 do expect.absent(cache:peek("bulk:" .. i)) end
    expect.value(cache:set("bulk:1", "after"))
    wait.until_true("the scan has ended", function() return entries() <= 2 end)
    assert.equal("stays", expect.value(cache:peek "other").value)
    assert.equal("after", expect.value(cache:peek "bulk:1").value)
  end)

  it("takes what is known to be absent too", function()
    expect.absent(cache:get "user:none")
    source:put("user:none", "here")
    expect.absent(cache:get "user:none")
    expect.value(cache:invalidate_match "user:n*e")
    assert.equal("here", expect.value(cache:get "user:none"))
  end)

  it("keeps a load from before it out, and lets none join it", function()
    source:put("user:slow", "old", { gate = GATE })
    source.db:shut(GATE)
    local early, late = server:connect(), server:connect()
    local first = early:send("get", "user:slow")
    source:await_gate(GATE)
    expect.value(cache:invalidate_match "user:*")
    source:put("user:slow", "new")
    assert.equal("new", expect.value(late:get "user:slow"))
    source.db:open(GATE)
    expect.value(early:receive(first))
    assert.equal("new", expect.status("hit", cache:get_entry "user:slow").value)
  end)

  it("that is expired leaves values stale until they are loaded again", function()
    source:put("user:soft", "old")
    assert.equal("old", expect.value(cache:get "user:soft"))
    source:put("user:soft", "new")
    assert.is_true(expect.value(cache:expire_match "user:*"))
    assert.equal("old", expect.status("stale", cache:get_entry "user:soft").value)
    wait.until_true("it is loaded again", function()
      local entry = cache:peek "user:soft"
      return entry and entry.value == "new" and entry.status == "hit"
    end)
  end)

  it("is checked", function()
    expect.error("BAD_REQUEST", "invalidate_match", cache:invalidate_match "")
    expect.error("BAD_REQUEST", "lone backslash", cache:invalidate_match "user\\:*")
    expect.error("BAD_REQUEST", "stars", cache:expire_match(("*"):rep(9)))
    expect.error("BAD_REQUEST", "256", cache:invalidate_match(("x"):rep(257)))
    expect.error("BAD_REQUEST", "pattern", cache:invalidate_match(7))
  end)

  it("past max_globs scans is refused, and may be asked for again", function()
    for i = 1, 100 do expect.value(cache:set("fill:" .. i, i)) end
    local ids, refused = {}, 0
    for i = 1, 200 do ids[i] = cache:send("invalidate_match", "never:" .. i) end
    for _, id in ipairs(ids) do
      local value, err = cache:receive(id)
      if not value then
        expect.error("OVERLOADED", "max_globs", value, err)
        refused = refused + 1
      end
    end
    assert.truthy(refused > 0)
    wait.until_true("there is room again", function() return cache:invalidate_match "never:*" end)
    assert.equal(100, expect.value(cache:get_many { "fill:100" })[1].value)
  end)
end)

describe("expire_many", function()
  it("leaves each of its keys stale, and says how many there were", function()
    local server, source = Source.postgres { loaders = { { pattern = "user:*", ttl = "60s", stale_ttl = "60s" } } }
    local cache = server:connect()
    for i = 1, 2 do
      source:put("user:" .. i, "v")
      expect.value(cache:get("user:" .. i))
    end
    assert.equal(2, expect.value(cache:expire_many { "user:1", "user:2", "user:3" }))
    expect.status("stale", cache:get_entry "user:1")
    expect.error("BAD_REQUEST", "key 1 has 0 bytes", cache:expire_many { "" })
    source:close()
    server:stop()
  end)
end)
