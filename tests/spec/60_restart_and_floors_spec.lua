local Server = require "spec.support.server"
local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local postgres = require "spec.support.postgres"
local wait = require "spec.support.wait"

-- A cheap hash (8 MiB, one pass) of "other".
local OTHER = "$argon2id$v=19$m=8192,t=1,p=1$dMoaTKxrUTzGwdGXZgwEuw$LasVO8KoMTADkX1NpsRNndVnt/i1l1inqZQiq6N7UOM"

local USERS = "SELECT id, name, version FROM users WHERE id = CAST($1 AS bigint)"

local function options(folder, name, standby_folder, floor_ttl)
  local function url(where) return ("postgresql://postgres@/%s?host=%s"):format(name, where) end
  return {
    options = { floor_ttl = floor_ttl },
    backends = {
      main = { driver = "postgres", url = url(folder) },
      replica = { driver = "postgres", url = url(standby_folder), primary = "main" },
    },
    loaders = { {
      pattern = "user:*", sql = USERS, version = "version", backend = "replica", ttl = "1h", load_timeout = "1s",
    } },
  }
end

describe("a server that was killed, with a standby that lags,", function()
  local primary, standby, db, copy, server, cache

  local function start(floor_ttl)
    local o = options(primary.folder, db.name, standby.folder, floor_ttl)
    if server then
      server:close_clients()
      server:kill()
      server:write_conf(o)
      server:launch()
    else
      server = Server.start(o)
    end
    cache = server:connect()
  end

  local function primary_reads_ms() return expect.value(cache:stats()).flights.primary_reads_ms end

  setup(function()
    primary = postgres.start()
    db = primary:database()
    db:exec "CREATE TABLE users (id bigint PRIMARY KEY, name text, version bigint)"
    db:exec "INSERT INTO users VALUES (8, 'old', 2), (9, 'old', 2)"
    standby = primary:standby()
    copy = standby:open(db.name)
    wait.until_true("the standby has the rows", function()
      return copy:value "SELECT count(*) FROM users" == "2"
    end)
    copy:exec "SELECT pg_wal_replay_pause()"
    db:exec "UPDATE users SET name = 'new', version = 100"
    db:exec "INSERT INTO users VALUES (10, 'born', 1)"
    start "10min"
  end)
  teardown(function()
    copy:close()
    db:close()
    server:stop()
    standby:stop()
    primary:stop()
  end)

  it("serves nothing below a version that was acknowledged before", function()
    expect.value(cache:invalidate("user:8", { version = 100 }) ~= nil)
    assert.equal(100, expect.value(cache:get_entry "user:8").version)
    start "10min"
    assert.equal(100, expect.value(cache:get_entry "user:8").version)
    assert.equal(100, expect.status("hit", cache:get_entry "user:8").version)
    assert.is_true(primary_reads_ms() > 0)
  end)

  it("does not take a row for absent that an invalidation told of", function()
    expect.value(cache:invalidate("user:10", { version = 1 }) ~= nil)
    start "10min"
    assert.equal("born", expect.value(cache:get "user:10").name)
  end)

  it("reads several keys from the primary too", function()
    start "10min"
    for _, item in ipairs(expect.value(cache:get_many { "user:8", "user:9", "user:10" })) do
      assert.not_equal("old", item.value.name)
    end
  end)

  it("reads the standby again once floor_ttl is over", function()
    start "1s"
    wait.until_true("floors are known again", function() return primary_reads_ms() == 0 end)
    assert.equal(2, expect.value(cache:get_entry "user:9").version)
  end)

  it("reads the standby at once where floors are lifted by hand", function()
    start "10min"
    assert.is_true(expect.value(cache:lift_floors { all = true }))
    assert.equal(0, primary_reads_ms())
    assert.equal(2, expect.value(cache:get_entry "user:9").version)
  end)
end)

describe("a write that a killed server had in the air", function()
  local GATE = 60
  local WRITER = [[
  return {
    load = function(key, ctx)
      local row = ctx.db:row("SELECT value, version FROM source WHERE key = $1", key)
      if row then return row.value, { version = row.version } end
    end,
    save = function(key, value, ctx)
      local row = ctx.db:row("UPDATE source SET value = $2, version = version + 1 "
        .. "WHERE key = $1 AND pg_advisory_xact_lock_shared(60) IS NOT NULL RETURNING value, version", key, value)
      return row.value, { version = row.version }
    end,
  }]]

  it("is not hidden for longer than it may take", function()
    local server, source = Source.postgres {
      scripts = { ["writer.lua"] = WRITER },
      loaders = { {
        pattern = "user:*", script = "writer.lua", ttl = "1h", stale_ttl = "1h", write_timeout = "1min",
      } },
    }
    finally(function()
      source:close()
      server:stop()
    end)
    source:put("user:1", "old", { version = 1 })
    source.db:shut(GATE)
    server:connect():send("put", "user:1", "new")
    source:await_gate(GATE)
    server:close_clients()
    server:kill()
    server:launch()
    local cache = server:connect()
    assert.equal("old", expect.value(cache:get "user:1"))
    local ttl_ms = expect.status("hit", cache:get_entry "user:1").ttl_ms
    assert.is_true(ttl_ms > 0 and ttl_ms <= 60000)
    source.db:open(GATE)
  end)

  it("leaves an absence that is not to be kept unkept", function()
    local server, source = Source.sqlite {
      scripts = { ["writer.lua"] = WRITER },
      loaders = { { pattern = "user:*", script = "writer.lua", negative_ttl = "0s", write_timeout = "1min" } },
    }
    finally(function()
      source:close()
      server:stop()
    end)
    local cache = server:connect()
    expect.absent(cache:get "user:1")
    expect.absent(cache:peek "user:1")
    source:put("user:1", "there", { version = 1 })
    assert.equal("there", expect.value(cache:get "user:1"))
  end)
end)

describe("lifted floors", function()
  local server, source, cache

  setup(function()
    server, source = Source.sqlite {
      options = {
        users = {
          { name = "ops", password_hash = OTHER, rights = { "read", "write", "invalidate", "admin" } },
          { name = "app", password_hash = OTHER, rights = { "read", "write", "invalidate" } },
        },
      },
      loaders = { {
        pattern = "*", ttl = "1h", retries = 0,
      } },
    }
    cache = server:connect()
    expect.value(cache:auth("ops", "other"))
  end)
  teardown(function()
    source:close()
    server:stop()
  end)

  -- As after TRUNCATE ... RESTART IDENTITY: the source's versions begin at 1 again.
  local function begin_anew(key)
    source:put(key, "old", { version = 100 })
    expect.value(cache:get(key))
    expect.value(cache:invalidate(key, { version = 100 }) ~= nil)
    source:put(key, "new", { version = 1 })
    expect.value(cache:invalidate(key) ~= nil)
  end

  local function is_kept_out(key, version)
    local words = { tostring(version), "an invalidation named" }
    expect.error("VERSION_CONFLICT", words, cache:set(key, "old", { version = 1 }))
  end

  local function is_back(key)
    assert.equal("new", expect.value(cache:get(key)))
    assert.equal(1, expect.status("hit", cache:get_entry(key)).version)
  end

  it("of a key let its versions begin anew, and no others", function()
    begin_anew "user:1"
    begin_anew "user:2"
    is_kept_out("user:1", 100)
    assert.is_true(expect.value(cache:lift_floors { key = "user:1" }))
    is_back "user:1"
    is_kept_out("user:2", 100)
    assert.is_false(expect.value(cache:lift_floors { key = "user:nobody" }))
  end)

  it("of a pattern are those of the keys that match", function()
    begin_anew "team:1"
    begin_anew "team:2"
    begin_anew "other:1"
    assert.is_true(expect.value(cache:lift_floors { match = "team:*" }))
    is_back "team:1"
    is_back "team:2"
    is_kept_out("other:1", 100)
    expect.value(cache:invalidate("team:1", { version = 2 }) ~= nil)
    is_kept_out("team:1", 2)
  end)

  it("of all are those of every key", function()
    begin_anew "user:3"
    begin_anew "team:3"
    assert.is_true(expect.value(cache:lift_floors { all = true }))
    is_back "user:3"
    is_back "team:3"
  end)

  it("of more patterns than are kept are refused, with no time after which it would help", function()
    local err
    -- What is lifted is scanned for as well, and only so many scans go on at once.
    local function lift(what)
      local lifted
      lifted, err = cache:lift_floors(what)
      return lifted or not err.message:find("max_globs", 1, true)
    end
    for n = 1, 65 do
      wait.until_true("a scan more", function() return lift { match = "some:" .. n .. ":*" } end)
    end
    expect.error("OVERLOADED", "lift all instead", nil, err)
    assert.is_nil(err.retry_after_ms)
    wait.until_true("all are lifted", function() return lift { all = true } end)
  end)

  it("take with them what is stored, whose version would keep the new ones out", function()
    source:put("user:4", "old", { version = 100 })
    assert.equal("old", expect.value(cache:get "user:4"))
    source:put("user:4", "new", { version = 1 })
    assert.is_false(expect.value(cache:lift_floors { key = "user:4" }))
    is_back "user:4"
    source:put("user:5", "old", { version = 100 })
    assert.equal("old", expect.value(cache:get "user:5"))
    source:put("user:5", "new", { version = 1 })
    expect.value(cache:lift_floors { match = "user:5" })
    is_back "user:5"
  end)

  it("are asked for exactly, by an administrator, and the log says by whom", function()
    for _, wrong in ipairs { { key = "a", all = true }, { key = "a", match = "b" }, { all = false } } do
      expect.error("BAD_REQUEST", "one of key, match, and all", cache:call("lift_floors", wrong))
    end
    expect.error("BAD_KEY", "lift_floors", cache:lift_floors { key = "" })
    expect.error("BAD_REQUEST", "pattern", cache:lift_floors { match = "\\" })
    local app = server:connect()
    expect.value(app:auth("app", "other"))
    expect.error("DENIED", "admin", app:lift_floors { all = true })
    local before = expect.value(cache:stats()).counters.floors_lifted
    expect.value(cache:lift_floors { key = "user:1" } ~= nil)
    expect.value(cache:lift_floors { all = true })
    assert.equal(before + 2, expect.value(cache:stats()).counters.floors_lifted)
    assert.truthy(server:log():find('floors.lifted user="ops" key="user:1"', 1, true), server:log())
    assert.truthy(server:log():find('floors.lifted user="ops" all=1', 1, true))
  end)
end)
