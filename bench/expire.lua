-- ./dev bench expire [--keys 10000] [--ttl 15] [--seconds 60] [--rate 20000] [--rounds 1] [--save]: hot
-- keys that were stored in one moment and expire together, under constant reads, with prefetch and
-- without; cold keys among them; at the same time hits of keys that do not expire, which the same
-- machine disturbs as much.

local database = require "database"
local peers = require "peers"
local report = require "report"

local options = report.options(arg, { keys = 10000, seconds = 60, ttl = 15, rounds = 1, rate = 20000 })
local COLD, CONNECTIONS, DEPTH, GET_MANY = 1000, 8, 256, 1000
local TTL = options.ttl .. "s"

-- Each query leaves its key and its time in the database.
local SCRIPT = [[
return { load = function(key, ctx)
  local row = ctx.db:row("WITH counted AS (INSERT INTO queries (key) VALUES ($1)) "
    .. "SELECT value FROM items WHERE id = $2", key, tonumber(ctx.match[1]))
  return row.value
end }
]]

-- Read beside each of the others.
local HITS = { prefix = "hits:", ttl = "1h" }

local WAYS = {
  { name = "nothing expires", prefix = "still:", ttl = "1h", seconds = 2 * options.ttl },
  { name = "prefetch", prefix = "ahead:", ttl = TTL, seconds = options.seconds },
  { name = "`refresh_ahead = 0`", prefix = "off:", ttl = TTL, refresh_ahead = 0, seconds = 2 * options.ttl },
}

local function start_server(db)
  local loaders = {}
  for i, way in ipairs { HITS, unpack(WAYS) } do
    loaders[i] = { pattern = way.prefix .. "*", script = "expire.lua", backend = "main", ttl = way.ttl, jitter = 0,
      refresh_ahead = way.refresh_ahead, wait_timeout = "1min", load_timeout = "1min" }
  end
  return peers.start_rtcached({
    backends = { main = { driver = "postgres", url = db.url, pool = 2, pipeline = 64 } },
    scripts = { ["expire.lua"] = SCRIPT },
    loaders = loaders,
  }, function(command) return command end)
end

-- As bench_load writes them: the hot ones are 0 to keys - 1, the cold ones follow.
local function key_of(way, number) return ("%s%07d"):format(way.prefix, number) end

-- All keys are loaded at once; the cold ones are not read again.
local function load_all(cache, way)
  local ids, count = {}, options.keys + COLD
  for from = 0, count - 1, GET_MANY do
    local keys = {}
    for number = from, math.min(from + GET_MANY, count) - 1 do keys[#keys + 1] = key_of(way, number) end
    ids[#ids + 1] = cache:send("get_many", keys)
  end
  for _, id in ipairs(ids) do
    for _, item in ipairs(assert(cache:receive(id))) do assert(item.value, "a key was not loaded") end
  end
end

-- Reads that found no value. Those of hits always find one.
local function waited(cache)
  local c = assert(cache:stats()).counters
  return tonumber(c.misses) + tonumber(c.coalesced)
end

-- Queries a second, on average and in the fullest one, over whole seconds since the first loads had ended.
local function queries(db, way, from, to)
  local most, all = 0, 0
  for _, line in ipairs(db:exec(([[
    WITH own AS (SELECT at, row_number() OVER (ORDER BY at) AS number FROM queries WHERE key LIKE '%s%%'),
      later AS (SELECT floor(extract(epoch FROM at - (SELECT at FROM own WHERE number = %d))) AS second FROM own
        WHERE number > %d)
    SELECT count(*) FROM later WHERE second >= %d AND second < %d GROUP BY second]])
    :format(way.prefix, options.keys + COLD, options.keys + COLD, from, to))) do
    most, all = math.max(most, tonumber(line)), all + tonumber(line)
  end
  return all / (to - from), most
end

local function start_reads(server, way, seconds)
  return peers.start_load("rtcache", "127.0.0.1:" .. server.port, server.pid, {
    "--connections", CONNECTIONS, "--depth", DEPTH, "--seconds", seconds, "--warmup", 0, "--value", 100,
    "--keys", options.keys, "--first", 1, "--prefix", way.prefix, "--rate", options.rate,
  })
end

local function measure(server, db, way)
  db:exec "TRUNCATE queries"
  local cache = server:connect { timeout = 60 }
  load_all(cache, way)
  local before = waited(cache)
  local hits = start_reads(server, HITS, way.seconds)
  local figures = start_reads(server, way, way.seconds)()
  local beside = hits()
  figures.hit_p50_us, figures.hit_p99_us = beside.p50_us, beside.p99_us
  figures.to_hits = figures.p99_us / figures.hit_p99_us
  figures.waited = waited(cache) - before
  figures.mean, figures.most = queries(db, way, options.ttl, way.seconds)
  local _
  _, figures.first_most = queries(db, way, 0, options.ttl)
  figures.cold = db:number(("SELECT count(*) FROM queries WHERE key LIKE '%s%%' AND key >= '%s'")
    :format(way.prefix, key_of(way, options.keys))) - COLD
  -- No refresh of what this way stored falls into the time of the next.
  assert(cache:invalidate_match(way.prefix .. "*"))
  cache:close()
  return figures
end

local function reads_row(way, f)
  return { way.name, report.whole(f.rate), ("%.0f"):format(f.p50_us), ("%.0f"):format(f.hit_p50_us),
    ("%.0f"):format(f.p99_us), ("%.0f"):format(f.hit_p99_us), ("%.2f"):format(f.to_hits),
    ("%.0f"):format(f.p999_us), report.whole(f.waited) }
end

local function queries_row(way, f)
  return { way.name, report.whole(f.mean), report.whole(f.most), ("%.2f"):format(f.most / f.mean),
    report.whole(f.first_most), ("%.2f"):format(f.first_most / f.mean), report.whole(f.cold) }
end

local function result(all)
  local reads, loads = {}, {}
  for i, way in ipairs(WAYS) do
    local f = report.medians(all[i])
    reads[i] = reads_row(way, f)
    if f.mean > 0 then loads[#loads + 1] = queries_row(way, f) end
  end
  return "## Keys that expire together\n\n"
    .. ("%s hot keys and %s cold ones, loaded in one moment, a query for each key, with a ttl of %s and no jitter. "
      .. "The hot\nones are read in turn, %s reads a second at a fixed rate over %d connections, for %g s with "
      .. "prefetch and two ttls\nwithout; beside them as many reads of keys that do not expire (\"hits\"). A latency "
      .. "counts from when its read was due.\nWaited: reads that found no value. Medians of rounds: %d. %s.\n\n")
      :format(report.whole(options.keys), report.whole(COLD), TTL, report.whole(options.rate), CONNECTIONS,
        options.seconds, options.rounds, report.machine())
    .. report.table({ "", "reads/s", "p50 us", "hits p50 us", "p99 us", "hits p99 us", "p99 : hits", "p99.9 us",
      "waited" }, reads)
    .. "\nQueries by second, from the end of the first ttl on, and within the first after the loads; of cold keys, "
    .. "after their first.\n\n"
    .. report.table({ "", "queries/s", "fullest second", "to the mean", "fullest of the first ttl", "to the mean",
      "of cold keys" }, loads)
end

if options.seconds < 2 * options.ttl then
  io.stderr:write("bench: --seconds are at least two --ttl\n")
  os.exit(2)
end
database.with(function(cluster)
  local db = cluster:database()
  db:exec "CREATE TABLE items (id bigint PRIMARY KEY, value text NOT NULL)"
  db:exec(("INSERT INTO items SELECT i, repeat('v', 100) FROM generate_series(0, %d) AS i")
    :format(options.keys + COLD))
  db:exec "CREATE UNLOGGED TABLE queries (key text NOT NULL, at timestamptz NOT NULL DEFAULT clock_timestamp())"
  db:exec "ANALYZE items"
  local server, all = start_server(db), {}
  local cache = server:connect { timeout = 60 }
  load_all(cache, HITS)
  cache:close()
  for _ = 1, options.rounds do
    for i, way in ipairs(WAYS) do
      all[i] = all[i] or {}
      table.insert(all[i], measure(server, db, way))
    end
  end
  local text = result(all)
  io.write(text)
  if options.save then report.save("expire", text) end
  server:stop()
end)
