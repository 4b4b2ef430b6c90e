local Source = require "spec.support.source"
local expect = require "spec.support.expect"

local GATE = 24

describe("a pool of pipelined connections", function()
  it("has a place beside a query that is slow, from its first moment on", function()
    local server, source = Source.postgres({
      loaders = { { pattern = "user:*", load_timeout = "60s", wait_timeout = "60s" } },
    }, nil, { pool = 4, pipeline = 64 })
    local cache = server:connect()
    source:put("user:slow", "slow", { gate = GATE })
    source:put("user:quick", "quick")
    source.db:shut(GATE)
    local slow = cache:send("get", "user:slow")
    source:await_gate(GATE)
    assert.equal("quick", expect.value(cache:get "user:quick"))
    assert.is_nil(cache.answers[slow])
    source.db:open(GATE)
    assert.equal("slow", expect.value(cache:receive(slow)))
    source:close()
    server:stop()
  end)
end)
