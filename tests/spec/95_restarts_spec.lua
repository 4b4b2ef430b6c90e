local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local files = require "spec.support.files"
local process = require "spec.support.process"
local restart = require "spec.support.restart"
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

local TAGGING = [[
return {
  load = function(key, ctx)
    ctx.db:exec("INSERT INTO loads (key) VALUES ($1)", key)
    local row = ctx.db:row("SELECT value, version FROM source WHERE key = $1", key)
    return row and row.value, { tags = { "team:" .. key:sub(-1) } }
  end,
}]]

local function options(more)
  local o = { state = "state", snapshot_every = "0s" }
  for name, v in pairs(more or {}) do o[name] = v end
  return {
    options = o,
    scripts = { ["asking.lua"] = ASKING, ["tagging.lua"] = TAGGING },
    loaders = {
      { pattern = "user:*", ttl = "1h", stale_ttl = "1h", negative_ttl = "1h", load_timeout = "1s" },
      { pattern = "asked:*", script = "asking.lua", ttl = "1h" },
      { pattern = "tagged:*", script = "tagging.lua", ttl = "1h", stale_ttl = "1h" },
      { pattern = "cold:*", ttl = "1h", warm = "off" },
      { pattern = "kept:*", ttl = "1h", stale_ttl = "1h", warm = "stale" },
      { pattern = "short:*", ttl = "100ms", stale_ttl = "1h" },
    },
  }
end

describe("after a stop and a start", function()
  local server, source, cache

  before_each(function()
    server, source = Source.sqlite(options())
    cache = server:connect()
  end)
  after_each(function()
    source:close()
    server:stop()
  end)

  local function fill()
    for _, key in ipairs { "user:1", "user:2", "asked:1", "tagged:1", "tagged:2", "cold:1", "kept:1" } do
      source:put(key, "of " .. key, { version = 7 })
      expect.value(cache:get(key))
    end
  end

  it("what was fresh is a hit, without a load", function()
    fill()
    local before = source:loads()
    cache = restart.clean(server)
    for _, key in ipairs { "user:1", "user:2", "tagged:1", "cold:1", "kept:1" } do
      local e = expect.status("hit", cache:get_entry(key))
      assert.equal("of " .. key, e.value)
    end
    assert.equal(7, expect.status("hit", cache:get_entry "user:1").version)
    assert.equal(before, source:loads())
    local numbers = restart.numbers(cache)
    assert.equal(7, numbers.proven)
    assert.equal(0, numbers.candidates + numbers.dropped + numbers.stale)
    assert.equal(2, numbers.life)
    assert.truthy(server:log():find("restart.restored entries=7 proven=7 stale=0 candidates=0 dropped=0 over=0 ", 1,
      true))
  end)

  it("an absence is absent, and a value of set is there", function()
    expect.absent(cache:get "user:none")
    expect.value(cache:set("without a loader", { 1, "two" }, { ttl_ms = 3600000 }))
    local before = source:loads()
    cache = restart.clean(server)
    expect.absent(cache:get "user:none")
    assert.same({ 1, "two" }, expect.value(cache:get "without a loader"))
    assert.equal(before, source:loads())
  end)

  it("time has gone on: age, and what is left of the ttl", function()
    fill()
    local e = expect.value(cache:get_entry "user:1")
    source:put("short:1", "brief")
    expect.value(cache:get "short:1")
    local from = wait.now()
    cache = restart.clean(server, function()
      wait.until_true("its ttl is over", function() return wait.now() > from + 0.11 end)
    end)
    expect.status("stale", cache:get_entry "short:1")
    local after = expect.status("hit", cache:get_entry "user:1")
    local passed = (wait.now() - from) * 1000
    assert.is_true(after.age_ms >= e.age_ms and after.age_ms <= e.age_ms + passed + 200)
    assert.is_true(after.ttl_ms < e.ttl_ms and after.ttl_ms >= e.ttl_ms - passed - 200)
  end)

  it("what was invalidated is gone, by key, by tag and by pattern", function()
    fill()
    expect.value(cache:invalidate "user:1")
    expect.value(cache:invalidate_tag "team:1")
    expect.value(cache:invalidate_match "cold:*")
    local before = source:loads()
    cache = restart.clean(server)
    for _, key in ipairs { "user:1", "tagged:1", "cold:1" } do expect.status("miss", cache:get_entry(key)) end
    assert.equal(before + 3, source:loads())
    expect.status("hit", cache:get_entry "tagged:2")
  end)

  it("tags still drop what carries them, and expire makes stale", function()
    fill()
    cache = restart.clean(server)
    expect.value(cache:invalidate_tag "team:1")
    expect.value(cache:expire_tag "team:2")
    expect.status("miss", cache:get_entry "tagged:1")
    expect.status("stale", cache:get_entry "tagged:2")
  end)

  it("a floor keeps older versions out, and a lower set is refused", function()
    source:put("user:1", "old", { version = 3 })
    expect.value(cache:get "user:1")
    expect.value(cache:invalidate("user:1", { version = 9 }) ~= nil)
    cache = restart.clean(server)
    local old, err = cache:get "user:1" -- asked again until the load's time is over
    assert.is_nil(old)
    assert.truthy(err.code == "STALE_SOURCE" or err.code == "LOAD_TIMEOUT", tostring(err))
    expect.error("VERSION_CONFLICT", "user:1", cache:set("user:1", "x", { version = 8 }))
    source:put("user:1", "new", { version = 9 })
    wait.until_true("the new row", function() return cache:get "user:1" == "new" end)
  end)

  it("the reads of before count for what stays in memory", function()
    fill()
    for _ = 1, 5 do expect.value(cache:get "user:2") end
    cache = restart.clean(server)
    cache = restart.clean(server)
    expect.status("hit", cache:get_entry "user:2")
    assert.equal(3, restart.numbers(cache).life)
  end)

  it("another script drops what the old one loaded, another ttl or pool does not", function()
    fill()
    local o = options()
    o.loaders[1].ttl = "2h"
    cache = restart.clean(server, function()
      server:write_script("tagging.lua", TAGGING .. " -- another text")
      o.scripts["tagging.lua"] = TAGGING .. " -- another text"
      for _, l in ipairs(o.loaders) do
        l.script, l.backend = l.script or "source.lua", "main"
      end
      o.backends = { main = { driver = "sqlite", path = "source.db", pool = 3 } }
    end, o)
    expect.status("hit", cache:get_entry "user:1")
    expect.status("miss", cache:get_entry "tagged:1")
    assert.equal(2, restart.numbers(cache).missing.P3)
  end)

  it("other shards, more memory and less are read right", function()
    fill()
    for i = 1, 2000 do expect.value(cache:set("some:" .. i, ("x"):rep(500), { ttl_ms = 3600000 })) end
    local before = source:loads()
    for _, change in ipairs { { shards = 64 }, { shards = 1, memory = "512mb" }, { shards = 2, memory = "64mb" } } do
      local o = options(change)
      cache = restart.clean(server, function()
        for _, l in ipairs(o.loaders) do
          l.script, l.backend = l.script or "source.lua", "main"
        end
        o.backends = { main = { driver = "sqlite", path = "source.db" } }
      end, o)
      for i = 1, 2000 do
        local e = expect.status("hit", cache:get_entry("some:" .. i))
        assert.equal(500, #e.value)
      end
      expect.status("hit", cache:get_entry "user:2")
    end
    assert.equal(before, source:loads())
  end)

  it("less memory than there was keeps a part, and nothing wrong", function()
    for i = 1, 3000 do expect.value(cache:set("some:" .. i, i .. ("x"):rep(1000), { ttl_ms = 3600000 })) end
    local o = options { shards = 1, memory = "2mb" }
    cache = restart.clean(server, function()
      for _, l in ipairs(o.loaders) do
        l.script, l.backend = l.script or "source.lua", "main"
      end
      o.backends = { main = { driver = "sqlite", path = "source.db" } }
    end, o)
    local there = 0
    for i = 1, 3000 do
      local value = cache:peek("some:" .. i)
      if value then
        there = there + 1
        assert.equal(i .. ("x"):rep(1000), value.value)
      end
    end
    assert.is_true(there > 500 and there < 2500)
  end)
end)

describe("what is not proven", function()
  local server, source, cache

  -- Away for longer than no feed allows.
  local AWAY = { warm_downtime = "0s" }

  before_each(function()
    server, source = Source.sqlite(options(AWAY))
    cache = server:connect()
    for _, key in ipairs { "asked:1", "asked:2", "cold:1", "kept:1", "user:1" } do
      source:put(key, "first", { version = 7 })
      expect.value(cache:get(key))
    end
    expect.absent(cache:get "user:none")
  end)
  after_each(function()
    source:close()
    server:stop()
  end)

  it("is never an answer, and is handed to the load of its key", function()
    source:put("asked:2", "second", { version = 8 })
    cache = restart.clean(server)
    expect.absent(cache:peek "asked:1")
    local before = source:loads()
    local e = expect.status("miss", cache:get_entry "asked:1")
    assert.equal("first after nil", e.value) -- unchanged: what was stored, with its version
    assert.equal(7, e.version)
    assert.equal("second after first after nil", expect.status("miss", cache:get_entry "asked:2").value)
    assert.equal(before + 2, source:loads())
    expect.status("hit", cache:get_entry "asked:1")
    expect.value(cache:invalidate_tag "t:asked:1")
    expect.status("miss", cache:get_entry "asked:1")
  end)

  it("does not keep a lower version out", function()
    source:put("asked:1", "begun anew", { version = 2 })
    source:put("user:1", "begun anew", { version = 2 })
    cache = restart.clean(server)
    assert.equal(2, expect.value(cache:get_entry "asked:1").version)
    assert.equal(2, expect.value(cache:get_entry "user:1").version)
  end)

  it("goes by the loader's warm: off drops, stale serves it as stale", function()
    cache = restart.clean(server)
    local numbers = restart.numbers(cache)
    assert.equal(6, numbers.missing.P5)
    assert.equal(1, numbers.stale)
    assert.equal(3, numbers.candidates)
    assert.equal(2, numbers.dropped) -- cold:1, and the absence
    assert.equal("first", expect.status("stale", cache:get_entry "kept:1").value)
    expect.status("miss", cache:get_entry "cold:1")
  end)

  it("is not served where loading fails, unless warm is stale", function()
    cache = restart.clean(server)
    source:put("user:1", "", { fail = "no" })
    source:put("kept:1", "", { fail = "no" })
    expect.error("LOAD_FAILED", "no", cache:get "user:1")
    expect.status("stale", cache:get_entry "kept:1")
  end)

  it("stays no more than a candidate over another restart", function()
    cache = restart.clean(server)
    cache = restart.clean(server, nil, (function()
      local o = options()
      for _, l in ipairs(o.loaders) do
        l.script, l.backend = l.script or "source.lua", "main"
      end
      o.backends = { main = { driver = "sqlite", path = "source.db" } }
      return o
    end)())
    assert.equal(0, restart.numbers(cache).missing.P5)
    expect.absent(cache:peek "asked:1")
    expect.status("miss", cache:get_entry "asked:1")
  end)
end)

describe("the folder of state", function()
  local server, source, cache

  before_each(function()
    server, source = Source.sqlite(options())
    cache = server:connect()
    source:put("user:1", "first", { version = 1 })
    expect.value(cache:get "user:1")
  end)
  after_each(function()
    source:close()
    server:stop()
  end)

  it("is its owner's alone, and a snapshot is there only while nobody serves", function()
    local lfs = require "lfs"
    local path = restart.snapshot(server)
    assert.is_nil(files.read(path))
    assert.equal("rwx------", lfs.attributes(server.folder .. "/state", "permissions"))
    cache = restart.clean(server, function()
      assert.equal("rw-------", lfs.attributes(path, "permissions"))
    end)
    expect.status("hit", cache:get_entry "user:1")
    assert.is_nil(files.read(path))
  end)

  it("has one server: a second one does not start", function()
    files.write(server.folder .. "/second.conf", 'listen = "127.0.0.1:0"\nstate = "state"\n')
    local second = process.spawn({ server:command()[1], "-c", server.folder .. "/second.conf" },
      { stderr = server.folder .. "/second.log" })
    assert.equal(1, second:wait(wait.PATIENCE))
    second:finish()
    assert.truthy(files.read(server.folder .. "/second.log"):find("another server has it", 1, true))
  end)

  it("gives a snapshot back once: the second time nothing of it is proven", function()
    local copy
    cache = restart.clean(server, function() copy = files.read(restart.snapshot(server)) end)
    expect.status("hit", cache:get_entry "user:1")
    expect.value(cache:invalidate "user:1")
    source:put("user:1", "second", { version = 2 })
    cache = restart.crash(server, function() files.write(restart.snapshot(server), copy) end)
    assert.equal(1, restart.numbers(cache).missing.P1)
    assert.equal("second", expect.status("miss", cache:get_entry "user:1").value)
  end)

  it("with a damaged snapshot is cold, and says where the damage is", function()
    local size
    for _, damage in ipairs { "flip", "cut" } do
      for share = 0, 0.99, 0.11 do
        cache = restart.clean(server, function()
          local path = restart.snapshot(server)
          size = #files.read(path)
          restart[damage](path, math.floor(size * share))
        end)
        local value = expect.value(cache:get "user:1")
        assert.equal("first", value)
        expect.value(cache:ping())
      end
    end
    assert.truthy(server:log():find("/state/snapshot", 1, true))
  end)

  it("with the clock set back proves nothing", function()
    cache = restart.clean(server, function()
      assert(os.execute(("touch -d '+1 hour' '%s/state/lock'"):format(server.folder)))
    end)
    assert.equal(1, restart.numbers(cache).missing.P4)
    expect.status("miss", cache:get_entry "user:1")
  end)

  it("that is not there, or is nobody's, is told before anything else", function()
    local o = options { state = "/proc/nowhere" }
    server:close_clients()
    server:signal "TERM"
    server.process:wait(wait.PATIENCE)
    server.process:finish()
    files.write(server.folder .. "/else/rtcache.conf",
      'listen = "127.0.0.1:0"\nstate = "' .. o.options.state .. '"\n')
    local p = process.spawn({ server:command()[1], "-c", server.folder .. "/else/rtcache.conf" },
      { stderr = server.folder .. "/else.log" })
    assert.equal(1, p:wait(wait.PATIENCE))
    p:finish()
    assert.truthy(files.read(server.folder .. "/else.log"):find("state", 1, true))
    server:launch()
  end)
end)

describe("a snapshot that is asked for", function()
  it("is written beside the traffic, and says what it is", function()
    local server, source = Source.sqlite(options())
    local cache = server:connect()
    for i = 1, 500 do expect.value(cache:set("k:" .. i, ("v"):rep(i), { ttl_ms = 3600000 })) end
    local answer = expect.value(cache:call("snapshot"))
    assert.equal(server.folder .. "/state/snapshot", answer.file)
    assert.equal(500, answer.entries)
    assert.equal(#files.read(answer.file), answer.bytes)
    assert.equal(1, restart.numbers(cache).snapshots)
    source:close()
    server:stop()
  end)

  it("without a folder is refused", function()
    local o = options()
    o.options = {}
    local server, source = Source.sqlite(o)
    expect.error("CONFIG", "state", server:connect():call "snapshot")
    assert.is_nil(restart.numbers(server:connect()))
    source:close()
    server:stop()
  end)

  it("comes by itself once a reload says how often", function()
    local o = options()
    local server, source = Source.sqlite(o)
    local cache = server:connect()
    expect.value(cache:ping())
    assert.equal(0, restart.numbers(cache).snapshots)
    o.options.snapshot_every = "20ms"
    server:write_conf(o)
    expect.value(cache:reload())
    wait.until_true("three snapshots", function() return restart.numbers(cache).snapshots >= 3 end)
    source:close()
    server:stop()
  end)

  it("comes by itself every snapshot_every", function()
    local server, source = Source.sqlite(options { snapshot_every = "50ms" })
    local cache = server:connect()
    wait.until_true("three snapshots", function() return restart.numbers(cache).snapshots >= 3 end)
    source:close()
    server:stop()
  end)
end)
