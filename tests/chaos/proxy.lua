-- proxy.lua SEED RATE LISTEN TARGET: a proxy that is clean for most of the time and spoils what passes in
-- bursts, in both directions. LISTEN is a port of 127.0.0.1, TARGET a port too or the path of a Unix socket.
-- Each second, and at the end, a line of what it has done: `name=count ...`. It ends with its standard input.

local loop = require "chaos.loop"
local random = require "chaos.random"
local socket = require "socket"
local unix = require "socket.unix"

local seed, rate, port, target = tonumber(arg[1]), tonumber(arg[2]), tonumber(arg[3]), arg[4]
local counts = { connections = 0, refused = 0, bytes = 0, bursts = 0 }
local bursting = false

local function count(name, n) counts[name] = (counts[name] or 0) + (n or 1) end

local function connect()
  local s, ok
  if tonumber(target) then
    s = socket.tcp()
    s:settimeout(1)
    ok = s:connect("127.0.0.1", tonumber(target))
  else
    s = unix()
    s:settimeout(1)
    ok = s:connect(target)
  end
  if not ok then
    s:close()
    return nil
  end
  s:settimeout(0)
  return s
end

-- What lengths and counts are made of that are hard to bear.
local EDGES = {
  "\255\255\255\255", "\127\255\255\255", "\128\0\0\0", "\0\0\0\0", "\255\255", "\0\0", "\0\1\0\0", "\0\0\0\3",
  "\255\255\255\254", "\127\255", "\128\0", "\64\0\0\0", "\193", "\221\255\255\255\255", "\223\127\255\255\255",
}

local function put(data, at, bytes) return data:sub(1, at - 1) .. bytes .. data:sub(at + #bytes) end

-- Each takes what passes, and answers what passes in its place; "close" and "reset" behind it end the connection.
local spoil = {
  flip = function(r, data)
    for _ = 1, r:int(4) do
      local at = r:int(#data)
      data = put(data, at, string.char((data:byte(at) + r:int(255)) % 256))
    end
    return data
  end,
  edge = function(r, data)
    -- half of them near the beginning, where messages keep their lengths
    local at = r:chance(0.5) and r:int(math.min(#data, 12)) or r:int(#data)
    return put(data, at, r:pick(EDGES)):sub(1, #data)
  end,
  drop = function(r, data)
    local at = r:int(#data)
    return data:sub(1, at - 1) .. data:sub(at + r:skewed(#data))
  end,
  repeated = function(r, data)
    local from = r:int(#data)
    local piece = data:sub(from, from + r:skewed(#data))
    return data .. piece
  end,
  insert = function(r, data)
    local at = r:int(#data + 1)
    return data:sub(1, at - 1) .. r:bytes(r:skewed(200)) .. data:sub(at)
  end,
  truncate = function(r, data) return data:sub(1, r:int(#data) - 1), "close" end,
  close = function() return "", "close" end,
  reset = function(_, data) return data, "reset" end,
  delay = function(r, data)
    loop.sleep(r:share() * 0.4)
    return data
  end,
  stall = function(r, data)
    loop.sleep(0.5 + 2 * r:share())
    return data
  end,
  half = function(_, data) return data, "half" end,
}
local KINDS = {
  { "flip", 20 }, { "edge", 20 }, { "drop", 8 }, { "repeated", 8 }, { "insert", 5 }, { "truncate", 4 }, { "close", 3 },
  { "reset", 2 }, { "delay", 8 }, { "stall", 2 }, { "half", 2 }, { "split", 8 },
}

local function send(to, data)
  local at = 1
  while at <= #data do
    local last, err, partial = to:send(data, at)
    if not last and err ~= "timeout" then return false end
    at = (last or partial) + 1
    if not last and not loop.writable(to, 30) then return false end
  end
  return true
end

local function send_split(r, to, data)
  local at = 1
  for _ = 1, 30 do
    local size = r:skewed(40)
    if not send(to, data:sub(at, at + size - 1)) then return false end
    at = at + size
    if at > #data then return true end
    loop.sleep(0.001)
  end
  return send(to, data:sub(at))
end

local function pass(r, pair, to, data, way)
  if not r:chance(bursting and rate or rate / 200) then return send(to, data) end
  local kind = r:weighted(KINDS)
  count(way .. "_" .. kind)
  if kind == "split" then return send_split(r, to, data) end
  local rest, ending = spoil[kind](r, data)
  if pair.over or not send(to, rest) or ending == "close" then return false end
  if ending == "reset" then
    to:setoption("linger", { on = true, timeout = 0 })
    return false
  end
  if ending == "half" then to:shutdown "send" end
  return true
end

local function end_pair(pair)
  pair.over = true
end

local function pump(r, pair, from, to, way)
  while not pair.over do
    local data, err, partial = from:receive(16384)
    data = data or partial
    if data and #data > 0 then
      count("bytes", #data)
      if pair.over or not pass(r, pair, to, data, way) then break end
    elseif err ~= "timeout" then
      if not pair.over then to:shutdown "send" end
      pair.ended = (pair.ended or 0) + 1
      if pair.ended == 2 then break end
      while not pair.over do loop.sleep(0.1) end
      break
    else
      loop.readable(from, 0.3)
    end
  end
  end_pair(pair)
  pair.pumps = pair.pumps - 1
  if pair.pumps == 0 then
    from:close()
    to:close()
  end
end

local function serve(client)
  client:settimeout(0)
  local server = connect()
  if not server then
    count "refused"
    client:close()
    return
  end
  count "connections"
  local pair = { pumps = 2 }
  for i, way in ipairs { "up", "down" } do
    local r = random.new(seed, 2 * counts.connections + i)
    local from, to = i == 1 and client or server, i == 1 and server or client
    loop.spawn(function() pump(r, pair, from, to, way) end)
  end
end

local function listen()
  local listener = socket.tcp()
  listener:setoption("reuseaddr", true)
  assert(listener:bind("127.0.0.1", port))
  assert(listener:listen(128))
  listener:settimeout(0)
  return listener
end

local function report()
  local parts = {}
  for name, n in pairs(counts) do parts[#parts + 1] = name .. "=" .. n end
  table.sort(parts)
  print(table.concat(parts, " "))
  io.stdout:flush()
end

local over = false
local listener = listen()
print "ready"
io.stdout:flush()
loop.spawn(function()
  while not over do
    loop.readable(listener, 0.5)
    local client = listener:accept()
    if client then serve(client) end
  end
end)
loop.spawn(function()
  local r = random.new(seed, 0)
  while not over do
    loop.sleep(1.5 + 4 * r:share())
    bursting = true
    count "bursts"
    loop.sleep(0.3 + 1.5 * r:share())
    bursting = false
  end
end)
loop.spawn(function()
  while not over do
    loop.sleep(1)
    report()
  end
end)
-- Standard input ends with whoever started this.
local stdin = { getfd = function() return 0 end, dirty = function() return false end }
loop.spawn(function()
  loop.readable(stdin)
  over = true
end)
loop.run(function() return over end)
report()
os.exit(0)
