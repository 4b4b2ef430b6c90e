local Server = require "spec.support.server"
local expect = require "spec.support.expect"
local figures = require "faults.figures"
local postgres = require "spec.support.postgres"
local wait = require "spec.support.wait"

local KEYS = 50 -- that are written
local READ = 10 -- and that are only read
local KNOWN = {
  BACKEND_DOWN = true, BACKEND_ERROR = true, LOAD_TIMEOUT = true, LOAD_FAILED = true, OVERLOADED = true,
  BREAKER_OPEN = true, TIMEOUT = true, WRITE_FAILED = true, WRITE_UNKNOWN = true,
}

local SCRIPT = [[
local COLUMNS = "SELECT value, version FROM rows WHERE key = $1"
local function answer(row) return row.value, { version = row.version } end

return {
  load = function(key, ctx) return answer(ctx.db:row(COLUMNS, key)) end,
  save = function(key, value, ctx)
    return answer(ctx.db:row("UPDATE rows SET value = $2, version = version + 1 WHERE key = $1 "
      .. "RETURNING value, version", key, value))
  end,
}]]

describe("a primary that is lost, with a standby that takes over", function()
  local primary, standby, server, client, db
  local acknowledged = {} -- by key: the version of the last put that was
  local seen = { puts = 0, refused = 0, gets = 0, errors = 0, racing = 0, read = 0 }

  setup(function()
    primary = postgres.start()
    db = primary:database()
    db:exec "CREATE TABLE rows (key text PRIMARY KEY, value text, version bigint)"
    db:exec(("INSERT INTO rows SELECT 'row:' || i, '1', 1 FROM generate_series(1, %d) i"):format(KEYS + READ))
    standby = primary:standby()
    -- From now on a commit that is acknowledged is on the standby too.
    db:exec "ALTER SYSTEM SET synchronous_standby_names = '*'"
    db:exec "SELECT pg_reload_conf()"
    wait.until_true("the standby follows", function()
      return db:value "SELECT sync_state FROM pg_stat_replication" == "sync"
    end)
    server = Server.start {
      scripts = { ["rows.lua"] = SCRIPT },
      backends = { main = {
        driver = "postgres", pool = 4, reconnect_base = "20ms", reconnect_cap = "100ms",
        url = ("postgresql://postgres@/%s?host=%s,%s&target_session_attrs=read-write")
          :format(db.name, primary.folder, standby.folder),
      } },
      loaders = { {
        pattern = "row:*", script = "rows.lua", backend = "main", ttl = "20ms", stale_ttl = "1min", retries = 0,
        backoff_base = "10ms", backoff_cap = "50ms", load_timeout = "1s", wait_timeout = "2s", breaker_open = "100ms",
      } },
    }
    client = server:connect()
  end)
  teardown(function()
    db:close()
    server:stop()
    standby:stop()
    primary:stop()
    figures.print("puts acknowledged around a failover", seen.puts, "", "each is kept")
    figures.print("puts refused", seen.refused, "", "all are answered")
    figures.print("gets answered with a value", seen.gets, "", "none older than its put")
    figures.print("gets that raced a put of their key", seen.racing, "", "none older than the put before")
    figures.print("gets of keys that nobody writes", seen.read, "", "all from a value")
    figures.print("gets answered with an error", seen.errors, "", "all are answered")
  end)

  local function note_put(key, result, err)
    if err then
      assert.truthy(KNOWN[err.code], tostring(err))
      seen.refused = seen.refused + 1
      return
    end
    acknowledged[key] = math.max(acknowledged[key] or 0, tonumber(result.version))
    seen.puts = seen.puts + 1
  end

  local function note_get(key, least, entry, err)
    if err then
      assert.truthy(KNOWN[err.code], tostring(err))
      seen.errors = seen.errors + 1
      return
    end
    local version = tonumber(entry.version)
    assert.is_true(version >= least, ("%s: version %d after %d"):format(key, version, least))
    seen.gets = seen.gets + 1
  end

  -- A put of every key that is written, a get that races it, and two that follow its answer; a get of
  -- those that are only read. happens: between their sending and their answers. A put that fails leaves
  -- its key in doubt, so that nothing stored may answer: those gets fail with the database, and the
  -- others may not.
  local function work(happens)
    local puts, racing, gets, least = {}, {}, {}, {}
    for i = 1, KEYS do
      local key = "row:" .. i
      least[i] = acknowledged[key] or 1
      puts[i] = client:send("put", key, tostring(i))
      racing[i] = client:send("get_entry", key)
    end
    if happens then happens() end
    for i = 1, KEYS do
      note_put("row:" .. i, client:receive(puts[i]))
      note_get("row:" .. i, least[i], client:receive(racing[i]))
      seen.racing = seen.racing + 1
    end
    for i = KEYS + 1, KEYS + READ do
      assert.equal("1", expect.value(client:get("row:" .. i)))
      seen.read = seen.read + 1
    end
    for i = 1, 2 * KEYS do gets[i] = client:send("get_entry", "row:" .. (i - 1) % KEYS + 1) end
    for i = 1, 2 * KEYS do
      local key = "row:" .. (i - 1) % KEYS + 1
      note_get(key, acknowledged[key] or 1, client:receive(gets[i]))
    end
  end

  it("loses nothing that was acknowledged, and goes on at the standby", function()
    for _ = 1, figures.pick(3, 50) do work() end
    assert.equal(0, seen.refused + seen.errors)
    work(function() primary:kill() end)
    work()
    standby:promote()
    wait.until_true("all is answered with values again", function()
      local before = seen.refused + seen.errors
      work()
      return seen.refused + seen.errors == before
    end)
    local before = seen.refused + seen.errors
    for _ = 1, figures.pick(3, 50) do work() end
    assert.equal(before, seen.refused + seen.errors)
    local promoted = standby:open(db.name)
    for key, version in pairs(acknowledged) do
      assert.is_true(promoted:number(("SELECT version FROM rows WHERE key = '%s'"):format(key)) >= version, key)
      local entry = expect.value(client:get_entry(key))
      assert.is_true(tonumber(entry.version) >= version)
    end
    promoted:close()
  end)
end)
