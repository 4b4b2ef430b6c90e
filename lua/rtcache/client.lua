--- A client of rtcache: blocking calls, and pipelining under them.
--
--   local client = require "rtcache.client"
--   local cache = assert(client.connect { host = "127.0.0.1", port = 7411 })
--   local user, err = cache:get("user:42", { timeout_ms = 200 })
--   if err then print(err.code, err.message, err.retry_after_ms) end
--
-- Expected failures are `nil, err`; a nil without err is an answer: the source has no such thing.
-- A connection is for one coroutine at a time. LuaJIT; needs luasocket.

local socket = require "socket"
local msgpack = require "rtcache.msgpack"

local M = { null = msgpack.null }

---@class rtcache.Error
---@field code string @the server's code, or IO, TIMEOUT, CLOSED, PROTOCOL of this side
---@field message string
---@field retry_after_ms? integer
local Error = { __tostring = function(e) return e.code .. " " .. e.message end }

local function fail(code, message) return nil, setmetatable({ code = code, message = message }, Error) end

---@param e string|table @an error as it stands in an answer
---@return rtcache.Error
local function decode_error(e)
  if type(e) ~= "table" then
    local text = tostring(e)
    local code, message = text:match "^(%u[%u%d_]*) (.*)$"
    e = { code = code or "UNKNOWN", message = message or text }
    e.retry_after_ms = tonumber((text:match "%(retry after (%d+) ms%)$"))
  end
  return setmetatable(e, Error)
end

---@class rtcache.Client
---@field timeout number @seconds for every answer
local Client = {}
Client.__index = Client

---@class rtcache.ConnectOptions
---@field host? string @127.0.0.1 by default
---@field port? integer @7411 by default
---@field path? string @of a Unix socket, instead of host and port
---@field tls? rtcache.TlsOptions @over TLS; needs LuaSec
---@field timeout? number @10 by default
---@field keep_bin? boolean @bin values come as rtcache.msgpack.bin(...) instead of strings
---@field first_id? integer @the first msgid, 1 by default
---@field user? string @who to be: `auth` is called with it
---@field password? string

local function open(options, timeout)
  if not options.path then
    local tcp = socket.tcp()
    tcp:settimeout(timeout)
    local ok, err = tcp:connect(options.host or "127.0.0.1", options.port or 7411)
    if not ok then
      tcp:close()
      return nil, err
    end
    tcp:setoption("tcp-nodelay", true)
    if not options.tls then return tcp end
    return require "rtcache.tls"(tcp, options.host or "127.0.0.1", options.tls, timeout)
  end
  local unix = require "socket.unix"()
  unix:settimeout(timeout)
  local ok, err = unix:connect(options.path)
  if not ok then
    unix:close()
    return nil, err
  end
  return unix
end

---@param options rtcache.ConnectOptions
---@return rtcache.Client|nil
---@return rtcache.Error|nil
function M.connect(options)
  local timeout = options.timeout or 10
  local sock, err = open(options, timeout)
  if not sock then return fail("IO", "cannot connect: " .. tostring(err)) end
  local self = setmetatable({
    sock = sock,
    timeout = timeout,
    keep_bin = options.keep_bin,
    next_id = options.first_id or 1,
    input = "",
    answers = {}, notices = {}, -- by id: those that came while another was waited for
  }, Client)
  if not options.user then return self end
  local ok, refused = self:auth(options.user, options.password or "")
  if ok then return self end
  sock:close()
  return nil, refused
end

--- Writes bytes as they are: for tests of the server's patience.
---@param bytes string
---@return true|nil
---@return rtcache.Error|nil
function Client:write(bytes)
  local at = 0
  self.sock:settimeout(self.timeout)
  while at < #bytes do
    local last, err = self.sock:send(bytes, at + 1)
    if not last then return fail(err == "closed" and "CLOSED" or "IO", "cannot send: " .. err) end
    at = last
  end
  return true
end

-- One more run of bytes, within `timeout` seconds.
local function read_some(self, timeout)
  self.sock:settimeout(math.max(timeout, 0))
  local first, err = self.sock:receive(1)
  if not first then
    if err == "timeout" or err == "wantread" then return fail("TIMEOUT", "no answer came in time") end
    return fail("CLOSED", "the connection ended: " .. err)
  end
  self.sock:settimeout(0)
  local rest, _, partial = self.sock:receive(65536)
  self.input = self.input .. first .. (rest or partial or "")
  return true
end

--- The next message of the server, whatever it is.
---@param timeout? number @seconds
---@return any[]|nil message @{1, msgid, error, result}; nil stands as client.null
---@return rtcache.Error|nil
function Client:read_message(timeout)
  local deadline = socket.gettime() + (timeout or self.timeout)
  while true do
    local ok, message, after = pcall(msgpack.decode, self.input, 1, self.keep_bin)
    if not ok then return fail("PROTOCOL", message) end
    if after then
      self.input = self.input:sub(after)
      return message
    end
    local more, err = read_some(self, deadline - socket.gettime())
    if not more then return nil, err end
  end
end

-- All params, also trailing nils, as an array.
local function encode_params(...)
  local n = select("#", ...)
  local parts = { msgpack.array_head(n) }
  for i = 1, n do parts[i + 1] = msgpack.encode((select(i, ...))) end
  return table.concat(parts)
end

--- A request as bytes.
function M.encode_request(id, method, ...)
  return "\148\0" .. msgpack.encode(id) .. msgpack.encode(method) .. encode_params(...)
end

--- Sends a request and does not wait; the id is for `receive`.
---@param method string
---@return integer|nil id
---@return rtcache.Error|nil
function Client:send(method, ...)
  local id = self.next_id
  self.next_id = id < 4294967295 and id + 1 or 0
  local ok, err = self:write(M.encode_request(id, method, ...))
  if not ok then return nil, err end
  return id
end

--- Sends a notification: nothing comes back.
function Client:notify(method, ...)
  return self:write("\147\2" .. msgpack.encode(method) .. encode_params(...))
end

-- Keeps what came for whoever asks for it. false: it is no message of the protocol.
local function keep(self, message)
  if type(message) ~= "table" then return false end
  if message[1] == 1 then
    self.answers[message[2]] = message
  elseif message[1] == 2 then
    self.notices[#self.notices + 1] = message
  end
  return message[1] == 1 or message[1] == 2
end

local function read_one(self, timeout)
  local message, err = self:read_message(timeout)
  if not message then return nil, err end
  if not keep(self, message) then return fail("PROTOCOL", "the server sent something that is no answer") end
  return true
end

--- The next notification (of `subscribe`), also one that came beside answers: its name and its params.
---@param timeout? number @seconds
---@return string|nil name
---@return any[]|rtcache.Error params
function Client:notification(timeout)
  local deadline = socket.gettime() + (timeout or self.timeout)
  while #self.notices == 0 do
    local ok, err = read_one(self, deadline - socket.gettime())
    if not ok then return nil, err end
  end
  local message = table.remove(self.notices, 1)
  return message[2], message[3]
end

---@param id integer @of `send`; answers to other requests are kept meanwhile
---@param timeout? number @seconds
---@return any result
---@return rtcache.Error|nil
function Client:receive(id, timeout)
  local deadline = socket.gettime() + (timeout or self.timeout)
  while not self.answers[id] do
    local ok, err = read_one(self, deadline - socket.gettime())
    if not ok then return nil, err end
  end
  local answer = self.answers[id]
  self.answers[id] = nil
  if answer[3] ~= msgpack.null then return nil, decode_error(answer[3]) end
  if answer[4] == msgpack.null then return nil end
  return answer[4]
end

--- The id of the next answer to arrive, or of one that has; it stays for `receive`.
---@return integer|nil id
---@return rtcache.Error|nil
function Client:receive_any(timeout)
  local deadline = socket.gettime() + (timeout or self.timeout)
  while not next(self.answers) do
    local ok, err = read_one(self, deadline - socket.gettime())
    if not ok then return nil, err end
  end
  return (next(self.answers))
end

---@return any result
---@return rtcache.Error|nil
function Client:call(method, ...)
  local id, err = self:send(method, ...)
  if not id then return nil, err end
  return self:receive(id)
end

function Client:close()
  self.sock:close()
end

require "rtcache.methods"(Client, decode_error)

return M
