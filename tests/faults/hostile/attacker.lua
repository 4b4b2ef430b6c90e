--- One attack, in a process of its own: luajit attacker.lua NAME SIZE PORT TLS_PORT SOCKET CA
--- It says "over" when it has done all it could, and holds its connections until its input ends. Then it leaves.

local attacks = require "faults.hostile.attacks"
local client = require "rtcache.client"
local sizes = require "faults.hostile.sizes"
local socket = require "socket"

local STALLED = 0.2 -- seconds without a byte that anybody takes: the server does not read any more

---@class faults.Attacker
local Attacker = {}
Attacker.__index = Attacker

--- A connection that nobody reads from unless `ask` does. nil: the server turned it away.
---@param how? "tls"|"unix"
function Attacker:connect(how)
  local o = { timeout = 5, port = self.port }
  if how == "tls" then o.port, o.tls = self.tls_port, { ca = self.ca } end
  if how == "unix" then o = { timeout = 5, path = self.path } end
  local c = client.connect(o)
  if c then self.conns[#self.conns + 1] = c end
  return c
end

--- So many connections, as far as there are any.
function Attacker:crowd(count, how)
  local list = {}
  for _ = 1, count do list[#list + 1] = self:connect(how) end
  return list
end

--- A request and its answer, or the error.
function Attacker.ask(_, c, method, ...) return c and c[method](c, ...) end

function Attacker:request(method, ...)
  self.id = self.id + 1
  return client.encode_request(self.id, method, ...)
end

--- These bytes go out on c, by and by, as far as the server takes them.
function Attacker:push(c, bytes)
  if not c then return end
  local p = self.pending[c] or { first = 1, at = 0 }
  p[#p + 1] = bytes
  self.pending[c] = p
end

local function send_some(c, p)
  c.sock:settimeout(0)
  if p.at == 0 and #p - p.first > 1 then p = { first = 1, at = 0, table.concat(p, "", p.first) } end
  local before, last, err, partial = p.at, c.sock:send(p[p.first], p.at + 1)
  p.at = last or partial or p.at
  local went = p.at > before
  if p.at == #p[p.first] then p.first, p.at = p.first + 1, 0 end
  return went, err == "closed" or p.first > #p, p
end

--- Sends what was pushed, until all of it is out or nobody takes any more.
function Attacker:flood()
  local moved = socket.gettime()
  while next(self.pending) and socket.gettime() - moved < STALLED do
    local any = false
    for c, p in pairs(self.pending) do
      local went, ended, rest = send_some(c, p)
      any = any or went
      self.pending[c] = not ended and rest or nil
    end
    if any then moved = socket.gettime() else socket.sleep(0.002) end
  end
  self.pending = {}
end

--- One of them leaves now.
function Attacker:leave(c)
  if not c then return end
  self.pending[c] = nil
  c.sock:close()
end

local function main(name, size, port, tls_port, path, ca)
  local self = setmetatable({
    size = sizes[size], port = tonumber(port), tls_port = tonumber(tls_port), path = path, ca = ca,
    conns = {}, pending = {}, id = 0,
  }, Attacker)
  attacks.by_name[name].run(self, self.size)
  self:flood()
  io.write "over\n"
  io.flush()
  io.read "*a"
  os.exit(0, false)
end

main(unpack(arg))
