local expect = require "spec.support.expect"
local postgres = require "spec.support.postgres"
local raw = require "spec.support.raw"
local tier = require "spec.support.tier"
local wait = require "spec.support.wait"

-- Every form that a script can give; `ctx.match[1]` is one's number.
local FORMS = [[
local function nested(n) return n == 0 and {} or { nested(n - 1) } end
local forms = {
  0, 1, 127, 128, 255, 256, 65535, 65536, 2^32 - 1, 2^32, -1, -32, -33, -128, -129, -32768, -32769, -2^31, -2^31 - 1,
  0.5, -0.0 * 1, 1e300, 0/0, 1/0, -1/0, 9007199254740993LL, -9223372036854775807LL - 1, 18446744073709551615ULL,
  "", "a", ("x"):rep(31), ("x"):rep(32), ("x"):rep(255), ("x"):rep(256), ("x"):rep(65535), ("x"):rep(65536),
  "a\0b", "\195\169", "\255\254", ("\255"):rep(300), ("\255"):rep(70000), true, false,
  {}, { 1, "two", { three = 3 } }, { a = 1, b = { c = rtcache.null } }, nested(14), { ["a\0b"] = 1 },
  '"quoted" \\ {"a",b}',
}
return {
  load = function(key, ctx)
    local form = forms[tonumber(ctx.match[1])]
    if form == nil then return nil end
    return form, { version = 7, tags = { 'a"b\\c', "{x,y}", "t" } }
  end,
}]]

local MANY = [=[
return {
  load_many = function(keys, ctx)
    local values, options = {}, {}
    for i = 1, #keys do
      ctx.db:exec("INSERT INTO loads (key) VALUES ($1)", keys[i])
      local row = ctx.db:row("SELECT value, version FROM source WHERE key = $1", keys[i])
      if row then values[keys[i]], options[keys[i]] = row.value, { version = row.version } end
    end
    return values, options
  end,
}]=]

for _, kind in ipairs { "postgres", "sqlite" } do
  describe("a tier in " .. kind, function()
    local t
    after_each(function()
      if t then t:stop() end
      t = nil
    end)

    it("gives back every form of value in its own bytes", function()
      t = tier.start(kind, {
        loaders = { { pattern = "form:*", script = "forms.lua", backend = "main" } },
        scripts = { ["forms.lua"] = FORMS },
        options = { memory = "2mb" },
      })
      local bytes, count = {}, 0
      while true do
        local value, err = raw.get(t.cache, "form:" .. count + 1)
        if err then error(err) end
        if value == "\192" then break end
        count = count + 1
        bytes[count] = value
      end
      assert.equal(49, count)
      t:settle()
      assert.equal(count, t:numbers().writes)
      for i = 1, count do t:forget("form:" .. i) end
      for i = 1, count do
        assert.equal(bytes[i], (raw.get(t.cache, "form:" .. i)), "form " .. i)
      end
      assert.equal(count, t:numbers().hits)
      expect.value(t.cache:invalidate_tag 'a"b\\c')
      expect.absent(t.cache:peek "form:2")
    end)

    it("ends the proven ones of a batch, and loads the others", function()
      t = tier.start(kind, {
        loaders = { { pattern = "many:*", script = "many.lua", backend = "main" } },
        scripts = { ["many.lua"] = MANY },
      })
      local keys = {}
      for i = 1, 40 do
        keys[i] = "many:" .. i
        t.source:put(keys[i], "of " .. i, { version = 7 })
      end
      local half = {}
      for i = 1, 20 do half[i] = keys[i] end
      expect.value(t.cache:get_many(half))
      t:settle()
      for i = 1, 20 do t:forget(keys[i]) end
      local values = expect.value(t.cache:get_many(keys))
      for i = 1, 40 do assert.equal("of " .. i, values[i].value) end
      assert.equal(20, t:numbers().hits)
      assert.equal(40, t.source:loads())
    end)

    it("takes no row of a script that was changed, nor of a time in which its loader was not kept", function()
      local options = {
        loaders = { { pattern = "dear:*", script = "dear.lua", backend = "main" } },
        scripts = { ["dear.lua"] = 'return { load = function() return "first", { version = 7 } end }' },
      }
      t = tier.start(kind, options)
      assert.equal("first", expect.value(t.cache:get "dear:1"))
      t:settle()
      t:forget "dear:1"
      t.server:write_script("dear.lua", 'return { load = function() return "second", { version = 7 } end }')
      expect.value(t.cache:reload())
      assert.equal("second", expect.value(t.cache:get "dear:1"))
      assert.equal(0, t:numbers().hits)
      t:settle()
      -- Away and back: meanwhile a load was not written.
      options.loaders[1].tier = false
      t.server:write_conf(options)
      expect.value(t.cache:reload())
      options.loaders[1].tier = true
      t.server:write_conf(options)
      expect.value(t.cache:reload())
      t:forget "dear:1"
      assert.equal("second", expect.value(t.cache:get "dear:1"))
      assert.equal(0, t:numbers().hits)
    end)

    it("serves what is past its ttl as the memory would", function()
      t = tier.start(kind, { loaders = { { pattern = "dear:*", ttl = "1s", stale_ttl = "1h" } } })
      t.source:put("dear:1", "old", { version = 7 })
      expect.value(t.cache:get "dear:1")
      local from = wait.now()
      t:settle()
      t:forget "dear:1"
      t.source:put("dear:1", "new", { version = 8, fail = "no" })
      wait.until_true("its ttl is over", function() return wait.now() > from + 1.1 end)
      local e = expect.status("stale_error", t.cache:get_entry "dear:1")
      assert.equal("old", e.value)
      assert.equal(1, t:numbers().candidates)
    end)
  end)
end

describe("two servers with one table", function()
  local a, b
  after_each(function()
    for _, t in pairs { a or false, b or false } do
      if t then
        t.source:close()
        t.server:stop()
      end
    end
    if a then a.db:close() end
    a, b = nil, nil
  end)

  local function options(db, warm)
    return { loaders = { { pattern = "dear:*", warm = warm, stale_ttl = "1h" } }, db = db, no_table = db ~= nil }
  end

  it("never answer with a row of the other, but hand it to the load", function()
    a = tier.start("postgres", options(nil, "revalidate"))
    b = tier.start("postgres", options(a.db, "revalidate"))
    a.source:put("dear:1", "of a", { version = 7 })
    b.source:put("dear:1", "of b", { version = 7 })
    assert.equal("of a", expect.value(a.cache:get "dear:1"))
    a:settle()
    assert.equal("of b", expect.value(b.cache:get "dear:1"))
    -- The loader asks another database there: another loader, whose rows are no candidates either.
    assert.equal(0, b:numbers().hits + b:numbers().candidates)
  end)

  it("leave the newest version, whoever writes last", function()
    a = tier.start("postgres", options(nil, "revalidate"))
    b = tier.start("postgres", options(a.db, "revalidate"))
    a.source:put("dear:1", "eight", { version = 8 })
    expect.value(a.cache:get "dear:1")
    a:settle()
    b.source:put("dear:1", "seven", { version = 7 })
    expect.value(b.cache:get "dear:1")
    b:settle()
    assert.equal("8", a:row("dear:1", "version_id"))
    assert.equal(1, b:numbers().outdone)
    -- a's own row is still proven for a.
    a:forget "dear:1"
    assert.equal("eight", expect.value(a.cache:get "dear:1"))
    assert.equal(1, a:numbers().hits)
  end)

  it("a mark of one stands against a late write of the other", function()
    a = tier.start("postgres", options(nil, "revalidate"))
    b = tier.start("postgres", options(a.db, "revalidate"))
    expect.value(a.cache:invalidate("dear:1", { version = 9 }))
    a:settle()
    b.source:put("dear:1", "seven", { version = 7 })
    expect.value(b.cache:get "dear:1")
    b:settle()
    assert.equal("null", a:row("dear:1", "value"))
    assert.equal(1, b:numbers().outdone)
  end)
end)

describe("a tier whose database", function()
  local t, cluster
  after_each(function()
    if t then
      t.source:close()
      t.server:stop()
    end
    if cluster then cluster:stop() end
    t, cluster = nil, nil
  end)

  it("goes away in the middle breaks no load, and goes on when it is back", function()
    cluster = postgres.start()
    t = tier.start("postgres", { loaders = { { pattern = "dear:*" } }, db = cluster:database() })
    t.source:put("dear:1", "Ann", { version = 7 })
    expect.value(t.cache:get "dear:1")
    t:settle()
    t.db:exec "ALTER TABLE cache_entry SET LOGGED"
    t.db:close()
    cluster:kill()
    local from = wait.now()
    for i = 2, 30 do
      t.source:put("dear:" .. i, "Ann", { version = 7 })
      assert.equal("Ann", expect.value(t.cache:get("dear:" .. i)))
    end
    assert.is_true(wait.now() - from < 3)
    wait.until_true("it is told", function() return t.server:log():find("tier%.down") ~= nil end)
    cluster:launch()
    t.db = cluster:open(t.db.name)
    t:settle()
    assert.equal(30, t:number "SELECT count(*) FROM cache_entry")
    local _, downs = t.server:log():gsub("tier%.down", "")
    local _, ups = t.server:log():gsub("tier%.up", "")
    assert.equal(1, downs)
    assert.equal(1, ups)
    t.db:close()
  end)

  it("is down at the start lets the server start, and load", function()
    cluster = postgres.start()
    local db = cluster:database()
    db:exec(tier.sql())
    db:close()
    cluster:kill()
    t = tier.start("postgres", {
      loaders = { { pattern = "dear:*" } },
      db = db,
      no_table = true,
      options = { tier = { preload = 100 } },
    })
    t.source:put("dear:1", "Ann", { version = 7 })
    assert.equal("Ann", expect.value(t.cache:get "dear:1"))
    wait.until_true("it is told", function() return t.server:log():find("tier%.down") ~= nil end)
    cluster:launch()
    t:settle()
    t.db = cluster:open(db.name)
    assert.equal(1, t:number "SELECT count(*) FROM cache_entry")
    t.db:close()
  end)

  it("hangs holds a load up for the timeout alone", function()
    cluster = postgres.start()
    t = tier.start("postgres", {
      loaders = { { pattern = "dear:*" } },
      db = cluster:database(),
      options = { tier = { timeout = "100ms" } },
    })
    t.source:put("dear:1", "Ann", { version = 7 })
    expect.value(t.cache:get "dear:1")
    t:settle()
    cluster:freeze()
    for i = 2, 20 do
      t.source:put("dear:" .. i, "Ann", { version = 7 })
      local from = wait.now()
      assert.equal("Ann", expect.value(t.cache:get("dear:" .. i)))
      assert.is_true(wait.now() - from < 1)
    end
    assert.is_true(t:numbers().skipped > 10)
    cluster:thaw()
    t:settle()
    assert.equal(20, t:number "SELECT count(*) FROM cache_entry")
    t.db:close()
  end)
end)
