-- ./dev bench cost [--requests 2000] [--server 1] [--save]: instructions of one load by part of the program.
-- First of bind/ and below, with a database that answers at once: the coroutine, the script, decode and
-- pack. Then (--server 1) of the loader thread of a whole server beside PostgreSQL. Runs of N and of 2N loads, as
-- bench/callgrind.lua: their difference is N loads.

local files = require "spec.support.files"
local peers = require "peers"
local postgres = require "spec.support.postgres"
local process = require "spec.support.process"
local profile = require "profile"
local report = require "report"

local BINARY = "build/bench_load_cost"
local KEYS = 100 -- of a load_many, as in load_cost.c
local CONNECTIONS, DEPTH = 8, 16
local options = report.options(arg, { requests = 2000, server = 1 })

local CALLGRIND = { "valgrind", "--tool=callgrind", "--quiet", "--separate-threads=yes" }

-- ---- bind/ alone ----

local function count_bind(mode, loads)
  local folder = process.temporary_folder()
  local ended = os.execute(("valgrind --tool=callgrind --quiet --callgrind-out-file='%s/out' %s %s %d '%s'"):format(
    folder, BINARY, mode, loads, folder))
  assert(ended == 0, "load_cost failed")
  local by_function, _, by_part = profile.read(folder .. "/out")
  files.remove(folder)
  return by_function, by_part
end

local function measure_bind()
  local columns, where = {}, {}
  for i, mode in ipairs { "row", "packed_row", "load_many" } do
    local keys = mode == "load_many" and KEYS or 1
    local loads = math.ceil(options.requests / keys)
    local once, parts_once = count_bind(mode, loads)
    local twice, parts_twice = count_bind(mode, 2 * loads)
    columns[i] = { name = mode, once = parts_once, twice = parts_twice, units = loads * keys }
    where[i] = ("\n%s:\n\n"):format(mode) .. profile.costliest(once, twice, loads * keys, "key")
  end
  return profile.parts(columns), table.concat(where)
end

-- ---- the loader thread of a server ----

local QUERY = "SELECT id, name, email, team_id, version FROM people WHERE id = $1"

local function script(method)
  return ([[
return { load = function(_, ctx)
  local row = ctx.db:%s("%s", tonumber(ctx.match[1]))
  if not row then return nil end
  return row, { version = row.version }
end }]]):format(method, QUERY)
end

local WAYS = {
  { name = "row", pattern = "row:*", script = "row.lua" },
  { name = "packed_row", pattern = "packed:*", script = "packed.lua" },
  { name = "sql", pattern = "sql:*", sql = QUERY, version = "version" },
}

local function start_server(db, out)
  local loaders = {}
  for i, way in ipairs(WAYS) do
    loaders[i] = { pattern = way.pattern, script = way.script, sql = way.sql, version = way.version,
      backend = "main", ttl = "1h", wait_timeout = "1min", load_timeout = "1min", batch_max = way.sql and 1 }
  end
  return peers.start_rtcached({
    backends = { main = { driver = "postgres", url = db.url, pool = 2, pipeline = 64 } },
    scripts = { ["row.lua"] = script "row", ["packed.lua"] = script "packed_row" },
    loaders = loaders,
  }, function(command)
    local full = { unpack(CALLGRIND) }
    full[#full + 1] = "--callgrind-out-file=" .. out
    for _, word in ipairs(command) do full[#full + 1] = word end
    return full
  end)
end

-- The profile of the thread that runs scripts: there is a file for each.
local function loader_profile(folder)
  local most, by_function, by_part = 0, nil, nil
  for name in io.popen("ls '" .. folder .. "'"):lines() do
    local ok, functions, _, parts = pcall(profile.read, folder .. "/" .. name)
    local ran = ok and functions["???:lua_resume"] or 0
    if ran > most then most, by_function, by_part = ran, functions, parts end
  end
  return assert(by_function, "no thread ran a script"), by_part
end

local function count_server(db, way, loads)
  local folder = process.temporary_folder()
  local server = start_server(db, folder .. "/out")
  peers.load("rtcache", "127.0.0.1:" .. server.port, server.pid, {
    "--connections", CONNECTIONS, "--depth", DEPTH, "--warmup", 0, "--value", 10, "--keys", 3 * options.requests,
    "--first", 1, "--requests", loads, "--prefix", (way.pattern:gsub("%*", "")),
  })
  server:stop()
  local by_function, by_part = loader_profile(folder)
  files.remove(folder)
  return by_function, by_part
end

local function measure_server(db)
  db:exec "CREATE TABLE people (id bigint PRIMARY KEY, name text, email text, team_id bigint, version bigint)"
  db:exec(("INSERT INTO people SELECT i, 'name of ' || i, 'person' || i || '@example.com', i %% 1000, 1 "
    .. "FROM generate_series(0, %d) AS i"):format(3 * options.requests))
  db:exec "ANALYZE people"
  local columns, where = {}, {}
  for i, way in ipairs(WAYS) do
    local once, parts_once = count_server(db, way, options.requests)
    local twice, parts_twice = count_server(db, way, 2 * options.requests)
    columns[i] = { name = way.name, once = parts_once, twice = parts_twice, units = options.requests }
    where[i] = ("\n%s:\n\n"):format(way.name) .. profile.costliest(once, twice, options.requests, "key")
  end
  return profile.parts(columns), table.concat(where)
end

local parts, where = measure_bind()
local text = "## Instructions per load\n\n"
  .. "Per key, of bind/ and below, with a database that answers at once; a row of five columns. load_many:\n"
  .. ("%d keys of one load.\n\n"):format(KEYS) .. parts
local details = "\nBy function:\n" .. where
if options.server > 0 then
  local cluster = postgres.start()
  local ok, server_parts, server_where = pcall(function() return measure_server(cluster:database()) end)
  cluster:stop()
  if not ok then error(server_parts, 0) end
  text = text .. ("\nOf the loader thread of a server beside PostgreSQL, one key a load, over %d connections with %d\n"
    .. "in flight on each. What the kernel does in its place is not counted.\n\n"):format(CONNECTIONS, DEPTH)
    .. server_parts
  details = details .. "\nOf the loader thread:\n" .. server_where
end
text = text .. details
io.write(text)
if options.save then report.save("cost", text) end
