--- Lua values to MessagePack, in the shortest form.

local ffi = require "ffi"
local types = require "rtcache.msgpack.types"

local M = {}

local char, floor, concat = string.char, math.floor, table.concat
local int64, uint64 = ffi.typeof "int64_t", ffi.typeof "uint64_t"
local EXACT = 2 ^ 53
local DEPTH_MAX = 64

local function be(n, bytes)
  local out = {}
  for i = bytes, 1, -1 do
    out[i] = char(n % 256)
    n = floor(n / 256)
  end
  return concat(out)
end

local reversed = ffi.new "union { double d; int64_t i; uint64_t u; uint8_t b[8]; }"

local function eight()
  local b = reversed.b
  return char(b[7], b[6], b[5], b[4], b[3], b[2], b[1], b[0])
end

local function pack_float(x)
  reversed.d = x
  return "\203" .. eight()
end

local function pack_int64(v)
  reversed.i = v
  return (v < 0 and "\211" or "\207") .. eight()
end

local function pack_integer(n)
  if n >= 0 then
    if n < 0x80 then return char(n) end
    if n < 0x100 then return "\204" .. char(n) end
    if n < 0x10000 then return "\205" .. be(n, 2) end
    if n < 0x100000000 then return "\206" .. be(n, 4) end
  else
    if n >= -32 then return char(256 + n) end
    if n >= -0x80 then return "\208" .. char(256 + n) end
    if n >= -0x8000 then return "\209" .. be(0x10000 + n, 2) end
    if n >= -0x80000000 then return "\210" .. be(0x100000000 + n, 4) end
  end
  return pack_int64(int64(n))
end

local function pack_number(n)
  if n == floor(n) and n >= -EXACT and n <= EXACT then return pack_integer(n) end
  return pack_float(n)
end

local function pack_cdata(v)
  if ffi.istype(int64, v) then
    if v >= -EXACT and v <= EXACT then return pack_integer(tonumber(v)) end
    return pack_int64(v)
  elseif ffi.istype(uint64, v) then
    if v <= 9007199254740992ULL then return pack_integer(tonumber(v)) end
    reversed.u = v
    return "\207" .. eight()
  end
  error("cannot pack a cdata that is no 64-bit integer", 0)
end

local function head(n, fix, fix_max, one, two, four)
  if n <= fix_max then return char(fix + n) end
  if one and n < 0x100 then return char(one, n) end
  if n < 0x10000 then return char(two) .. be(n, 2) end
  return char(four) .. be(n, 4)
end

local function pack_str(s) return head(#s, 0xa0, 31, 0xd9, 0xda, 0xdb) .. s end

local function pack_bin(s) return head(#s, 0, -1, 0xc4, 0xc5, 0xc6) .. s end

--- The header alone, for callers that write the elements themselves.
function M.array_head(n) return head(n, 0x90, 15, nil, 0xdc, 0xdd) end

function M.map_head(n) return head(n, 0x80, 15, nil, 0xde, 0xdf) end

-- The length of an array, nil of a map. #t is any border of a table with holes, so keys are counted:
-- a hole would make what stands behind it a map's, or lose it.
local function array_length(t)
  local count, places, last = 0, 0, 0
  for k in pairs(t) do
    count = count + 1
    if type(k) == "number" and k >= 1 and k == floor(k) then
      places = places + 1
      if k > last then last = k end
    end
  end
  if places < count then return nil end
  if last == count then return count end
  local hole = 1
  while t[hole] ~= nil do hole = hole + 1 end
  error(("the array has no element %d: msgpack.null stands for nothing, msgpack.map makes it a map"):format(hole), 0)
end

local function length_of(t, kind)
  if kind == types.MAP then return nil end
  if kind == types.ARRAY and t.n then return t.n end
  local n = array_length(t)
  if not n and kind == types.ARRAY then error("an array has keys beside 1..n", 0) end
  return n
end

local pack

local function pack_array(t, n, out, depth)
  out[#out + 1] = M.array_head(n)
  for i = 1, n do pack(t[i], out, depth) end
end

local function pack_map(t, out, depth)
  local at, count = #out + 1, 0
  out[at] = ""
  for k, v in pairs(t) do
    count = count + 1
    pack(k, out, depth)
    pack(v, out, depth)
  end
  out[at] = M.map_head(count)
end

local function pack_table(t, out, depth)
  local kind = getmetatable(t)
  if t == types.null then
    out[#out + 1] = "\192"
  elseif kind == types.BIN then
    out[#out + 1] = pack_bin(t.bytes)
  elseif kind == types.FLOAT then
    out[#out + 1] = pack_float(t.x)
  else
    local n = length_of(t, kind)
    if n then pack_array(t, n, out, depth) else pack_map(t, out, depth) end
  end
end

function pack(v, out, depth)
  local kind = type(v)
  if kind == "nil" then out[#out + 1] = "\192"
  elseif kind == "boolean" then out[#out + 1] = v and "\195" or "\194"
  elseif kind == "number" then out[#out + 1] = pack_number(v)
  elseif kind == "string" then out[#out + 1] = pack_str(v)
  elseif kind == "cdata" then out[#out + 1] = pack_cdata(v)
  elseif kind == "table" then
    if depth >= DEPTH_MAX then error("nested too deeply to pack", 0) end
    pack_table(v, out, depth + 1)
  else
    error("cannot pack a " .. kind, 0)
  end
end

---@param v any
---@return string
function M.encode(v)
  local out = {}
  pack(v, out, 0)
  return concat(out)
end

return M
