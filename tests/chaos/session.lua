--- What one connection of a client does, from its own stream of chance. Each kind is a function of a session:
--- `r` its chance, `who` its user, `place` where it connects, `clean` whether nothing stands between it and the
--- server, `world` what all share.

local Peer = require "chaos.peer"
local account = require "chaos.account"
local answers = require "chaos.answers"
local bytes = require "chaos.bytes"
local loop = require "chaos.loop"
local requests = require "chaos.requests"

local M = {}

local count = account.count

local PASSWORD = "other"

local function auth(peer, who, password)
  local params = { bytes.encode(who), bytes.encode(password or PASSWORD) }
  return peer:request("auth", params, function(v) return v == true end)
end

-- A connection, counted; nil where there is none.
local function connect(s)
  local where = { port = s.place.port, path = s.place.path, tls = s.place.tls }
  local peer, err = Peer.connect(where)
  if not peer then
    count(s.place.tls and "connections.tls_failed" or "connections.refused")
    account.note("session %d: no connection: %s", s.number, tostring(err))
    return nil
  end
  count("connections." .. s.place.name)
  s.peer = peer
  return peer
end

-- A run of requests as one text.
local function some_requests(s, n, implausible)
  local parts = {}
  for i = 1, n do
    local method, params, check
    if implausible then
      method, params = requests.implausible(s.r, s.who)
    else
      method, params, check = requests.plausible(s.r, s.who)
    end
    count(implausible and "requests.implausible" or "requests." .. method)
    parts[i] = s.peer:request(method, params, check)
  end
  return table.concat(parts)
end

local function send(s, data) return s.peer:send(data, s.world.patience) end

-- Says who it is, with the first requests behind it in the same bytes.
local function greet(s) return auth(s.peer, s.who) end

-- Ends a connection in one of the ways there are.
local function leave(s)
  local how = s.r:weighted { { "close", 5 }, { "abrupt", 2 }, { "half", 3 } }
  if how == "half" and s.peer:half_close() then
    count "ends.half_closed"
    answers.until_end(s)
    return
  end
  count("ends." .. (how == "half" and "close" or how))
  s.peer:close(how == "abrupt")
end

--- Pipelines, each answer looked at.
function M.plain(s)
  if not connect(s) then return end
  local first = greet(s)
  for _ = 1, s.r:skewed(12) do
    if not send(s, first .. some_requests(s, s.r:skewed(60))) then break end
    first = ""
    if not answers.all(s) then return s.peer:close() end
    if s.r:chance(0.2) then loop.sleep(s.r:share() * 0.3) end
  end
  if s.r:chance(0.5) then send(s, some_requests(s, s.r:skewed(40))) end
  leave(s)
end

--- Well-formed messages that mean nothing, or too much.
function M.implausible(s)
  if not connect(s) then return end
  local first = s.r:chance(0.9) and greet(s) or ""
  for _ = 1, s.r:skewed(10) do
    if not send(s, first .. some_requests(s, s.r:skewed(30), true)) then break end
    first = ""
    if s.r:chance(0.1) then send(s, bytes.notification(s.r:pick { "get", "x" }, { bytes.value(s.r) })) end
    if not answers.all(s) then return s.peer:close() end
  end
  leave(s)
end

--- Bytes that are no messages, alone or behind good ones; or a message that never ends.
function M.garbage(s)
  if not connect(s) then return end
  if s.r:chance(0.6) then send(s, greet(s) .. some_requests(s, s.r:int(10))) end
  local data = s.r:chance(0.7) and bytes.garbage(s.r) or some_requests(s, 1):sub(1, s.r:int(20))
  count "requests.garbage"
  s.wild, s.may_end = true, true
  send(s, data)
  if s.r:chance(0.3) then loop.sleep(s.r:share()) end
  if s.r:chance(0.5) then s.peer:take(s.r:share()) end
  leave(s)
end

--- A request that comes in pieces, or stays half.
function M.trickle(s)
  if not connect(s) then return end
  local data = greet(s) .. some_requests(s, s.r:int(8))
  local at = 1
  local ends = s.r:chance(0.3) and s.r:int(#data) or #data
  while at <= ends do
    local size = s.r:skewed(60)
    if not send(s, data:sub(at, math.min(ends, at + size - 1))) then break end
    count "requests.pieces"
    at = at + size
    if s.r:chance(0.2) then loop.sleep(0.01 * s.r:share()) end
  end
  if ends < #data then s.may_end = true end
  if ends == #data and not answers.all(s) then return s.peer:close() end
  leave(s)
end

--- Asks for much and reads late, slowly or never.
function M.greedy(s)
  if not connect(s) then return end
  local parts = { greet(s) }
  for i = 1, s.r:int(6) do
    local key = (s.who == "app" and "f:" or "j:") .. s.r:int(8)
    local value = bytes.map { key = bytes.encode(key), pad = bytes.text(s.r:skewed(400000)) }
    parts[#parts + 1] = s.peer:request("set", { bytes.encode(key), value })
    for _ = 1, s.r:int(60) do parts[#parts + 1] = s.peer:request("get", { bytes.encode(key) }) end
    if i == 3 then parts[#parts + 1] = some_requests(s, s.r:int(40)) end
  end
  count("requests.greedy", #parts)
  s.peer:send(table.concat(parts), 2)
  loop.sleep(s.r:share() * (s.r:chance(0.2) and 4 or 0.5))
  if s.r:chance(0.4) then
    count "ends.unread"
    return s.peer:close(s.r:chance(0.5))
  end
  for _ = 1, s.r:int(20) do
    s.peer:take(0.02)
    loop.sleep(0.05 * s.r:share())
  end
  leave(s)
end

--- Subscribes and stays for the news.
function M.subscriber(s)
  if not connect(s) then return end
  local first = greet(s)
  for _ = 1, s.r:int(6) do
    local data = first
    first = ""
    for _ = 1, s.r:int(5) do
      local method = s.r:chance(0.8) and "subscribe" or "unsubscribe"
      local params, check = requests.make(method, s.r, s.who)
      count("requests." .. method)
      data = data .. s.peer:request(method, params, check)
    end
    if not send(s, data) or not answers.all(s) then return s.peer:close() end
    if s.r:chance(0.2) then loop.sleep(s.r:share() * 2) else answers.news(s, s.r:share()) end
  end
  leave(s)
end

--- Guesses, becomes somebody else, and says the wrong things to auth.
function M.login(s)
  if not connect(s) then return end
  for _ = 1, s.r:int(8) do
    local right = s.r:chance(0.3)
    local name = s.r:pick(right and { "junk", "reader" } or { "victim", "victim", "nobody" .. s.r:int(5) })
    count(right and "requests.auth" or "requests.auth_wrong")
    local data = auth(s.peer, name, right and PASSWORD or "guess " .. s.r:int(50))
    s.peer.waits[s.peer.next_id - 1].check = nil
    if s.r:chance(0.5) then data = data .. some_requests(s, s.r:int(4), true) end
    if not send(s, data) then break end
    if s.r:chance(0.6) and not answers.all(s) then return s.peer:close() end
  end
  leave(s)
end

--- A handshake that breaks off, or is none.
function M.handshake(s)
  local port = s.place.tls and s.place.port or s.world.tls_port
  local peer = Peer.connect { port = port }
  if not peer then return count "connections.refused" end
  count "connections.broken_handshake"
  local hello = s.world.client_hello
  local data = s.r:pick { hello, hello, hello:sub(1, s.r:int(#hello)), s.r:bytes(s.r:skewed(400)), "" }
  if s.r:chance(0.3) and #data > 6 then
    local at = s.r:int(#data)
    data = data:sub(1, at - 1) .. s.r:bytes(1) .. data:sub(at + 1)
  end
  peer:send(data, 1)
  if s.r:chance(0.5) then peer:take(0.3 * s.r:share()) end
  if s.r:chance(0.3) then peer:send(s.r:bytes(s.r:skewed(100)), 1) end
  if s.r:chance(0.2) then loop.sleep(2 * s.r:share()) end
  peer:close(s.r:chance(0.5))
end

--- Comes and goes.
function M.visit(s)
  if not connect(s) then return end
  if s.r:chance(0.5) then s.peer:send(greet(s) .. some_requests(s, s.r:int(20)), 1) end
  if s.r:chance(0.5) then loop.sleep(0.1 * s.r:share()) end
  count "ends.visit"
  s.peer:close(s.r:chance(0.5))
end

M.KINDS = {
  { "plain", 40 }, { "implausible", 15 }, { "garbage", 8 }, { "trickle", 5 }, { "greedy", 6 }, { "subscriber", 8 },
  { "login", 4 }, { "handshake", 6 }, { "visit", 8 },
}

return M
