local Server = require "spec.support.server"
local expect = require "spec.support.expect"

describe("a log without room", function()
  it("costs its lines and nothing else", function()
    local server = Server.start {
      options = { log_file = "/dev/full", log_level = "debug" },
      scripts = { ["bad.lua"] = "return { load = function() error 'no' end }" },
      loaders = { { pattern = "bad:*", script = "bad.lua", retries = 0, breaker_failures = 0 } },
    }
    local cache = server:connect()
    for i = 1, 200 do
      expect.error("LOAD_FAILED", "no", cache:get("bad:" .. i))
      expect.value(cache:set("good:" .. i, i))
      assert.equal(i, expect.value(cache:get("good:" .. i)))
    end
    expect.value(cache:reload())
    server:signal "HUP"
    assert.equal("pong", expect.value(cache:ping()))
    server:stop()
  end)
end)
