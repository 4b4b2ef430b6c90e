local Server = require "spec.support.server"
local expect = require "spec.support.expect"
local process = require "spec.support.process"

describe("a cache whose memory is full", function()
  local server, cache

  setup(function()
    server = Server.start { options = { memory = "8mb", max_value = "4mb", max_frame = "8mb" } }
    cache = server:connect()
  end)
  teardown(function() server:stop() end)

  it("makes room for what is new, and stays within its bound", function()
    local before = process.resident(server.pid)
    local value = ("x"):rep(1000)
    for round = 0, 49 do
      local ids = {}
      for i = 1, 1000 do ids[i] = cache:send("set", "key:" .. round * 1000 + i, value) end
      for i = 1, 1000 do expect.value(cache:receive(ids[i])) end
    end
    local store = expect.value(cache:stats()).store
    assert.truthy(store.bytes <= 8 * 1048576)
    assert.truthy(store.evictions > 0)
    assert.truthy(store.entries > 1000)
    if not Server.is_sanitized() then
      assert.truthy(process.resident(server.pid) - before < 64 * 1048576)
    end
    expect.value(cache:set("newest", "is there"))
    assert.equal("is there", expect.value(cache:get "newest"))
  end)

  it("refuses a value that no shard can hold, and what stood there is gone", function()
    expect.value(cache:set("huge", "small"))
    expect.error("TOO_LARGE", "huge", cache:set("huge", ("x"):rep(3000000)))
    expect.absent(cache:peek "huge")
  end)
end)
