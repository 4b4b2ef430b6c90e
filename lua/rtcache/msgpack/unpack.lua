--- MessagePack to Lua values. A value whose bytes have not all arrived is no error.

local ffi = require "ffi"
local bit = require "bit"
local types = require "rtcache.msgpack.types"

local M = {}

local byte, sub = string.byte, string.sub
local int64, uint64 = ffi.typeof "int64_t", ffi.typeof "uint64_t"
local EXACT = 2 ^ 53
local reversed = ffi.new "union { double d; int64_t i; uint64_t u; uint8_t b[8]; }"

-- Every reader takes (s, at, keep_bin) and returns the value and the position after it,
-- or nothing where the bytes end inside it.

local function number_be(s, at, n)
  if at + n - 1 > #s then return nil end
  local v = 0
  for i = at, at + n - 1 do v = v * 256 + byte(s, i) end
  return v
end

local function load_eight(s, at)
  if at + 7 > #s then return nil end
  for i = 0, 7 do reversed.b[7 - i] = byte(s, at + i) end
  return reversed
end

local function exact(v)
  if v >= -EXACT and v <= EXACT then return tonumber(v) end
  return v
end

local function read_int64(s, at)
  local u = load_eight(s, at)
  if u then return exact(int64(u.i)), at + 8 end
end

local function read_uint64(s, at)
  local u = load_eight(s, at)
  if not u then return nil end
  if u.i >= 0 then return exact(int64(u.i)), at + 8 end
  return uint64(u.u), at + 8
end

local function read_double(s, at)
  local u = load_eight(s, at)
  if u then return tonumber(u.d), at + 8 end
end

local function read_single(s, at)
  local n = number_be(s, at, 4)
  if not n then return nil end
  return tonumber(ffi.new("union { uint32_t u; float f; }", { u = n }).f), at + 4
end

local function read_bytes(s, at, n)
  if at + n - 1 > #s then return nil end
  return sub(s, at, at + n - 1), at + n
end

local read

local function read_array(s, at, n, keep_bin)
  local out = {}
  for i = 1, n do
    local v, after = read(s, at, keep_bin)
    if not after then return nil end
    out[i], at = v == nil and types.null or v, after
  end
  return out, at
end

local function read_map(s, at, n, keep_bin)
  local out = {}
  for _ = 1, n do
    local k, after = read(s, at, keep_bin)
    if not after then return nil end
    local v
    v, at = read(s, after, keep_bin)
    if not at then return nil end
    if types.is_bin(k) then k = k.bytes end
    if v == nil then v = types.null end
    if k ~= nil then out[k] = v end
  end
  return out, at
end

local function sized(width, body)
  return function(s, at, keep_bin)
    local n = number_be(s, at, width)
    if n then return body(s, at + width, n, keep_bin) end
  end
end

local function read_bin(s, at, n, keep_bin)
  local v, after = read_bytes(s, at, n)
  if after and keep_bin then v = types.bin(v) end
  return v, after
end

local function read_ext(s, at, n)
  local v, after = read_bytes(s, at, n + 1)
  if after then return { ext = byte(v), bytes = sub(v, 2) }, after end
end

local function unsigned(width)
  return function(s, at)
    local n = number_be(s, at, width)
    if n then return n, at + width end
  end
end

local function signed(width)
  local half, whole = 2 ^ (8 * width - 1), 2 ^ (8 * width)
  return function(s, at)
    local n = number_be(s, at, width)
    if n then return n >= half and n - whole or n, at + width end
  end
end

local readers = {
  [0xc0] = function(_, at) return nil, at end,
  [0xc2] = function(_, at) return false, at end,
  [0xc3] = function(_, at) return true, at end,
  [0xc4] = sized(1, read_bin), [0xc5] = sized(2, read_bin), [0xc6] = sized(4, read_bin),
  [0xc7] = sized(1, read_ext), [0xc8] = sized(2, read_ext), [0xc9] = sized(4, read_ext),
  [0xca] = read_single, [0xcb] = read_double,
  [0xcc] = unsigned(1), [0xcd] = unsigned(2), [0xce] = unsigned(4), [0xcf] = read_uint64,
  [0xd0] = signed(1), [0xd1] = signed(2), [0xd2] = signed(4), [0xd3] = read_int64,
  [0xd9] = sized(1, read_bytes), [0xda] = sized(2, read_bytes), [0xdb] = sized(4, read_bytes),
  [0xdc] = sized(2, read_array), [0xdd] = sized(4, read_array),
  [0xde] = sized(2, read_map), [0xdf] = sized(4, read_map),
}
for i = 0, 4 do
  readers[0xd4 + i] = function(s, at) return read_ext(s, at, 2 ^ i) end
end

function read(s, at, keep_bin)
  local b = byte(s, at)
  if not b then return nil end
  at = at + 1
  if b < 0x80 then return b, at end
  if b >= 0xe0 then return b - 256, at end
  if b < 0x90 then return read_map(s, at, bit.band(b, 15), keep_bin) end
  if b < 0xa0 then return read_array(s, at, bit.band(b, 15), keep_bin) end
  if b < 0xc0 then return read_bytes(s, at, bit.band(b, 31)) end
  local reader = readers[b]
  if not reader then error(("byte 0x%02x is no MessagePack"):format(b), 0) end
  return reader(s, at, keep_bin)
end

---@param s string
---@param at? integer @where to begin, 1 by default
---@param keep_bin? boolean @bin values come as bin(...) instead of plain strings
---@return any value
---@return integer|nil after @nil where s ends inside the value
function M.decode(s, at, keep_bin) return read(s, at or 1, keep_bin) end

return M
