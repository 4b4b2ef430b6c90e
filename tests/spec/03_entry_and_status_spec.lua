local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local wait = require "spec.support.wait"

describe("get_entry", function()
  local server, source, cache

  setup(function()
    server, source = Source.sqlite {
      loaders = {
        { pattern = "user:*", ttl = "60s", negative_ttl = "60s" },
        { pattern = "short:*", ttl = "50ms", stale_ttl = "60s", negative_ttl = "50ms" },
        { pattern = "for ever:*", ttl = "0s" },
        { pattern = "slow:*", script = "slow.lua", ttl = "60s" },
      },
      scripts = { ["slow.lua"] = "return { load = function() rtcache.sleep(0.05) return 'slow' end }" },
    }
    cache = server:connect()
  end)
  teardown(function()
    source:close()
    server:stop()
  end)

  it("says miss for what was loaded for the request, with the time the load took", function()
    source:put("user:1", "Ann")
    local entry = expect.status("miss", cache:get_entry "user:1")
    assert.equal("Ann", entry.value)
    assert.equal(0, entry.age_ms)
    assert.truthy(entry.ttl_ms > 0 and entry.ttl_ms <= 60000)
    assert.equal("number", type(entry.load_ms))
    assert.truthy(entry.load_ms >= 0)
    assert.is_nil(entry.version)
    assert.is_nil(entry.error)
    local slow = expect.status("miss", cache:get_entry "slow:1").load_ms
    assert.truthy(slow >= 45, slow) -- the clock of the server's timers may be a turn of its loop behind
    assert.truthy(expect.status("hit", cache:get_entry "slow:1").load_ms >= 45)
  end)

  it("says hit for what was there, and its age grows as its ttl shrinks", function()
    source:put("user:2", "Bob")
    expect.value(cache:get "user:2")
    local first = expect.status("hit", cache:get_entry "user:2")
    assert.equal("Bob", first.value)
    local later = wait.until_true("the entry has aged", function()
      local entry = expect.status("hit", cache:get_entry "user:2")
      return entry.age_ms > first.age_ms and entry
    end)
    assert.truthy(later.ttl_ms < first.ttl_ms)
    assert.truthy(math.abs(later.age_ms + later.ttl_ms - 60000) <= 2)
    assert.equal(first.load_ms, later.load_ms)
  end)

  it("says negative for what the source has not", function()
    for _ = 1, 2 do
      local entry = expect.status("negative", cache:get_entry "user:nobody")
      assert.is_nil(entry.value)
    end
  end)

  it("says stale past the ttl, with a ttl below 0", function()
    source:put("short:1", "old")
    expect.status("miss", cache:get_entry "short:1")
    local entry = wait.until_true("a stale answer", function()
      local e = expect.value(cache:get_entry "short:1")
      return e.status == "stale" and e
    end)
    assert.equal("old", entry.value)
    assert.truthy(entry.ttl_ms <= 0)
    assert.truthy(entry.age_ms >= 50)
  end)

  it("brings the version of the row, all 64 bits of it", function()
    for i, version in ipairs {
      1, -5, 9007199254740993LL, 9223372036854775807LL, -9223372036854775807LL - 1,
    } do
      local key = "user:versioned " .. i
      source:put(key, "v", { version = version })
      assert.equal(version, expect.status("miss", cache:get_entry(key)).version)
      assert.equal(version, expect.status("hit", cache:get_entry(key)).version)
    end
  end)

  it("has no ttl for what is kept for ever", function()
    source:put("for ever:1", "and ever")
    assert.is_nil(expect.status("miss", cache:get_entry "for ever:1").ttl_ms)
    assert.is_nil(expect.status("hit", cache:get_entry "for ever:1").ttl_ms)
  end)
end)
