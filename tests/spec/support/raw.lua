--- The answer to a get as the bytes that came, and in words.

local msgpack = require "rtcache.msgpack"
local client = require "rtcache.client"
local socket = require "socket"

local M = {}

local function fill(cache, timeout)
  cache.sock:settimeout(timeout)
  local first, err = cache.sock:receive(1)
  if not first then error("no answer: " .. err, 3) end
  cache.sock:settimeout(0)
  local rest, _, partial = cache.sock:receive(2 ^ 20)
  return first .. (rest or partial or "")
end

-- Bytes from `at` on until a whole value is there; the position after it.
local function whole(cache, deadline, least)
  cache.sock:settimeout(cache.timeout)
  local parts = { least and assert(cache.sock:receive(least)) }
  while true do
    local text = table.concat(parts)
    parts = { text }
    local value, after = msgpack.decode(text, 1, true)
    if after then return value, text, after end
    parts[2] = fill(cache, deadline - socket.gettime())
  end
end

local function ask(cache, least, request)
  assert(cache.input == "" and not next(cache.answers))
  assert(cache:write(request))
  local answer, text, after = whole(cache, socket.gettime() + cache.timeout, least)
  assert(after == #text + 1 and answer[2] == cache.next_id)
  local _, at = msgpack.decode(text, 3)
  local problem, from = msgpack.decode(text, at)
  if problem ~= nil then return nil, tostring(problem) end
  return text:sub(from)
end

local function next_id(cache)
  cache.next_id = cache.next_id + 1
  return cache.next_id
end

--- The packed value under a key; or nil and the error.
---@param least? integer @so many bytes come at least: quicker where they are many
---@return string|nil bytes
---@return string|nil error
function M.get(cache, key, least)
  return ask(cache, least, client.encode_request(next_id(cache), "get", key))
end

--- What a method answers, packed; or nil and the error.
---@param edit? fun(request: string): string @of the packed request
---@return string|nil bytes
---@return string|nil error
function M.call(cache, edit, method, ...)
  local request = client.encode_request(next_id(cache), method, ...)
  return ask(cache, nil, edit and edit(request) or request)
end

local kinds = {
  { 0x00, 0x7f, "int" }, { 0x80, 0x8f, "map" }, { 0x90, 0x9f, "array" }, { 0xa0, 0xbf, "str" }, { 0xc0, 0xc0, "nil" },
  { 0xc2, 0xc3, "bool" }, { 0xc4, 0xc6, "bin" }, { 0xc7, 0xc9, "ext" }, { 0xca, 0xcb, "float" }, { 0xcc, 0xd3, "int" },
  { 0xd4, 0xd8, "ext" }, { 0xd9, 0xdb, "str" }, { 0xdc, 0xdd, "array" }, { 0xde, 0xdf, "map" }, { 0xe0, 0xff, "int" },
}

--- MessagePack's type of the value that begins at a byte.
function M.kind(bytes, at)
  local first = bytes:byte(at or 1)
  for _, k in ipairs(kinds) do
    if first >= k[1] and first <= k[2] then return k[3] end
  end
end

local function count_of(bytes, at)
  local first = bytes:byte(at)
  if first < 0xa0 then return first % 16, at + 1 end
  local n, size = 0, (first == 0xdc or first == 0xde) and 2 or 4
  for i = 1, size do n = n * 256 + bytes:byte(at + i) end
  return n, at + 1 + size
end

local show

local function show_items(bytes, at, map)
  local count, parts
  count, at = count_of(bytes, at)
  parts = {}
  for i = 1, count do
    local key = ""
    if map then
      key, at = show(bytes, at, true)
      key = key .. ": "
    end
    parts[i], at = show(bytes, at)
    parts[i] = key .. parts[i]
  end
  return table.concat(parts, ", "), at
end

--- The value in words: int 3, float 1.5, str "a", bin 00ff, [int 1, nil], {a: bool true}.
---@return string
---@return integer after
function show(bytes, at, bare)
  at = at or 1
  local kind = M.kind(bytes, at)
  if kind == "array" or kind == "map" then
    local items, after = show_items(bytes, at, kind == "map")
    return (kind == "map" and "{%s}" or "[%s]"):format(items), after
  end
  local value, after = msgpack.decode(bytes, at, true)
  if kind == "nil" then return "nil", after end
  if kind == "bin" then return "bin " .. (value.bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end)),
    after end
  if bare then return tostring(value), after end
  if kind == "str" then return ('str "%s"'):format(value), after end
  local text = type(value) == "cdata" and tostring(value):gsub("U?LL$", "")
    or type(value) == "number" and ("%.17g"):format(value) or tostring(value)
  if type(value) == "number" and tonumber(("%.15g"):format(value)) == value then text = ("%.15g"):format(value) end
  return kind .. " " .. text, after
end

M.show = show

return M
