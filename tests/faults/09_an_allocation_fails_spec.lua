local Server = require "spec.support.server"
local Sqlite = require "spec.support.sqlite"
local expect = require "spec.support.expect"
local faulty = require "faults.faulty"
local figures = require "faults.figures"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

local SCRIPT = [[
return { load = function(key, ctx)
  local row = ctx.db:row("SELECT name FROM people WHERE id = $1", tonumber(ctx.match[1]))
  return { key = key, name = row.name, list = { 1, 2, 3 } }, { tags = { "all" } }
end }]]

local REQUESTS = {
  load = function(c, n) return c:get("row:" .. n) end,
  set = function(c, n) return c:set("set:" .. n, ("x"):rep(300), { tags = { "some" } }) end,
  many = function(c, n) return c:get_many { "row:" .. n, "row:1" } end,
  invalidate = function(c, n) return c:invalidate("row:" .. n) end,
  reload = function(c) return c:reload() end,
}

describe("an allocation that fails, whichever it is,", function()
  local server, control, witness, next_row

  setup(function()
    server = Server.prepare {
      binary = faulty.binary,
      options = { defaults = { backoff_base = "1ms", backoff_cap = "1ms", breaker_failures = 0, retries = 0 } },
      backends = { main = { driver = "sqlite", path = "source.db" } },
      scripts = { ["row.lua"] = SCRIPT },
      loaders = { { pattern = "row:*", script = "row.lua", backend = "main" } },
    }
    Sqlite.open(server.folder .. "/source.db", "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT);"
      .. "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < 100000)"
      .. " INSERT INTO people SELECT i, 'row ' || i FROM n"):close()
    control = faulty.control(server.folder)
    server.options.env = control:env()
    server.options.env.FAULTS_TRACE = os.getenv "FAULTS_TRACE"
    server:launch()
    witness, next_row = server:connect(), 0
  end)
  teardown(function()
    control:close()
    server:stop()
  end)

  -- One request while the nth allocation fails; how many were asked for.
  local function try(name, nth)
    next_row = next_row + 1
    local c = server:connect()
    control:fail_allocation(nth)
    local _, err = REQUESTS[name](c, next_row)
    local seen = control:calm()
    local what = ("%s, allocation %d: %s"):format(name, nth, tostring(err))
    assert.truthy(not err or err.code ~= "TIMEOUT", what)
    c:close()
    server.clients[#server.clients] = nil
    if server.process:wait(0) then error(what .. "; the server ended with " .. server.process.status, 0) end
    assert.equal("pong", expect.value(witness:ping()), what)
    wait.until_true("the row comes after " .. what, function()
      local value = witness:get("row:" .. next_row)
      return value and value.name == "row " .. next_row
    end)
    return seen, err ~= nil
  end

  for name in pairs(REQUESTS) do
    it("fails one request at most: " .. name, function()
      for _ = 1, 20 do try(name, 2 ^ 60) end
      local total = 0
      for _ = 1, 5 do total = math.max(total, (try(name, 2 ^ 60))) end
      local step = figures.pick(math.max(1, math.floor(total / 40)), 1)
      local tried, errors = 0, 0
      for nth = 1, total, step do
        local _, failed = try(name, nth)
        tried, errors = tried + 1, errors + (failed and 1 or 0)
      end
      figures.print(("%s: of %d allocations failed, requests that ended with an error"):format(name, tried), errors, "",
        "each of them answered, no crash")
    end)
  end

  it("lets a start succeed, or refuses it with a message", function()
    local other = Server.prepare {
      binary = faulty.binary,
      backends = { main = { driver = "sqlite", path = server.folder .. "/source.db" } },
      scripts = { ["row.lua"] = SCRIPT },
      loaders = { { pattern = "row:*", script = "row.lua", backend = "main" } },
    }
    local counter = faulty.control(other.folder)
    local function start(nth)
      counter:fail_allocation(nth)
      local p = process.spawn(other:command(), { stderr = other.log_path, env = counter:env() })
      local line
      repeat line = p:line(wait.PATIENCE) until line == "ready" or not line
      local seen = counter:calm()
      if line then p:signal "TERM" end
      local status = p:wait(wait.PATIENCE)
      p:finish()
      local what = ("allocation %d of a start: exit code %s\n%s"):format(nth, tostring(status), other:log():sub(-500))
      assert.equal(line and 0 or 1, status, what)
      assert.truthy(line or other:log():find("rtcached: ", 1, true), what)
      return seen, line
    end
    local total, refused, tried = start(2 ^ 60), 0, 0
    for nth = 1, total, figures.pick(math.ceil(total / 40), 1) do
      local _, ready = start(nth)
      tried, refused = tried + 1, refused + (ready and 0 or 1)
    end
    figures.print(("of %d starts without one allocation, refused"):format(tried), refused, "", "each with a message")
    counter:close()
    other:remove()
  end)
end)
