-- A server that was told to stop answers what was begun, tells who asks meanwhile that it goes down,
-- and closes each connection behind its last answer, so that nobody's answer is lost.

local Certificates = require "spec.support.certificates"
local Server = require "spec.support.server"
local Source = require "spec.support.source"
local client = require "rtcache.client"
local expect = require "spec.support.expect"
local msgpack = require "rtcache.msgpack"
local wait = require "spec.support.wait"

local GATE = 43
-- "other", cheaply hashed (8 MiB, one pass)
local OTHER =
  "$argon2id$v=19$m=8192,t=1,p=1$dMoaTKxrUTzGwdGXZgwEuw$LasVO8KoMTADkX1NpsRNndVnt/i1l1inqZQiq6N7UOM"
local GOES_DOWN = "the server is going down (retry after 1000 ms)"
local SCRIPT = ([[
  local function pass(key, ctx)
    ctx.db:value("SELECT 1 AS passed FROM pg_advisory_xact_lock_shared(%d)")
    return "in time", { version = 1 }
  end
  return { load = pass, save = function(key, _, ctx) return pass(key, ctx) end } ]]):format(GATE)

local NAP = [[
  return { load = function(_, ctx) rtcache.sleep(tonumber(ctx.match[1])) return "rested" end } ]]

describe("a server that drains", function()
  local server, source, certificates

  setup(function()
    certificates = Certificates.make()
    certificates:issue("server", "DNS:localhost,IP:127.0.0.1")
  end)
  teardown(function() certificates:remove() end)
  after_each(function()
    source:open_gates()
    source:close()
    server:stop()
  end)

  -- Loads and writes wait at the gate. drain_timeout is no way out.
  local function start(options, tls, loader)
    options = options or {}
    options.drain_timeout = "1h"
    server, source = Source.postgres {
      options = options, scripts = { ["gate.lua"] = SCRIPT, ["nap.lua"] = NAP }, tls = tls,
      loaders = { { pattern = "k:*", script = "gate.lua", ttl = "1h", wait_timeout = "10min", load_timeout = "5min",
        write_timeout = "5min" }, loader },
    }
    source.db:shut(GATE)
  end

  -- Connections for which something waits at the gate: connect, and what they ask for.
  local function pending(connect, ...)
    local c = connect()
    local before = source.db:waiting(GATE)
    local id = expect.value(c:send(...))
    source:await_gate(GATE, before + 1)
    return c, id
  end

  local function plain() return server:connect { tcp = true } end

  -- From then on c is answered that the server goes down.
  local function drain(c)
    server:signal "TERM"
    wait.until_true("it drains", function()
      local _, err = c:ping()
      return err and err.code == "SHUTTING_DOWN"
    end)
  end

  -- What follows is the end of the connection, and no reset.
  local function ends(c)
    local message, err = c:read_message()
    assert.is_nil(message)
    assert.equal("the connection ended: closed", err.message)
  end

  local function stops()
    assert.equal(0, server.process:wait(wait.PATIENCE))
    assert.is_nil(server:log():find("server.drain_timeout", 1, true))
  end

  it("refuses every method, in both forms of an error, and does nothing of it", function()
    start()
    local c, id = pending(plain, "get", "k:1")
    local methods = expect.value(c:hello()).methods
    local maps, other = pending(plain, "get", "k:2")
    expect.value(maps:hello { errors = "map" })
    drain(c)
    methods[#methods + 1] = "no_such_method"
    for _, method in ipairs(methods) do
      for _, arguments in ipairs { {}, { "k:3" }, { "k:3", "a value" } } do
        expect.error("SHUTTING_DOWN", GOES_DOWN, c:call(method, unpack(arguments)))
      end
    end
    expect.error("SHUTTING_DOWN", {}, maps:ping())
    local message = maps:read_message(0)
    assert.is_nil(message)
    local _, err = maps:get "k:1"
    assert.equal(1000, err.retry_after_ms)
    assert.equal("the server is going down", err.message)
    source.db:open(GATE)
    assert.equal("in time", expect.value(c:receive(id)))
    assert.equal("in time", expect.value(maps:receive(other)))
    ends(c)
    ends(maps)
    stops()
  end)

  it("answers reads and writes that were begun, of all kinds", function()
    start()
    local c, id = pending(plain, "get", "k:1")
    local others = {
      { pending(plain, "get_entry", "k:2") }, { pending(plain, "get_many", { "k:3" }) },
      { pending(plain, "put", "k:4", 1) }, { pending(plain, "refresh", "k:5") },
      { pending(function() return server:connect() end, "get", "k:6") },
    }
    drain(c)
    source.db:open(GATE)
    assert.equal("in time", expect.value(c:receive(id)))
    local answers = {}
    for i, o in ipairs(others) do answers[i] = expect.value(o[1]:receive(o[2])) end
    assert.equal("in time", answers[1].value)
    assert.equal("in time", answers[2][1].value)
    assert.same({ version = 1, stored = true }, answers[3])
    assert.equal("in time", answers[4].value)
    assert.equal("in time", answers[5])
    for _, o in ipairs(others) do ends(o[1]) end
    stops()
  end)

  it("does nothing of a notification, and answers none", function()
    start()
    local c, id = pending(plain, "get", "k:1")
    drain(c)
    c:notify("reload")
    c:notify("set", "k:1", "another")
    expect.error("SHUTTING_DOWN", {}, c:ping())
    source.db:open(GATE)
    assert.equal("in time", expect.value(c:receive(id)))
    ends(c)
    stops()
    assert.is_nil(server:log():match "reload.begin")
  end)

  it("closes a connection for which nothing is pending while others wait", function()
    start()
    local idle, also = plain(), server:connect()
    expect.value(idle:ping())
    expect.value(also:ping())
    local c, id = pending(plain, "get", "k:1")
    drain(c)
    ends(idle)
    ends(also)
    source.db:open(GATE)
    assert.equal("in time", expect.value(c:receive(id)))
    stops()
  end)

  it("answers a client that has closed its half, before or while it drains", function()
    start()
    local c, id = pending(plain, "get", "k:1")
    local before, first = pending(plain, "get", "k:2")
    before.sock:shutdown "send"
    local later, second = pending(plain, "get", "k:3")
    drain(c)
    local third = expect.value(later:send "ping")
    later.sock:shutdown "send"
    expect.error("SHUTTING_DOWN", {}, later:receive(third))
    source.db:open(GATE)
    assert.equal("in time", expect.value(before:receive(first)))
    assert.equal("in time", expect.value(later:receive(second)))
    assert.equal("in time", expect.value(c:receive(id)))
    for _, o in ipairs { before, later, c } do ends(o) end
    stops()
  end)

  it("answers a request whose end comes later than its beginning", function()
    start()
    local c, id = pending(plain, "get", "k:1")
    local slow = pending(plain, "get", "k:2")
    local request = client.encode_request(77, "set", "k:3", "a value")
    assert(slow:write(request:sub(1, 9)))
    drain(c)
    assert(slow:write(request:sub(10)))
    expect.error("SHUTTING_DOWN", {}, slow:receive(77))
    source.db:open(GATE)
    assert.equal("in time", expect.value(c:receive(id)))
    stops()
  end)

  it("does so over TLS, and says there that it ends", function()
    start({}, { certificate = certificates:path "server.pem", key = certificates:path "server.key" })
    local function over_tls()
      return server:connect { tls = { ca = certificates:path "ca.pem" } }
    end
    local idle = over_tls()
    expect.value(idle:ping())
    local c, id = pending(over_tls, "get", "k:1")
    drain(c)
    ends(idle)
    expect.error("SHUTTING_DOWN", GOES_DOWN, c:set("k:1", "another"))
    source.db:open(GATE)
    assert.equal("in time", expect.value(c:receive(id)))
    ends(c)
    stops()
  end)

  it("tells who has not said yet who it is, and asks for no password any more", function()
    start { auth_delay = "1min", auth_delay_cap = "1h", users = {
      { name = "app", password_hash = OTHER, rights = { "read" } },
      { name = "ops", unix_user = "root", rights = { "read", "admin" } },
    } }
    local c, id = pending(function() return server:connect() end, "get", "k:1")
    local nobody = plain()
    expect.error("AUTH_FAILED", {}, nobody:auth("app", "wrong"))
    local ids = { nobody:send("auth", "app", "other"), nobody:send("get", "k:1"), nobody:send("auth", "app", "other"),
      nobody:send "ping" }
    wait.until_true("it is held", function() return c:stats().counters.auths_held == 1 end)
    drain(c)
    for _, each in ipairs(ids) do
      expect.error("SHUTTING_DOWN", "the server is going down", nobody:receive(each))
    end
    source.db:open(GATE)
    assert.equal("in time", expect.value(c:receive(id)))
    stops()
  end)

  it("takes what stands behind a request that waits for its turn, and refuses it", function()
    start()
    local c, id = pending(plain, "get", "k:1")
    local other = plain()
    local keys = {}
    for i = 1, 500 do keys[i] = "k:" .. i end
    server:signal "TERM"
    local many = other:send("invalidate_many", keys)
    local ping = other:send "ping"
    local _, err = other:receive(ping)
    assert.truthy(not err or err.code == "SHUTTING_DOWN", tostring(err))
    _, err = other:receive(many)
    assert.truthy(not err or err.code == "SHUTTING_DOWN", tostring(err))
    source.db:open(GATE)
    assert.equal("in time", expect.value(c:receive(id)))
    stops()
  end)

  it("waits neither for a client that goes on asking, nor for one that does not read", function()
    start()
    source.db:open(GATE)
    local big, deaf, loud = server:connect(), server:connect(), plain()
    expect.value(big:set("big", ("x"):rep(500000)))
    for _ = 1, 20 do deaf:send("get", "big") end
    expect.value(loud:ping())
    server:signal "TERM"
    local refused = 0
    wait.until_true("it is closed", function()
      local _, err = loud:ping()
      refused = refused + (err and err.code == "SHUTTING_DOWN" and 1 or 0)
      return err and err.code ~= "SHUTTING_DOWN"
    end)
    assert.truthy(refused > 0)
    stops()
    assert.truthy(deaf)
  end)

  it("loses no answer of loads that end one after the other, long after the signal", function()
    start(nil, nil, { pattern = "nap:*", script = "nap.lua", max_loads = 1000, wait_timeout = "1min",
      load_timeout = "1min" })
    local c, id = pending(plain, "get", "k:1")
    local others = {}
    for i = 1, 300 do
      local o = i % 2 == 0 and plain() or server:connect()
      others[i] = { o, o:send("get", "nap:" .. 1.5 + i / 3000) }
      expect.value(o:ping()) -- its get was taken before
    end
    drain(c)
    for _, o in ipairs(others) do
      assert.equal("rested", expect.value(o[1]:receive(o[2])))
      ends(o[1])
    end
    source.db:open(GATE)
    assert.equal("in time", expect.value(c:receive(id)))
    stops()
  end)

  it("tells who is subscribed of what the loads bring, and ends behind that", function()
    start()
    local c, id = pending(plain, "get", "k:1")
    local told, other = pending(plain, "put", "k:2", "new")
    expect.value(told:subscribe { keys = "k:2" })
    drain(c)
    source.db:open(GATE)
    assert.equal("in time", expect.value(c:receive(id)))
    expect.value(told:receive(other))
    assert.equal("invalidated", (told:notification()))
    ends(told)
    stops()
  end)

  it("stops at once when it is told so twice, and no answer is lost", function()
    start()
    local c, id = pending(plain, "get", "k:1")
    drain(c)
    local pings = {}
    for i = 1, 50 do pings[i] = msgpack.encode { 0, 1000 + i, "ping", {} } end
    assert(c:write(table.concat(pings)))
    wait.until_true("they are answered", function() return select(2, c:receive(1050)).code == "SHUTTING_DOWN" end)
    server:signal "TERM"
    expect.error("SHUTTING_DOWN", {}, c:receive(id))
    for i = 1, 49 do expect.error("SHUTTING_DOWN", {}, c:receive(1000 + i)) end
    ends(c)
    assert.equal(0, server.process:wait(wait.PATIENCE))
  end)

  it("answers who is connected and was not accepted yet", function()
    start()
    server:stop()
    server = Server.start { options = { drain_timeout = "1h" } }
    server:signal "STOP"
    local waiting, ids = {}, {}
    for i = 1, 30 do
      waiting[i] = i % 2 == 0 and plain() or server:connect()
      ids[i] = waiting[i]:send "ping"
    end
    server:signal "TERM"
    server:signal "CONT"
    for i, c in ipairs(waiting) do
      local v, err = c:receive(ids[i])
      assert.truthy(v == "pong" or err.code == "SHUTTING_DOWN", tostring(err))
    end
    stops()
  end)
end)
