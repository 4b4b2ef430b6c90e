local expect = require "spec.support.expect"
local postgres = require "spec.support.postgres"
local tier = require "spec.support.tier"
local wait = require "spec.support.wait"

-- Says what it was handed of what is stored, and that nothing has changed where that is so.
local ASKING = [[
return {
  load = function(key, ctx)
    ctx.db:exec("INSERT INTO loads (key) VALUES ($1)", key)
    local row = ctx.db:row("SELECT value, version FROM source WHERE key = $1", key)
    if not row then return nil end
    if ctx.version == row.version then return rtcache.unchanged end
    return row.value .. " after " .. tostring(ctx.value), { version = row.version, tags = { "t:" .. key } }
  end,
}]]

local FREE = [[return { load = function(key) return "of " .. key, { version = 7 } end }]]

local function loaders()
  return {
    { pattern = "dear:*" },
    { pattern = "asked:*", script = "asking.lua" },
    { pattern = "quick:*", tier_min_load = "10s" },
    { pattern = "plain:*", tier = false },
    { pattern = "short:*", ttl = "2s" },
  }
end

for _, kind in ipairs { "postgres", "sqlite" } do
  describe("a tier in " .. kind, function()
    local t

    local function start(o)
      o = o or {}
      o.loaders = o.loaders or loaders()
      o.scripts = { ["asking.lua"] = ASKING, ["free.lua"] = FREE }
      t = tier.start(kind, o)
    end

    after_each(function()
      if t then t:stop() end
      t = nil
    end)

    it("answers what was evicted, without a load", function()
      start()
      t.source:put("dear:1", "Ann", { version = 7 })
      assert.equal("Ann", expect.value(t.cache:get "dear:1"))
      t:settle()
      t:forget "dear:1"
      local e = expect.status("miss", t.cache:get_entry "dear:1")
      assert.equal("Ann", e.value)
      assert.equal(7, e.version)
      assert.is_true(e.ttl_ms > 3500000 and e.ttl_ms < 3600000)
      assert.equal(1, t.source:loads "dear:1")
      expect.status("hit", t.cache:get_entry "dear:1")
      local n = t:numbers()
      assert.equal(1, n.hits)
      assert.equal(1, n.writes)
      t:settle()
      assert.equal(1, t:numbers().writes) -- what came from it does not go back
    end)

    it("shows people the value, its version and its times", function()
      start()
      t.source:put("dear:1", "it's \"Ann\"", { version = 7 })
      expect.value(t.cache:get "dear:1")
      t:settle()
      assert.equal([["it's \"Ann\""]], t:row("dear:1", "value"))
      assert.equal("7", t:row("dear:1", "version_id"))
      assert.equal(1, t:number(kind == "postgres"
        and "SELECT count(*) FROM cache_entry WHERE loaded_at BETWEEN now() - interval '1 min' AND now() "
          .. "AND expires_at - loaded_at = interval '1 h'"
        or "SELECT count(*) FROM cache_entry WHERE loaded_at <= datetime('now', '+1 seconds') "
          .. "AND round((julianday(expires_at) - julianday(loaded_at)) * 86400) = 3600"))
    end)

    it("leaves out what has no version, what was quick, and what is not to be kept there", function()
      start()
      t.source:put("dear:1", "no version")
      t.source:put("quick:1", "quick", { version = 1 })
      t.source:put("plain:1", "plain", { version = 1 })
      for _, key in ipairs { "dear:1", "quick:1", "plain:1", "dear:none" } do t.cache:get(key) end
      t:settle()
      assert.equal(0, t:number "SELECT count(*) FROM cache_entry")
      assert.equal(0, t:numbers().writes)
    end)

    it("gives no answer for what was invalidated, by key, version, tag and pattern", function()
      start()
      for i = 1, 5 do
        t.source:put("asked:" .. i, "old", { version = 7 })
        expect.value(t.cache:get("asked:" .. i))
      end
      t:settle()
      for i = 1, 5 do t:forget("asked:" .. i) end
      for i = 1, 5 do t.source:put("asked:" .. i, "new", { version = 8 }) end
      expect.value(t.cache:invalidate "asked:1")
      expect.value(t.cache:invalidate("asked:2", { version = 8 }))
      expect.value(t.cache:invalidate_tag "t:asked:3")
      expect.value(t.cache:invalidate_match "asked:4")
      expect.value(t.cache:expire "asked:5")
      for i = 1, 5 do assert.equal("new after nil", expect.value(t.cache:get("asked:" .. i))) end
      assert.equal(0, t:numbers().hits)
    end)

    it("writes a mark where a key is invalidated, set, or absent", function()
      start()
      for _, key in ipairs { "dear:1", "dear:2", "dear:3" } do
        t.source:put(key, "old", { version = 7 })
        expect.value(t.cache:get(key))
      end
      t:settle()
      expect.value(t.cache:invalidate "dear:1")
      expect.value(t.cache:set("dear:2", "set", { version = 9 }))
      t.source:remove "dear:3"
      expect.status("negative", t.cache:refresh "dear:3")
      expect.value(t.cache:invalidate("plain:1", { version = 3 })) -- of a loader that is not kept here
      t:settle()
      for _, key in ipairs { "dear:1", "dear:2", "dear:3" } do
        assert.equal("null", t:row(key, "value"))
        assert.equal(kind == "postgres" and "t" or "1", t:row(key, "gone"))
      end
      assert.equal("7", t:row("dear:1", "version_id")) -- the height of what it stands for
      assert.equal("9", t:row("dear:2", "version_id"))
      assert.equal(3, t:number "SELECT count(*) FROM cache_entry")
    end)

    it("keeps a late write of an older version out, and takes one that is newer", function()
      start()
      t.source:put("dear:1", "seven", { version = 7 })
      expect.value(t.cache:get "dear:1")
      expect.value(t.cache:invalidate("dear:1", { version = 9 }))
      t:settle()
      t.db:exec(kind == "postgres"
        and "UPDATE cache_entry SET expires_at = now() + interval '1 h'"
        or "UPDATE cache_entry SET expires_at = datetime('now', '+1 hours')")
      t:restart "crash" -- so that it knows nothing of the floor
      expect.value(t.cache:get "dear:1")
      t:settle()
      assert.equal("9", t:row("dear:1", "version_id"))
      assert.equal("null", t:row("dear:1", "value"))
      assert.equal(1, t:numbers().outdone)
      t.source:put("dear:1", "ten", { version = 10 })
      expect.value(t.cache:refresh "dear:1")
      t:settle()
      assert.equal("10", t:row("dear:1", "version_id"))
      assert.equal([["ten"]], t:row("dear:1", "value"))
    end)

    it("forgets a row that a later load has overtaken without being written", function()
      start { loaders = { { pattern = "dear:*" } } }
      t.source:put("dear:1", "old", { version = 7 })
      expect.value(t.cache:get "dear:1")
      t:settle()
      t.source:put("dear:1", "without a version")
      expect.value(t.cache:refresh "dear:1")
      t:forget "dear:1"
      assert.equal("without a version", expect.value(t.cache:get "dear:1"))
      assert.equal(0, t:numbers().hits)
    end)

    it("is not asked by a refresh", function()
      start()
      t.source:put("dear:1", "old", { version = 7 })
      expect.value(t.cache:get "dear:1")
      t:settle()
      t.source:put("dear:1", "new", { version = 8 })
      assert.equal("new", expect.value(t.cache:refresh "dear:1").value)
    end)

    it("reads the keys of a get_many together", function()
      start { loaders = { { pattern = "dear:*" } } }
      local keys = {}
      for i = 1, 60 do
        keys[i] = "dear:" .. i
        t.source:put(keys[i], "of " .. i, { version = i })
      end
      expect.value(t.cache:get_many(keys))
      t:settle()
      assert.equal(60, t:numbers().writes)
      for _, key in ipairs { "dear:1", "dear:60" } do t:forget(key) end
      local gone = 0
      for _, key in ipairs(keys) do
        if not t.cache:peek(key) then gone = gone + 1 end
      end
      local before = t:numbers().hits
      local values = expect.value(t.cache:get_many(keys))
      for i = 1, 60 do assert.equal("of " .. i, values[i].value) end
      assert.equal(60, t.source:loads())
      assert.equal(gone, t:numbers().hits - before)
    end)

    for _, warm in ipairs { "off", "revalidate", "stale" } do
      it("after a restart a row is as warm = " .. warm .. " says", function()
        start { loaders = { { pattern = "asked:*", script = "asking.lua", warm = warm, stale_ttl = "1h" } } }
        t.source:put("asked:1", "old", { version = 7 })
        t.source:put("asked:2", "old", { version = 7 })
        for i = 1, 2 do expect.value(t.cache:get("asked:" .. i)) end
        t:settle()
        t:restart("crash", function() t.source:put("asked:2", "new", { version = 8 }) end)
        local first = expect.status("miss", t.cache:get_entry "asked:1")
        local second = expect.status("miss", t.cache:get_entry "asked:2")
        if warm == "off" then
          assert.equal("old after nil", first.value)
          assert.equal("new after nil", second.value)
        else
          assert.equal("old after nil", first.value) -- unchanged
          assert.equal("new after old after nil", second.value)
        end
        local n = t:numbers()
        assert.equal(0, n.hits)
        assert.equal(warm == "off" and 0 or 2, n.candidates)
        assert.equal(4, t.source:loads())
      end)
    end

    it("serves as stale what was brought back while its load fails, under warm = stale", function()
      start { loaders = { { pattern = "dear:*", warm = "stale", stale_ttl = "1h" } } }
      t.source:put("dear:1", "old", { version = 7 })
      expect.value(t.cache:get "dear:1")
      t:settle()
      t:restart("crash", function() t.source:put("dear:1", "new", { version = 8, fail = "no" }) end)
      assert.equal("old", expect.status("stale_error", t.cache:get_entry "dear:1").value)
    end)

    it("serves nothing of before that was invalidated since the start", function()
      start { loaders = { { pattern = "dear:*", warm = "stale", stale_ttl = "1h" } } }
      t.source:put("dear:1", "old", { version = 7 })
      expect.value(t.cache:get "dear:1")
      t:settle()
      t:restart("crash", function() t.source:put("dear:1", "new", { version = 8, fail = "no" }) end)
      expect.value(t.cache:invalidate "dear:1")
      t:settle()
      t.db:exec("UPDATE cache_entry SET gone = " .. (kind == "postgres" and "false" or "0"))
      expect.error("LOAD_FAILED", "no", t.cache:get_entry "dear:1")
    end)

    it("preloads the newest rows", function()
      start {
        loaders = { { pattern = "free:*", script = "free.lua", warm = "stale", stale_ttl = "1h" } },
        options = { tier = { preload = 1200 }, memory = "16mb" },
      }
      local keys = {}
      for i = 1, 1500 do keys[i] = "free:" .. i end
      for _, v in ipairs(expect.value(t.cache:get_many(keys))) do assert.is_nil(v.error) end
      t:settle()
      assert.equal(1500, t:numbers().writes)
      t:restart "crash"
      wait.until_true("what is preloaded is there", function() return t:numbers().preloaded == 1200 end)
      assert.equal(1200, expect.value(t.cache:stats()).store.entries)
    end)

    it("keeps the rows of a clean stop's last moment", function()
      start()
      t.source:put("dear:1", "Ann", { version = 7 })
      expect.value(t.cache:get "dear:1")
      t:restart "clean"
      assert.equal([["Ann"]], t:row("dear:1", "value"))
    end)

    it("takes out rows whose time is over", function()
      start { options = { tier = { clean_every = "100ms" } }, loaders = { { pattern = "dear:*", ttl = "100ms" } } }
      t.source:put("dear:1", "Ann", { version = 7 })
      expect.value(t.cache:get "dear:1")
      wait.until_true("it is taken out", function() return t:numbers().cleaned >= 1 end)
      assert.equal(0, t:number "SELECT count(*) FROM cache_entry")
      wait.until_true("its size is known", function() return t:numbers().bytes > 0 end)
    end)

    it("adds nothing past its size", function()
      start {
        options = { tier = { size = "1mb", clean_every = "100ms" }, max_value = "4mb", memory = "64mb" },
        loaders = { { pattern = "dear:*" } },
      }
      local parts = {} -- which do not compress
      math.randomseed(7)
      for i = 1, 3000000 do parts[i] = string.char(math.random(48, 90)) end
      local text = table.concat(parts):gsub("\\", "a")
      t.source:put("dear:1", text, { version = 7 })
      expect.value(t.cache:get "dear:1")
      wait.until_true("it is too large", function() return t:numbers().bytes > 1048576 end)
      t.source:put("dear:2", "small", { version = 7 })
      expect.value(t.cache:get "dear:2")
      wait.until_true("it is dropped", function() return t:numbers().dropped == 1 end)
      assert.equal(1, t:number "SELECT count(*) FROM cache_entry")
    end)

    it("drops what the queue has no room for", function()
      start {
        options = { tier = { queue = "64kb" }, max_value = "4mb", memory = "64mb" },
        loaders = { { pattern = "dear:*" } },
      }
      t.source:put("dear:1", ("x"):rep(100000), { version = 7 })
      expect.value(t.cache:get "dear:1")
      assert.equal(1, t:numbers().dropped)
      assert.equal(0, t:numbers().queue)
    end)
  end)
end

describe("a tier that is unwell", function()
  local t
  after_each(function()
    if t then t:stop() end
    t = nil
  end)

  it("whose table is missing breaks no load, and is told once", function()
    t = tier.start("postgres", { loaders = loaders(), scripts = { ["asking.lua"] = ASKING }, no_table = true })
    for i = 1, 20 do
      t.source:put("dear:" .. i, "Ann", { version = 7 })
      assert.equal("Ann", expect.value(t.cache:get("dear:" .. i)))
    end
    local _, count = t.server:log():gsub("tier%.down", "")
    assert.equal(1, count)
    assert.is_truthy(t.server:log():find("rtcache tier-sql prints the table", 1, true))
    t.db:exec(tier.sql())
    wait.until_true("it is found", function() return t.server:log():find("tier%.up") ~= nil end)
    t:settle()
    assert.equal(20, t:number "SELECT count(*) FROM cache_entry")
  end)

  it("whose table has the original's columns alone says which one is missing", function()
    local db = postgres.database()
    db:exec [[CREATE TABLE cache_entry (cache_key text PRIMARY KEY, value jsonb NOT NULL, version_id bigint,
      loaded_at timestamptz NOT NULL DEFAULT now(), expires_at timestamptz NOT NULL)]]
    t = tier.start("postgres", { loaders = loaders(), scripts = { ["asking.lua"] = ASKING }, db = db, no_table = true })
    t.source:put("dear:1", "Ann", { version = 7 })
    expect.value(t.cache:get "dear:1")
    wait.until_true("it is told", function() return t.server:log():find('column.-packed.-does not exist') ~= nil end)
    t.db:exec(tier.sql()) -- which adds what is missing
    t:settle()
    assert.equal([["Ann"]], t:row("dear:1", "value"))
  end)

  it("that is slow holds a load up for its timeout, and then no more", function()
    t = tier.start("postgres", {
      loaders = loaders(),
      scripts = { ["asking.lua"] = ASKING },
      options = { tier = { timeout = "200ms" } },
    })
    t.source:put("dear:1", "Ann", { version = 7 })
    expect.value(t.cache:get "dear:1")
    t:settle()
    t.db:exec "BEGIN; LOCK TABLE cache_entry IN ACCESS EXCLUSIVE MODE"
    for i = 2, 40 do
      t.source:put("dear:" .. i, "Ann", { version = 7 })
      assert.equal("Ann", expect.value(t.cache:get("dear:" .. i)))
    end
    local n = t:numbers()
    assert.is_true(n.failures >= 3)
    assert.is_true(n.skipped >= 30)
    t.db:exec "COMMIT"
    t:settle()
    assert.equal(40, t:number "SELECT count(*) FROM cache_entry")
  end)
end)
