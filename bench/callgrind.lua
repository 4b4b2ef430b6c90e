-- ./dev bench callgrind [--requests 20000] [--save]: instructions of the server per hit. Two runs, of N
-- and of 2N requests: their difference is N hits without start, filling and end.

local Server = require "spec.support.server"
local client = require "rtcache.client"
local files = require "spec.support.files"
local peers = require "peers"
local profile = require "profile"
local report = require "report"

local KEYS = 1000
local DEPTHS = { 1, 16 }
local TAGS = { 1, 2, 4 } -- of each entry, with the last depth
local options = report.options(arg, { requests = 20000 })

-- The keys that the load generator reads, each with so many tags.
local function fill(server, tags)
  local cache = assert(client.connect { port = server.port, timeout = 60 })
  local list = {}
  for i = 1, tags do list[i] = "tag:" .. i end
  for i = 0, KEYS - 1 do
    assert(cache:set(("bench:%07d"):format(i), ("v"):rep(100), tags > 0 and { tags = list } or nil))
  end
  cache:close()
end

local function count(depth, requests, tags)
  local out = os.tmpname()
  local server = peers.start_rtcached({}, function(command)
    local full = { "valgrind", "--tool=callgrind", "--quiet", "--callgrind-out-file=" .. out }
    for _, word in ipairs(command) do full[#full + 1] = word end
    return full
  end)
  fill(server, tags)
  peers.load("rtcache", "127.0.0.1:" .. server.port, server.pid, {
    "--connections", 1, "--depth", depth, "--keys", KEYS, "--requests", requests,
  })

  server:stop()
  local by_function, total = profile.read(out)
  os.remove(out)
  return by_function, total
end

local function per_hit(depth, tags)
  local once, total_once = count(depth, options.requests, tags)
  local twice, total_twice = count(depth, 2 * options.requests, tags)
  return (total_twice - total_once) / options.requests, once, twice
end

local function measure()
  local rows, where, plain = {}, nil, nil
  for _, depth in ipairs(DEPTHS) do
    local n, once, twice = per_hit(depth, 0)
    rows[#rows + 1] = { tostring(depth), "0", ("%.0f"):format(n), "" }
    where, plain = profile.costliest(once, twice, options.requests, "hit"), n
  end
  for _, tags in ipairs(TAGS) do
    local n = per_hit(DEPTHS[#DEPTHS], tags)
    rows[#rows + 1] = { tostring(DEPTHS[#DEPTHS]), tostring(tags), ("%.0f"):format(n), ("%.3f"):format(n / plain) }
  end
  return ("## Instructions per hit\n\nOf the whole server, in user space, one connection: the difference of runs of "
    .. "%s and %s hits\nunder callgrind.\n\n"):format(report.whole(2 * options.requests),
    report.whole(options.requests))
    .. report.table({ "in flight", "tags of an entry", "instructions per hit", "against none" }, rows)
    .. ("\nWith %d in flight, by function:\n\n"):format(DEPTHS[#DEPTHS]) .. where
end

if not files.read(Server.binary) then error("no " .. Server.binary, 0) end
local text = measure()
io.write(text)
if options.save then report.save("callgrind", text) end
