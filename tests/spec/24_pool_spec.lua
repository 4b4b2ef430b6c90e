local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local wait = require "spec.support.wait"

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
    local stats
    wait.until_true("the numbers of the backend and of the scripts", function()
      stats = expect.value(cache:stats())
      return stats.scripts.runs == 2 and stats.backends.main.in_flight == 0
    end)
    assert.truthy(stats.backends.main.queries >= 5)
    assert.truthy(stats.backends.main.connections >= 2)
    assert.equal(0, stats.backends.main.queued)
    assert.equal(0, stats.scripts.cpu_stops)
    source:close()
    server:stop()
  end)
end)
