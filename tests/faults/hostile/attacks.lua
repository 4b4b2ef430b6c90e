--- What one client can do to hold memory or time: one function each. `a` is the attacker (attacker.lua), `s` the
--- sizes (sizes.lua). None of them reads unless it asks.

local M = {}

local function same(n, value)
  local list = {}
  for i = 1, n do list[i] = value end
  return list
end

local function numbered(n, format)
  local list = {}
  for i = 1, n do list[i] = format:format(i) end
  return list
end

local function long(n, size, prefix)
  local pad = ("x"):rep(size)
  local list = {}
  for i = 1, n do list[i] = ("%s%d%s"):format(prefix or "", i, pad) end
  return list
end

-- The start of a `set` with so many bytes of its value, of which 64 KiB never come.
local function begun_frame(size)
  local declared = size + 65536
  local function byte(shift) return string.char(bit.band(bit.rshift(declared, shift), 255)) end
  return "\148\0\1\163set\147\161k\198" .. byte(24) .. byte(16) .. byte(8) .. byte(0) .. ("x"):rep(size)
end

local function get_many_burst(how)
  return function(a, s)
    local keys = same(s.wide, "big")
    for _, c in ipairs(a:crowd(s.crowd, how)) do
      for _ = 1, 60 do a:push(c, a:request("get_many", keys)) end
    end
  end
end

local function parked_many(how)
  return function(a, s)
    local keys = same(s.wide, "big")
    keys[#keys + 1] = "slow:1"
    for _, c in ipairs(a:crowd(s.crowd, how)) do
      for _ = 1, 3 do a:push(c, a:request("get_many", keys, { timeout_ms = 500000 })) end
    end
  end
end

M.list = {
  -- What the machine does to an honest client by itself.
  { "nothing", function(a)
    local c = a:connect()
    for _ = 1, 2000 do a:ask(c, "ping") end
  end },

  -- output
  { "get_many in a burst, unread", get_many_burst() },
  { "get_many in a burst, unread, over TLS", get_many_burst "tls" },
  { "get in a burst, unread", function(a, s)
    for _, c in ipairs(a:crowd(s.crowd)) do a:push(c, a:request("get", "big"):rep(400)) end
  end },
  { "get_many that gathers and waits", parked_many() },
  { "get_many that gathers and waits, over TLS", parked_many "tls" },
  { "get_many that gathers and waits, over a Unix socket", parked_many "unix" },
  { "get_many that gathers, from a half that is closed", function(a, s)
    parked_many()(a, s)
    a:flood()
    for _, c in ipairs(a.conns) do c.sock:shutdown "send" end
  end },
  { "results of loads, each another, unread", function(a, s)
    for i, c in ipairs(a:crowd(s.crowd)) do
      for n = 1, 20 do a:push(c, a:request("get", ("new:%d:%d:%d"):format(s.value, i, n))) end
    end
  end },
  { "get_entry of results of loads, unread, over TLS", function(a, s)
    for i, c in ipairs(a:crowd(s.crowd, "tls")) do
      for n = 1, 20 do a:push(c, a:request("get_entry", ("new:%d:%d:%d"):format(s.value, i, n))) end
    end
  end },
  { "errors with long keys, unread", function(a)
    local request = a:request("get", ("k"):rep(4000))
    for _, c in ipairs(a:crowd(20)) do a:push(c, request:rep(500)) end
  end },
  { "subscribers that do not read", function(a, s)
    for _, c in ipairs(a:crowd(s.crowd)) do a:ask(c, "subscribe", { patterns = { "*" } }) end
    local c = a:connect()
    for i = 1, 800 do a:push(c, a:request("invalidate", i .. ("z"):rep(3000))) end
  end },
  { "hello of nobodies, unread", function(a)
    for _, c in ipairs(a:crowd(60)) do a:push(c, a:request("hello"):rep(3000)) end
  end, users = true },

  -- input
  { "frames that never end", function(a, s)
    local bytes = begun_frame(s.frame)
    for _, c in ipairs(a:crowd(s.crowd)) do a:push(c, bytes) end
    a:flood()
    for _ = 1, 20 do
      for _, c in ipairs(a.conns) do a:push(c, ("x"):rep(1200)) end
      a:flood()
    end
  end },
  { "frames that never end, over TLS", function(a, s)
    local bytes = begun_frame(s.frame / 4)
    for _, c in ipairs(a:crowd(s.crowd, "tls")) do a:push(c, bytes) end
  end },
  { "very many frames of a fair share", function(a)
    local bytes = begun_frame(60 * 1024)
    for _, c in ipairs(a:crowd(400)) do a:push(c, bytes) end
  end },
  { "connections that come and leave in the middle of a frame", function(a, s)
    local bytes = begun_frame(s.frame / 2)
    for i = 1, 60 do
      local c = a:connect(i % 3 == 0 and "unix" or nil)
      a:push(c, bytes)
      a:flood()
      a:leave(c)
    end
  end },
  { "input behind a request in slices", function(a, s)
    local keys = long(s.batch, 50, "none:")
    for _, c in ipairs(a:crowd(s.crowd)) do
      for _ = 1, 10 do a:push(c, a:request("invalidate_many", keys)) end
    end
  end },
  { "idle connections over TLS", function(a) a:crowd(150, "tls") end },

  -- requests that wait
  { "gets that wait, of long keys", function(a, s)
    for i, c in ipairs(a:crowd(6)) do
      for n = 1, s.parked do a:push(c, a:request("get", ("slow:%d:%d%s"):format(i, n, ("k"):rep(s.text * 10)))) end
    end
  end },
  { "notifications that wait", function(a, s)
    local msgpack = require "rtcache.msgpack"
    for i, c in ipairs(a:crowd(6)) do
      for n = 1, s.parked do a:push(c, msgpack.encode { 2, "get", { ("slow:%d:%d"):format(i, n) } }) end
    end
  end },
  { "puts to a save that hangs, from short-lived connections", function(a, s)
    for i = 1, 40 do
      local c = a:connect()
      for n = 1, 10 do
        a:push(c, a:request("put", ("hang:%d:%d"):format(i, n), ("v"):rep(s.value), { timeout_ms = 400 }))
      end
      a:flood()
      if i % 2 == 0 then a:leave(c) end
    end
  end },
  { "guesses of many names", function(a)
    for round = 1, 5 do
      for i, c in ipairs(a:crowd(60)) do a:push(c, a:request("auth", ("u%d-%d"):format(round, i), "x")) end
      a:flood()
      if round < 5 then for _, c in ipairs(a.conns) do a:leave(c) end end
    end
  end, users = true },
  { "guesses of one name", function(a)
    for i, c in ipairs(a:crowd(100)) do a:push(c, a:request("auth", "app", "guess" .. i)) end
  end, users = true },

  -- time
  { "subscriptions to very many patterns", function(a, s)
    for i, c in ipairs(a:crowd(8)) do
      a:push(c, a:request("subscribe", { patterns = numbered(s.texts, "*" .. i .. "*a*b*c*d*e*%d") }))
    end
    a:flood()
    local c = a:connect()
    for _ = 1, 100 do a:push(c, a:request("invalidate", ("1a1b1c1d1e1f"):rep(20))) end
  end },
  { "subscriptions to very long keys", function(a, s)
    for i, c in ipairs(a:crowd(20)) do
      for n = 1, 10 do
        a:push(c, a:request("subscribe", { keys = long(s.texts / 10, s.text * 10, i .. ":" .. n .. ":") }))
      end
    end
  end },
  { "wide invalidations beside patterns", function(a, s)
    a:ask(a:connect(), "subscribe", { patterns = numbered(s.texts, "p%d:*") })
    local keys = numbered(s.batch, "p%d:x")
    for _, c in ipairs(a:crowd(4)) do
      for _ = 1, 5 do a:push(c, a:request("invalidate_many", keys)) end
    end
  end },
  { "wide get_many of hits and misses", function(a, s)
    local hits, misses = same(s.batch, "hit"), numbered(s.batch, "absent:%d")
    for _, c in ipairs(a:crowd(4)) do
      for _ = 1, 5 do a:push(c, a:request("get_many", hits) .. a:request("get_many", misses)) end
    end
  end },
  { "large sets into small entries", function(a, s)
    local fill = {}
    for i = 1, 40000 do fill[i] = a:request("set", "s" .. i, "v") end
    a:push(a:connect(), table.concat(fill))
    a:flood()
    for i, c in ipairs(a:crowd(4)) do
      for n = 1, 30 do a:push(c, a:request("set", ("b%d:%d"):format(i, n), ("v"):rep(s.value))) end
    end
  end },
  { "expirations and refreshes without end", function(a, s)
    local keys = numbered(s.batch, "absent:%d")
    for _, c in ipairs(a:crowd(4)) do
      for n = 1, 5 do
        a:push(c, a:request("expire_many", keys) .. a:request("expire_match", "absent:*" .. n) ..
          a:request("refresh", "absent:" .. n, { background = true }))
      end
    end
  end },
}

M.by_name = {}
for _, one in ipairs(M.list) do
  one.name, one.run = one[1], one[2]
  M.by_name[one.name] = one
end

return M
