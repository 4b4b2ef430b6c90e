local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local figures = require "faults.figures"
local wait = require "spec.support.wait"

local KEYS = 50

describe("kill -9 of the server, under load with writes,", function()
  it("loses the cache and nothing else", function()
    local times = figures.pick(5, 100)
    local server, source = Source.postgres {
      scripts = { ["row.lua"] = [[
        return {
          load = function(key, ctx)
            local row = ctx.db:row("SELECT value, version FROM source WHERE key = $1", key)
            return row and row.value, { version = row and row.version }
          end,
          save = function(key, value, ctx)
            local version = ctx.db:value("UPDATE source SET value = $2, version = version + 1 WHERE key = $1 "
              .. "RETURNING version", key, value)
            return value, { version = version }
          end,
        }]] },
      loaders = { { pattern = "row:*", script = "row.lua", ttl = "1h", stale_ttl = "1h" } },
    }
    for i = 1, KEYS do source:put("row:" .. i, "0", { version = 1 }) end
    local longest, unanswered = 0, 0
    local acknowledged = {}
    for time = 1, times do
      local writer, reader = server:connect(), server:connect()
      local ids = {}
      for i = 1, KEYS do
        ids[i] = writer:send("put", "row:" .. i, tostring(time))
        reader:send("get", "row:" .. i)
      end
      for i = 1, time % KEYS do -- killed at another place each time
        expect.value(writer:receive(ids[i]))
        acknowledged[i] = time
      end
      server:kill()
      server:close_clients()
      unanswered = unanswered + KEYS - time % KEYS
      local began = wait.now()
      server:launch()
      longest = math.max(longest, wait.now() - began)
      local cache = server:connect()
      for i = 1, KEYS do
        local value = expect.value(cache:get("row:" .. i))
        assert.truthy(tonumber(value) >= (acknowledged[i] or 0), "row " .. i .. " went back to " .. value)
      end
    end
    -- Writes that were cut off may still end in the database; then its rows and the answers are the same.
    wait.until_true("no statement of a killed server runs", function()
      return source.db:number("SELECT count(*) FROM pg_stat_activity WHERE datname = current_database() "
        .. "AND query LIKE 'UPDATE source%' AND state = 'active'") == 0
    end)
    local cache = server:connect()
    for i = 1, KEYS do
      expect.value(cache:invalidate("row:" .. i))
      assert.equal(source.db:value("SELECT value FROM source WHERE key = 'row:" .. i .. "'"),
        expect.value(cache:get("row:" .. i)))
    end
    figures.print(("kill -9, %d times, writes cut off"):format(times), unanswered, "", "none lost after its answer: 0")
    figures.print("longest start after kill -9", longest * 1000, "ms", "none (printed only)")
    source:close()
    server:stop()
  end)
end)
