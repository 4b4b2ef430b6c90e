local Server = require "spec.support.server"
local client = require "rtcache.client"
local expect = require "spec.support.expect"
local faulty = require "faults.faulty"
local figures = require "faults.figures"
local process = require "spec.support.process"
local requests = require "faults.requests"
local wait = require "spec.support.wait"

local NONE = 2 ^ 60 -- more than there are

describe("an allocation that fails, whichever it is,", function()
  local server, control, witness, beside, next_row

  setup(function()
    local options = requests.options()
    options.binary = faulty.binary
    server = Server.prepare(options)
    requests.make_source(server.folder)
    control = faulty.control(server.folder)
    server.options.env = control:env()
    server.options.env.FAULTS_TRACE = os.getenv "FAULTS_TRACE"
    server:launch()
    witness, beside, next_row = server:connect(), server:connect(), 0
  end)
  teardown(function()
    control:close()
    server:stop()
  end)

  -- One request while the nth allocation fails, and so many after it; how many were asked for, whether it ended with
  -- an error, and how many failed.
  local function try(name, nth, more)
    next_row = next_row + 1
    local c = server:connect()
    server.clients[#server.clients] = nil
    control:fail_allocation(nth, more)
    local _, err = requests.kinds[name](c, next_row, beside)
    local seen, fell = control:calm()
    local what = ("%s, allocation %d and %d more: %s"):format(name, nth, more or 0, tostring(err))
    assert.truthy(not err or err.code ~= "TIMEOUT", what)
    c:close()
    if server.process:wait(0) then error(what .. "; the server ended with " .. server.process.status, 0) end
    assert.equal("pong", expect.value(witness:ping()), what)
    assert.is_nil((witness:peek(requests.NEVER)), what)
    if not beside:ping() then beside = server:connect() end
    wait.until_true("the row comes after " .. what, function()
      local value = witness:get("row:" .. next_row)
      return value and value.name == "row " .. next_row
    end)
    return seen, err ~= nil, fell
  end

  -- Each of those that a request asks for, or some of them. The error that came, and how often.
  local function try_each(name, more)
    for _ = 1, 20 do try(name, NONE) end
    local total = 0
    for _ = 1, 5 do total = math.max(total, (try(name, NONE))) end
    local step = figures.pick(math.max(1, math.floor(total / 100)), 1)
    local tried, errors, fell = 0, 0, 0
    for nth = 1, total, step do
      local _, failed, count = try(name, nth, more)
      tried, errors, fell = tried + 1, errors + (failed and 1 or 0), fell + count
    end
    assert.truthy(fell > 0, "no allocation failed")
    local which = more > 0 and "and the next" or "alone"
    figures.print(("%s: of %d allocations failed, %s, requests that ended with an error"):format(name, tried, which),
      errors, "", "each of them answered, no crash")
  end

  for _, name in ipairs(requests.names) do
    it("fails one request at most: " .. name, function() try_each(name, 0) end)
    it("fails one request at most, with all that follow it: " .. name, function() try_each(name, NONE) end)
  end

  it("keeps no place among max_connections for a client that could not be taken", function()
    local function places() return expect.value(witness:stats()).server.connections end
    local before, fell = places(), 0
    for nth = 1, 12 do
      control:fail_allocation(nth)
      local c = client.connect { path = server.socket_path, timeout = wait.PATIENCE }
      c:ping()
      local _, failed = control:calm()
      fell = fell + failed
      c:close()
      wait.until_true("its place is free after allocation " .. nth, function() return places() == before end)
    end
    assert.truthy(fell > 0, "no allocation failed")
  end)

  it("lets a start succeed, or refuses it with a message", function()
    local options = requests.options()
    options.binary = faulty.binary
    options.backends.main.path = server.folder .. "/source.db"
    local other = Server.prepare(options)
    local counter = faulty.control(other.folder)
    local function start(nth)
      counter:fail_allocation(nth)
      local p = process.spawn(other:command(), { stderr = other.log_path, env = counter:env() })
      local line
      repeat line = p:line(wait.PATIENCE) until line == "ready" or not line
      local seen, fell = counter:calm()
      if line then p:signal "TERM" end
      local status = p:wait(wait.PATIENCE)
      p:finish()
      local what = ("allocation %d of a start: exit code %s\n%s"):format(nth, tostring(status), other:log():sub(-500))
      assert.equal(line and 0 or 1, status, what)
      assert.truthy(line or other:log():find("rtcached: ", 1, true), what)
      return seen, line, fell
    end
    local total, refused, tried, fell = start(NONE), 0, 0, 0
    for nth = 1, total, figures.pick(math.max(1, math.ceil(total / 40)), 1) do
      local _, ready, count = start(nth)
      tried, refused, fell = tried + 1, refused + (ready and 0 or 1), fell + count
    end
    assert.truthy(fell > 0, "no allocation failed")
    figures.print(("of %d starts without one allocation, refused"):format(tried), refused, "", "each with a message")
    counter:close()
    other:remove()
  end)
end)
