-- ./dev soak [MINUTES]: one server under mixed load and faults: reloads, a tenth of them of broken scripts,
-- a PostgreSQL that is killed and started again, clients that come and go, invalidations of every kind and
-- a full store. Every answer is checked; memory and descriptors must stand still after the first quarter
-- of the time. Times are printed beside their bounds (see windows.lua).

local Server = require "spec.support.server"
local Sqlite = require "spec.support.sqlite"
local postgres = require "spec.support.postgres"
local process = require "spec.support.process"
local steps = require "soak.steps"
local wait = require "spec.support.wait"
local windows = require "soak.windows"

local expect = steps.expect

local MINUTES = tonumber(arg[1]) or 10
-- A short run compares less, and what an allocator holds back counts for more in it.
local GROWTH_BOUND = MINUTES >= 30 and 0.02 or 0.10
local WINDOW_EVERY, RESTART_EVERY = math.min(20, MINUTES * 60 / 24), math.min(60, MINUTES * 60 / 6)
local CROWD = 4

local SCRIPT = [[
return {
  load = function(key, ctx)
    local row = ctx.db:row("SELECT name, version FROM people WHERE id = $1", tonumber(ctx.match[1]))
    if not row then return nil end
    return { key = key, name = row.name }, { version = row.version }
  end,
}
]]

local PEOPLE = "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, version INTEGER);"
  .. ("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
  .. " INSERT INTO people SELECT i, 'row ' || i, 1 FROM n;"):format(steps.ROWS)

local function create_in_postgres(db)
  db:exec(PEOPLE)
  local status, text = process.run { Server.tool, "watch-sql", "people", "--key", "pg:{id}", "--version", "version",
    "--channel", "changes" }
  expect(status == 0, "watch-sql", text)
  db:exec(text)
end

local function start(db)
  local server = Server.prepare {
    options = { memory = "16mb", io_threads = 2, loader_threads = 2 },
    backends = {
      main = { driver = "sqlite", path = "source.db" },
      shop = {
        driver = "postgres", url = db.url, pool = 4, reconnect_base = "50ms", reconnect_cap = "500ms",
        feed = "changes", feed_heartbeat = "1s",
      },
    },
    scripts = { ["row.lua"] = SCRIPT },
    loaders = {
      { pattern = "row:*", script = "row.lua", backend = "main", ttl = "200ms", stale_ttl = "200ms" },
      {
        pattern = "pg:*", script = "row.lua", backend = "shop", ttl = "200ms", backoff_cap = "500ms",
        breaker_open = "1s",
      },
      { pattern = "bench:*", script = "row.lua", backend = "main", ttl = "1h" },
    },
  }
  Sqlite.open(server.folder .. "/source.db", PEOPLE):close()
  return server:launch()
end

local function reload(state)
  state.reloads = state.reloads + 1
  local broken = state.reloads % 10 == 0
  state.server:write_script("row.lua", broken and "return {" or SCRIPT .. "-- " .. state.reloads .. "\n")
  local answer, err = state.cache:reload()
  if broken then
    expect(not answer and err.code == "RELOAD_FAILED", "a broken script was taken", err)
  else
    expect(answer, "reload", err)
  end
end

-- A round of load without the database, then it comes back; the seconds until a load succeeded again.
local function restart_database(state)
  state.restarts = state.restarts + 1
  state.cluster:kill()
  state.down = true
  steps.round(state)
  state.cluster:launch()
  state.db:reconnect()
  state.down = false
  local began = wait.now()
  wait.until_true("PostgreSQL's rows come again", function()
    return state.cache:get("pg:" .. math.random(steps.ROWS))
  end)
  state.recovery = math.max(state.recovery, wait.now() - began)
end

local function every(seconds, since)
  local due = since + seconds
  return function()
    if wait.now() < due then return false end
    due = due + seconds
    return true
  end
end

local function soak(state)
  local began = wait.now()
  local ends = began + 60 * MINUTES
  local measured = {}
  local window_due, restart_due = every(WINDOW_EVERY, began), every(RESTART_EVERY, began + 5)
  while wait.now() < ends do
    reload(state)
    steps.round(state)
    if restart_due() then restart_database(state) end
    if window_due() then
      local w = windows.measure(state.server, state.cache)
      measured[#measured + 1] = w
      print(windows.line(w, began, state.done))
      io.stdout:flush()
    end
  end
  print(("\n%d steps, %d reloads, %d restarts of the database; %d errors while it was away; longest recovery %.2f s")
    :format(state.done, state.reloads, state.restarts, state.errors, state.recovery))
  local past = windows.judge(measured, began, ends, GROWTH_BOUND)
  expect(not past, "soak", past)
end

math.randomseed(os.time())
local cluster = postgres.start()
local db = cluster:database()
create_in_postgres(db)
local server = start(db)
local state = {
  server = server, cluster = cluster, db = db, cache = server:connect(), crowd = {},
  done = 0, reloads = 0, restarts = 0, errors = 0, recovery = 0,
}
for i = 1, CROWD do state.crowd[i] = server:connect { timeout = 60 } end
local ok, err = pcall(soak, state)
if not ok then io.stderr:write("soak: ", tostring(err), "\nthe log's end:\n", server:log():sub(-4000), "\n") end
local stopped, stop_err = pcall(server.stop, server)
if not stopped then io.stderr:write("soak: ", tostring(stop_err), "\n") end
db:close()
cluster:stop()
print(("%d passed, %d failed"):format(ok and stopped and 1 or 0, ok and stopped and 0 or 1))
os.exit(ok and stopped and 0 or 1)
