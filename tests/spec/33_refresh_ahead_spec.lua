local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local wait = require "spec.support.wait"

local GATE = 30

-- Loads for 100 ms, which early_beta goes by.
local SLOW = [[
return {
  load = function(key, ctx)
    ctx.db:exec("INSERT INTO loads (key) VALUES ($1)", key)
    rtcache.sleep(0.1)
    return "slow"
  end,
}
]]

local UNCHANGED = [[
return {
  load = function(key, ctx)
    ctx.db:exec("INSERT INTO loads (key) VALUES ($1)", key)
    if ctx.value then return rtcache.unchanged end
    return "the same", { version = 7, tags = { "same" } }
  end,
}
]]

describe("refreshing ahead", function()
  local server, source, cache

  setup(function()
    server, source = Source.postgres {
      options = {
        memory = "1mb", shards = 1,
        defaults = { wait_timeout = "60s", load_timeout = "60s", jitter = 0, refresh_ahead = 0.2, retries = 0 },
      },
      scripts = { ["slow.lua"] = SLOW, ["unchanged.lua"] = UNCHANGED },
      loaders = {
        { pattern = "ahead:*", ttl = "1500ms" },
        { pattern = "long:*", ttl = "2s", stale_ttl = "10min" },
        { pattern = "narrow:*", ttl = "2s", prefetch_max_concurrent = 1, prefetch_max_queue = 0 },
        { pattern = "early:*", ttl = "1s", script = "slow.lua", refresh_ahead = 0, early_beta = 10 },
        { pattern = "off:*", ttl = "300ms", refresh_ahead = 0 },
        { pattern = "same:*", ttl = "1500ms", script = "unchanged.lua" },
      },
    }
    cache = server:connect()
  end)
  teardown(function()
    source:close()
    server:stop()
  end)
  after_each(function() source:open_gates() end)

  local function loader(pattern)
    for _, l in ipairs(expect.value(cache:loaders())) do
      if l.pattern == pattern then return l end
    end
  end

  local function counter(name) return expect.value(cache:stats()).counters[name] end

  local function read(key, times)
    for _ = 1, times do expect.value(cache:get(key)) end
  end

  local function wait_till_gone(key)
    wait.until_true(key .. " is gone", function() return cache:peek(key) == nil end)
  end

  it("brings the next value of a key that is read before its end, and no client waits", function()
    source:put("ahead:hot", "old")
    read("ahead:hot", 1 + 3)
    source:put("ahead:hot", "new")
    local misses, joined = counter "misses", counter "coalesced"
    wait.until_true("the next load", function() return source:loads "ahead:hot" == 2 end)
    wait.until_true("its value", function()
      local entry = cache:peek "ahead:hot"
      return assert(entry, "it was gone before it was refreshed").value == "new"
    end)
    assert.equal("new", expect.status("hit", cache:get_entry "ahead:hot").value)
    assert.equal(misses, counter "misses")
    assert.equal(joined, counter "coalesced")
    assert.equal(1, loader("ahead:*").loads_prefetch)
  end)

  it("asks the source nothing for a key that is hardly read, however often it is peeked at", function()
    source:put("ahead:cold", "value")
    read("ahead:cold", 1 + 2)
    wait_till_gone "ahead:cold"
    assert.equal(1, source:loads "ahead:cold")
  end)

  it("does not take its own refresh for a read", function()
    source:put("ahead:once", "value")
    read("ahead:once", 1 + 3)
    wait.until_true("the refresh", function() return source:loads "ahead:once" == 2 end)
    wait_till_gone "ahead:once"
    assert.equal(2, source:loads "ahead:once")
  end)

  it("does not try again when the source fails, and the value is served to its end", function()
    source:put("ahead:bad", "value")
    read("ahead:bad", 1 + 3)
    source:put("ahead:bad", "value", { fail = "out of order" })
    wait.until_true("the refresh", function() return source:loads "ahead:bad" == 2 end)
    assert.equal("value", expect.status("hit", cache:get_entry "ahead:bad").value)
    wait_till_gone "ahead:bad"
    assert.equal(2, source:loads "ahead:bad")
  end)

  it("is off where refresh_ahead is 0", function()
    source:put("off:1", "value")
    read("off:1", 1 + 5)
    wait_till_gone "off:1"
    assert.equal(1, source:loads "off:1")
  end)

  it("keeps to its bound, and counts what it leaves out", function()
    source.db:shut(GATE)
    for i = 1, 5 do
      source:put("narrow:" .. i, "value")
      read("narrow:" .. i, 1 + 3)
      source:put("narrow:" .. i, "value", { gate = GATE })
    end
    wait.until_true("the others are left out", function()
      return loader("narrow:*").prefetch_skipped == 4
    end)
    assert.equal(1, loader("narrow:*").loads_prefetch)
    source.db:open(GATE)
  end)

  it("drops a refreshed value whose entry was evicted meanwhile, and counts it", function()
    local large = ("x"):rep(50000) -- what is larger than others would not push them out
    source:put("long:1", large)
    read("long:1", 1 + 3)
    source.db:shut(GATE)
    source:put("long:1", "new", { gate = GATE })
    source:await_gate(GATE)
    local before = counter "refresh_wasted"
    local i = 0
    wait.until_true("long:1 is evicted", function()
      for _ = 1, 20 do
        i = i + 1
        expect.value(cache:set("filler:" .. i, large))
        read("filler:" .. i, 3) -- what is read less would not push out what was read
      end
      return cache:peek "long:1" == nil
    end)
    source.db:open(GATE)
    wait.until_true("the refresh ended", function()
      return counter "refresh_wasted" == before + 1
    end)
    assert.is_nil(cache:peek "long:1")
    assert.equal(1, loader("long:*").refresh_wasted)
  end)

  it("starts with a read near the end where early_beta says so", function()
    read("early:1", 1)
    wait.until_true("an early load", function()
      expect.value(cache:get "early:1")
      return loader("early:*").loads_early > 0
    end)
    wait.until_true("its query", function() return source:loads "early:1" >= 2 end)
    assert.equal(0, loader("early:*").loads_prefetch)
  end)

  it("takes no copy where the source says that nothing has changed", function()
    read("same:1", 1 + 3)
    local renewals = expect.value(cache:stats()).store.renewals
    wait.until_true("the refresh", function()
      return expect.value(cache:stats()).store.renewals == renewals + 1
    end)
    local entry = expect.status("hit", cache:get_entry "same:1")
    assert.equal("the same", entry.value)
    assert.equal(7, entry.version)
    assert.is_true(cache:invalidate_tag "same")
    assert.is_nil(cache:peek "same:1")
  end)

  it("counts hits by loader, also over a reload", function()
    source:put("off:counted", "value")
    local had = loader("off:*").hits
    local all = counter "hits"
    read("off:counted", 1)
    for _ = 1, 10 do
      if cache:peek "off:counted" then read("off:counted", 1) end
    end
    local rise = loader("off:*").hits - had
    assert.is_true(rise > 0)
    assert.equal(rise, counter "hits" - all)
    expect.value(cache:reload())
    assert.equal(had + rise, loader("off:*").hits)
    assert.is_nil(cache:get "off:nothing")
    local negatives = loader("off:*").hits_negative
    assert.is_nil(cache:get "off:nothing")
    assert.equal(negatives + 1, loader("off:*").hits_negative)
  end)
end)
