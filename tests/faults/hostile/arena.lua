--- A server, one honest client, and one attack at a time: what the server holds for clients all the while, how long
--- the honest client's hits wait, and how long what the attacker held is still held once it has left.

local Server = require "spec.support.server"
local expect = require "spec.support.expect"
local process = require "spec.support.process"
local sizes = require "faults.hostile.sizes"
local wait = require "spec.support.wait"

-- Cheap hash (8 MiB, one pass) of "other".
local HASH = "$argon2id$v=19$m=8192,t=1,p=1$dMoaTKxrUTzGwdGXZgwEuw$LasVO8KoMTADkX1NpsRNndVnt/i1l1inqZQiq6N7UOM"

local SCRIPT = [[
return {
  load = function(key)
    local kind, size = key:match "^(%a+):(%d*)"
    if kind == "absent" then return nil end
    if kind == "slow" then rtcache.sleep(600) end
    return key .. ("v"):rep(tonumber(size) - #key)
  end,
  save = function() rtcache.sleep(600) end,
}]]

local HITS_AFTER = 30 -- once the attack is at its height
local EACH = 10       -- hits between two looks at stats

local M = {}

---@class faults.Outcome
---@field limit integer @client_memory
---@field held integer @the most that was held
---@field resident integer @bytes, the most that the process had
---@field waits number[] @of each hit, in seconds
---@field left number @seconds until nothing of the attacker was held
---@field shed integer

local function start(attack, size, certificates)
  local options = { drain_timeout = "100ms", loader_threads = 1 }
  for name, v in pairs(sizes[size].options) do options[name] = v end
  if attack.users then
    options.users = {
      { name = "app", password_hash = HASH, rights = { "read" } },
      { name = "ops", unix_user = "root", rights = { "read", "write", "admin" } },
    }
  end
  local loader = {
    pattern = "*:*", script = "any.lua", wait_timeout = "10min", load_timeout = "10min", write_timeout = "300ms",
    max_queue = sizes[size].queue or 1000000, max_loads = 1000,
  }
  local server = Server.prepare {
    options = options, loaders = { loader }, scripts = { ["any.lua"] = SCRIPT },
    tls = { certificate = certificates:path "server.pem", key = certificates:path "server.key" },
  }
  return server:launch()
end

local function attacker_of(server, attack, size, certificates)
  return process.spawn({
    "luajit", "tests/faults/hostile/attacker.lua", attack.name, size, tostring(server.port), tostring(server.tls_port),
    server.socket_path, certificates:path "ca.pem",
  }, { stdin = true, env = { LUA_PATH = "lua/?.lua;tests/?.lua;;" } })
end

---@param attack table @of attacks.lua
---@param size "default"|"small"
---@param certificates support.Certificates @with "server"
---@return faults.Outcome
function M.run(attack, size, certificates)
  local server = start(attack, size, certificates)
  local honest = server:connect()
  local out = { held = 0, resident = 0, waits = {}, left = 0 }
  local function memory()
    local m = expect.value(honest:stats()).client_memory
    out.limit, out.held = tonumber(m.limit), math.max(out.held, tonumber(m.held))
    out.resident = math.max(out.resident, process.resident(server.pid))
    return m
  end
  local function hits(count)
    for _ = 1, count do
      local from = wait.now()
      assert(expect.value(honest:get "hit") == "hit")
      out.waits[#out.waits + 1] = wait.now() - from
    end
    memory()
  end
  expect.value(honest:set("hit", "hit", { ttl_ms = 3600000 }))
  expect.value(honest:set("big", ("v"):rep(sizes[size].value), { ttl_ms = 3600000 }))
  local before = tonumber(memory().held)

  local attacker = attacker_of(server, attack, size, certificates)
  local over
  repeat
    hits(EACH)
    over = attacker:line(0)
  until over or attacker:wait(0)
  if over ~= "over" then error("the attacker said: " .. tostring(over)) end
  for _ = 1, HITS_AFTER / EACH do hits(EACH) end
  attacker:signal "KILL"
  attacker:wait(wait.PATIENCE)
  local from = wait.now()
  local last
  local gone, err = pcall(wait.until_true, "nothing of it is held", function()
    last = memory()
    return tonumber(last.held) <= before
  end)
  if not gone then
    for kind, n in pairs(last) do err = ("%s\n%s %d"):format(err, kind, tonumber(n)) end
    error(err)
  end
  out.left = wait.now() - from
  attacker:finish()
  out.shed = tonumber(expect.value(honest:stats()).counters.connections_shed)
  server:stop()
  table.sort(out.waits)
  return out
end

return M
