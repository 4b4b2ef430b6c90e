-- Times have a lower end: a deadline, a delay or a time to live of more than a second is not over sooner.
-- What takes its time is asked at once, each on a connection of its own, and the first byte of each answer
-- (or the end of the connection) is waited for. Only lower bounds are looked at, so that a slow machine
-- changes nothing.

local Certificates = require "spec.support.certificates"
local Server = require "spec.support.server"
local expect = require "spec.support.expect"
local socket = require "socket"
local wait = require "spec.support.wait"

-- Cheap hash (8 MiB, one pass) of "other".
local OTHER = "$argon2id$v=19$m=8192,t=1,p=1$dMoaTKxrUTzGwdGXZgwEuw$LasVO8KoMTADkX1NpsRNndVnt/i1l1inqZQiq6N7UOM"

-- The clock of the server's timers may be a turn of its loop behind.
local TURN = 0.01

local SCRIPT = [[
local function sleep() rtcache.sleep(600) end
return {
  load = function(key)
    if key:find "naps" then rtcache.sleep(1.2) return "napped" end
    if key:find "down" then return nil, { code = "BACKEND_DOWN", message = "it is down" } end
    if key:find "absent" then return nil end
    if key:find "value" then return "a value" end
    sleep()
  end,
  save = sleep,
}
]]

describe("not too early", function()
  local server, certificates
  after_each(function()
    if server then server:stop() end
    if certificates then certificates:remove() end
    server, certificates = nil, nil
  end)

  -- Each of rows {name, least seconds, client, what it should be in the end}; begun: since when.
  local function await_all(rows, begun)
    local of, left = {}, 0
    for _, row in ipairs(rows) do
      of[row[3].sock or row[3]] = row
      left = left + 1
    end
    while left > 0 do
      local socks = {}
      for sock in pairs(of) do socks[#socks + 1] = sock end
      local ready = socket.select(socks, nil, wait.PATIENCE)
      local now = wait.now()
      assert.truthy(#ready > 0, "something never came")
      for _, sock in ipairs(ready) do
        local row = of[sock]
        assert.truthy(now - begun >= row[2] - TURN, ("%s after %.3f s"):format(row[1], now - begun))
        if row[4] then row[4]() end
        of[sock] = nil
        left = left - 1
      end
    end
  end

  it("is the end of what a request, a load, a write or a connection may take", function()
    certificates = Certificates.make()
    certificates:issue("server", "DNS:localhost,IP:127.0.0.1")
    server = Server.start {
      options = {
        io_threads = 1, auth_timeout = "2s", idle_timeout = "2500ms", frame_grace = "1200ms", frame_rate = "1kb",
        users = {
          { name = "app", password_hash = OTHER, rights = { "read", "write" } },
          { name = "ops", unix_user = "root", rights = { "read", "write", "invalidate", "admin" } },
        },
      },
      tls = { certificate = "server.pem", key = "server.key", handshake_timeout = "2s" },
      files = { ["server.pem"] = certificates:text "server.pem", ["server.key"] = certificates:text "server.key" },
      scripts = { ["one.lua"] = SCRIPT },
      loaders = {
        { pattern = "wait:*", script = "one.lua", wait_timeout = "1200ms", load_timeout = "1min", retries = 0 },
        { pattern = "load:*", script = "one.lua", load_timeout = "1300ms", wait_timeout = "1min",
          write_timeout = "1400ms",
          retries = 0 },
        { pattern = "stale:*", script = "one.lua", stale_wait = "1500ms", wait_timeout = "1min", load_timeout = "1min",
          retries = 0 },
      },
    }
    local keeper = server:connect()
    for _, key in ipairs { "stale:1", "stale:2" } do
      expect.value(keeper:set(key, "old", { ttl_ms = 1, stale_ttl_ms = 1000000 }))
      wait.until_true("it is stale", function() return keeper:peek(key).status == "stale" end)
    end
    local rows, begun = {}, wait.now()
    local function ask(name, least, ends, method, ...)
      local c = server:connect()
      local id = c:send(method, ...)
      rows[#rows + 1] = { name, least, c, function()
        local value, err = c:receive(id)
        assert.equal(ends, err and err.code or value, name)
      end }
    end
    local function closed(name, least, c, ends)
      rows[#rows + 1] = { name, least, c, ends }
    end
    ask("wait_timeout", 1.2, "TIMEOUT", "get", "wait:1")
    ask("timeout_ms", 1.3, "TIMEOUT", "get", "wait:2", { timeout_ms = 1300 })
    ask("load_timeout", 1.3, "LOAD_TIMEOUT", "get", "load:1")
    ask("write_timeout", 1.4, "TIMEOUT", "put", "load:2", 1)
    ask("the deadline of a put", 1.1, "WRITE_UNKNOWN", "put", "load:3", 1, { timeout_ms = 1100 })
    ask("stale_wait", 1.5, "old", "get", "stale:1")
    ask("stale_wait_ms", 1.1, "old", "get", "stale:2", { stale_wait_ms = 1100 })
    ask("rtcache.sleep", 1.2, "napped", "get", "load:naps", { timeout_ms = 60000 })
    closed("auth_timeout", 2, server:connect { tcp = true })
    local idle = server:connect { tcp = true }
    expect.value(idle:auth("app", "other"))
    closed("idle_timeout", 2.5, idle)
    local slow = server:connect()
    slow:write "\148\0\1\163g"
    closed("frame_grace", 1.2, slow)
    local silent = assert(socket.connect("127.0.0.1", server.tls_port))
    closed("handshake_timeout", 2, silent)
    await_all(rows, begun)
    silent:close()
  end)

  it("is an entry stale, gone or asked for again", function()
    server = Server.start {
      options = { defaults = { retries = 0 } },
      scripts = { ["one.lua"] = SCRIPT },
      loaders = {
        { pattern = "a:*", script = "one.lua", ttl = "1200ms", stale_ttl = "700ms", negative_ttl = "1300ms",
          refresh_ahead = 0,
          write_timeout = "1ms" },
        { pattern = "kept:*", script = "one.lua", ttl = "300ms", stale_if_error = "1s", refresh_ahead = 0,
          write_timeout = "1ms" },
        { pattern = "down:*", script = "one.lua", breaker_failures = 1, breaker_open = "1200ms", backoff_base = "1ms",
          backoff_cap = "1ms" },
      },
    }
    local c = server:connect()
    expect.value(c:invalidate("floor", { version = 9 }) ~= nil)
    expect.error("BACKEND_DOWN", {}, c:get "down:1")
    local opened = wait.now()
    expect.value(c:get "a:value")
    expect.value(c:get "kept:value")
    expect.absent(c:get "a:absent")
    -- By the server's own clock: age_ms is asked for, not measured.
    local stale, gone, absent, kept
    wait.until_true("all are over", function()
      local entry = c:peek "a:value"
      if entry and entry.status == "hit" then assert.truthy(entry.age_ms + entry.ttl_ms >= 1199, entry.ttl_ms) end
      if entry and entry.status == "stale" then
        stale = stale or entry.age_ms
        assert.truthy(entry.age_ms >= 1199, entry.age_ms)
      end
      gone = gone or not entry and wait.now() - opened
      kept = kept or not c:peek "kept:value" and wait.now() - opened
      absent = absent or not c:peek "a:absent" and wait.now() - opened
      return stale and gone and absent and kept
    end)
    assert.truthy(gone >= 1.9 - TURN, gone)
    assert.truthy(absent >= 1.3 - TURN, absent)
    assert.truthy(kept >= 1.3 - TURN, kept)
    wait.until_true("the breaker lets one through", function() return select(2,
      c:get "down:1").code == "BACKEND_DOWN" end)
    assert.truthy(wait.now() - opened >= 1.2 - TURN)
  end)

  it("does a breaker let one through", function()
    server = Server.start {
      options = { loader_threads = 1, defaults = { retries = 0 } }, scripts = { ["one.lua"] = SCRIPT },
      loaders = { { pattern = "*", script = "one.lua", breaker_failures = 1, breaker_open = "1200ms",
        backoff_base = "1ms",
        backoff_cap = "1ms" } },
    }
    local c, n = server:connect(), 0
    for _ = 1, 2 do
      local begun = wait.now()
      wait.until_true("it opens", function()
        n = n + 1
        local _, err = c:get("down:" .. n)
        return err.code == "BACKEND_DOWN"
      end)
      begun = n == 1 and begun or wait.now()
      wait.until_true("it lets one through", function()
        n = n + 1
        local _, err = c:get("down:" .. n)
        return err.code == "BACKEND_DOWN"
      end)
      assert.truthy(wait.now() - begun >= 1.2 - TURN, wait.now() - begun)
    end
  end)

  it("is a floor forgotten, and a server that drains at its end", function()
    server = Server.start {
      options = { floor_ttl = "1200ms", drain_timeout = "1300ms" },
      scripts = { ["one.lua"] = SCRIPT },
      loaders = { { pattern = "*", script = "one.lua", load_timeout = "1s", write_timeout = "1s",
        wait_timeout = "1h" } },
    }
    local c, begun = server:connect(), wait.now()
    expect.value(c:invalidate("k", { version = 9 }) ~= nil)
    wait.until_true("the floor is over", function() return c:set("k", 1, { version = 8 }) end)
    assert.truthy(wait.now() - begun >= 1.2 - TURN)
    server.options.loaders[1].load_timeout, server.options.options.floor_ttl = "1min", "2min"
    server:write_conf(server.options)
    expect.value(c:reload())
    local id = c:send("get", "sleeps")
    server:await_loader("*", "in_flight", 1)
    begun = wait.now()
    server:signal "TERM"
    expect.error("SHUTTING_DOWN", {}, c:receive(id))
    assert.truthy(wait.now() - begun >= 1.3 - TURN)
  end)

  it("is a guess looked at after others that failed: each waits twice as long, up to auth_delay_cap", function()
    server = Server.start { options = { auth_delay = "150ms", auth_delay_cap = "500ms", max_auth_failures = 100,
      users = {
      { name = "app", password_hash = OTHER, rights = { "read" } } } } }
    local c = server:connect { tcp = true }
    expect.error("AUTH_FAILED", {}, c:auth("app", "wrong"))
    for _, least in ipairs { 0.15, 0.3, 0.5, 0.5 } do
      local begun = wait.now()
      expect.error("AUTH_FAILED", {}, c:auth("app", "wrong"))
      assert.truthy(wait.now() - begun >= least - TURN, wait.now() - begun)
    end
    local begun = wait.now()
    expect.value(c:auth("app", "other")) -- who is right waits as long, on that connection
    assert.truthy(wait.now() - begun >= 0.5 - TURN)
    local again = server:connect { tcp = true }
    expect.error("AUTH_FAILED", {}, again:auth("nobody", "wrong"))
    begun = wait.now()
    expect.error("AUTH_FAILED", {}, again:auth("another", "wrong")) -- of the same connection
    assert.truthy(wait.now() - begun >= 0.15 - TURN)
  end)

  it("and no later than auth_delay_cap, however many have failed", function()
    server = Server.start { options = { auth_delay = "1ms", auth_delay_cap = "2ms", max_auth_failures = 100, users = {
      { name = "app", password_hash = OTHER, rights = { "read" } } } } }
    local c = server:connect { tcp = true }
    -- The last of them would be held for a quarter of an hour.
    for _ = 1, 22 do expect.error("AUTH_FAILED", {}, c:auth("app", "wrong")) end
    expect.value(c:auth("app", "other"))
  end)
end)
