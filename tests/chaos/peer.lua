--- A connection of a client that is never waited for: within a coroutine of loop.lua.
---
---   local peer, err = Peer.connect { port = 7411 } | { path = "..." } | { port = ..., tls = true }
---   peer:send(bytes); peer:message(5); peer:close()

local bytes = require "chaos.bytes"
local loop = require "chaos.loop"
local msgpack = require "rtcache.msgpack"
local socket = require "socket"
local tls = require "chaos.tls"
local unix = require "socket.unix"

---@class chaos.Peer
local Peer = {}
Peer.__index = Peer

local LINGER_NOT = { on = true, timeout = 0 }

-- Repeats what answers "wantread" or "wantwrite" until it is done.
local function until_done(sock, seconds, act)
  local deadline = socket.gettime() + seconds
  while true do
    local ok, err = act()
    if ok then return true end
    if socket.gettime() > deadline then return nil, "timeout" end
    if err == "wantread" then
      loop.readable(sock, 1)
    elseif err == "wantwrite" or err == "timeout" then
      loop.writable(sock, 1)
    else
      return nil, err
    end
  end
end

local function handshake(tcp, seconds)
  local sock = tls(tcp)
  local ok, err = until_done(sock, seconds, function() return sock:dohandshake() end)
  if ok then return sock end
  sock:close()
  return nil, err
end

---@param where {port: integer?, path: string?, tls: boolean?}
---@return chaos.Peer|nil
---@return string|nil error
function Peer.connect(where)
  local sock = where.path and unix() or socket.tcp()
  -- on this machine a connection is made at once, or refused
  sock:settimeout(5)
  local ok, err
  if where.path then
    ok, err = sock:connect(where.path)
  else
    ok, err = sock:connect("127.0.0.1", where.port)
  end
  if not ok then
    sock:close()
    return nil, err
  end
  sock:settimeout(0)
  if where.tls then
    sock, err = handshake(sock, 30)
    if not sock then return nil, err end
  end
  return setmetatable({ sock = sock, tls = where.tls, input = "", next_id = 1, waits = {}, open = 0, enough = 0 }, Peer)
end

--- All of it, or as much as goes within the time.
---@return boolean|nil ok
---@return string|nil error
function Peer:send(data, seconds)
  local at, deadline = 1, socket.gettime() + (seconds or 30)
  while at <= #data do
    local last, err, partial = self.sock:send(data, at)
    at = (last or partial or at - 1) + 1
    if not last then
      if err ~= "timeout" and err ~= "wantwrite" and err ~= "wantread" then return nil, err end
      if socket.gettime() > deadline then return nil, "timeout" end
      if err == "wantread" then loop.readable(self.sock, 1) else loop.writable(self.sock, 1) end
    end
  end
  return true
end

--- Sends a request; its answer is waited for under the id.
---@param check? fun(result: any): boolean
function Peer:request(method, params, check)
  local id = self.next_id
  self.next_id = id + 1
  self.waits[id] = { method = method, check = check, params = params }
  self.open = self.open + 1
  return bytes.request(id, method, params)
end

-- More bytes; false at the end, nil: not in time.
local function read_some(self, seconds)
  local data, err, partial = self.sock:receive(65536)
  data = data or partial
  if data and #data > 0 then
    self.input = self.input .. data
    return true
  end
  if err ~= "timeout" and err ~= "wantread" and err ~= "wantwrite" then
    self.ended = err
    return false
  end
  if seconds <= 0 then return nil end
  loop.readable(self.sock, math.min(seconds, 1))
  return nil
end

-- The message that the input begins with, if it is whole.
local function decode(self)
  if #self.input == 0 or (#self.input < self.enough and not self.ended) then return nil end
  local ok, message, after = pcall(msgpack.decode, self.input, 1)
  if not ok then return nil, "malformed: " .. tostring(message) end
  if after then
    self.input, self.enough = self.input:sub(after), 1
    return message
  end
  -- read again from the beginning only where there is much more, or nothing else to do
  self.enough = #self.input + (#self.input < 4096 and 1 or 60000)
  return nil
end

--- The next message; nil and "closed", "timeout" or what is wrong with it.
function Peer:message(seconds)
  local deadline = socket.gettime() + seconds
  while true do
    local message, err = decode(self)
    if message ~= nil or err then return message, err end
    if self.ended then return nil, "closed" end
    local left = deadline - socket.gettime()
    if read_some(self, left) == nil then
      self.enough = math.min(self.enough, #self.input)
      if left <= 0 then return nil, "timeout" end
    end
  end
end

--- Reads for so long, and leaves what came for `message`.
function Peer:take(seconds)
  local deadline = socket.gettime() + seconds
  repeat
    local more = read_some(self, deadline - socket.gettime())
  until more == false or socket.gettime() > deadline
end

--- Closes the sending half; over TLS that is its notice of the end.
function Peer:half_close()
  if self.tls then return self.sock:half_close() end
  return self.sock:shutdown "send" ~= nil
end

function Peer:close(abruptly)
  if abruptly then self.sock:setoption("linger", LINGER_NOT) end
  self.sock:close()
end

return Peer
