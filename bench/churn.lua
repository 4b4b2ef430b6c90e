-- ./dev bench churn [MINUTES] [--megabytes 256] [--save]: resident memory against the limit, while
-- values of random sizes that grow all the time replace each other.

local client = require "rtcache.client"
local socket = require "socket"

local peers = require "peers"
local process = require "spec.support.process"
local report = require "report"

local KEYS, BATCH = 2000000, 500
local FIRST, LAST = 100, 8000 -- the largest value, in bytes, at the beginning and at the end
local ROWS = 15
local SEED = 1

local minutes = tonumber(arg[1]) and tonumber(table.remove(arg, 1)) or 30
local options = report.options(arg, { megabytes = 256 })
local limit = options.megabytes * 1048576

local server = peers.rtcache { memory = options.megabytes .. "mb" }
local cache = assert(client.connect { port = tonumber(server.address:match ":(%d+)$"), timeout = 60 })
local empty = process.resident(server.pid)
local text = ("v"):rep(LAST)
math.randomseed(SEED)

-- A tenth of them live for a second or so, and leave holes wherever they were.
local function put_batch(largest)
  local ids = {}
  for i = 1, BATCH do
    ids[i] = cache:send("set", "churn:" .. math.random(KEYS), text:sub(1, math.random(largest)),
      { ttl_ms = math.random(10) == 1 and 1000 or 3600000 })
  end
  for i = 1, BATCH do assert(cache:receive(ids[i])) end
end

local function megabytes(n) return ("%.1f"):format(n / 1048576) end

local function row(largest, peak)
  local store = assert(cache:stats()).store
  local resident = process.resident(server.pid)
  return {
    report.whole(largest), report.whole(store.entries), report.whole(store.evictions),
    megabytes(store.holes), megabytes(resident), megabytes(peak), ("%.1f %%"):format(100 * peak / limit),
  }
end

local rows, peak, highest, puts = {}, 0, 0, 0
local start, lasts = socket.gettime(), minutes * 60
repeat
  local part = math.min((socket.gettime() - start) / lasts, 1)
  local largest = math.floor(FIRST * (LAST / FIRST) ^ part)
  put_batch(largest)
  puts = puts + BATCH
  if puts % (4 * BATCH) == 0 then peak = math.max(peak, process.resident(server.pid)) end
  if part * ROWS >= #rows + 1 then
    rows[#rows + 1] = row(largest, peak)
    highest, peak = math.max(highest, peak), 0
  end
until part == 1
cache:close()
server:stop()

local out = ("## Resident memory under churn\n\n%g minutes of puts (%s) of %s keys, values of random sizes up to a "
  .. "largest one that grows from %d to %s\nbytes, a tenth of them with a ttl of a second; memory %d MiB, the "
  .. "process without entries %s MiB. The peak is that of the\nwhole process since the row before; the highest was "
  .. "%.1f %% of the limit. %s.\n\n"):format(minutes, report.whole(puts), report.whole(KEYS), FIRST,
  report.whole(LAST), options.megabytes, megabytes(empty), 100 * highest / limit, report.machine())
  .. report.table({ "largest value", "entries", "evictions", "holes MiB", "resident MiB", "peak MiB", "peak : limit" },
    rows)
io.write(out)
if options.save then report.save("churn", out) end
