-- Run by tarantool itself: a space of (key, value) in memory, open to guests.
--   tarantool bench/tarantool.lua FOLDER PORT

local folder, port = arg[1], arg[2]

box.cfg {
  listen = "127.0.0.1:" .. port,
  work_dir = folder,
  wal_mode = "none",
  memtx_memory = 1024 * 1024 * 1024,
  log_level = "error",
}
local space = box.schema.space.create("bench", { id = 512, if_not_exists = true })
space:create_index("primary", { type = "hash", parts = { 1, "string" }, if_not_exists = true })
box.schema.user.grant("guest", "read,write", "space", "bench", { if_not_exists = true })

-- The tuples of many keys, for a CALL.
function _G.bench_many(keys)
  local tuples = {}
  for i = 1, #keys do tuples[i] = space:get(keys[i]) or box.NULL end
  return unpack(tuples, 1, #keys)
end
box.schema.func.create("bench_many", { if_not_exists = true })
box.schema.user.grant("guest", "execute", "function", "bench_many", { if_not_exists = true })
