-- ./dev bench memory [--millions 1] [--save]: what an entry costs beside its key and its value, by the
-- resident memory of rtcache, redis and memcached, each filled with the same entries.

local peers = require "peers"
local process = require "spec.support.process"
local report = require "report"

local KEY_BYTES = #"bench:0000000"
local VALUES = { 32, 100 }
local WARM = 1000 -- entries that are there at the first look: connections and buffers are made by then
local options = report.options(arg, { millions = 1 })
local entries = options.millions * 1000000

local STARTS = {
  function() return peers.rtcache { memory = "8gb" } end,
  function() return peers.redis() end,
  function() return peers.memcached { megabytes = 8 * 1024 } end,
}

local function fill(server, keys, value)
  peers.load(server.name, server.address, server.pid, {
    "--connections", 4, "--depth", 16, "--keys", keys, "--value", value, "--fill", "--requests", keys,
  })
  return process.resident(server.pid)
end

local function cost(start, value)
  local server = start()
  local before = fill(server, WARM, value)
  local after = fill(server, entries, value)
  server:stop()
  return server, (after - before) / (entries - WARM) - KEY_BYTES - value
end

io.stdout:setvbuf "no"
local rows, lines = {}, {}
for i, start in ipairs(STARTS) do
  local row, server = {}, nil
  for _, value in ipairs(VALUES) do
    local bytes
    server, bytes = cost(start, value)
    row[#row + 1] = ("%.1f"):format(bytes)
    io.stderr:write(("%s %d: %.1f\n"):format(server.name, value, bytes))
  end
  rows[i] = { server.name, unpack(row) }
  lines[i] = ("- %s %s: %s"):format(server.name, server.version, server.settings)
end

local text = ("## Memory of an entry, with %g million\n\nBytes of resident memory for an entry beside its key of "
  .. "%d bytes and its value, all included: headers, table,\nloss of the allocator; growth from %s entries to %s. "
  .. "Each entry is read once after it was stored.\n%s.\n\n"):format(options.millions, KEY_BYTES,
  report.whole(WARM), report.whole(entries), report.machine())
  .. table.concat(lines, "\n") .. "\n\n"
  .. report.table({ "", "values of 32 bytes", "values of 100 bytes" }, rows)
io.write(text)
if options.save then report.save("memory" .. options.millions, text) end
