-- ./dev bench miss [--rows 1000000] [--rounds 5] [--seconds 2] [--loaders 1] [--save]: cold keys through the whole way
-- (client, flight, script, PostgreSQL, pack, store, answer), beside pgbench on the same table. pgbench
-- runs before every way, and each way is compared with the run just before it: a machine that is shared
-- is quicker in one minute than in the next.

local database = require "database"
local peers = require "peers"
local process = require "spec.support.process"
local report = require "report"

local options = report.options(arg, { rounds = 5, seconds = 2, rows = 1000000, loaders = 1 })
local CONNECTIONS, DEPTH = 8, 64
local BIN = os.getenv "PGBIN" or "/usr/lib/postgresql/15/bin"
-- The generator's keys have seven digits after the prefix, and an id is written without zeros in front.
local FIRST = 10000000
local COLUMNS = "id, name, email, team_id, version"

local MANY = [[
return { load_many = function(_, ctx)
  local rows = ctx.db:%s("SELECT %s FROM people WHERE id = ANY($1)", ctx.ids)
  return ctx:answer(rows, "id", "version")
end }]]

local SCRIPTS = {
  ["plain.lua"] = ([[
return { load = function(_, ctx)
  local row = ctx.db:row("SELECT %s FROM people WHERE id = $1", tonumber(ctx.match[1]))
  if not row then return nil end
  return row, { version = row.version }
end }]]):format(COLUMNS),
  ["many.lua"] = MANY:format("rows", COLUMNS),
  ["many_packed.lua"] = MANY:format("packed_rows", COLUMNS),
  ["packed.lua"] = ([[
return { load = function(_, ctx)
  local row = ctx.db:packed_row("SELECT %s FROM people WHERE id = $1", tonumber(ctx.match[1]))
  if not row then return nil end
  return row, { version = row.version }
end }]]):format(COLUMNS),
}

-- Queries of one key are best pipelined on few connections; those of many, each alone on one of several.
local POOLS = { few = 2, several = 16 }

local WAYS = {
  { name = "load", pattern = "plain:*", script = "plain.lua", backend = "few" },
  { name = "load, packed row", pattern = "packed:*", script = "packed.lua", backend = "few" },
  { name = "load_many, packed rows", pattern = "many_packed:*", script = "many_packed.lua", backend = "several" },
  { name = "load_many, rows as tables", pattern = "many:*", script = "many.lua", backend = "several" },
  { name = "`sql`", pattern = "query:*", backend = "several",
    sql = ("SELECT %s FROM people WHERE id = $1"):format(COLUMNS), version = "version" },
}

local function start_server(db)
  local loaders, backends = {}, {}
  for name, pool in pairs(POOLS) do
    backends[name] = { driver = "postgres", url = db.url, pool = pool, pipeline = 64 }
  end
  for i, way in ipairs(WAYS) do
    loaders[i] = { pattern = way.pattern, script = way.script, sql = way.sql, version = way.version,
      backend = way.backend, ttl = "1h", wait_timeout = "1min", load_timeout = "1min" }
  end
  return peers.start_rtcached({
    options = { memory = "1gb", loader_threads = options.loaders },
    backends = backends,
    scripts = SCRIPTS,
    loaders = loaders,
  }, function(command) return command end)
end

-- Nanoseconds that the server's loader threads were on a processor.
local function loaders_cpu_ns(pid)
  local list = io.popen("grep -l '^loader-' /proc/" .. pid .. "/task/*/comm")
  local sum = 0
  for path in list:lines() do
    local f = assert(io.open((path:gsub("comm$", "schedstat"))))
    sum = sum + tonumber(f:read "*l":match "^%d+")
    f:close()
  end
  list:close()
  return sum
end

-- Fails when the rows were not enough: a key that is asked for again is a hit.
local function measure(server, way)
  local cpu = loaders_cpu_ns(server.pid)
  local figures = peers.load("rtcache", "127.0.0.1:" .. server.port, server.pid, {
    "--connections", CONNECTIONS, "--depth", DEPTH, "--seconds", options.seconds, "--warmup", 0,
    "--value", 10, "--keys", options.rows, "--first", 1, "--prefix", (way.pattern:gsub("%*", "1")),
  })
  figures.loader_us = (loaders_cpu_ns(server.pid) - cpu) / 1e3 / figures.requests
  if figures.requests + CONNECTIONS * DEPTH > options.rows then
    error(("%s: %d requests, only %d rows: ask for more --rows"):format(way.name, figures.requests, options.rows), 0)
  end
  return figures
end

local function pgbench(db, script)
  local _, text = process.run {
    BIN .. "/pgbench", "-n", "-h", db.cluster.folder, "-U", "postgres", "-c", tostring(CONNECTIONS),
    "-j", "1", "-M", "prepared", "-T", tostring(options.seconds), "-f", script,
    "-D", "rows=" .. options.rows, db.name,
  }
  return { rate = tonumber(text:match "tps = ([%d.]+)") or error("pgbench: " .. text), to_pgbench = 1 }
end

local function row_of(name, connections, f)
  local function cell(form, v) return v and form:format(v) or "" end
  return { name, tostring(connections), report.whole(f.rate), ("%.2f"):format(f.to_pgbench),
    cell("%.2f", f.loader_us), cell("%.2f", f.server_cpu_us), cell("%.0f", f.p50_us), cell("%.0f", f.p99_us) }
end

local function result(base, all)
  local rows = { row_of("pgbench -c 8 -M prepared", CONNECTIONS, base) }
  for i, way in ipairs(WAYS) do
    rows[i + 1] = row_of(way.name, POOLS[way.backend], all[i])
  end
  return "## Cold keys\n\n"
    .. ("Each key is asked for once, in a scattered order: five columns by primary key, from a table of %s rows; "
      .. "rtcache over %d\nconnections, %d in flight on each, loader_threads %d; connections to the database as\n"
      .. "the table says, nothing is pinned. "
      .. "Medians of %d rounds of %g s; each way is compared with pgbench just before it. %s.\n\n")
      :format(report.whole(options.rows), CONNECTIONS, DEPTH, options.loaders, options.rounds,
        options.seconds, report.machine())
    .. report.table({ "", "to the database", "keys/s", "to pgbench", "loader threads CPU us/key", "server CPU us/key",
      "p50 us", "p99 us" }, rows)
end

database.with(function(cluster)
  local db = cluster:database()
  db:exec "CREATE TABLE people (id bigint PRIMARY KEY, name text, email text, team_id bigint, version bigint)"
  db:exec(("INSERT INTO people SELECT i, 'name of ' || i, 'person' || i || '@example.com', i %% 1000, 1 "
    .. "FROM generate_series(%d, %d) AS i"):format(FIRST, FIRST + options.rows))
  db:exec "ANALYZE people"
  local script = cluster.folder .. "/select.sql"
  local f = assert(io.open(script, "w"))
  f:write("\\set id " .. FIRST .. " + random(1, :rows)\nSELECT " .. COLUMNS .. " FROM people WHERE id = :id;\n")
  f:close()
  local base, all = {}, {}
  for round = 1, options.rounds do
    local server = start_server(db) -- one a round: the keys are cold again
    for i, way in ipairs(WAYS) do
      local before = pgbench(db, script)
      local figures = measure(server, way)
      figures.to_pgbench = figures.rate / before.rate
      all[i] = all[i] or {}
      all[i][round], base[#base + 1] = figures, before
      io.stderr:write(("round %d: %s %.0f, pgbench %.0f: %.2f\n"):format(round, way.name, figures.rate, before.rate,
        figures.to_pgbench))
    end
    server:stop()
  end
  for i in ipairs(WAYS) do all[i] = report.medians(all[i]) end
  local text = result(report.medians(base), all)
  io.write(text)
  if options.save then report.save("miss", text) end
end)
