-- ./dev bench parked [--loads 10000] [--rounds 3] [--seconds 3] [--save]: hits beside loads that wait
-- for a PostgreSQL that is stopped and answers nothing.

local client = require "rtcache.client"
local database = require "database"
local peers = require "peers"
local report = require "report"
local wait = require "spec.support.wait"

local DEPTH = 16
local options = report.options(arg, { rounds = 3, seconds = 3, loads = 10000 })

local SCRIPT = [[
return { load = function(key, ctx) return ctx.db:value("SELECT $1::text AS name", ctx.match[1]) end }
]]

local function start_server(db)
  return peers.start_rtcached {
    options = { max_parked = options.loads },
    backends = { main = { driver = "postgres", url = db.url, pool = 8, max_queue = options.loads } },
    scripts = { ["parked.lua"] = SCRIPT },
    loaders = { {
      pattern = "parked:*", script = "parked.lua", backend = "main", ttl = "1h",
      wait_timeout = "10min", load_timeout = "10min", max_loads = options.loads,
      max_queue = options.loads,
    } },
  }
end

local function measure(server)
  return peers.load("rtcache", "127.0.0.1:" .. server.port, server.pid, {
    "--connections", 50, "--depth", DEPTH, "--seconds", options.seconds, "--fill",
  })
end

-- Sends the loads of one round; returns once all of them are in the air.
local function park(server, cache, round)
  local requests = {}
  for i = 1, options.loads do
    requests[i] = client.encode_request(i, "get", ("parked:%d-%d"):format(round, i))
  end
  assert(cache:write(table.concat(requests)))
  wait.until_true("all loads are in the air", function()
    local l = server:loader "parked:*"
    return tonumber(l.in_flight) == options.loads
  end)
end

local function take_answers(cache)
  for i = 1, options.loads do
    local value, err = cache:receive(i, 120)
    if not value then error("a parked load ended with " .. tostring(err)) end
  end
end

local function ratio(parked, alone, name) return ("%.3f"):format(parked[name] / alone[name]) end

local function row(name, f)
  return { name, report.whole(f.rate), ("%.0f"):format(f.p50_us), ("%.0f"):format(f.p99_us),
    ("%.0f"):format(f.p999_us), ("%.3f"):format(f.server_cpu_us) }
end

local function result(alone, parked)
  return ("## Hits beside %s parked loads\n\n"):format(report.whole(options.loads))
    .. ("The loads wait for a stopped PostgreSQL; hits over 50 connections, %d in flight on each; "
      .. "median of %d rounds of %g s,\nwith and without in turn. %s.\n\n"):format(DEPTH,
      options.rounds, options.seconds, report.machine())
    .. report.table({ "", "hits/s", "p50 us", "p99 us", "p99.9 us", "server CPU us/hit" }, {
      row("nothing parked", alone),
      row(report.whole(options.loads) .. " parked", parked),
      { "ratio", ratio(parked, alone, "rate"), ratio(parked, alone, "p50_us"),
        ratio(parked, alone, "p99_us"), ratio(parked, alone, "p999_us"),
        ratio(parked, alone, "server_cpu_us") },
    })
end

database.with(function(cluster)
  local server = start_server(cluster:database())
  local cache = server:connect { timeout = 120 }
  assert(cache:get "parked:first") -- the database is connected before it is stopped
  local alone, parked = {}, {}
  for round = 1, options.rounds do
    alone[round] = measure(server)
    cluster:freeze()
    park(server, cache, round)
    parked[round] = measure(server)
    cluster:thaw()
    take_answers(cache)
  end
  local text = result(report.medians(alone), report.medians(parked))
  io.write(text)
  if options.save then report.save("parked", text) end
  server:stop()
end)
