--- MessagePack to Lua values and back, exact for 64-bit integers (LuaJIT).
--
-- Integers within 2^53 are numbers, larger ones int64_t or uint64_t cdata (lua-mpack makes doubles
-- of them, and packs -129 as 127). nil inside an array or a map is `null`. A plain table packs as an
-- array where its keys are 1..n, as a map where one is no such number, and is an error where one of
-- 1..n is missing; `array{}`, `map{}`, `bin "..."` and `float(1)` say what is meant. Little-endian
-- machines only. For peers one trusts: no limits on what is decoded.

local types = require "rtcache.msgpack.types"
local pack = require "rtcache.msgpack.pack"
local unpack = require "rtcache.msgpack.unpack"

return {
  null = types.null,
  array = types.array,
  map = types.map,
  bin = types.bin,
  float = types.float,
  is_bin = types.is_bin,
  encode = pack.encode,
  array_head = pack.array_head,
  map_head = pack.map_head,
  decode = unpack.decode,
}
