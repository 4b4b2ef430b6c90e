local Server = require "spec.support.server"
local Source = require "spec.support.source"
local Sqlite = require "spec.support.sqlite"
local expect = require "spec.support.expect"
local wait = require "spec.support.wait"

local GATE = 23

-- The row is read first; then the load waits at the gate with what it saw.
local SLOW = [[
return {
  load = function(key, ctx)
    local row = ctx.db:row("SELECT value, version FROM source WHERE key = $1", key)
    ctx.db:value("SELECT 1 AS passed FROM pg_advisory_xact_lock_shared($1)", 23)
    if row then return row.value, { version = row.version } end
  end,
}
]]

describe("a version", function()
  local server, source, cache

  setup(function()
    server, source = Source.postgres {
      options = { defaults = { retries = 0 } },
      scripts = { ["slow.lua"] = SLOW },
      loaders = {
        { pattern = "user:*", ttl = "60s", load_timeout = "60s", wait_timeout = "60s" },
        { pattern = "brief:*", ttl = "60s", load_timeout = "1s", backoff_base = "1ms", backoff_cap = "1ms" },
        { pattern = "strict:*", ttl = "60s", versioned = true, backoff_base = "1ms", backoff_cap = "1ms" },
        { pattern = "stale:*", ttl = "60s", stale_ttl = "60s" },
        { pattern = "slow:*", script = "slow.lua", ttl = "60s", load_timeout = "60s", wait_timeout = "60s" },
      },
    }
    cache = server:connect()
  end)
  teardown(function()
    source:close()
    server:stop()
  end)
  after_each(function() source:open_gates() end)

  it("keeps an older set out, and lets the same or a newer one in", function()
    expect.value(cache:set("user:set", "five", { version = 5 }))
    expect.error("VERSION_CONFLICT", { "user:set", "4", "5" }, cache:set("user:set", "four", { version = 4 }))
    assert.equal("five", expect.value(cache:get "user:set"))
    expect.value(cache:set("user:set", "five again", { version = 5 }))
    expect.value(cache:set("user:set", "six", { version = 6 }))
    assert.equal(6, expect.status("hit", cache:get_entry "user:set").version)
  end)

  it("tells an invalidation whether what is stored is too old", function()
    expect.value(cache:set("user:inv", "five", { version = 5 }))
    assert.is_false((cache:invalidate("user:inv", { version = 5 })))
    assert.equal("five", expect.value(cache:get "user:inv"))
    assert.is_true((cache:invalidate("user:inv", { version = 6 })))
    expect.absent(cache:peek "user:inv")
    expect.error("VERSION_CONFLICT", "an invalidation named", cache:set("user:inv", "five", { version = 5 }))
  end)

  it("is waited for: a source that lags is asked until it has caught up", function()
    source:put("user:lag", "old", { version = 1 })
    assert.equal("old", expect.value(cache:get "user:lag"))
    expect.value(cache:invalidate("user:lag", { version = 2 }))
    local id = cache:send("get", "user:lag")
    source:await_loads("user:lag", 3)
    expect.waits(cache, id)
    source:put("user:lag", "new", { version = 2 })
    assert.equal("new", expect.value(cache:receive(id)))
    assert.equal(2, expect.status("hit", cache:get_entry "user:lag").version)
  end)

  it("that never comes is STALE_SOURCE, and the old one is never served", function()
    source:put("brief:1", "old", { version = 1 })
    assert.equal("old", expect.value(cache:get "brief:1"))
    expect.value(cache:invalidate("brief:1", { version = 2 }))
    expect.error("STALE_SOURCE", { "brief:1", "1", "2" }, cache:get "brief:1")
    expect.absent(cache:peek "brief:1")
  end)

  it("below an invalidation is not stored by a load that began before it", function()
    source:put("user:race", "one", { version = 1, gate = GATE })
    source.db:shut(GATE)
    local early, late = server:connect(), server:connect()
    local first = early:send("get", "user:race")
    source:await_gate(GATE)
    source:put("user:race", "two", { version = 2 })
    expect.value(late:invalidate("user:race", { version = 2 }) ~= nil)
    assert.equal("two", expect.value(late:get "user:race"))
    source.db:open(GATE)
    assert.equal("two", expect.value(early:receive(first)))
    assert.equal(2, expect.status("hit", late:get_entry "user:race").version)
  end)

  it("can be asked for by one reader, without a word to the others", function()
    source:put("user:min", "one", { version = 1 })
    assert.equal("one", expect.value(cache:get "user:min"))
    assert.equal("one", expect.value(cache:get("user:min", { min_version = 1 })))
    local id = cache:send("get", "user:min", { min_version = 2 })
    source:await_loads("user:min", 3)
    assert.equal("one", expect.value(cache:get "user:min"))
    source:put("user:min", "two", { version = 2 })
    assert.equal("two", expect.value(cache:receive(id)))
    assert.equal("two", expect.value(cache:get "user:min"))
  end)

  it("that one reader asks for in vain is STALE_SOURCE for it alone", function()
    source:put("user:vain", "one", { version = 1 })
    -- TIMEOUT, where the last attempt has not ended in time: then once more.
    local function until_stale(ask)
      local err
      wait.until_true("STALE_SOURCE", function()
        err = ask()
        return assert(err).code ~= "TIMEOUT"
      end)
      return err
    end
    local alone = until_stale(function()
      return select(2, cache:get("user:vain", { min_version = 9, timeout_ms = 200 }))
    end)
    expect.error("STALE_SOURCE", { "user:vain", "9" }, nil, alone)
    assert.equal("one", expect.value(cache:get "user:vain"))
    local many
    assert.equal("STALE_SOURCE", until_stale(function()
      many = expect.value(cache:get_many({ "user:vain", "user:set" }, { min_version = 5, timeout_ms = 200 }))
      return many[1].error
    end).code)
    assert.equal("six", many[2].value)
  end)

  it("that one reader asks for is not absent because a load that began before found no row", function()
    source.db:shut(GATE)
    local early, late = server:connect(), server:connect()
    local first = early:send("get", "slow:1")
    source:await_gate(GATE)
    source:put("slow:1", "born", { version = 1 })
    local second = late:send("get", "slow:1", { min_version = 1 })
    wait.until_true("it has joined", function() return expect.value(cache:stats()).counters.coalesced > 0 end)
    source.db:open(GATE)
    expect.absent(early:receive(first))
    assert.equal("born", expect.value(late:receive(second)))
  end)

  it("may be demanded of every value of a loader", function()
    source:put("strict:none", "value")
    expect.error("BAD_VALUE", "versioned", cache:get "strict:none")
    source:put("strict:one", "value", { version = 1 })
    assert.equal("value", expect.value(cache:get "strict:one"))
  end)

  it("is dropped for many keys at once, all or none of them", function()
    for i = 1, 10 do expect.value(cache:set("user:many " .. i, i, { version = i })) end
    local keys = {}
    for i = 1, 12 do keys[i] = "user:many " .. i end
    expect.error("BAD_KEY", "empty", cache:invalidate_many({ "user:many 1", "" }))
    assert.equal("hit", expect.value(cache:peek "user:many 1").status)
    assert.equal(5, expect.value(cache:invalidate_many(keys, { version = 6 })))
    assert.equal(5, expect.value(cache:invalidate_many(keys)))
  end)

  it("is not what expire asks for: the entry is stale at once, and loaded again", function()
    source:put("stale:1", "one")
    assert.equal("one", expect.value(cache:get "stale:1"))
    source:put("stale:1", "two")
    assert.is_true((cache:expire "stale:1"))
    assert.equal("one", expect.status("stale", cache:get_entry "stale:1").value)
    wait.until_true("the new value", function() return cache:get "stale:1" == "two" end)
    assert.is_false((cache:expire "stale:nobody"))
  end)
end)

describe("a replica that lags", function()
  local SCHEMA = "CREATE TABLE users (id INTEGER PRIMARY KEY, name TEXT, version INTEGER);"
  local server, replica, primary, cache

  setup(function()
    server = Server.prepare {
      backends = {
        replica = { driver = "sqlite", path = "replica.db", primary = "main" },
        main = { driver = "sqlite", path = "main.db" },
      },
      scripts = {
        ["user.lua"] = [[return { load = function(key, ctx)
          local row = ctx.db:row("SELECT name, version FROM users WHERE id = $1", tonumber(ctx.match[1]))
          if not row then return nil end
          return row.name, { version = row.version }
        end }]],
      },
      loaders = { { pattern = "user:*", script = "user.lua", backend = "replica", ttl = "60s", load_timeout = "60s" } },
    }
    replica = Sqlite.open(server.folder .. "/replica.db", SCHEMA)
    primary = Sqlite.open(server.folder .. "/main.db", SCHEMA)
    server:launch()
    cache = server:connect()
    -- After a start its floors are not known, and the primary is read for floor_ttl.
    expect.value(cache:lift_floors { all = true })
  end)
  teardown(function()
    replica:close()
    primary:close()
    server:stop()
  end)

  it("is read as long as nothing is known to be newer", function()
    replica:exec "INSERT INTO users VALUES (1, 'old', 1)"
    primary:exec "INSERT INTO users VALUES (1, 'new', 2)"
    assert.equal("old", expect.value(cache:get "user:1"))
  end)

  it("is passed over for its primary below an invalidated version", function()
    expect.value(cache:invalidate("user:1", { version = 2 }))
    assert.equal("new", expect.value(cache:get "user:1"))
    assert.equal(1, expect.value(cache:stats()).counters.loads_below)
  end)

  it("is passed over for its primary below a min_version", function()
    replica:exec "INSERT INTO users VALUES (3, 'old', 1)"
    primary:exec "INSERT INTO users VALUES (3, 'new', 2), (4, 'born', 1)"
    assert.equal("old", expect.value(cache:get "user:3"))
    assert.equal("new", expect.value(cache:get("user:3", { min_version = 2 })))
  end)

  it("does not hide a row from who knows of it", function()
    expect.absent(cache:get "user:4")
    assert.equal("born", expect.value(cache:get("user:4", { min_version = 1 })))
    expect.absent(cache:get("user:5", { min_version = 1 })) -- the primary says so
  end)

  it("does not hide a row that an invalidation told of", function()
    expect.absent(cache:get "user:2")
    primary:exec "INSERT INTO users VALUES (2, 'born', 1)"
    expect.value(cache:invalidate("user:2", { version = 1 }))
    assert.equal("born", expect.value(cache:get "user:2"))
  end)
end)
