local Server = require "spec.support.server"
local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local files = require "spec.support.files"
local wait = require "spec.support.wait"

-- Subscriptions that there are now.
local function open(cache)
  local counters = expect.value(cache:stats()).counters
  return counters.subscribed - counters.unsubscribed
end

describe("a subscription", function()
  local server, source, cache, near

  setup(function()
    server, source = Source.postgres {
      loaders = { { pattern = "user:*", ttl = "60s" } },
      options = { max_subscriptions = 5 },
    }
  end)
  teardown(function()
    source:close()
    server:stop()
  end)
  before_each(function() cache, near = server:connect(), server:connect() end)
  after_each(function()
    cache:close()
    near:close()
  end)

  -- The next notification of a connection, with its name checked.
  local function told(client)
    local name, params = client:notification()
    assert.equal("invalidated", name)
    return params[1]
  end

  -- Everything that was told before this: a marker that comes after it in the same order.
  local function nothing_more(client)
    expect.value(client:subscribe { keys = { "marker" } })
    expect.value(cache:invalidate "marker" ~= nil)
    assert.same({ key = "marker", cause = "invalidate" }, told(client))
    expect.value(client:unsubscribe { keys = { "marker" } })
  end

  it("of a key hears of all that changes it, and of no other key", function()
    assert.equal(1, expect.value(near:subscribe { keys = { "user:1" } }))
    expect.value(cache:invalidate "user:2" ~= nil)
    expect.value(cache:invalidate "user:1" ~= nil)
    assert.same({ key = "user:1", cause = "invalidate" }, told(near))
    expect.value(cache:invalidate("user:1", { version = 7 }) ~= nil)
    assert.same({ key = "user:1", cause = "invalidate", version = 7 }, told(near))
    expect.value(cache:set("user:1", "v", { version = 8 }))
    assert.same({ key = "user:1", cause = "set", version = 8 }, told(near))
    expect.value(cache:expire "user:1")
    assert.same({ key = "user:1", cause = "expire" }, told(near))
    expect.value(cache:invalidate_many { "user:3", "user:1" })
    assert.same({ key = "user:1", cause = "invalidate" }, told(near))
    expect.value(cache:expire_many { "user:1" })
    assert.same({ key = "user:1", cause = "expire" }, told(near))
    nothing_more(near)
  end)

  it("hears nothing of a set that was refused", function()
    expect.value(cache:set("user:v", "v", { version = 9 }))
    expect.value(near:subscribe { keys = { "user:v" } })
    expect.error("VERSION_CONFLICT", "user:v", cache:set("user:v", "old", { version = 8 }))
    nothing_more(near)
  end)

  it("of a pattern hears of the keys that match, once each", function()
    expect.value(near:subscribe { patterns = { "user:*", "*:1" }, keys = { "user:1" } })
    expect.value(cache:invalidate "user:1" ~= nil)
    assert.same({ key = "user:1", cause = "invalidate" }, told(near))
    expect.value(cache:invalidate "team:1" ~= nil)
    assert.same({ key = "team:1", cause = "invalidate" }, told(near))
    expect.value(cache:invalidate "team:2" ~= nil)
    nothing_more(near)
  end)

  it("hears of a tag whatever it is of: nobody knows which keys carry it", function()
    local by_tag, by_key = server:connect(), server:connect()
    expect.value(by_tag:subscribe { tags = { "team:7" } })
    expect.value(by_key:subscribe { keys = { "user:1" } })
    expect.value(cache:invalidate_tag "team:8")
    assert.same({ tag = "team:8", cause = "invalidate" }, told(by_key))
    expect.value(cache:expire_tag "team:7")
    assert.same({ tag = "team:7", cause = "expire" }, told(by_tag))
    assert.same({ tag = "team:7", cause = "expire" }, told(by_key))
    nothing_more(by_tag)
  end)

  it("hears of a pattern that may concern it", function()
    local other, same = server:connect(), server:connect()
    expect.value(near:subscribe { keys = { "user:1" } })
    expect.value(same:subscribe { patterns = { "user:1*" } })
    expect.value(other:subscribe { patterns = { "team:*" }, keys = { "team:1" } })
    expect.value(cache:invalidate_match "user:*")
    assert.same({ pattern = "user:*", cause = "invalidate" }, told(near))
    assert.same({ pattern = "user:*", cause = "invalidate" }, told(same))
    nothing_more(other)
  end)

  it("ends with unsubscribe, one by one or all at once", function()
    assert.equal(3, expect.value(near:subscribe { keys = { "a", "b" }, tags = "t" }))
    assert.equal(3, expect.value(near:subscribe { keys = { "a" } }))
    assert.equal(2, expect.value(near:unsubscribe { keys = { "a", "never" } }))
    expect.value(cache:invalidate "a" ~= nil)
    expect.value(cache:invalidate "b" ~= nil)
    assert.same({ key = "b", cause = "invalidate" }, told(near))
    assert.equal(0, expect.value(near:unsubscribe()))
    expect.value(cache:invalidate "b" ~= nil)
    nothing_more(near)
  end)

  it("is counted, and ends with its connection", function()
    local before = open(cache)
    local client = server:connect()
    expect.value(client:subscribe { keys = { "a", "b" }, patterns = { "c*" } })
    assert.equal(before + 3, open(cache))
    client:close()
    wait.until_true("the subscriptions are gone", function() return open(cache) == before end)
  end)

  it("past max_subscriptions is refused, and nothing of that call is taken", function()
    expect.value(near:subscribe { keys = { "1", "2", "3" } })
    expect.error("OVERLOADED", "max_subscriptions (5)", near:subscribe { keys = { "4", "5", "6" } })
    expect.value(cache:invalidate "4" ~= nil)
    expect.value(cache:invalidate "3" ~= nil)
    assert.same({ key = "3", cause = "invalidate" }, told(near))
    assert.equal(0, expect.value(near:unsubscribe()))
  end)

  it("is checked", function()
    expect.error("BAD_REQUEST", "subscribe", near:call("subscribe"))
    expect.error("BAD_REQUEST", "a map of options", near:subscribe {}) -- an empty array, from Lua
    expect.error("BAD_REQUEST", "keys, patterns and tags", near:subscribe { keys = {} })
    expect.error("BAD_REQUEST", "key 1 is no str", near:subscribe { keys = { 7 } })
    expect.error("BAD_REQUEST", "lone backslash", near:subscribe { patterns = { "a\\b" } })
    expect.error("BAD_REQUEST", 'unknown option "key"', near:subscribe { key = "a" })
    expect.error("BAD_REQUEST", "map of options", near:call("subscribe", { "a" }))
  end)

  it("outlives a reload", function()
    expect.value(near:subscribe { keys = { "user:1" } })
    expect.value(cache:reload())
    expect.value(cache:invalidate "user:1" ~= nil)
    assert.same({ key = "user:1", cause = "invalidate" }, told(near))
  end)

  it("of a client that does not read is told that it has lost something, and nothing is lost in silence", function()
    local key = ("k"):rep(4000)
    expect.value(near:subscribe { patterns = { "k*" } })
    -- More than the socket and the server's bound for it hold together.
    for _ = 1, 40 do
      local ids = {}
      for i = 1, 100 do ids[i] = cache:send("invalidate", key) end
      for i = 1, 100 do assert.is_nil(select(2, cache:receive(ids[i]))) end
    end
    assert.truthy(expect.value(cache:stats()).counters.notices_lost > 0)
    local last
    repeat last = told(near) until last.all
    assert.same({ all = true, cause = "lost" }, last)
    expect.value(cache:invalidate "kurt" ~= nil)
    assert.same({ key = "kurt", cause = "invalidate" }, told(near))
  end)
end)

describe("requests of many parts", function()
  local server, cache, near

  setup(function()
    server = Server.start { options = { io_threads = 1, loader_threads = 1, max_subscriptions = 10000 } }
  end)
  teardown(function() server:stop() end)
  before_each(function() cache, near = server:connect(), server:connect() end)
  after_each(function()
    cache:close()
    near:close()
  end)

  local function list(count, format)
    local out = {}
    for i = 1, count do out[i] = format:format(i) end
    return out
  end

  local function sliced() return expect.value(cache:stats()).counters.sliced end

  it("are done in slices, and what comes behind them on their connection stays behind them", function()
    local before = sliced()
    local keys = list(10000, "many:%d")
    for i = 1, 10000, 500 do
      local ids = {}
      for k = i, i + 499 do ids[#ids + 1] = near:send("set", keys[k], k) end
      for _, id in ipairs(ids) do assert.is_nil(select(2, near:receive(id))) end
    end
    local ids = {}
    local function send(...) ids[#ids + 1] = assert(near:send(...)) end
    send("get_many", keys)
    send("invalidate_many", keys)
    send("get_many", { "many:1", "many:10000" })
    send("set", "many:7", "again")
    send("get", "many:7")
    send("expire_many", keys)
    send("invalidate_tag", keys)
    send("ping")
    local answers = {}
    for i, id in ipairs(ids) do answers[i] = { near:receive(id) } end
    for i, item in ipairs(answers[1][1]) do assert.equal(i, item.value) end
    assert.equal(10000, answers[2][1])
    for _, item in ipairs(answers[3][1]) do assert.truthy(item.error:find "^NO_LOADER") end
    assert.same({ true, "again", 1, true, "pong" },
      { answers[4][1], answers[5][1], answers[6][1], answers[7][1], answers[8][1] })
    assert.truthy(sliced() > before)
  end)

  it("subscribe all or nothing, also where it takes many slices", function()
    local before = sliced()
    assert.equal(1, expect.value(near:subscribe { keys = { "first" } }))
    expect.error("OVERLOADED", "max_subscriptions", near:subscribe { patterns = list(10000, "*:%d:*:x") })
    expect.error("BAD_REQUEST", "lone backslash",
      near:subscribe { keys = list(5000, "k%d"), patterns = { "ok*", "a\\b" } })
    expect.value(cache:set("u:77:v:x", 1))
    expect.value(cache:set("k7", 1))
    expect.value(cache:set("first", 1))
    local _, params = near:notification()
    assert.same({ key = "first", cause = "set" }, params[1])
    assert.equal(10000, expect.value(near:subscribe { patterns = list(9999, "*:%d:*:x") }))
    expect.value(cache:set("u:77:v:y", 1))
    expect.value(cache:set("u:77:v:x", 1))
    _, params = near:notification()
    assert.same({ key = "u:77:v:x", cause = "set" }, params[1])
    assert.equal(1, expect.value(near:unsubscribe { patterns = list(9999, "*:%d:*:x") }))
    assert.equal(0, expect.value(near:unsubscribe()))
    assert.truthy(sliced() > before)
  end)

  it("do not outlive their connection", function()
    local before = open(cache)
    for _ = 1, 5 do
      local client = server:connect()
      client:send("subscribe", { patterns = list(10000, "gone:%d:*") })
      client:send("get_many", list(10000, "gone:%d"))
      client:close()
      client = server:connect()
      client:send("invalidate_many", list(10000, "gone:%d"))
      client:send("get_many", list(10000, "gone:%d"))
      client:close()
    end
    wait.until_true("the subscriptions are gone", function() return open(cache) == before end)
    expect.value(cache:ping())
  end)
end)

describe("max_notices", function()
  it("bounds what is on its way; past it everybody hears that something was lost", function()
    local server = Server.start { options = { max_notices = 1, io_threads = 2, loader_threads = 1 } }
    local cache, near = server:connect(), server:connect()
    expect.value(near:subscribe { patterns = { "*" } })
    local lost
    for _ = 1, 50 do
      local ids = {}
      for i = 1, 500 do ids[i] = cache:send("invalidate", "k" .. i) end
      for i = 1, 500 do cache:receive(ids[i]) end
      lost = expect.value(cache:stats()).counters.notices_lost > 0
      if lost then break end
    end
    assert.is_true(lost)
    repeat local _, params = near:notification() until params[1].all
    server:stop()
  end)
end)

describe("docs/protocol.md", function()
  it("names every method of this spec and hello does", function()
    local server = Server.start {}
    local methods = {}
    for _, name in ipairs(expect.value(server:connect():hello()).methods) do methods[name] = true end
    for _, name in ipairs { "subscribe", "unsubscribe", "put", "delete", "invalidate_tag", "invalidate_match",
      "expire_many", "expire_tag", "expire_match" } do
      assert.is_true(methods[name], name)
      assert.truthy(files.read("docs/protocol.md"):find("`" .. name .. "`", 1, true)
        or files.read("docs/protocol.md"):find("`" .. name .. "(", 1, true), name .. " is not in docs/protocol.md")
    end
    server:stop()
  end)

  it("tells what each method costs", function()
    local server = Server.start {}
    local section = files.read("docs/protocol.md"):match "\n## What a request costs\n(.-)\n## "
    local told = {}
    for methods in section:gmatch "\n| (`[^|]+) |" do
      for name in methods:gmatch "`([%l_]+)`" do told[name] = true end
    end
    for _, name in ipairs(expect.value(server:connect():hello()).methods) do
      assert.is_true(told[name], name)
    end
    server:stop()
  end)
end)
