local Server = require "spec.support.server"
local expect = require "spec.support.expect"
local faulty = require "faults.faulty"
local files = require "spec.support.files"
local process = require "spec.support.process"

local SCRIPT = "return { load = function(key, ctx) return ctx.db:value('SELECT 7') end }"

local function options(path)
  return {
    binary = faulty.binary,
    backends = { main = { driver = "sqlite", path = path } },
    scripts = { ["seven.lua"] = SCRIPT },
    loaders = { { pattern = "seven:*", script = "seven.lua", backend = "main" } },
  }
end

local function prepare()
  local o = options "source.db"
  local server = Server.prepare(o)
  for _, name in ipairs { "source.db", "other.db" } do files.write(server.folder .. "/" .. name, "") end
  local control = faulty.control(server.folder)
  o.env = control:env()
  return server, control
end

describe("a thread that does not start", function()
  it("ends a server that starts, with a message, whichever it is", function()
    local server, control = prepare()
    local refused = 0
    for nth = 1, 20 do
      control:fail_thread(nth)
      local p = process.spawn(server:command(), { stderr = server.log_path, env = control:env() })
      local line = p:line()
      if line then -- all its threads were there before the nth
        control:calm()
        p:signal "TERM"
        assert.equal(0, p:wait())
        p:finish()
        break
      end
      assert.equal(1, p:wait())
      p:finish()
      assert.truthy(server:log():find("rtcached: .*Resource temporarily unavailable"), server:log())
      refused = refused + 1
    end
    assert.truthy(refused >= 3, refused .. " threads")
    control:close()
    server:stop()
  end)

  it("refuses a reload that needs it, and what was there goes on", function()
    local server, control = prepare()
    server:launch()
    local cache = server:connect()
    assert.equal(7, expect.value(cache:get "seven:1"))
    local o = options "other.db"
    server:write_conf(o)
    o.env = control:env()
    control:fail_thread(1)
    expect.error("RELOAD_FAILED", "Resource temporarily unavailable", cache:reload())
    assert.equal(7, expect.value(cache:get "seven:2"))
    control:calm()
    expect.value(cache:reload())
    assert.equal(7, expect.value(cache:get "seven:3"))
    control:close()
    server:stop()
  end)
end)
