-- Run by tarantool itself: a space of (key, value) in memory, open to guests.
--   tarantool bench/tarantool.lua FOLDER PORT

local folder, port = arg[1], arg[2]

box.cfg {
  listen = "127.0.0.1:" .. port,
  work_dir = folder,
  wal_mode = "none",
  memtx_memory = 256 * 1024 * 1024,
  log_level = "error",
}
local space = box.schema.space.create("bench", { id = 512, if_not_exists = true })
space:create_index("primary", { type = "hash", parts = { 1, "string" }, if_not_exists = true })
box.schema.user.grant("guest", "read,write", "space", "bench", { if_not_exists = true })
