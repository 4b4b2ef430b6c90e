-- Guesses: one of a name at a time, counted by network, and no burden to others. "Held" is shown by
-- delays that are longer than any test, and by what stats counts; no time is measured.

local Server = require "spec.support.server"
local expect = require "spec.support.expect"
local ffi = require "ffi"
local process = require "spec.support.process"
local socket = require "socket"
local wait = require "spec.support.wait"

-- A cheap hash (8 MiB, one pass) of "other".
local OTHER = "$argon2id$v=19$m=8192,t=1,p=1$dMoaTKxrUTzGwdGXZgwEuw$LasVO8KoMTADkX1NpsRNndVnt/i1l1inqZQiq6N7UOM"

local ME = process.is_root and 0 or tonumber(ffi.C.getuid())

describe("auth is fair", function()
  local server, ops

  local function options(more)
    local o = {
      users = {
        { name = "app", password_hash = OTHER, rights = { "read" } },
        { name = "jobs", password_hash = OTHER, rights = { "read" } },
        { name = "ops", unix_user = tostring(ME), rights = { "read", "admin" } },
      },
      auth_delay = "1min", auth_delay_cap = "1h", auth_timeout = "1h",
    }
    for name, v in pairs(more or {}) do o[name] = v end
    return { options = o }
  end
  local function start(more)
    server = Server.start(options(more))
    ops = server:connect()
  end
  after_each(function()
    if server then server:stop() end
    server = nil
  end)

  -- A connection from another address of this machine: all of 127.0.0.0/8 is.
  local function from(address)
    local c = server:connect { tcp = true }
    c.sock:close()
    local tcp = socket.tcp()
    assert(tcp:bind(address, 0))
    tcp:settimeout(wait.PATIENCE)
    assert(tcp:connect("127.0.0.1", server.port))
    c.sock = tcp
    return c
  end

  local function await(name, count)
    wait.until_true(("%d %s"):format(count, name), function()
      return expect.value(ops:stats()).counters[name] == count
    end)
  end

  local function counted(name) return expect.value(ops:stats()).counters[name] end

  local guesses = 0

  -- Sends one guess, another each time; the connection, and what it is answered by.
  local function guess(address, name)
    local c = from(address)
    guesses = guesses + 1
    return c, c:send("auth", name, "guess" .. guesses)
  end

  -- The first guess of a name from a network fails: what comes after it from there is held.
  local function fail_once(address, name)
    expect.error("AUTH_FAILED", {}, from(address):auth(name, "wrong"))
  end

  it("verifies one guess of a name at a time, over however many connections they come", function()
    start()
    for _ = 1, 8 do guess("127.0.0.1", "app") end
    await("auths_failed", 1)
    await("auths_held", 7)
    assert.is_true(expect.value(from("127.0.0.1"):auth("jobs", "other"))) -- another name is free
    assert.equal(1, counted "auths_failed")
    assert.equal(0, counted "auths_refused")
  end)

  it("goes on with the next guess once the delay is over", function()
    start { auth_delay = "1ms", auth_delay_cap = "1ms" }
    for _ = 1, 8 do guess("127.0.0.1", "app") end
    await("auths_failed", 8)
    assert.is_true(expect.value(from("127.0.0.1"):auth("app", "other")))
  end)

  it("counts the addresses of a network together, and networks apart", function()
    start()
    for i = 1, 8 do guess("127.0.0." .. i, "app") end
    await("auths_held", 7)
    await("auths_failed", 1)
    for i = 1, 4 do guess("127.0.1." .. i, "app") end
    await("auths_held", 10)
    await("auths_failed", 2)
    assert.is_true(expect.value(from("127.0.2.1"):auth("app", "other")))
    assert.equal(2, counted "auths_failed")
  end)

  it("does not hold who has got in before for what its neighbours do", function()
    start { auth_cache = "0s" }
    assert.is_true(expect.value(from("127.0.0.9"):auth("app", "other")))
    fail_once("127.0.0.1", "app")
    from("127.0.0.7"):send("auth", "app", "other") -- a neighbour that has not
    await("auths_held", 1)
    assert.is_true(expect.value(from("127.0.0.9"):auth("app", "other")))
    fail_once("127.0.0.9", "app") -- its own failures are another thing
    from("127.0.0.9"):send("auth", "app", "other")
    await("auths_held", 2)
    assert.equal(2, counted "auths")
  end)

  it("tries no guess at once against passwords that were right", function()
    start()
    assert.is_true(expect.value(from("127.0.0.9"):auth("app", "other")))
    assert.is_true(expect.value(from("127.0.1.1"):auth("app", "other")))
    assert.equal(1, counted "auths_cached")
    for _ = 1, 10 do guess("127.0.0.1", "app") end
    await("auths_held", 9)
    await("auths_failed", 1)
    from("127.0.0.1"):send("auth", "app", "other") -- the eleventh would be right
    await("auths_held", 10)
    assert.equal(2, counted "auths")
    assert.is_true(expect.value(from("127.0.1.1"):auth("app", "other")))
    assert.equal(2, counted "auths_cached")
  end)

  it("tries what is held back with nobody else's login", function()
    start { auth_cache = "0s" }
    fail_once("127.0.0.1", "app")
    from("127.0.0.1"):send("auth", "app", "other")
    await("auths_held", 1)
    assert.is_true(expect.value(from("127.0.1.1"):auth("app", "other")))
    assert.equal(1, counted "auths")
  end)

  it("asks digests for who is right as often as he likes", function()
    start { auth_cache = "0s" } -- all of these are asked for in vain
    for _ = 1, 12 do assert.is_true(expect.value(from("127.0.0.9"):auth("app", "other"))) end
    server:write_conf(options { auth_cache = "10min" })
    expect.value(ops:reload())
    assert.is_true(expect.value(from("127.0.0.9"):auth("app", "other")))
    assert.equal(0, counted "auths_cached")
    fail_once("127.0.0.9", "app")
    assert.is_true(expect.value(from("127.0.0.9"):auth("app", "other"))) -- out of its turn
    assert.equal(1, counted "auths_cached")
    assert.equal(0, counted "auths_held")
  end)

  it("hashes no password again that was found right while it waited", function()
    start { auth_delay = "200ms" }
    fail_once("127.0.0.1", "app")
    local c = from "127.0.0.1"
    local id = c:send("auth", "app", "other")
    await("auths_held", 1)
    assert.is_true(expect.value(from("127.0.1.1"):auth("app", "other")))
    assert.is_true(expect.value(c:receive(id)))
    assert.equal(1, counted "auths_cached")
  end)

  it("holds back what follows a failure on the same connection, of whatever name", function()
    start()
    local c = from "127.0.0.1"
    expect.error("AUTH_FAILED", {}, c:auth("app", "wrong"))
    c:send("auth", "jobs", "other")
    await("auths_held", 1)
    assert.equal(0, counted "auths")
    assert.is_true(expect.value(from("127.0.0.2"):auth("jobs", "other")))
  end)

  it("verifies equal ones of one address once", function()
    start()
    fail_once("127.0.0.1", "app")
    for _ = 1, 5 do from("127.0.0.1"):send("auth", "app", "other") end
    from("127.0.0.1"):send("auth", "app", "another")
    await("auths_held", 2)
  end)

  it("keeps nobody waiting who is held when the server drains", function()
    start()
    fail_once("127.0.0.1", "app")
    local c, id = guess("127.0.0.1", "app")
    await("auths_held", 1)
    server:signal "TERM"
    expect.error("SHUTTING_DOWN", {}, c:receive(id))
    assert.equal(0, server.process:wait(wait.PATIENCE))
    assert.is_nil(server:log():find("server.drain_timeout", 1, true))
  end)

  it("keeps room in its queue for others", function()
    -- Eight places: four for a network, two for an address.
    start { max_auth_queue = 8, auth_share_network = 0.5, auth_share_address = 0.25 }
    local held = 0
    local function hold(address)
      held = held + 1
      local c, id = guess(address, "x")
      await("auths_held", held)
      return c, id
    end
    fail_once("127.0.0.1", "x")
    hold "127.0.0.1"
    local newest, id = hold "127.0.0.1"
    expect.error("OVERLOADED", "max_auth_queue", from("127.0.0.1"):auth("x", "more"))
    hold "127.0.0.2"
    hold "127.0.0.2"
    assert.equal(0, counted "auths_displaced")
    -- The network is full. An address that has nothing there gets the newest place of one that has two.
    hold "127.0.0.3"
    expect.error("OVERLOADED", "fewer", newest:receive(id))
    assert.equal(1, counted "auths_displaced")
    assert.equal(2, counted "auths_refused")
    for i = 1, 2 do
      fail_once(("127.0.%d.1"):format(i), "x")
      hold(("127.0.%d.1"):format(i))
      hold(("127.0.%d.2"):format(i))
    end
    -- All is full. Somebody who has nothing there gets in, and stays.
    assert.equal(1, counted "auths_displaced")
    assert.is_true(expect.value(from("127.0.3.1"):auth("jobs", "other")))
    assert.equal(2, counted "auths_displaced")
    assert.equal(3, counted "auths_refused")
  end)
end)
