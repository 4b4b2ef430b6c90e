local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local files = require "spec.support.files"
local restart = require "spec.support.restart"
local wait = require "spec.support.wait"

describe("after a crash", function()
  local server, source, cache

  local WRITER = [[
return {
  load = function(key, ctx)
    ctx.db:exec("INSERT INTO loads (key) VALUES ($1)", key)
    local row = ctx.db:row("SELECT value, version FROM source WHERE key = $1", key)
    return row and row.value, { version = row and row.version, tags = { "all" } }
  end,
  save = function(key, value, ctx)
    local row = ctx.db:row("UPDATE source SET value = $2, version = version + 1 WHERE key = $1 RETURNING version", key,
      value)
    return value, { version = row.version, tags = { "all" } }
  end,
}]]

  local function crash_options(more)
    local o = { state = "state", snapshot_every = "0s" }
    for name, v in pairs(more or {}) do o[name] = v end
    return {
      options = o,
      scripts = { ["writer.lua"] = WRITER },
      loaders = { { pattern = "w:*", script = "writer.lua", ttl = "1h", stale_ttl = "1h" } },
    }
  end

  local function begin(more)
    server, source = Source.sqlite(crash_options(more))
    cache = server:connect()
    for i = 1, 9 do
      source:put("w:" .. i, "first", { version = 1 })
      expect.value(cache:get("w:" .. i))
    end
  end

  after_each(function()
    source:close()
    server:stop()
  end)

  it("the snapshot comes back, less what the journal names", function()
    begin()
    expect.value(cache:snapshot())
    expect.value(cache:invalidate "w:1")
    expect.value(cache:invalidate("w:2", { version = 5 }))
    expect.value(cache:expire "w:3")
    expect.value(cache:put("w:4", "written"))
    expect.value(cache:set("w:5", "set", { version = 9, ttl_ms = 3600000 }))
    expect.value(cache:set("w:new", "set", { version = 9, ttl_ms = 3600000 }))
    source.db:exec "UPDATE source SET value = 'second', version = 5 WHERE key IN ('w:1', 'w:2')"
    local before = source:loads()
    cache = restart.crash(server)
    assert.equal("second", expect.status("miss", cache:get_entry "w:1").value)
    assert.equal("second", expect.status("miss", cache:get_entry "w:2").value)
    assert.equal("first", expect.status("stale", cache:get_entry "w:3").value)
    assert.equal("written", expect.status("miss", cache:get_entry "w:4").value)
    expect.absent(cache:peek "w:5")
    expect.absent(cache:peek "w:new")
    for i = 6, 9 do expect.status("hit", cache:get_entry("w:" .. i)) end
    wait.until_true("the stale one is loaded", function() return source:loads() >= before + 4 end)
    local numbers = restart.numbers(cache)
    assert.equal(9, numbers.proven)
    assert.is_true(numbers.journal_records >= 6)
  end)

  it("tags and patterns that were invalidated since drop what carries them", function()
    begin()
    expect.value(cache:snapshot())
    expect.value(cache:invalidate_match "*:1")
    cache = restart.crash(server)
    expect.status("miss", cache:get_entry "w:1")
    for i = 2, 9 do expect.status("hit", cache:get_entry("w:" .. i)) end
    expect.value(cache:snapshot())
    expect.value(cache:invalidate_tag "all")
    cache = restart.crash(server)
    for i = 1, 9 do expect.status("miss", cache:get_entry("w:" .. i)) end
  end)

  it("without a snapshot a floor is known all the same", function()
    begin()
    expect.value(cache:invalidate("w:1", { version = 5 }))
    cache = restart.crash(server)
    expect.error("VERSION_CONFLICT", "w:1", cache:set("w:1", "old", { version = 4 }))
    expect.error("VERSION_CONFLICT", "w:1", cache:set("w:1", "old", { version = 4 }))
  end)

  it("without a journal no floor is known, and primaries are read as after any cold start", function()
    begin { journal = "off" }
    expect.value(cache:snapshot())
    expect.value(cache:invalidate("w:1", { version = 5 }))
    cache = restart.crash(server)
    assert.equal(9, restart.numbers(cache).missing.P1)
    assert.is_true(expect.value(cache:stats()).flights.primary_reads_ms > 0)
  end)

  it("and another one, floors of the first are known", function()
    begin()
    expect.value(cache:invalidate("w:1", { version = 5 }))
    cache = restart.crash(server)
    cache = restart.clean(server)
    cache = restart.crash(server)
    expect.error("VERSION_CONFLICT", "w:1", cache:set("w:1", "old", { version = 4 }))
  end)

  it("what a write that was in the air may have changed is not served", function()
    server, source = Source.postgres(crash_options(), nil, { pool = 2 })
    cache = server:connect()
    source:put("w:1", "first", { version = 1 })
    expect.value(cache:get "w:1")
    expect.value(cache:snapshot())
    source.db:exec "BEGIN; UPDATE source SET gate = 1 WHERE key = 'w:1'" -- holds the row
    cache:send("put", "w:1", "written")
    wait.until_true("the write waits for the row", function()
      return source.db:value "SELECT count(*) FROM pg_locks WHERE NOT granted" ~= "0"
    end)
    cache = restart.crash(server, function() source.db:exec "COMMIT" end)
    expect.status("miss", cache:get_entry "w:1")
  end)

  it("without a journal nothing is proven", function()
    begin { journal = "off" }
    expect.value(cache:snapshot())
    cache = restart.crash(server)
    assert.equal(9, restart.numbers(cache).missing.P1)
    expect.absent(cache:peek "w:1")
    expect.status("miss", cache:get_entry "w:1")
  end)

  it("a journal with a hole, or with a changed byte, is not believed", function()
    begin()
    local lfs = require "lfs"
    local function journal()
      for name in lfs.dir(server.folder .. "/state") do
        if name:find("journal", 1, true) then return server.folder .. "/state/" .. name end
      end
    end
    for _, where in ipairs { "begin", "middle" } do
      for i = 1, 9 do expect.value(cache:get("w:" .. i)) end
      expect.value(cache:snapshot())
      for i = 1, 5 do expect.value(cache:invalidate("w:" .. i)) end
      cache = restart.crash(server, function()
        local path = journal()
        local size = #files.read(path)
        restart.flip(path, where == "begin" and 45 or math.floor(size * 0.7))
      end)
      assert.is_true(restart.numbers(cache).missing.P1 > 0)
      for i = 1, 9 do expect.status("miss", cache:get_entry("w:" .. i)) end
    end
  end)

  it("with journal = sync it holds as well", function()
    begin { journal = "sync" }
    expect.value(cache:snapshot())
    expect.value(cache:invalidate "w:1")
    cache = restart.crash(server)
    expect.status("miss", cache:get_entry "w:1")
    expect.status("hit", cache:get_entry "w:2")
  end)
end)
