--- What an attack is made of, at the limits that are the default, at smaller ones, and at small ones.

return {
  default = {
    options = { memory = "256mb", io_threads = 1 },
    value = 1000000, wide = 60, frame = 15 * 1024 * 1024, batch = 10000, parked = 20000, texts = 10000, text = 200,
    crowd = 40,
  },
  middle = {
    options = {
      client_memory = "16mb", max_frame = "4mb", max_output = "4mb", max_value = "1mb", max_parked = 5000,
      max_batch = 5000, max_subscriptions = 5000, memory = "32mb", script_memory = "16mb", io_threads = 2,
    },
    value = 400000, wide = 6, frame = 3800 * 1024, batch = 5000, parked = 5000, texts = 5000, text = 100, crowd = 40,
    queue = 4000,
    -- What docs/security.md says that the process needs at most: memory, client_memory, script_memory, the loads
    -- that wait with keys of max_key, and the I/O threads' buffers.
    resident = (32 + 16 + 16 + 2 * 2) * 1048576 + (1000 + 4000) * (4096 + 1024),
  },
  small = {
    options = {
      client_memory = "4mb", max_frame = "1mb", max_output = "1mb", max_value = "900kb", max_parked = 2000,
      max_batch = 2000, max_subscriptions = 2000, memory = "32mb", io_threads = 2,
    },
    value = 200000, wide = 2, frame = 900 * 1024, batch = 2000, parked = 2000, texts = 2000, text = 60, crowd = 40,
  },
}
