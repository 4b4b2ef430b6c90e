local Server = require "spec.support.server"
local expect = require "spec.support.expect"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

local MEBIBYTE = 1048576

describe("clients that ask and do not read", function()
  local server

  setup(function()
    server = Server.start {
      options = { max_output = "1mb", max_value = "512kb", max_parked = 100, max_batch = 100 },
      loaders = { { pattern = "slow:*", script = "slow.lua", wait_timeout = "10min", load_timeout = "10min" } },
      scripts = { ["slow.lua"] = "return { load = function() rtcache.sleep(600) return 1 end }" },
    }
  end)
  teardown(function() server:stop() end)

  it("are cut off at max_output, and the memory comes back", function()
    local witness = server:connect()
    expect.value(witness:set("big", ("x"):rep(100000)))
    local before = process.resident(server.pid)
    local lazy = {}
    for i = 1, 20 do
      lazy[i] = server:connect({ timeout = 1 })
      for _ = 1, 200 do
        if not lazy[i]:send("get", "big") then break end
      end
    end
    assert.equal("pong", expect.value(witness:ping()))
    -- 20 connections of 1 MiB, what one more answer brings, and what the kernel's buffers took.
    if not Server.is_sanitized() then
      assert.truthy(process.resident(server.pid) - before < 60 * MEBIBYTE)
    end
    wait.until_true("each of them is cut", function()
      return expect.value(witness:stats()).counters.connections_cut == #lazy
    end)
    for _, c in ipairs(lazy) do c:close() end
    wait.until_true("all are gone", function()
      return expect.value(witness:stats()).server.connections <= 2
    end)
    assert.equal(100000, #expect.value(witness:get "big"))
  end)

  it("may park max_parked requests, and hear OVERLOADED for the next", function()
    local c = server:connect()
    for i = 1, 100 do c:send("get", "slow:" .. i) end
    expect.error("OVERLOADED", {}, c:get "slow:101")
    assert.equal("pong", expect.value(c:ping()))
    local other = server:connect()
    expect.error("TIMEOUT", {}, other:get("slow:1", { timeout_ms = 20 }))
    c:close()
  end)
end)
