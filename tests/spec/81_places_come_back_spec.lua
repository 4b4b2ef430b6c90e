-- As spec 80, of what is no request: connections, handshakes, waiters of a flight, subscriptions,
-- notifications, scans, passwords, queries and output. Each place is taken and given back again and
-- again, and then exactly as many are there as may.

local Certificates = require "spec.support.certificates"
local Server = require "spec.support.server"
local Source = require "spec.support.source"
local client = require "rtcache.client"
local expect = require "spec.support.expect"
local socket = require "socket"
local wait = require "spec.support.wait"

-- Cheap hash (8 MiB, one pass) of "other".
local OTHER = "$argon2id$v=19$m=8192,t=1,p=1$dMoaTKxrUTzGwdGXZgwEuw$LasVO8KoMTADkX1NpsRNndVnt/i1l1inqZQiq6N7UOM"

local GATE = 30

describe("a place that was taken", function()
  local server, cache

  local function start(options, fields)
    local o = { options = { io_threads = 1, loader_threads = 1 } }
    for name, v in pairs(options or {}) do o.options[name] = v end
    for name, v in pairs(fields or {}) do o[name] = v end
    server = Server.start(o)
    cache = server:connect()
  end
  after_each(function()
    if server then server:stop() end
    server = nil
  end)

  local function stats() return expect.value(cache:stats()) end
  local function counters() return stats().counters end
  local function await(name, count)
    wait.until_true(("%s is %d"):format(name, count), function() return counters()[name] == count end)
  end

  -- Requests in one write; the codes of their answers, "fine" for a value, in their order.
  local function at_once(c, requests)
    local bytes, codes, first = {}, {}, c.next_id
    for i, r in ipairs(requests) do bytes[i] = client.encode_request(first + i, unpack(r)) end
    c.next_id = first + #requests
    assert(c:write(table.concat(bytes)))
    for i = 1, #requests do
      local _, err = c:receive(first + i)
      codes[i] = err and err.code or "fine"
    end
    return codes
  end

  it("among max_waiters is free again for the next who asks", function()
    start({}, {
      scripts = { ["slow.lua"] = "return { load = function() rtcache.sleep(600) end }" },
      loaders = { { pattern = "*", script = "slow.lua", max_waiters = 2, load_timeout = "5min",
        wait_timeout = "5min" } },
    })
    for _ = 1, 7 do expect.error("TIMEOUT", {}, cache:get("k", { timeout_ms = 1 })) end
    for n = 1, 7 do
      local c = server:connect()
      c:send("get", "k")
      expect.value(c:ping())
      c:close()
      await("connections_closed", n)
    end
    for _ = 1, 7 do
      assert.equal("TIMEOUT", expect.value(cache:get_many({ "k" }, { timeout_ms = 1 }))[1].error.code)
    end
    local get = { "get", "k", { timeout_ms = 50 } }
    assert.same({ "TIMEOUT", "TIMEOUT", "OVERLOADED" }, at_once(cache, { get, get, get }))
    assert.equal(1, counters().loads)
  end)

  describe("among max_connections", function()
    local function tcp() return server:connect { tcp = true } end
    for _, way in ipairs {
      { "was closed", function(c) c:close() end },
      { "was closed in the middle of a request", function(c)
        c:write "\148\0\1"
        c:close()
      end },
      { "closed its half", function(c)
        c.sock:shutdown "send"
        expect.error("CLOSED", {}, c:receive())
        c:close()
      end },
      { "was reset", function(c)
        c.sock:setoption("linger", { on = true, timeout = 0 })
        c:close()
      end },
      { "was malformed", function(c)
        c:write "\255"
        expect.error("CLOSED", {}, c:ping())
        c:close()
      end },
      { "asked too much before auth", function(c)
        expect.error("TOO_LARGE", {}, c:ping { x = ("y"):rep(5000) })
        c:close()
      end },
      { "failed to authenticate", function(c)
        expect.error("AUTH_FAILED", {}, c:auth("app", "wrong"))
        expect.error("CLOSED", {}, c:ping())
        c:close()
      end },
      { "left during its auth", function(c)
        c:send("auth", "app", "wrong")
        c:close()
      end },
    } do
      it("is free again when a connection " .. way[1], function()
        start { max_connections = 2, reserved_connections = 1, max_auth_failures = 1, auth_delay = "0s",
          users = { { name = "app", password_hash = OTHER, rights = { "read" } },
            { name = "ops", unix_user = "root", rights = { "admin" } } } }
        for n = 1, 7 do
          way[2](tcp())
          await("connections_closed", n)
        end
        assert.equal(0, counters().connections_refused)
        for n = 1, 7 do -- and the one that is kept for operators
          local full = tcp()
          expect.value(full:ping())
          local ops = server:connect()
          expect.value(ops:ping())
          ops:close()
          full:close()
          await("connections_closed", 7 + 2 * n)
        end
        assert.equal(7, counters().connections_reserved)
        expect.value(tcp():ping())
        expect.error("CLOSED", {}, tcp():ping())
        expect.value(server:connect():ping())
        assert.falsy((server:connect():ping()))
        assert.equal(2, counters().connections_refused)
      end)
    end
  end)

  it("among max_handshakes is free again, however the handshake ended", function()
    local certificates = Certificates.make()
    finally(function() certificates:remove() end)
    certificates:issue("server", "DNS:localhost,IP:127.0.0.1")
    start({}, {
      tls = { certificate = "server.pem", key = "server.key", max_handshakes = 1, handshake_timeout = "1s" },
      files = { ["server.pem"] = certificates:text "server.pem", ["server.key"] = certificates:text "server.key" },
    })
    local done, failed = 0, 0
    local function raw(bytes)
      return function()
        local s = assert(socket.connect("127.0.0.1", server.tls_port))
        if bytes then s:send(bytes) end
        await("tls_started", done + failed + 1)
        s:close()
        failed = failed + 1
      end
    end
    local function shake()
      local c = assert(client.connect { port = server.tls_port, tls = { ca = certificates:path "ca.pem" },
        timeout = wait.PATIENCE })
      expect.value(c:ping())
      done = done + 1
      return c
    end
    local ways = { function() shake():close() end, raw(nil), raw "GET / HTTP/1.1\r\n\r\n", raw "\22\3\1\0\200",
      raw "\22\3\1\0\8no hello" }
    for _, way in ipairs(ways) do
      for _ = 1, 4 do
        way()
        await("tls_failed", failed)
        await("tls_handshakes", done)
      end
    end
    for _ = 1, 2 do -- the server cuts it
      local s = assert(socket.connect("127.0.0.1", server.tls_port))
      s:settimeout(wait.PATIENCE)
      assert.equal("closed", select(2, s:receive(1)))
      s:close()
      failed = failed + 1
      await("tls_failed", failed)
    end
    assert.equal(0, counters().tls_refused)
    shake()
    local s = assert(socket.connect("127.0.0.1", server.tls_port))
    await("tls_started", done + failed + 1)
    assert.is_nil((client.connect { port = server.tls_port, tls = { ca = certificates:path "ca.pem" } }))
    await("tls_refused", 1)
    s:close()
  end)

  it("among max_subscriptions is free again, and nothing is free twice", function()
    start { max_subscriptions = 3 }
    local c = server:connect()
    local three = { keys = { "a" }, patterns = "b*", tags = { "t" } }
    for _ = 1, 5 do
      assert.equal(3, expect.value(c:subscribe(three)))
      assert.equal(3, expect.value(c:subscribe(three))) -- the same ones
      expect.error("OVERLOADED", "max_subscriptions", c:subscribe { keys = { "x" }, tags = "t" })
      assert.equal(2, expect.value(c:unsubscribe { tags = { "t", "never" }, patterns = "never*" }))
      assert.equal(2, expect.value(c:unsubscribe { tags = "t", keys = { "b*" } }))
      assert.equal(3, expect.value(c:subscribe { tags = "u" }))
      assert.equal(0, expect.value(c:unsubscribe()))
      assert.equal(0, expect.value(c:unsubscribe()))
    end
    for _ = 1, 5 do
      local gone = server:connect()
      expect.value(gone:subscribe(three))
      gone:close()
    end
    wait.until_true("all have ended", function()
      local n = counters()
      return n.subscribed == n.unsubscribed
    end)
    assert.equal(3, expect.value(c:subscribe(three)))
    assert.equal("OVERLOADED", select(2, c:subscribe { keys = { "x" } }).code)
  end)

  it("among max_notices is free again once it is told, and a loss is told each time", function()
    start({ max_notices = 4 }, {})
    local near = server:connect()
    expect.value(near:subscribe { patterns = "*" })
    for i = 1, 20 do
      expect.value(cache:set("k" .. i, i))
      assert.equal("k" .. i, select(2, near:notification())[1].key)
    end
    assert.equal(0, counters().notices_lost)
    for round = 1, 3 do
      local before = counters().notices_lost
      wait.until_true("something is lost", function()
        local ids = {}
        for i = 1, 500 do ids[i] = cache:send("invalidate", "k" .. i) end
        for i = 1, 500 do cache:receive(ids[i]) end
        return counters().notices_lost > before
      end)
      expect.value(cache:set("end " .. round, 1))
      local lost, last = 0
      repeat
        last = select(2, near:notification())[1]
        lost = lost + (last.all and 1 or 0)
      until last.key == "end " .. round or last.all
      assert.truthy(lost > 0, "round " .. round)
      while last.key ~= "end" do
        expect.value(cache:set("end", 1)) -- what was lost at the end of the round is told of by now
        last = select(2, near:notification())[1]
      end
    end
  end)

  it("among max_globs is free again after each scan", function()
    start { max_globs = 1 }
    for i = 1, 5 do
      for _, method in ipairs { "invalidate_match", "expire_match" } do
        expect.value(cache:set("k:" .. i, i))
        expect.value(cache[method](cache, "k:*"))
        wait.until_true("it is over", function() return stats().store.globs == 0 end)
      end
    end
    assert.equal(0, counters().globs_refused)
  end)

  it("among max_auth_queue is free again, whatever becomes of the attempt", function()
    local users = { { name = "app", password_hash = OTHER, rights = { "read" } },
      { name = "ops", unix_user = "root", rights = { "admin" } } }
    start { users = users, max_auth_queue = 1, auth_cache = "0s", auth_delay = "0s", max_auth_failures = 1000 }
    local n = 0
    for _, way in ipairs {
      function(c) expect.value(c:auth("app", "other")) end,
      function(c) expect.error("AUTH_FAILED", {}, c:auth("app", "wrong")) end,
      function(c) expect.error("AUTH_FAILED", {}, c:auth("nobody", "other")) end,
      function(c)
        local before = counters()
        c:send("auth", "app", "guess")
        c:close()
        wait.until_true("it was looked at", function() return counters().auths_failed > before.auths_failed end)
      end,
      function(c)
        local before = counters().auths
        c:send("auth", "app", "other")
        c:close()
        wait.until_true("it was looked at", function() return counters().auths > before end)
      end,
    } do
      for _ = 1, 4 do
        way(server:connect { tcp = true })
        n = n + 1
      end
    end
    assert.equal(20, n)
    assert.equal(0, counters().auths_refused)
    expect.value(server:connect { tcp = true }:auth("app", "other"))
  end)

  it("of unread output is free again, whatever an answer came to", function()
    start({ max_output = "1mb", max_value = "256kb", max_batch = 100 }, {
      scripts = { ["big.lua"] = [[return { load = function(key)
        if key:find "throws" then error "it throws" end
        if key:find "none" then return nil end
        return ("x"):rep(40000)
      end }]] },
      loaders = { { pattern = "*", script = "big.lua", ttl = "1h", breaker_failures = 0 } },
    })
    local c, n = server:connect(), 0
    local function keys(...)
      n = n + 1
      local out = {}
      for i, kind in ipairs { ... } do out[i] = kind .. n .. ":" .. i end
      return out
    end
    local many = {}
    for i = 1, 60 do many[i] = "many" end
    for _ = 1, 30 do -- each a seventh of max_output
      local three = keys("loaded", "throws", "none", "loaded")
      assert.equal(4, #expect.value(c:get_many(three)))
      assert.equal(4, #expect.value(c:get_many(three)))
      assert.equal(40000, #expect.value(c:get(three[1])))
    end
    for _ = 1, 5 do expect.error("TOO_LARGE", "max_output", c:get_many(keys(unpack(many)))) end
    assert.equal(4, #expect.value(c:get_many(keys("loaded", "loaded", "loaded", "loaded"))))
    assert.equal("fine", at_once(c, { { "get", "loaded1:1" }, { "ping" } })[2])
    assert.equal(0, counters().connections_cut)
  end)

  describe("of a backend", function()
    local source

    local function behaves(open)
      return function()
        server, source = open()
        cache = server:connect()
        local ways = {
          { "value", nil }, { "fails", "BACKEND_ERROR" }, { "large", "TOO_LARGE" }, { "late", "LOAD_TIMEOUT" },
        }
        for _, way in ipairs(ways) do
          for i = 1, 4 do
            local _, err = cache:get(("%s:%d"):format(way[1], i))
            assert.equal(way[2], err and err.code, way[1])
          end
        end
        wait.until_true("nothing is under way", function()
          local b = stats().backends.main
          return b.in_flight + b.queued == 0
        end)
        -- One is in the air and two wait, less one where the server asks about the statement itself.
        for round = 1, 4 do
          local asked, count = {}, { fine = 0, LOAD_TIMEOUT = 0, OVERLOADED = 0 }
          for i = 1, 5 do asked[i] = { "get", ("late:%d:%d"):format(round, i) } end
          for _, code in ipairs(at_once(cache, asked)) do count[code] = count[code] + 1 end
          assert.equal(0, count.fine)
          assert.truthy(count.LOAD_TIMEOUT == 2 or count.LOAD_TIMEOUT == 3, count.LOAD_TIMEOUT)
          expect.value(cache:get("value:after" .. round))
        end
        expect.value(cache:get "value:last")
        source:close()
      end
    end
    local function options(late)
      return {
        options = { loader_threads = 1 },
        scripts = { ["ask.lua"] = [[
          local ways = {
            value = "SELECT 'a value'", fails = "SELECT nothing", late = "]] .. late .. [[",
            large = "SELECT ']] .. ("x"):rep(3000) .. [['",
          }
          return { load = function(key, ctx) return ctx.db:value(ways[key:match "%a+"]) end }]] },
        loaders = { { pattern = "*", script = "ask.lua", retries = 0, breaker_failures = 0, load_timeout = "300ms" } },
      }
    end

    it("is free again in PostgreSQL, and each query that is given up is stopped there", behaves(function()
      local s, db = Source.postgres(options "SELECT pg_sleep(600)", nil, { pool = 1, max_queue = 2,
        max_result = "1kb" })
      return s, db
    end))

    it("is free again in SQLite", behaves(function()
      local o = options [[WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n) SELECT count(*) FROM n]]
      o.backends = { main = { driver = "sqlite", path = "x.db", pool = 1, max_queue = 2, max_result = "1kb" } }
      o.loaders[1].backend, o.files = "main", { ["x.db"] = "" }
      local s = Server.start(o)
      return s, { close = function() end }
    end))
  end)

  it("of a load ahead is free again, however it ends", function()
    local source
    server, source = Source.postgres {
      options = { loader_threads = 1, defaults = { jitter = 0, retries = 0, prefetch_min_reads = 1,
        refresh_ahead = 0.1 } },
      loaders = { { pattern = "*", ttl = "1s", load_timeout = "100ms", prefetch_max_concurrent = 1,
        prefetch_max_queue = 0,
        breaker_failures = 0, backoff_base = "1ms", backoff_cap = "1ms" } },
    }
    cache = server:connect()
    source.db:shut(GATE)
    local ends = { { fail = "it fails" }, { gate = GATE }, {}, "absent", "invalidated", "set" }
    for round = 1, 2 do
      for i, fields in ipairs(ends) do
        local key = ("k%d:%d"):format(round, i)
        source:put(key, "old")
        local before = server:loader("*").loads_prefetch -- a slow machine may be ahead of all that follows
        for _ = 1, 3 do expect.value(cache:get(key)) end
        if fields == "absent" then
          source:remove(key)
        else
          source:put(key, "new", type(fields) == "table" and fields or { gate = GATE })
        end
        wait.until_true("it is loaded ahead", function() return server:loader("*").loads_prefetch > before end)
        if fields == "invalidated" then cache:invalidate(key) end
        if fields == "set" then cache:set(key, "newest") end
        server:await_loader("*", "in_flight", 0)
      end
    end
    assert.equal(0, server:loader("*").prefetch_skipped)
    source:open_gates()
    source:close()
  end)
end)
