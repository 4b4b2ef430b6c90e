-- ./dev bench invalidate [--entries 1000000] [--rounds 200] [--save]: how long an invalidation takes
-- with few entries under it and with many. Round trips of one client, so that a ping is the least.

local client = require "rtcache.client"
local peers = require "peers"
local report = require "report"
local socket = require "socket"
local wait = require "spec.support.wait"

local FEW = 10
local PIPELINE = 500
local options = report.options(arg, { entries = 1000000, rounds = 200 })

-- count entries "prefix1" .. with one tag.
local function fill(cache, prefix, count, tag)
  local value, set = ("v"):rep(100), { tags = { tag }, ttl_ms = 3600000 }
  for first = 1, count, PIPELINE do
    local ids = {}
    for i = first, math.min(first + PIPELINE - 1, count) do
      ids[#ids + 1] = cache:send("set", prefix .. i, value, set)
    end
    for _, id in ipairs(ids) do assert(cache:receive(id)) end
  end
end

-- The median and the largest of some calls, in microseconds.
local function time(rounds, call)
  local list = {}
  for i = 1, rounds do
    local start = socket.gettime()
    assert(call())
    list[i] = (socket.gettime() - start) * 1e6
  end
  return report.median(list), math.max(unpack(list))
end

local function measure()
  local server = peers.start_rtcached { options = { memory = "1gb" } }
  local cache = assert(client.connect { port = server.port, timeout = 60 })
  fill(cache, "few:", FEW, "few")
  fill(cache, "many:", options.entries, "many")
  local entries = cache:stats().store.entries
  assert(entries == FEW + options.entries, "only " .. tostring(entries) .. " entries are there")
  local rows = {}
  local function row(name, rounds, call)
    local median, most = time(rounds, call)
    rows[#rows + 1] = { name, ("%.1f"):format(median), ("%.1f"):format(most) }
  end
  row("ping", options.rounds, function() return cache:ping() end)
  -- Each of these finds its entries as they were: they are soft, or in force already.
  row("expire_tag, " .. FEW .. " entries", options.rounds, function() return cache:expire_tag "few" end)
  row("expire_tag, " .. report.whole(options.entries) .. " entries", options.rounds,
    function() return cache:expire_tag "many" end)
  row("invalidate_tag, " .. FEW .. " entries", 1, function() return cache:invalidate_tag "few" end)
  row("invalidate_tag, " .. report.whole(options.entries) .. " entries", 1,
    function() return cache:invalidate_tag "many" end)
  assert(cache:peek "few:1" == nil and cache:peek("many:" .. options.entries) == nil)
  fill(cache, "many:", options.entries, "many")
  row("invalidate_match, " .. report.whole(options.entries) .. " entries", 1,
    function() return cache:invalidate_match "many:*" end)
  local start = socket.gettime()
  assert(cache:peek("many:" .. options.entries) == nil)
  wait.until_true("the entries are gone", function() return cache:stats().store.entries == 0 end)
  local gone = socket.gettime() - start
  server:stop()
  return ("## Invalidation\n\nRound trips of one client, %d of each kind but for the last three, in "
    .. "microseconds. %s.\n\n"):format(options.rounds, report.machine())
    .. report.table({ "", "median us", "most us" }, rows)
    .. ("\nA pattern is in force for readers with its answer; the scan behind it gave the memory of the "
      .. "%s entries back within %.2f s.\n"):format(report.whole(options.entries), gone)
end

local text = measure()
io.write(text)
if options.save then report.save("invalidate", text) end
