local Server = require "spec.support.server"
local Sqlite = require "spec.support.sqlite"
local expect = require "spec.support.expect"
local wait = require "spec.support.wait"

local SCRIPT = [[
return { load = function(key, ctx)
  if ctx.match[1] == "bad" then error "it fails" end
  return ctx.db:value("SELECT 1")
end }]]

-- So many keys are asked for from each backend: sums that no others of theirs are.
local LOADS = { first = 3, second = 17, third = 101 }

-- The numbers of each thread and each backend stand in a table of both.
for _, threads in ipairs { 1, 2, 3, 5 } do
  describe("a server of " .. threads .. " loader threads and three backends", function()
    local server, cache

    setup(function()
      local backends, loaders = {}, {}
      for name in pairs(LOADS) do
        backends[name] = { driver = "sqlite", path = name .. ".db" }
        loaders[#loaders + 1] = { pattern = name .. ":*", script = "one.lua", backend = name, retries = 0 }
      end
      server = Server.prepare {
        options = { loader_threads = threads, io_threads = 2 },
        backends = backends,
        loaders = loaders,
        scripts = { ["one.lua"] = SCRIPT },
      }
      for name in pairs(LOADS) do Sqlite.open(server.folder .. "/" .. name .. ".db", "CREATE TABLE t (a)"):close() end
      server:launch()
      cache = server:connect()
    end)
    teardown(function() server:stop() end)

    it("tells of each what all threads did with it", function()
      local runs = 0
      for name, count in pairs(LOADS) do
        for i = 1, count do assert.equal(1, expect.value(cache:get(name .. ":" .. i))) end
        runs = runs + count
      end
      wait.until_true("all are told", function()
        local stats = expect.value(cache:stats())
        for name, count in pairs(LOADS) do
          if stats.backends[name].queries ~= count then return false end
        end
        return stats.scripts.runs == runs
      end)
      for name in pairs(LOADS) do
        local told = expect.value(cache:stats()).backends[name]
        assert.equal(0, told.failures)
        assert.equal(0, told.in_flight)
        assert.is_true(told.connections >= 1)
      end
    end)

    it("tells of each loader what all threads did for it", function()
      for name, count in pairs(LOADS) do
        server:await_loader(name .. ":*", "loads", count)
        server:await_loader(name .. ":*", "failed", 0)
      end
      expect.error("LOAD_FAILED", "it fails", cache:get "second:bad")
      server:await_loader("second:*", "failed", 1)
      server:await_loader("first:*", "failed", 0)
      server:await_loader("third:*", "failed", 0)
    end)
  end)
end
