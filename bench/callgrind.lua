-- ./dev bench callgrind [--requests 20000] [--save]: instructions of the server per hit, per key of a
-- get_many and per set. Two runs, of N and of 2N requests: their difference is N of them without start,
-- filling and end.

local Server = require "spec.support.server"
local client = require "rtcache.client"
local files = require "spec.support.files"
local peers = require "peers"
local profile = require "profile"
local report = require "report"

local KEYS = 1000
local DEPTHS = { 1, 16 }
local TAGS = { 1, 2, 4 } -- of each entry, with the last depth
local MANY = 100
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

local function count(depth, requests, tags, more)
  local out = os.tmpname()
  local server = peers.start_rtcached({}, function(command)
    local full = { "valgrind", "--tool=callgrind", "--quiet", "--callgrind-out-file=" .. out }
    for _, word in ipairs(command) do full[#full + 1] = word end
    return full
  end)
  fill(server, tags)
  peers.load("rtcache", "127.0.0.1:" .. server.port, server.pid, {
    "--connections", 1, "--depth", depth, "--keys", KEYS, "--requests", requests, unpack(more or {}),
  })
  server:stop()
  local by_function, total = profile.read(out)
  os.remove(out)
  return by_function, total
end

local function per_request(depth, requests, tags, more)
  local once, total_once = count(depth, requests, tags, more)
  local twice, total_twice = count(depth, 2 * requests, tags, more)
  return (total_twice - total_once) / requests, once, twice
end

local function measure()
  local rows, where, plain = {}, nil, nil
  local function row(name, depth, tags, n, base)
    rows[#rows + 1] = { name, tostring(depth), tostring(tags), ("%.0f"):format(n),
      base and ("%.3f"):format(n / base) or "" }
  end
  for _, depth in ipairs(DEPTHS) do
    local n, once, twice = per_request(depth, options.requests, 0)
    row("get", depth, 0, n)
    where, plain = profile.costliest(once, twice, options.requests, "hit"), n
  end
  for _, tags in ipairs(TAGS) do
    row("get", DEPTHS[#DEPTHS], tags, per_request(DEPTHS[#DEPTHS], options.requests, tags), plain)
  end
  local batches = math.ceil(options.requests / MANY)
  for _, depth in ipairs(DEPTHS) do
    local n = per_request(depth, batches, 0, { "--many", MANY })
    row(("get_many of %d, a key"):format(MANY), depth, 0, n / MANY, plain)
  end
  row("set", DEPTHS[#DEPTHS], 0, per_request(DEPTHS[#DEPTHS], options.requests, 0, { "--sets", 100 }), plain)
  return ("## Instructions per hit\n\nOf the whole server, in user space, one connection: the difference of runs of "
    .. "%s and %s requests\n(keys, of get_many) under callgrind.\n\n"):format(report.whole(2 * options.requests),
    report.whole(options.requests))
    .. report.table({ "", "in flight", "tags of an entry", "instructions", "to a get without tags" }, rows)
    .. ("\nOf a get, with %d in flight, by function:\n\n"):format(DEPTHS[#DEPTHS]) .. where
end

if not files.read(Server.binary) then error("no " .. Server.binary, 0) end
local text = measure()
io.write(text)
if options.save then report.save("callgrind", text) end
