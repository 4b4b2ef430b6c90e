-- ./dev soak ddl [MINUTES]: changes of a schema back and forth (see migrations.lua) under readers of three
-- servers: with prepared statements, without, and behind a PgBouncer in transaction mode. Every answer is
-- checked. statement_age is short, so that many of them are asked just past it.

local Server = require "spec.support.server"
local migrations = require "soak.migrations"
local pgbouncer = require "spec.support.pgbouncer"
local postgres = require "spec.support.postgres"
local wait = require "spec.support.wait"

local MINUTES = tonumber(arg[1]) or 10
local AGE = 1
local EVERY = 30 -- seconds between two lines of figures

local BRIEF = { ttl = "1ms", negative_ttl = "1ms", backoff_base = "1ms", backoff_cap = "1ms", retries = 0,
  breaker_failures = 0 }

local function start(url, backend)
  local main = { driver = "postgres", url = url, pool = 4, statement_age = AGE .. "s", connection_age = "20s" }
  for name, v in pairs(backend) do main[name] = v end
  return Server.start {
    options = { defaults = BRIEF, loader_threads = 2 }, backends = { main = main },
    scripts = migrations.SCRIPTS, loaders = migrations.LOADERS,
  }
end

local function figures(m, caches)
  local sum = { stale = 0, lost = 0, descriptions = 0, retired = 0 }
  for _, cache in pairs(caches) do
    local b = assert(cache:stats()).backends.main
    for name in pairs(sum) do sum[name] = sum[name] + b[name] end
  end
  local text = "%d changes, %d answers checked, %d wrong; %d descriptions, %d runs again by a newer one, "
    .. "%d names lost, %d connections replaced"
  return text:format(m.made, m.checked, #m.wrong, sum.descriptions, sum.stale, sum.lost, sum.retired)
end

local function soak(db, reader, servers)
  local caches = {}
  for name, server in pairs(servers) do caches[name] = server:connect() end
  local m = migrations.new(db, caches, AGE)
  m.db_reader = reader
  local ends = wait.now() + 60 * MINUTES
  local shown = 0
  repeat
    m:run(math.min(EVERY, ends - wait.now()))
    print(figures(m, caches))
    for i = shown + 1, #m.wrong do print("wrong: " .. m.wrong[i]) end
    shown = #m.wrong
    io.stdout:flush()
  until wait.now() >= ends or #m.wrong > 20
  return #m.wrong == 0
end

math.randomseed(os.time())
local cluster = postgres.start()
local db = cluster:database()
db:exec(migrations.SCHEMA)
local reader = cluster:open(db.name)
local pooler = pgbouncer.start(cluster, "transaction", { default_pool_size = 3 })
local servers = {
  direct = start(db.url, {}), plain = start(db.url, { prepared = false }), pooled = start(pooler:url(db.name), {}),
}
local ok, right = pcall(soak, db, reader, servers)
if not ok then io.stderr:write("soak: ", tostring(right), "\n") end
for name, server in pairs(servers) do
  local stopped, err = pcall(server.stop, server)
  if not stopped then io.stderr:write("soak: ", name, ": ", tostring(err), "\n") end
  ok = ok and stopped
end
pooler:stop()
reader:close()
db:close()
cluster:stop()
local passed = ok and right
print(("%d passed, %d failed"):format(passed and 1 or 0, passed and 0 or 1))
os.exit(passed and 0 or 1)
