--- Keeps many sessions going at once.

local account = require "chaos.account"
local loop = require "chaos.loop"
local requests = require "chaos.requests"
local sessions = require "chaos.session"
local socket = require "socket"
local tls = require "chaos.tls"

local M = {}

-- Behind a proxy that spoils bytes nobody may be who can make checked values untrue.
local WHO = {
  plain = { { "app", 70 }, { "junk", 20 }, { "reader", 10 } },
  implausible = { { "junk", 50 }, { "reader", 25 } },
  garbage = { { "junk", 60 }, { "reader", 25 } },
  login = { { "junk", 1 } },
}

local function make(world, number, kind)
  local r = world.random.new(world.seed, number)
  kind = kind or r:weighted(sessions.KINDS)
  local place = r:pick(world.places)
  local who = place.spoiled and "junk" or r:weighted(WHO[kind] or WHO.plain)
  return { number = number, r = r, kind = kind, who = who, place = place, clean = not place.spoiled, world = world,
    disturbed = world.disturbed }
end

local function start(world, kind)
  world.number = world.number + 1
  local s = make(world, world.number, kind)
  account.note("session %d: %s of %s over %s", s.number, s.kind, s.who, s.place.name)
  account.count("sessions." .. s.kind)
  world.sessions, world.open[s] = world.sessions + 1, true
  loop.spawn(function()
    sessions[s.kind](s)
    if s.peer then s.peer:close() end
    world.sessions, world.open[s] = world.sessions - 1, nil
  end)
end

--- Many come in one moment, and most of them leave at once.
local function rush(world)
  account.count "sessions.rushes"
  for _ = 1, world.r:int(100) do
    if world.sessions > 180 then break end
    start(world, world.r:pick { "visit", "visit", "handshake", "garbage" })
  end
end

function M.run(world)
  local r = world.random.new(world.seed, 1000000007)
  local goal, until_then = world.most, 0
  while not world.over do
    if socket.gettime() > until_then then
      goal, until_then = r:int(world.most), socket.gettime() + 1 + 3 * r:share()
      if r:chance(0.1) and not world.quiet then rush(world) end
    end
    if world.quiet or world.sessions >= goal then
      loop.sleep(0.02)
    else
      start(world)
      loop.sleep(world.restarting and 0.05 or 0)
    end
  end
end

--- What a client of TLS says first.
function M.client_hello()
  local listener = assert(socket.bind("127.0.0.1", 0))
  local _, port = listener:getsockname()
  local tcp = assert(socket.connect("127.0.0.1", port))
  tcp:settimeout(0)
  local sock = tls(tcp)
  sock:dohandshake()
  local peer = assert(listener:accept())
  peer:settimeout(0.2)
  local _, _, hello = peer:receive(65536)
  for _, s in ipairs { sock, peer, listener } do s:close() end
  return assert(hello)
end

local SPOILED = { "flip", "edge", "drop", "repeated", "insert", "truncate", "close", "delay", "split" }

--- The names of counts of which each must have happened.
function M.expected(world)
  local names = {}
  local function add(list, prefix)
    for _, name in ipairs(list) do names[#names + 1] = prefix .. name end
  end
  for _, item in ipairs(sessions.KINDS) do names[#names + 1] = "sessions." .. item[1] end
  for _, item in ipairs(requests.MIX) do names[#names + 1] = "requests." .. item[1] end
  for _, place in ipairs(world.places) do names[#names + 1] = "connections." .. place.name end
  add({ "implausible", "garbage", "pieces", "greedy", "auth", "auth_wrong" }, "requests.")
  add({ "broken_handshake" }, "connections.")
  add({ "all", "notices", "behind_proxy" }, "answers.")
  add({ "close", "abrupt", "half_closed", "unread", "visit", "by_server" }, "ends.")
  add({ "pings", "reload_good", "reload_broken", "reload_storm", "hangups", "reloads_taken", "reloads_refused",
    "rotations", "changed_rows", "changed_schema", "ended_sessions", "stopped", "killed", "quiet" }, "operator.")
  add(SPOILED, "spoiled.")
  for _, proxy in ipairs { "postgres", "tcp", "tls" } do add({ proxy .. "_up", proxy .. "_down" }, "spoiled.") end
  return names
end

return M
