-- ./dev bench hit [--rounds 3] [--seconds 3] [--save]: what a hit costs, beside its peers.

local peers = require "peers"
local report = require "report"

local DEPTHS = { 1, 16, 64 }
local CONNECTIONS, VALUE, KEYS = 50, 100, 10000

local options = report.options(arg, { rounds = 3, seconds = 3 })

-- Rounds go over all servers in turn, so that a machine that slows down does so for all.
local function measure(servers, depth)
  local runs = {}
  for _ = 1, options.rounds do
    for _, server in ipairs(servers) do
      local list = runs[server.name] or {}
      runs[server.name] = list
      list[#list + 1] = peers.load(server.name, server.address, server.pid, {
        "--connections", CONNECTIONS, "--depth", depth, "--value", VALUE, "--keys", KEYS,
        "--seconds", options.seconds, "--fill",
      })
    end
  end
  local figures = {}
  for name, list in pairs(runs) do figures[name] = report.medians(list) end
  return figures
end

local function depth_table(servers, figures)
  local ours = figures.rtcache
  local rows = {}
  for _, server in ipairs(servers) do
    local f = figures[server.name]
    rows[#rows + 1] = {
      server.name, report.whole(f.rate), ("%.0f"):format(f.p50_us), ("%.0f"):format(f.p99_us),
      ("%.0f"):format(f.p999_us), ("%.3f"):format(f.server_cpu_us),
      ("%.2f"):format(ours.server_cpu_us / f.server_cpu_us), ("%.2f"):format(ours.rate / f.rate),
    }
  end
  return report.table({
    "", "hits/s", "p50 us", "p99 us", "p99.9 us", "server CPU us/hit", "rtcache CPU : its",
    "rtcache hits/s : its",
  }, rows)
end

local function head(servers)
  local lines = {
    "## Hits\n",
    ("%d connections, values of %d bytes, %d keys, TCP on loopback, one load generator for all; the "
      .. "generator on one core,\nthe server on another; median of %d rounds of %g s, the servers in "
      .. "turn. %s.\n"):format(CONNECTIONS, VALUE, KEYS, options.rounds, options.seconds,
      report.machine()),
  }
  for _, s in ipairs(servers) do
    lines[#lines + 1] = ("- %s %s: %s"):format(s.name, s.version, s.settings)
  end
  return table.concat(lines, "\n") .. "\n"
end

local servers = {}
local ok, err = pcall(function()
  for _, name in ipairs { "rtcache", "redis", "memcached", "tarantool" } do
    servers[#servers + 1] = peers[name]()
  end
  local text = { head(servers) }
  for _, depth in ipairs(DEPTHS) do
    local one = ("%d in flight per connection:\n\n%s"):format(depth,
      depth_table(servers, measure(servers, depth)))
    io.write(depth == DEPTHS[1] and text[1] .. "\n" or "\n", one)
    io.flush()
    text[#text + 1] = one
  end
  if options.save then report.save("hit", table.concat(text, "\n")) end
end)
for _, server in ipairs(servers) do server:stop() end
if not ok then
  io.stderr:write("bench: ", tostring(err), "\n")
  os.exit(1)
end
