local Server = require "spec.support.server"
local expect = require "spec.support.expect"
local postgres = require "spec.support.postgres"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

local SETUP = [[
CREATE TABLE users (id BIGINT PRIMARY KEY, name TEXT NOT NULL, version BIGINT NOT NULL);
INSERT INTO users VALUES (7, 'three', 3), (8, 'eight', 1);
]]

-- A primary and a standby of it; the feed goes to whichever takes writes. What is committed once the
-- standby has lost its primary exists on the primary alone.
describe("a feed over a failover", function()
  local primary, standby, db, server, cache, checkpointer

  local function url(clusters)
    local hosts = {}
    for i, c in ipairs(clusters) do hosts[i] = c.folder end
    return ("postgresql://postgres@/%s?host=%s&target_session_attrs=read-write")
      :format(db.name, table.concat(hosts, ","))
  end

  local function feed() return expect.value(cache:stats()).feeds.main end

  local function await_up(gaps)
    wait.until_true("the feed is up", function()
      local f = feed()
      return f.connected and f.lag_ms and f.gaps >= (gaps or 0)
    end)
  end

  local function await_replayed()
    local at = db:value "SELECT pg_current_wal_insert_lsn()"
    local copy = standby:open(db.name)
    wait.until_true("the standby has it all", function()
      return copy:value(("SELECT pg_last_wal_replay_lsn() >= '%s'"):format(at)) == "t"
    end)
    copy:close()
  end

  local function start(clusters, options, backend)
    local main = {
      driver = "postgres", url = url(clusters), feed = "changes", feed_heartbeat = "50ms",
      reconnect_base = "20ms", reconnect_cap = "50ms",
    }
    for name, v in pairs(backend or {}) do main[name] = v end
    server = Server.start {
      backends = { main = main },
      loaders = { {
        pattern = "user:*", backend = "main", version = "version", ttl = "1h", stale_ttl = "1h",
        sql = "SELECT id, name, version FROM users WHERE id = CAST($1 AS bigint)",
      } },
      options = options,
    }
    cache = server:connect()
    await_up()
  end

  -- The standby follows no longer: what is committed from here on is lost with the primary.
  local function part()
    await_replayed()
    local copy = standby:open(db.name)
    copy:exec "ALTER SYSTEM SET primary_conninfo = ''"
    copy:exec "SELECT pg_reload_conf()"
    wait.until_true("the standby has left", function()
      return copy:number "SELECT count(*) FROM pg_stat_wal_receiver" == 0
    end)
    -- The control file names a new timeline only after the next checkpoint, which is spread over
    -- minutes on a busy server. Here it does not end at all.
    checkpointer = copy:number "SELECT pid FROM pg_stat_activity WHERE backend_type = 'checkpointer'"
    copy:close()
    process.signal(checkpointer, "STOP")
  end

  local function load_the_lost_version()
    db:exec "UPDATE users SET name = 'four', version = 4 WHERE id = 7"
    wait.until_true("version 4 is stored", function() -- a log may tell of it after it was loaded
      local entry = expect.value(cache:get_entry "user:7")
      return entry.version == 4 and entry.status == "hit"
    end)
  end

  local function fail_over()
    db:close()
    primary:kill()
    standby:promote()
    primary, standby = standby, primary
    db = primary:open(db.name)
  end

  setup(function()
    primary = postgres.start()
    db = primary:database()
    db:exec(SETUP)
  end)

  -- What was promoted last is the primary of the next test.
  before_each(function() standby = primary:standby() end)

  after_each(function()
    if checkpointer then process.signal(checkpointer, "CONT") end
    checkpointer = nil
    server:stop()
    standby:stop()
  end)

  teardown(function()
    db:close()
    primary:stop()
  end)

  it("race 35: drops what only the lost timeline had, though no checkpoint has named the new one", function()
    start { primary, standby }
    part()
    load_the_lost_version()
    fail_over()
    await_up(1)
    assert.equal("1", db:value "SELECT timeline_id FROM pg_control_checkpoint()")
    for _ = 1, 3 do
      local entry = expect.value(cache:get_entry "user:7")
      assert.same({ "three", 3 }, { entry.value.name, entry.version })
    end
    expect.status("hit", cache:get_entry "user:7")
  end)

  it("race 35: so does one that reads a log, though its place in it would be there", function()
    local status, sql = process.run { Server.tool, "watch-sql", "users", "--key", "user:{id}", "--log" }
    assert(status == 0, sql)
    db:exec(sql)
    start({ primary, standby }, nil, { feed = "rtcache", feed_log = "rtcache_log", feed_heartbeat = "1s" })
    part()
    load_the_lost_version()
    fail_over()
    await_up(1)
    assert.equal(3, expect.value(cache:get_entry "user:7").version)
    assert.truthy(server:log():find("another history of commits answers", 1, true))
  end)

  it("knows a failover that is told to it by a reload of another url", function()
    start { primary }
    part()
    load_the_lost_version()
    fail_over()
    server.options.backends.main.url = url { primary }
    server:write_conf(server.options)
    expect.value(cache:reload())
    await_up(1)
    assert.equal(3, expect.value(cache:get_entry "user:7").version)
  end)

  it("takes a restart of the same server for what it is: nothing is dropped", function()
    start { primary, standby }
    assert.equal(3, expect.value(cache:get_entry "user:7").version)
    db:close()
    primary.process:signal "INT" -- a fast shutdown, which loses nothing
    assert(primary.process:wait(wait.PATIENCE))
    primary:launch()
    db = primary:open(db.name)
    await_up(1)
    assert.equal(3, expect.value(cache:peek "user:7").version)
  end)
  it("knows a failover by other marks where the role may not ask for the timeline", function()
    db:exec [[
      REVOKE EXECUTE ON FUNCTION pg_walfile_name(pg_lsn) FROM PUBLIC;
      REVOKE EXECUTE ON FUNCTION pg_control_system() FROM PUBLIC;
      REVOKE EXECUTE ON FUNCTION pg_current_wal_insert_lsn() FROM PUBLIC;
      CREATE ROLE reader LOGIN; GRANT SELECT ON users TO reader;]]
    await_replayed()
    local as_postgres = url
    url = function(clusters) return (as_postgres(clusters):gsub("postgres@", "reader@")) end
    finally(function() url = as_postgres end)
    start { primary, standby }
    part()
    load_the_lost_version()
    -- A connection that breaks is no failover: the same server goes on, and nothing is dropped.
    db:exec [[SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE query LIKE '%pg_notify($1%'
      AND pid <> pg_backend_pid()]]
    await_up(1)
    assert.equal(4, expect.value(cache:peek "user:7").version)
    fail_over()
    await_up(2)
    assert.equal(3, expect.value(cache:get_entry "user:7").version)
  end)

end)
