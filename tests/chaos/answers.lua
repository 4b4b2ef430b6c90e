--- Looks at what a server answers: to whom, in which form, and whether it belongs to the request. Behind a proxy
--- that spoils bytes nothing is a finding.

local account = require "chaos.account"
local msgpack = require "rtcache.msgpack"
local socket = require "socket"

local M = {}

local null, count, finding = msgpack.null, account.count, account.finding

-- docs/protocol.md's list, and those that a client that does nothing wrong has to expect
local CODES = {}
for code in ([[OUT_OF_MEMORY BAD_REQUEST BAD_KEY NO_LOADER TIMEOUT LOAD_TIMEOUT OVERLOADED BREAKER_OPEN LOAD_FAILED
  SCRIPT_ERROR BAD_VALUE BACKEND_ERROR BACKEND_DOWN TOO_LARGE RELOAD_FAILED SHUTTING_DOWN CANCELLED STALE_SOURCE
  VERSION_CONFLICT IO WRITE_UNKNOWN UNAUTHENTICATED AUTH_FAILED DENIED UNKNOWN_METHOD PROTOCOL CONFIG
  NO_CREDIT]]):gmatch "%S+" do
  CODES[code] = true
end
local OF_CLIENTS = { UNKNOWN_METHOD = true, PROTOCOL = true }
local TOLD = { key = true, tag = true, pattern = true, all = true }
local CAUSES = { invalidate = true, expire = true, set = true, put = true, delete = true, feed = true, gap = true,
  lost = true }

local function show(s, what) return ("session %d (%s, %s over %s)"):format(s.number, s.kind, what, s.place.name) end

local function code_of(error)
  if type(error) == "table" then return error.code, error.message end
  return tostring(error):match "^(%u[%u%d_]*) (.*)$"
end

local function look_at_error(s, wait, error)
  local code, message = code_of(error)
  if not code or not CODES[code] then
    finding("%s: an error out of the list: %s", show(s, wait.method), tostring(message or error))
  end
  account.code(code)
  if wait.check and OF_CLIENTS[code] then
    finding("%s: a good request was answered %s %s", show(s, wait.method), code, tostring(message))
  end
  if code == "PROTOCOL" or code == "TOO_LARGE" or code == "AUTH_FAILED" then s.may_end = true end
  return code
end

local function printable(packed)
  return (packed:sub(1, 200):gsub("[^\32-\126]", function(c) return ("\\%d"):format(c:byte()) end))
end

-- What was asked for, in Lua, for a message.
local function asked(wait)
  local parts = {}
  for i, p in ipairs(wait.params) do parts[i] = printable(p) end
  return table.concat(parts, ", ")
end

local function look_at_answer(s, message)
  local id, error, result = message[2], message[3], message[4]
  local wait = s.peer.waits[id]
  if not wait then
    -- a message that cannot be read is answered as the one with id 0
    if s.wild then return end
    if error ~= null and id == 0 then return look_at_error(s, { method = "?" }, error) end
    finding("%s: an answer to request %s, which was not asked or is answered", show(s, "?"), tostring(id))
  end
  s.peer.waits[id] = nil
  s.peer.open = s.peer.open - 1
  count "answers.all"
  if error ~= null then
    wait.refused = look_at_error(s, wait, error)
    if wait.method == "auth" and wait.check then s.no_longer = true end
  elseif wait.check and not wait.check(result) then
    finding("%s: an answer that does not fit %s: %s", show(s, wait.method), asked(wait),
      printable(msgpack.encode(result)))
  end
end

local function look_at_notice(s, message)
  local notice = type(message[3]) == "table" and message[3][1]
  if message[2] ~= "invalidated" or type(notice) ~= "table" or not CAUSES[notice.cause] then
    finding("%s: a notification in no form", show(s, tostring(message[2])))
  end
  local names = 0
  for name in pairs(TOLD) do
    if notice[name] ~= nil then names = names + 1 end
  end
  if names ~= 1 then finding("%s: a notification of %d things", show(s, "invalidated"), names) end
  count "answers.notices"
end

local function look_at(s, message)
  if type(message) == "table" and message[1] == 1 and #message == 4 then return look_at_answer(s, message) end
  if type(message) == "table" and message[1] == 2 and #message == 3 then return look_at_notice(s, message) end
  finding("%s: bytes that are no message", show(s, "?"))
end

-- Whether the server had a reason to end a connection: it, its users or its bounds were changed meanwhile.
local function had_reason(s)
  local world = s.world
  return s.may_end or world.harsh or world.restarting or world.disturbed ~= s.disturbed
end

-- The next message of a spoiled connection is whatever it is.
local function next_spoiled(s, seconds)
  local ok, message = pcall(s.peer.message, s.peer, seconds)
  if not ok or type(message) ~= "table" then return false end
  if message[1] == 1 then
    s.peer.open = math.max(0, s.peer.open - 1)
    count "answers.behind_proxy"
  end
  return true
end

local function ended(s, err)
  if err:match "^malformed" then finding("%s: %s", show(s, "?"), err) end
  if err == "timeout" then
    local _, wait = next(s.peer.waits)
    finding("%s: no answer within %d s to %d requests, of them %s(%s)", show(s, "?"), s.world.patience, s.peer.open,
      wait and wait.method or "?", wait and asked(wait) or "")
  end
  count "ends.by_server"
  if not had_reason(s) then
    finding("%s: the server ended the connection (%s) with %d requests unanswered", show(s, "?"),
      tostring(s.peer.ended), s.peer.open)
  end
  return false
end

--- Reads until every request has its answer; false: the connection is over.
function M.all(s)
  local deadline = socket.gettime() + (s.clean and s.world.patience or 4)
  while s.peer.open > 0 do
    if not s.clean then
      if socket.gettime() > deadline or not next_spoiled(s, deadline - socket.gettime()) then return false end
    else
      local message, err = s.peer:message(deadline - socket.gettime())
      if not message then return ended(s, err) end
      look_at(s, message)
    end
  end
  return not s.no_longer
end

--- Reads what is told, for so long.
function M.news(s, seconds)
  local deadline = socket.gettime() + seconds
  while socket.gettime() < deadline do
    if not s.clean then
      if not next_spoiled(s, deadline - socket.gettime()) then return end
    else
      local message, err = s.peer:message(deadline - socket.gettime())
      if message then
        look_at(s, message)
      elseif err ~= "timeout" then
        return ended(s, err)
      end
    end
  end
end

--- The sending half is closed: all answers, then the end.
function M.until_end(s)
  if not M.all(s) then return s.peer:close() end
  if s.clean then
    local deadline = socket.gettime() + s.world.patience
    repeat
      local message, err = s.peer:message(deadline - socket.gettime())
      if message then
        look_at(s, message)
      elseif err == "timeout" then
        finding("%s: a connection that was half closed and has its answers stays", show(s, "?"))
      end
    until not message
  end
  s.peer:close()
end

return M
