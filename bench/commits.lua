-- ./dev bench commits [--writers 8] [--rows 10000] [--rounds 5] [--seconds 3] [--save]: commits a second of a table
-- that nobody watches, of one whose triggers NOTIFY, and of one whose triggers write to a log, with a server that
-- listens and reads. The three take turns: a machine that is shared is quicker in one minute than in the next.

local postgres = require "spec.support.postgres"
local process = require "spec.support.process"
local report = require "report"
local Server = require "spec.support.server"
local wait = require "spec.support.wait"

local options = report.options(arg, { rounds = 5, seconds = 3, rows = 10000, writers = 8 })
local BIN = os.getenv "PGBIN" or "/usr/lib/postgresql/15/bin"

-- A commit is on the disk when it is acknowledged, as it is where data matters.
local SETTINGS = "fsync = on\nfull_page_writes = on\nsynchronous_commit = on\nautovacuum = on\nshared_buffers = 256MB\n"

local WAYS = {
  { table = "plain", name = "no trigger" },
  { table = "told", name = "NOTIFY", watch = { "--channel", "told" } },
  { table = "logged", name = "a log", watch = { "--channel", "logged", "--log" } },
}

local function watch(db, way)
  local command = { Server.tool, "watch-sql", way.table, "--key", way.table .. ":{id}", "--version", "version" }
  for _, word in ipairs(way.watch) do command[#command + 1] = word end
  local status, sql = process.run(command)
  if status ~= 0 then error(sql) end
  db:exec(sql)
end

local function prepare(db, folder)
  for _, way in ipairs(WAYS) do
    db:exec(("CREATE TABLE %s (id bigint PRIMARY KEY, version bigint NOT NULL DEFAULT 1)"):format(way.table))
    db:exec(("INSERT INTO %s SELECT generate_series(1, %d)"):format(way.table, options.rows))
    db:exec("ANALYZE " .. way.table)
    if way.watch then watch(db, way) end
    way.script = ("%s/%s.sql"):format(folder, way.table)
    local f = assert(io.open(way.script, "w"))
    f:write("\\set id random(1, :rows)\nUPDATE ", way.table, " SET version = version + 1 WHERE id = :id;\n")
    f:close()
    way.rates, way.ratios = {}, {}
  end
end

local function start_server(db)
  local function backend(feed, log) return { driver = "postgres", url = db.url, feed = feed, feed_log = log } end
  local loaders = {}
  for _, name in ipairs { "told", "logged" } do
    loaders[#loaders + 1] = { pattern = name .. ":*", backend = name,
      sql = ("SELECT id, version FROM %s WHERE id = CAST($1 AS bigint)"):format(name), version = "version" }
  end
  local server = Server.start {
    backends = { told = backend "told", logged = backend("logged", "rtcache_log") },
    loaders = loaders,
  }
  local cache = server:connect()
  wait.until_true("both feeds are up", function()
    local feeds = assert(cache:stats()).feeds
    return feeds.told.connected and feeds.logged.connected
  end)
  return server, cache
end

local function pgbench(db, way)
  local _, text = process.run {
    BIN .. "/pgbench", "-n", "-h", db.cluster.folder, "-U", "postgres", "-c", tostring(options.writers), "-j", "2",
    "-M", "prepared", "-T", tostring(options.seconds), "-f", way.script, "-D", "rows=" .. options.rows, db.name,
  }
  return tonumber(text:match "tps = ([%d.]+)") or error("pgbench: " .. text)
end

-- All that was written was told of.
local function check(db, cache)
  local rows = db:number "SELECT count(*) FROM rtcache_log"
  wait.until_true("the log is read", function() return assert(cache:stats()).feeds.logged.events == rows end)
end

local function result()
  local rows = {}
  for i, way in ipairs(WAYS) do
    rows[i] = { way.name, report.whole(report.median(way.rates)), ("%.2f"):format(report.median(way.ratios)) }
  end
  return "## Commits beside a feed\n\n"
    .. ("%d writers, each an update of one of %s rows and a commit that waits for the disk, by pgbench; a server\n"
      .. "listens and reads the log. Medians of %d rounds of %g s; a ratio is to the table without a trigger in\n"
      .. "the same round. %s.\n\n"):format(options.writers, report.whole(options.rows), options.rounds, options.seconds,
      report.machine())
    .. report.table({ "triggers", "commits/s", "to no trigger" }, rows)
end

local cluster = postgres.start(SETTINGS)
local ok, err = pcall(function()
  local db = cluster:database()
  prepare(db, cluster.folder)
  local server, cache = start_server(db)
  for round = 1, options.rounds do
    for i, way in ipairs(WAYS) do
      way.rates[round] = pgbench(db, way)
      way.ratios[round] = way.rates[round] / WAYS[1].rates[round]
      io.stderr:write(("round %d: %s %.0f%s"):format(round, way.name, way.rates[round], i == #WAYS and "\n" or ", "))
    end
  end
  check(db, cache)
  local text = result()
  io.write(text)
  if options.save then report.save("commits", text) end
  server:stop()
  if report.median(WAYS[3].ratios) < 0.9 then error "the log costs more than a tenth of the commits" end
end)
cluster:stop()
if not ok then
  io.stderr:write("bench: ", tostring(err), "\n")
  os.exit(1)
end
