-- ./dev bench sick [--rate 2000] [--seconds 6] [--save]: a database that slows down tenfold, and one that
-- fails, under cold keys at a fixed rate, with hits beside them.

local socket = require "socket"

local client = require "rtcache.client"
local database = require "database"
local peers = require "peers"
local report = require "report"

local options = report.options(arg, { rate = 2000, seconds = 6 })
local POOL, WELL_S, HITS_PER_S, WAIT_MS = 8, 0.002, 500, 2000

local SCRIPT = [[
return { load = function(_, ctx)
  local row = ctx.db:row("SELECT fail, pg_sleep(seconds) FROM speed WHERE $1::int IS NOT NULL", tonumber(ctx.match[1]))
  if row.fail == 1 then return nil, "the database is sick" end
  return "value of " .. ctx.match[1]
end }
]]

local function start_server(db)
  return peers.start_rtcached({
    backends = { main = { driver = "postgres", url = db.url, pool = POOL, pipeline = 1, min_loads = POOL } },
    scripts = { ["sick.lua"] = SCRIPT },
    loaders = {
      { pattern = "cold:*", script = "sick.lua", backend = "main", ttl = "1h", wait_timeout = WAIT_MS .. "ms",
        load_timeout = "5s", breaker_failures = 0, backoff_base = "1s" },
      { pattern = "hot:*", script = "sick.lua", backend = "main", ttl = "1h" },
    },
  }, function(command) return command end)
end

local function rss_kb(pid)
  for line in io.lines("/proc/" .. pid .. "/status") do
    local kb = line:match "^VmRSS:%s+(%d+)"
    if kb then return tonumber(kb) end
  end
end

local function queries(server) return tonumber(server:connect():stats().backends.main.queries) end

local function quantile(list, q)
  if #list == 0 then return nil end
  table.sort(list)
  return list[math.max(1, math.ceil(#list * q))]
end

local Stream = {}
Stream.__index = Stream

-- Requests at a fixed rate, whether or not the answers come.
local function stream(server, rate, key)
  return setmetatable({
    cache = server:connect { timeout = 60 }, rate = rate, key = key, sent = 0, at = {},
    started = socket.gettime(), results = {},
  }, Stream)
end

function Stream:step(now)
  local due = math.floor((now - self.started) * self.rate)
  local bytes = {}
  while self.sent < due do
    self.sent = self.sent + 1
    self.at[self.sent] = now
    bytes[#bytes + 1] = client.encode_request(self.sent, "get", self.key(self.sent))
  end
  if #bytes > 0 then assert(self.cache:write(table.concat(bytes))) end
  while true do
    local message = self.cache:read_message(0)
    if not message then return end
    local id, err = tonumber(message[2]), message[3]
    local code = err == client.null and "ok" or tostring(err):match "^%S+"
    local list = self.results
    list[#list + 1] = { code = code, ended = socket.gettime(), us = (socket.gettime() - self.at[id]) * 1e6 }
    self.at[id] = nil
  end
end

function Stream:take()
  local taken = self.results
  self.results = {}
  return taken
end

local function run(streams, seconds)
  local finish = socket.gettime() + seconds
  while true do
    local now = socket.gettime()
    if now >= finish then return end
    for _, s in ipairs(streams) do s:step(now) end
    socket.sleep(0.001)
  end
end

-- One phase: what was answered, how, and what the database saw.
local function phase(server, cold, hot, name)
  local before, began = queries(server), socket.gettime()
  run({ cold, hot }, options.seconds)
  local took = socket.gettime() - began
  local f = { name = name, began = began, attempts = (queries(server) - before) / took, all = cold:take(),
    codes = {}, ok = {}, hits = {}, refused = {} }
  for _, r in ipairs(f.all) do
    f.codes[r.code] = (f.codes[r.code] or 0) + 1
    local list = r.code == "ok" and f.ok or r.code == "OVERLOADED" and f.refused
    if list then list[#list + 1] = r.us end
  end
  for _, r in ipairs(hot:take()) do f.hits[#f.hits + 1] = r.us end
  f.rss = rss_kb(server.pid)
  return f
end

-- Seconds until the last request that was not answered with its value.
local function recovery(f)
  local last = f.began
  for _, r in ipairs(f.all) do
    if r.code ~= "ok" then last = math.max(last, r.ended) end
  end
  return last - f.began
end

local function row(f, base)
  local function ms(list, q)
    local us = quantile(list, q)
    return us and ("%.1f"):format(us / 1000) or ""
  end
  local function per_s(code) return report.whole((f.codes[code] or 0) / options.seconds) end
  return { f.name, per_s "ok", per_s "OVERLOADED", per_s "TIMEOUT", per_s "LOAD_FAILED", ms(f.ok, 0.99),
    ms(f.refused, 0.5), ms(f.hits, 0.99), report.whole(f.attempts), ("%.2f"):format(f.attempts / base.attempts),
    ("%.1f"):format(f.rss / 1024) }
end

database.with(function(cluster)
  local db = cluster:database()
  local function speed(seconds, fail)
    db:exec(("BEGIN; DELETE FROM speed; INSERT INTO speed VALUES (%g, %d); COMMIT"):format(seconds, fail))
  end
  db:exec "CREATE TABLE speed (seconds float8 NOT NULL, fail int NOT NULL)"
  speed(WELL_S, 0)
  local server = start_server(db)
  local cold = stream(server, options.rate, function(i) return "cold:" .. i end)
  local hot = stream(server, HITS_PER_S, function(i) return "hot:" .. i % 100 end)
  run({ cold, hot }, 2)
  cold:take()
  hot:take()
  local phases = { phase(server, cold, hot, "well") }
  speed(WELL_S * 10, 0)
  phases[2] = phase(server, cold, hot, "ten times slower")
  speed(WELL_S, 0)
  phases[3] = phase(server, cold, hot, "well again")
  speed(WELL_S, 1)
  phases[4] = phase(server, cold, hot, "failing")
  speed(WELL_S, 0)
  phases[5] = phase(server, cold, hot, "well again")
  local rows = {}
  for i, f in ipairs(phases) do rows[i] = row(f, phases[1]) end
  local text = "## A sick database\n\n"
    .. ("%d cold keys a second, each asked for once, whose query takes %d ms on one of %d connections; %d hits a "
      .. "second beside\nthem; a request waits %d ms at most; no breaker. %g s a phase. %s.\n\n")
      :format(options.rate, WELL_S * 1000, POOL, HITS_PER_S, WAIT_MS, options.seconds, report.machine())
    .. report.table({ "", "values/s", "OVERLOADED/s", "TIMEOUT/s", "LOAD_FAILED/s", "p99 ms",
      "OVERLOADED p50 ms", "hit p99 ms", "attempts/s", "to well", "RSS MB" }, rows)
    .. ("\nAfter the slow phase the last request without its value was answered %.2f s after the database was "
      .. "well; after the\nfailing one, %.2f s.\n"):format(recovery(phases[3]), recovery(phases[5]))
  io.write(text)
  if options.save then report.save("sick", text) end
  server:stop()
end)
