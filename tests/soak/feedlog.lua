-- ./dev soak log [MINUTES]: five servers whose feeds read a log, beside writers with savepoints that commit late or
-- roll back. Three of them, at the primary, behind a PgBouncer in transaction mode and at a standby, are left alone:
-- they must hear of each row of the log, once. Two more, at the primary and at the standby, are cut and restarted all
-- the time, and must have no gap. At the end what each has in memory is held against the database.

local Server = require "spec.support.server"
local pgbouncer = require "spec.support.pgbouncer"
local postgres = require "spec.support.postgres"
local process = require "spec.support.process"
local restart = require "spec.support.restart"
local wait = require "spec.support.wait"

local MINUTES = tonumber(arg[1]) or 5
local ROWS, WRITERS, BATCH = 4000, 8, 100
local BIN = os.getenv "PGBIN" or "/usr/lib/postgresql/15/bin"

-- One in ten transactions is held open for a while, one in eight ends with nothing; what stands behind a savepoint
-- that is gone was never written.
local WRITER = [[
\set a random(1, :rows)
\set b random(1, :rows)
\set c random(1, :rows)
\set hold random(1, 10)
\set ms random(1, 300)
\set ends random(1, 8)
BEGIN;
UPDATE members SET version = version + 1 WHERE id = least(:a, :b);
SAVEPOINT one;
UPDATE members SET version = version + 1, team = 't' || :c WHERE id = greatest(:a, :b);
\if :ends > 4
ROLLBACK TO one;
\else
RELEASE one;
\endif
\if :hold = 1
\sleep :ms ms
\endif
\if :ends = 1
ROLLBACK;
\else
COMMIT;
\endif
]]

local function check(ok, what) if not ok then error(what, 0) end end

local primary, pooler, standby, db, servers

local function prepare()
  primary = postgres.start "wal_keep_size = 1GB\n"
  db = primary:database()
  db:exec "CREATE TABLE members (id bigint PRIMARY KEY, team text, version bigint NOT NULL DEFAULT 1)"
  db:exec(("INSERT INTO members SELECT i, 't' FROM generate_series(1, %d) i"):format(ROWS))
  local status, sql = process.run { Server.tool, "watch-sql", "members", "--key", "member:{id}", "--version", "version",
    "--log" }
  check(status == 0, sql)
  db:exec(sql)
  standby = primary:standby()
  pooler = pgbouncer.start(primary, "transaction", { default_pool_size = 3 })
end

local function await_replayed()
  local at = db:value "SELECT pg_current_wal_insert_lsn()"
  local copy = standby:open "postgres"
  wait.until_true("the standby has it all", function()
    return copy:value(("SELECT pg_last_wal_replay_lsn() >= '%s'"):format(at)) == "t"
  end)
  copy:close()
end

local function url_of(cluster, name)
  return ("postgresql://postgres@/%s?host=%s&application_name=%s"):format(db.name, cluster.folder, name)
end

local function start(name, url)
  local server = Server.start {
    options = { state = "state", snapshot_every = "0s" },
    backends = { main = { driver = "postgres", url = url, feed = "rtcache", feed_log = "rtcache_log", pool = 2,
      reconnect_base = "10ms", reconnect_cap = "50ms", prepared = false } },
    loaders = { { pattern = "member:*", backend = "main", version = "version", ttl = "1h", stale_ttl = "1h",
      sql = "SELECT id, version FROM members WHERE id = CAST($1 AS bigint)" } },
  }
  local s = { name = name, server = server, cache = server:connect() }
  wait.until_true(name .. " is up", function() return assert(s.cache:stats()).feeds.main.connected end)
  return s
end

local function read_some(s)
  local keys = {}
  for i = 1, BATCH do keys[i] = "member:" .. math.random(ROWS) end
  assert(s.cache:get_many(keys))
end

-- Its feed's session ends, wherever that is just now.
local function cut(s, cluster)
  local copy = cluster:open "postgres"
  copy:exec(("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name = '%s' "
    .. "AND query LIKE 'BEGIN TRANSACTION%%'"):format(s.name))
  copy:close()
  s.cuts = (s.cuts or 0) + 1
end

local function comes_again(s)
  s.cache = restart.clean(s.server)
  s.restarts = (s.restarts or 0) + 1
  check(assert(s.cache:stats()).feeds.main.gaps == 0, s.name .. " has a gap after a restart")
end

local function write(folder, seconds)
  local path = folder .. "/writer.sql"
  local f = assert(io.open(path, "w"))
  f:write(WRITER)
  f:close()
  return process.spawn({ BIN .. "/pgbench", "-n", "-h", primary.folder, "-U", "postgres", "-c", tostring(WRITERS), "-j",
    "2", "-T", tostring(seconds), "-f", path, "-D", "rows=" .. ROWS, db.name }, { stderr = folder .. "/writer.log" })
end

local function await_quiet(s)
  local rows = db:number "SELECT count(*) FROM rtcache_log"
  if s.alone then
    wait.until_true(s.name .. " has heard of all", function()
      return assert(s.cache:stats()).feeds.main.events >= rows
    end)
  end
  -- The marker is told of after all that was there before it.
  assert(s.cache:set("marker", 1))
  db:exec [[INSERT INTO rtcache_log (e) VALUES ('{"k": "marker"}')]]
  wait.until_true(s.name .. " has read on", function() return s.cache:peek "marker" == nil end)
end

local function compare(s)
  local hits, versions = 0, {}
  for _, line in ipairs(db:exec "SELECT id, version FROM members") do
    local id, version = line:match "^(%d+)|(%d+)$"
    versions[tonumber(id)] = tonumber(version)
  end
  for id = 1, ROWS do
    local e = assert(s.cache:get_entry("member:" .. id))
    if e.status == "hit" then hits = hits + 1 end
    check(tonumber(e.version) == versions[id], ("%s: member:%d is at version %s (%s), in the database at %s"):format(
      s.name, id, tostring(e.version), e.status, tostring(versions[id])))
  end
  local f = assert(s.cache:stats()).feeds.main
  check(f.gaps == 0 and f.bad == 0, ("%s: %d gaps, %d bad"):format(s.name, f.gaps, f.bad))
  local rows = db:number "SELECT count(*) FROM rtcache_log"
  check(not s.alone or f.events == rows, ("%s: told of %d changes of %d"):format(s.name, f.events, rows))
  print(("%-12s %8d rows in the log, %8d told of%s, %4d cuts, %3d restarts, %5d of %d keys were hits"):format(s.name,
    rows, f.events, s.alone and "" or " (in this life)", s.cuts or 0, s.restarts or 0, hits, ROWS))
end

local function run()
  prepare()
  await_replayed()
  servers = {
    start("primary", url_of(primary, "primary")),
    start("pooler", pooler:url(db.name)),
    start("standby", url_of(standby, "standby")),
    start("cut", url_of(primary, "cut")),
    start("cut_standby", url_of(standby, "cut_standby")),
  }
  for i = 1, 3 do servers[i].alone = true end
  local writer = write(primary.folder, math.ceil(MINUTES * 60))
  local turn = 0
  repeat
    turn = turn + 1
    for _, s in ipairs(servers) do read_some(s) end
    if turn % 7 == 0 then cut(servers[4], primary) end
    if turn % 7 == 3 then cut(servers[5], standby) end
    if turn % 50 == 25 then comes_again(servers[4]) end
    if turn % 50 == 0 then comes_again(servers[5]) end
  until writer:wait(0.02)
  check(writer.status == 0, "pgbench ended with " .. tostring(writer.status))
  for _, s in ipairs(servers) do
    await_replayed()
    await_quiet(s)
  end
  wait.until_true("the markers are told of", function()
    local rows = db:number "SELECT count(*) FROM rtcache_log"
    for i = 1, 3 do
      if assert(servers[i].cache:stats()).feeds.main.events < rows then return false end
    end
    return true
  end)
  await_replayed()
  for _, s in ipairs(servers) do compare(s) end
end

math.randomseed(os.time())
local ok, err = pcall(run)
for _, s in ipairs(servers or {}) do
  if ok then s.server:stop() else s.server:kill() end
end
if pooler then pooler:stop() end
if standby then standby:stop() end
if primary then primary:stop() end
if not ok then
  io.stderr:write("soak log: ", tostring(err), "\n")
  os.exit(1)
end
