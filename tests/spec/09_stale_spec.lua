local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local wait = require "spec.support.wait"

local GATE = 9

describe("a stale entry", function()
  local server, source, cache

  setup(function()
    server, source = Source.postgres {
      options = { defaults = { wait_timeout = "60s", load_timeout = "60s" } },
      loaders = {
        { pattern = "news:*", ttl = "100ms", stale_ttl = "10min" },
        { pattern = "patient:*", ttl = "100ms", stale_ttl = "10min", stale_wait = "60s" },
        { pattern = "hasty:*", ttl = "100ms", stale_ttl = "10min", stale_wait = "50ms" },
        { pattern = "brief:*", ttl = "50ms", stale_ttl = "50ms" },
        { pattern = "strict:*", ttl = "50ms", stale_ttl = "0s" },
      },
    }
    cache = server:connect()
  end)
  teardown(function()
    source:close()
    server:stop()
  end)
  after_each(function() source:open_gates() end)

  local function load_and_age(key)
    expect.value(cache:get(key))
    wait.until_true(key .. " is stale", function()
      local entry = cache:peek(key)
      return entry and entry.status == "stale"
    end)
  end

  it("is served at once, and one load in the background brings the new value", function()
    source:put("news:1", "old")
    load_and_age "news:1"
    source:put("news:1", "new", { gate = GATE })
    source.db:shut(GATE)
    for _ = 1, 50 do
      local entry = expect.status("stale", cache:get_entry "news:1")
      assert.equal("old", entry.value)
    end
    source:await_gate(GATE)
    assert.equal("old", expect.value(cache:get "news:1"))
    assert.equal(2, source:loads "news:1")
    source.db:open(GATE)
    wait.until_true("the new value", function() return cache:get "news:1" == "new" end)
  end)

  it("is waited past by who gives a stale_wait, and the fresh value comes", function()
    source:put("news:2", "old")
    load_and_age "news:2"
    source:put("news:2", "new")
    assert.equal("new", expect.value(cache:get("news:2", { stale_wait_ms = 60000 })))
  end)

  it("is waited past where the loader has a stale_wait", function()
    source:put("patient:1", "old")
    load_and_age "patient:1"
    source:put("patient:1", "new")
    local entry = expect.value(cache:get_entry "patient:1")
    assert.equal("new", entry.value)
    assert.equal("miss", entry.status)
  end)

  it("is taken at the end of a stale_wait that brought nothing", function()
    for key, options in pairs { ["hasty:1"] = false, ["news:3"] = { stale_wait_ms = 50 } } do
      source:put(key, "old")
      load_and_age(key)
      source:put(key, "new", { gate = GATE })
      source.db:shut(GATE)
      assert.equal("old", expect.status("stale", cache:get_entry(key, options or nil)).value)
      source:await_gate(GATE)
      assert.equal("old", expect.status("stale", cache:get_entry(key, options or nil)).value)
      assert.equal(2, source:loads(key)) -- it is still the one load; once it ends, its value ages again
      source.db:open(GATE)
      wait.until_true("the new value", function() return cache:get(key) == "new" end)
    end
  end)

  it("is waited past by nobody who says stale_wait_ms = 0", function()
    source:put("patient:2", "old")
    load_and_age "patient:2"
    source:put("patient:2", "new", { gate = GATE })
    source.db:shut(GATE)
    assert.equal("old", expect.value(cache:get("patient:2", { stale_wait_ms = 0 })))
    source.db:open(GATE)
  end)

  it("gives way to an absence: a row that was deleted is not served stale for ever", function()
    source:put("news:4", "there")
    load_and_age "news:4"
    source:remove "news:4"
    expect.value(cache:get "news:4")
    wait.until_true("the absence", function() return cache:get "news:4" == nil end)
  end)

  it("is not served past its stale_ttl: then a request waits for the load", function()
    for _, key in ipairs { "brief:1", "strict:1" } do
      source:put(key, "old")
      expect.value(cache:get(key))
      wait.until_true(key .. " has expired", function()
        local entry, err = cache:peek(key)
        assert.is_nil(err)
        return entry == nil
      end)
      source:put(key, "new")
      local entry = expect.value(cache:get_entry(key))
      assert.equal("new", entry.value)
      assert.equal("miss", entry.status)
    end
  end)

  it("is dropped by an invalidation also while its background load is in the air", function()
    source:put("news:5", "old")
    load_and_age "news:5"
    source:put("news:5", "old", { gate = GATE })
    source.db:shut(GATE)
    expect.status("stale", cache:get_entry "news:5")
    source:await_gate(GATE)
    assert.is_true(expect.value(cache:invalidate "news:5"))
    source:put("news:5", "new")
    assert.equal("new", expect.value(cache:get "news:5"))
    source.db:open(GATE)
    server:await_loader("news:*", "in_flight", 0)
    assert.equal("new", expect.value(cache:get "news:5"))
  end)
end)
