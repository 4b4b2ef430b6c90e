--- What an attack is made of, at the limits that are the default and at small ones.

return {
  default = {
    options = { memory = "256mb", io_threads = 1 },
    value = 1000000, wide = 60, frame = 15 * 1024 * 1024, batch = 10000, parked = 20000, texts = 10000, text = 200,
    crowd = 40,
  },
  small = {
    options = {
      client_memory = "4mb", max_frame = "1mb", max_output = "1mb", max_value = "900kb", max_parked = 2000,
      max_batch = 2000, max_subscriptions = 2000, memory = "32mb", io_threads = 2,
    },
    value = 200000, wide = 2, frame = 900 * 1024, batch = 2000, parked = 2000, texts = 2000, text = 60, crowd = 40,
  },
}
