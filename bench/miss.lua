-- ./dev bench miss [--rows 1000000] [--rounds 3] [--seconds 4] [--save]: cold keys through the whole way
-- (client, flight, script, PostgreSQL, pack, store, answer), beside pgbench on the same table.

local database = require "database"
local peers = require "peers"
local process = require "spec.support.process"
local report = require "report"

local options = report.options(arg, { rounds = 3, seconds = 4, rows = 1000000 })
local CONNECTIONS, DEPTH = 8, 64
local BIN = os.getenv "PGBIN" or "/usr/lib/postgresql/15/bin"
local COLUMNS = "id, name, email, team_id, version"

local MANY = [[
return { load_many = function(keys, ctx)
  local ids, key_of = {}, {}
  for i, key in ipairs(keys) do
    ids[i] = tonumber(ctx.match[i][1])
    key_of[ids[i] ] = key
  end
  local values, options = {}, {}
  local rows = ctx.db:%s("SELECT %s FROM people WHERE id = ANY($1)", ids)
  for i = 1, #rows do
    local row = rows[i]
    local key = key_of[row.id]
    values[key], options[key] = row, { version = row.version }
  end
  return values, options
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
  { name = "load_many", pattern = "many:*", script = "many.lua", backend = "several" },
  { name = "load_many, packed rows", pattern = "many_packed:*", script = "many_packed.lua", backend = "several" },
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
    options = { memory = "1gb" },
    backends = backends,
    scripts = SCRIPTS,
    loaders = loaders,
  }, function(command) return command end)
end

-- Nanoseconds that a thread of the server was on a processor.
local function thread_cpu_ns(pid, name)
  local list = io.popen("grep -l '^" .. name .. "$' /proc/" .. pid .. "/task/*/comm")
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
  local cpu = thread_cpu_ns(server.pid, "loader-0")
  local figures = peers.load("rtcache", "127.0.0.1:" .. server.port, server.pid, {
    "--connections", CONNECTIONS, "--depth", DEPTH, "--seconds", options.seconds, "--warmup", 0,
    "--value", 10, "--keys", options.rows, "--first", 1, "--prefix", (way.pattern:gsub("%*", "")),
  })
  figures.loader_us = (thread_cpu_ns(server.pid, "loader-0") - cpu) / 1e3 / figures.requests
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
  return { rate = tonumber(text:match "tps = ([%d.]+)") or error("pgbench: " .. text) }
end

local function row_of(name, connections, f, base)
  local function cell(form, v) return v and form:format(v) or "" end
  return { name, tostring(connections), report.whole(f.rate), ("%.2f"):format(f.rate / base.rate),
    cell("%.2f", f.loader_us), cell("%.2f", f.server_cpu_us), cell("%.0f", f.p50_us), cell("%.0f", f.p99_us) }
end

local function result(base, all)
  local rows = { row_of("pgbench -c 8 -M prepared", CONNECTIONS, base, base) }
  for i, way in ipairs(WAYS) do
    rows[i + 1] = row_of(way.name, POOLS[way.backend], all[i], base)
  end
  return "## Cold keys\n\n"
    .. ("Each key is asked for once, in a scattered order: five columns by primary key, from a table of %s rows; "
      .. "rtcache over %d\nconnections, %d in flight on each; connections to the database as\n"
      .. "the table says, nothing is pinned. "
      .. "Median of %d rounds of %g s in turn. %s.\n\n")
      :format(report.whole(options.rows), CONNECTIONS, DEPTH, options.rounds, options.seconds, report.machine())
    .. report.table({ "", "to the database", "keys/s", "to pgbench", "loader thread CPU us/key", "server CPU us/key",
      "p50 us", "p99 us" }, rows)
end

database.with(function(cluster)
  local db = cluster:database()
  db:exec "CREATE TABLE people (id bigint PRIMARY KEY, name text, email text, team_id bigint, version bigint)"
  db:exec(("INSERT INTO people SELECT i, 'name of ' || i, 'person' || i || '@example.com', i %% 1000, 1 "
    .. "FROM generate_series(0, %d) AS i"):format(options.rows))
  db:exec "ANALYZE people"
  local script = cluster.folder .. "/select.sql"
  local f = assert(io.open(script, "w"))
  f:write("\\set id random(1, :rows)\nSELECT " .. COLUMNS .. " FROM people WHERE id = :id;\n")
  f:close()
  local base, all = {}, {}
  for round = 1, options.rounds do
    base[round] = pgbench(db, script)
    local server = start_server(db) -- one a round: the keys are cold again
    for i, way in ipairs(WAYS) do
      all[i] = all[i] or {}
      all[i][round] = measure(server, way)
    end
    server:stop()
  end
  for i in ipairs(WAYS) do all[i] = report.medians(all[i]) end
  local text = result(report.medians(base), all)
  io.write(text)
  if options.save then report.save("miss", text) end
end)
