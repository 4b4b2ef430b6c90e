--- The server without clients: what it held for them has come back.

local account = require "chaos.account"
local loop = require "chaos.loop"
local msgpack = require "rtcache.msgpack"
local process = require "spec.support.process"

local M = {}

local MEBIBYTE = 1048576

-- What is not as it is without clients; empty where all is.
local function held(stats, loaders)
  local c, list = stats.counters, {}
  local function must(name, value, expected)
    if value ~= expected then list[#list + 1] = ("%s %s"):format(name, tostring(value)) end
  end
  must("connections", stats.server.connections, 1)
  must("loading", stats.flights.loading, 0)
  must("subscriptions", c.subscribed - c.unsubscribed, 0)
  must("handshakes", c.tls_started - c.tls_handshakes - c.tls_failed, 0)
  for _, l in ipairs(loaders) do
    must("in_flight of " .. l.pattern, l.in_flight, 0)
    must("queued of " .. l.pattern, l.queued, 0)
  end
  for name, b in pairs(stats.backends) do
    must("queued of " .. name, b.queued or 0, 0)
  end
  return list
end

-- Whose connections are still open, as the system knows them.
local function connections(world)
  local ports = {}
  for name, port in pairs(world.ports) do ports[#ports + 1] = ("%s %d"):format(name, port) end
  local _, text = process.run { "sh", "-c", "ss -tnp | grep -E ':(2|30)[0-9]{3,4} '; ss -xnp | grep rtcache.sock" }
  return ("ports: %s\n%s"):format(table.concat(ports, ", "), text)
end

local function empty_again(world, ask)
  local list
  local function look()
    -- one that has just been closed may still be counted
    loop.sleep(0.3)
    local stats, loaders = ask(world, "stats", "loaders")
    if type(stats) ~= "table" or type(loaders) ~= "table" or stats == msgpack.null then return false end
    list = held(stats, loaders)
    return #list == 0
  end
  if not loop.await(look, world.patience) then
    account.finding("without clients the server still holds: %s\n%s", list and table.concat(list, ", ") or "no stats",
      connections(world))
  end
end

---@param ask fun(world: table, ...: string): any, any
function M.check(world, ask)
  world.quiet = true
  if not loop.await(function() return world.sessions == 0 end, 4) then
    for session in pairs(world.open) do
      session.may_end = true
      if session.peer then session.peer:close() end
    end
    if not loop.await(function() return world.sessions == 0 end, world.patience) then
      account.finding("sessions do not end: a fault of this program")
    end
  end
  empty_again(world, ask)
  local resident = process.resident(world.server.pid) / MEBIBYTE
  world.most_resident = math.max(world.most_resident, resident)
  account.note("quiet: %d MiB resident", resident)
  if resident > world.memory_bound then
    account.finding("without clients the server has %d MiB resident; the bound is %d", resident, world.memory_bound)
  end
  world.quiet = false
end

return M
