-- ./dev bench restart [--keys 1000000] [--value 100] [--rounds 9] [--seconds 2] [--rate 200000] [--save]: a server
-- that is stopped and comes back: how soon it is ready, with what; and hits beside snapshots that are written one after
-- the other, as fast as they come and at a fixed rate.

local socket = require "socket"

local peers = require "peers"
local process = require "spec.support.process"
local report = require "report"
local wait = require "spec.support.wait"

local DEPTH, PART = 16, 1000
local options = report.options(arg, { keys = 1000000, value = 100, rounds = 9, seconds = 2, rate = 200000 })
local restarts = math.min(options.rounds, 3)

-- On no core of its own: a snapshot is written by another thread than the one that answers.
local function anywhere(command) return command end

local server = peers.start_rtcached({
  options = { memory = "4gb", state = "state", snapshot_every = "0s", io_threads = 1 },
}, anywhere)
local cache = server:connect { timeout = 120 }

local function start_load(...)
  return peers.start_load("rtcache", server.socket_path, server.pid, {
    "--connections", 50, "--depth", DEPTH, "--keys", options.keys, "--value", options.value, "--seconds",
    options.seconds, ...,
  }, true)
end

-- How many of the keys are in memory.
local function count_hits()
  local hits = 0
  for first = 0, options.keys - 1, PART do
    local keys = {}
    for i = first, math.min(first + PART, options.keys) - 1 do keys[#keys + 1] = ("bench:%07d"):format(i) end
    for _, e in ipairs(assert(cache:get_many(keys))) do
      if e.value ~= nil then hits = hits + 1 end -- the loader finds nothing
    end
  end
  return hits
end

local function stop_and_start()
  server:close_clients()
  local begin = socket.gettime()
  server:signal "TERM"
  assert(server.process:wait(wait.PATIENCE) == 0, "the server did not stop as it should")
  server.process:finish()
  local gone = socket.gettime()
  server:launch()
  local ready = socket.gettime()
  cache = server:connect { timeout = 120 }
  local numbers = assert(cache:stats()).restart
  return { stop = gone - begin, ready = ready - gone, proven = tonumber(numbers.proven),
    ms = tonumber(numbers.restore_ms) }
end

local function restart_row(r)
  return { ("%.2f"):format(r.stop), ("%.2f"):format(r.ready), report.whole(r.proven),
    ("%.2f"):format(r.ms * 1000 / r.proven), ("%.2f %%"):format(100 * r.hits / options.keys) }
end

-- One run of hits; while it lasts one snapshot follows the other, if they are wanted. Its figures, and those of
-- the last snapshot.
local function measure(writes, ...)
  local finish = start_load(...)
  local count, last = 0, nil
  local over = socket.gettime() + 1 + options.seconds
  while writes and socket.gettime() < over do
    last = assert(cache:call "snapshot")
    count = count + 1
  end
  local figures = finish()
  figures.snapshots, figures.bytes = count, last and tonumber(last.bytes) or 0
  figures.ms = last and tonumber(last.ms) or 0
  return figures
end

local function hits_row(name, f)
  return { name, report.whole(f.rate), ("%.0f"):format(f.p50_us), ("%.0f"):format(f.p99_us),
    ("%.0f"):format(f.p999_us) }
end

local function ratio_row(beside, alone)
  local row = { "ratio" }
  for _, name in ipairs { "rate", "p50_us", "p99_us", "p999_us" } do
    row[#row + 1] = ("%.3f"):format(beside[name] / alone[name])
  end
  return row
end

-- The store alone, without a file.
local function record_row()
  local status, out = process.run({ "build/bench_restore", tostring(options.keys / 1e6) }, { timeout = 600 })
  assert(status == 0, out)
  local n = {}
  for name, number in out:match("same seed[^\n]*"):gmatch "([%w_]+)=([%d%.]+)" do n[name] = tonumber(number) end
  return { ("%.0f"):format(n.out_ns), ("%.0f"):format(n.in_ns), ("%.0f"):format(n.longest_us),
    report.whole(n.over_1ms) }
end

start_load "--fill"()
local rows = {}
for _ = 1, restarts do
  local r = stop_and_start()
  r.hits = count_hits()
  rows[#rows + 1] = restart_row(r)
end
local function compare(...)
  local alone, beside = {}, {}
  for round = 1, options.rounds do
    alone[round] = measure(false, ...)
    beside[round] = measure(true, ...)
  end
  return report.medians(alone), report.medians(beside)
end

local a, b = compare()
local paced_a, paced_b = compare("--rate", options.rate)
server:stop()

local text = ("## A restart\n\n%s entries of %s bytes: SIGTERM, and a start in the same folder. %s.\n\n"):format(
  report.whole(options.keys), report.whole(options.value), report.machine())
  .. report.table({ "seconds to the end", "to `ready`", "proven", "us an entry", "of all keys hits" }, rows)
  .. ("\nHits over 50 connections, %d in flight on each, alone and beside snapshots of %.0f MB, one after the other "
    .. "(%.0f ms each);\nmedian of %d runs of %g s, in turn.\n\n"):format(DEPTH, b.bytes / 1e6, b.ms, options.rounds,
    options.seconds)
  .. report.table({ "", "hits/s", "p50 us", "p99 us", "p99.9 us" },
    { hits_row("alone", a), hits_row("beside snapshots", b), ratio_row(b, a),
      hits_row("alone, paced", paced_a), hits_row("beside snapshots, paced", paced_b), ratio_row(paced_b, paced_a) })
  .. "\nEntries of 32 bytes as records, out of a store and into another, CPU time of one thread. The longest piece is "
  .. "the longest\nhold of a shard's lock.\n\n"
  .. report.table({ "ns out", "ns in", "longest piece us", "pieces above 1 ms" }, { record_row() })
io.write(text)
if options.save then report.save("restart", text) end
