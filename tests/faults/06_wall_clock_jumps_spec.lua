local Server = require "spec.support.server"
local expect = require "spec.support.expect"
local faulty = require "faults.faulty"
local wait = require "spec.support.wait"

local HOUR = 3600

describe("the wall clock that jumps", function()
  it("moves the log's stamps and nothing else (race 29)", function()
    local server = Server.prepare { binary = faulty.binary, options = { log_level = "info" } }
    local control = faulty.control(server.folder)
    server.options.env = control:env()
    server:launch()
    local cache = server:connect()
    expect.value(cache:set("long", "stays", { ttl_ms = 20 * 60 * 1000, stale_ttl_ms = 0 }))
    local function remaining() return tonumber(expect.status("hit", cache:peek "long").ttl_ms) end
    local before = remaining()
    for _, shift in ipairs { 12 * HOUR, -12 * HOUR, 30 * 24 * HOUR, 0 } do
      control:shift_wall_clock(shift)
      expect.value(cache:set("short", "goes", { ttl_ms = 50, stale_ttl_ms = 0 }))
      wait.until_true("50 ms pass for an entry as ever", function()
        return cache:peek "short" == nil
      end)
      assert.equal("stays", expect.value(cache:get "long"))
      local now = remaining()
      assert.truthy(now <= before and now > before - 5 * 60 * 1000, now .. " ms after " .. before)
    end
    control:shift_wall_clock(48 * HOUR)
    local logged = #server:log()
    expect.value(cache:reload())
    local stamp = server:log():sub(logged + 1):match "^(%d+%-%d+%-%d+)T"
    assert.truthy(stamp and stamp > os.date "!%Y-%m-%d", "stamped " .. tostring(stamp))
    control:close()
    server:stop()
  end)
end)
