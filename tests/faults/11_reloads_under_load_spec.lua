local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local figures = require "faults.figures"
local process = require "spec.support.process"

local SCRIPT = "return { load = function(key, ctx) return { key = key, n = ctx.db:value('SELECT 1') } end }"
local KEYS = 50

describe("200 reloads under load, 20 of them broken,", function()
  it("lose no request, and memory stays", function()
    local reloads = figures.pick(60, 200)
    local server, source = Source.sqlite {
      scripts = { ["row.lua"] = SCRIPT }, loaders = { { pattern = "row:*", script = "row.lua", ttl = "1ms" } },
    }
    local loads, control = server:connect(), server:connect()
    local answered, warm = 0, nil
    for n = 1, reloads do
      local broken = n % 10 == 0
      server:write_script("row.lua", broken and "return {" or SCRIPT .. " -- " .. n)
      local ids = {}
      for i = 1, KEYS do ids[i] = loads:send("get", "row:" .. i) end
      local ok, err = control:reload()
      if broken then
        expect.error("RELOAD_FAILED", "row.lua", ok, err)
      else
        expect.value(ok, err)
      end
      for i = 1, KEYS do
        assert.equal("row:" .. i, expect.value(loads:receive(ids[i])).key)
        answered = answered + 1
      end
      if n == math.floor(reloads / 2) then warm = process.resident(server.pid) end
    end
    local grown = (process.resident(server.pid) / warm - 1) * 100
    figures.print(("requests answered over %d reloads"):format(reloads), answered, "", tostring(reloads * KEYS))
    figures.print("resident memory, second half of the reloads", grown, "%", "10")
    assert.equal(reloads * KEYS, answered)
    assert.truthy(grown < 10, grown .. " %")
    source:close()
    server:stop()
  end)
end)
