--- Values as MessagePack, plausible and not, and requests of them. Everything here is bytes already, because
--- much of it could be said in no other way.

local msgpack = require "rtcache.msgpack"

local M = {}

local encode = msgpack.encode

local TEXTS = {
  "", "a", "row:1", "user:*", "*", "{id:int}", "\\", "\0", "\255\254", "\195\40", "\237\160\128", "ключ",
  ("x"):rep(255), ("x"):rep(4096), ("x"):rep(4097), ("*a"):rep(100),
  "nil", "true", "-0", "9223372036854775808", "%s%n%p", "a\nb\r\nc",
  "'; DROP TABLE people; --", "\27[2J", "tls:", "../../etc/passwd",
}
local RAW = {
  "\192", "\194", "\195", "\0", "\127", "\224", "\255", "\204\255", "\205\255\255", "\206\255\255\255\255",
  "\207\255\255\255\255\255\255\255\255", "\207\127\255\255\255\255\255\255\255", "\211\128\0\0\0\0\0\0\0",
  "\208\128", "\203\127\240\0\0\0\0\0\0", "\203\127\248\0\0\0\0\0\0", "\203\255\240\0\0\0\0\0\0", "\202\127\192\0\0",
  "\203\67\224\0\0\0\0\0\0", "\144", "\128", "\196\0", "\212\1\1", "\199\3\255abc", "\214\255\0\0\0\0", "\145\192",
  "\129\192\192", "\130\161a\1\161a\2",
}
-- Of these there is less than they say, or they are no MessagePack.
local BROKEN = {
  "\193", "\221\255\255\255\255", "\223\255\255\255\255", "\219\255\255\255\255abc", "\198\127\255\255\255x",
  "\201\255\255\255\255\1", "\220\255\255\1", "\222\255\255\161a", "\148", "\148\0", "\148\0\1\163ge", "\207\1",
}

function M.nested(depth, kind)
  local open = kind == "map" and "\129\161a" or "\145"
  return open:rep(depth) .. "\192"
end

function M.array(list) return msgpack.array_head(#list) .. table.concat(list) end

--- A map of encoded values by name; sorted, so that a seed gives the same bytes.
function M.map(fields)
  local names, parts = {}, {}
  for name in pairs(fields) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do parts[#parts + 1] = encode(name) .. fields[name] end
  return msgpack.map_head(#names) .. table.concat(parts)
end

local function random_array(r, depth)
  local list = {}
  for i = 1, r:skewed(30) - 1 do list[i] = M.value(r, depth - 1) end
  return M.array(list)
end

local function random_map(r, depth)
  local parts, n = {}, r:skewed(12) - 1
  for i = 1, n do
    parts[i] = (r:chance(0.8) and encode(r:pick(TEXTS)) or M.value(r, depth - 1)) .. M.value(r, depth - 1)
  end
  return msgpack.map_head(n) .. table.concat(parts)
end

local MAKERS = {
  { function(r) return r:pick(RAW) end, 30 },
  { function(r) return encode(r:pick(TEXTS)) end, 20 },
  { function(r) return encode(msgpack.bin(r:bytes(r:skewed(300)))) end, 5 },
  { function(r) return encode(r:skewed(2 ^ 31)) end, 10 },
  { function(r, depth) return depth > 0 and random_array(r, depth) or "\192" end, 12 },
  { function(r, depth) return depth > 0 and random_map(r, depth) or "\128" end, 12 },
  { function(r) return M.nested(r:pick { 3, 14, 15, 16, 17, 18, 40 }, r:pick { "map", "array" }) end, 3 },
}

--- Any value at all, well formed.
function M.value(r, depth) return r:weighted(MAKERS)(r, depth or 3) end

--- A text of so many bytes.
function M.text(n, byte) return encode((byte or "x"):rep(n)) end

--- What no parser should take: cut short, declared and not there, deep, or noise.
function M.garbage(r)
  local kind = r:int(6)
  if kind == 1 then return r:bytes(r:skewed(3000)) end
  if kind == 2 then return r:pick(BROKEN) end
  if kind == 3 then return M.nested(r:pick { 17, 1000, 100000 }, r:pick { "map", "array" }) end
  if kind == 4 then return r:pick { "GET / HTTP/1.1\r\n\r\n", "*1\r\n$4\r\nPING\r\n", "\22\3\1\2\0\1\0\1\252\3\3" } end
  if kind == 5 then return "\148" .. M.value(r) .. M.value(r) .. M.value(r) .. M.value(r) end
  return "\148\0\1\163get\221\0\1\0\0" .. ("\192"):rep(r:skewed(70000))
end

---@param params string[] @encoded
function M.request(id, method, params)
  return "\148\0" .. encode(id) .. encode(method) .. M.array(params)
end

function M.notification(method, params) return "\147\2" .. encode(method) .. M.array(params) end

M.encode = encode

return M
