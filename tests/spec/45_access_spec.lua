local Server = require "spec.support.server"
local client = require "rtcache.client"
local expect = require "spec.support.expect"
local files = require "spec.support.files"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

-- Cheap hashes (8 MiB, one pass) of "other" and "third".
local OTHER = "$argon2id$v=19$m=8192,t=1,p=1$dMoaTKxrUTzGwdGXZgwEuw$LasVO8KoMTADkX1NpsRNndVnt/i1l1inqZQiq6N7UOM"
local THIRD = "$argon2id$v=19$m=8192,t=1,p=1$WlEb5kh62HJTcCh2EXccKA$CAhK/L0ZNGzuZtgqdn9oDNubadflqjRttTFctOAaHOA"

local ALL = { "read", "write", "invalidate", "admin" }

local OPS = { name = "ops", unix_user = "root", rights = ALL }

local function user(name, rights, more)
  local u = { name = name, password_hash = OTHER, rights = rights }
  for k, v in pairs(more or {}) do u[k] = v end
  return u
end

local function with(users, more)
  local o = { users = users, auth_delay = "0s", state = "state", snapshot_every = "0s" }
  for k, v in pairs(more or {}) do o[k] = v end
  return {
    options = o,
    scripts = { ["one.lua"] = [[
      return { load = function(key) return key end, save = function() end, remove = function() end }]] },
    loaders = { { pattern = "*", script = "one.lua" } },
  }
end

-- Arguments that each method takes.
local ARGUMENTS = {
  ping = {}, hello = {}, auth = { "app", "other" },
  get = { "k" }, get_entry = { "k" }, get_many = { { "k" } }, peek = { "k" }, subscribe = { { keys = "k" } },
  unsubscribe = {},
  set = { "k", 1 }, put = { "k", 1 }, delete = { "k" }, touch = { "k" },
  invalidate = { "k" }, invalidate_many = { { "k" } }, invalidate_tag = { "t" }, invalidate_match = { "k*" },
  expire = { "k" }, expire_many = { { "k" } }, expire_tag = { "t" }, expire_match = { "k*" }, refresh = { "k" },
  stats = {}, loaders = {}, reload = {}, snapshot = {}, lift_floors = { { key = "k" } },
}

-- Every method but `auth`, by the right that the protocol's page says it needs.
local METHODS = {}
for right, list in files.read("docs/protocol.md"):match("\n## Rights\n(.-)\n## "):gmatch "\n| (`?%w+`?) | (`[^|]+) |" do
  local group = {}
  for name in list:gmatch "`([%w_]+)`" do
    if name ~= "auth" then group[name] = assert(ARGUMENTS[name], name) end
  end
  METHODS[right == "none" and "any" or right:match "%w+"] = group
end

local function call(c, method, arguments) return c:receive(c:send(method, unpack(arguments))) end

local function code_of(c, method, arguments)
  local _, err = call(c, method, arguments)
  return err and err.code
end

describe("access", function()
  local server

  local function start(users, more)
    server = Server.start(with(users, more))
    return server
  end
  local function enter(name, password)
    local c = server:connect { tcp = true }
    expect.value(c:auth(name, password or "other"))
    return c
  end
  after_each(function()
    if server then server:stop() end
    server = nil
  end)

  it("is told of by the protocol's page for every method that the server has", function()
    start { OPS }
    local listed, groups = { auth = true }, 0
    for _, group in pairs(METHODS) do
      groups = groups + 1
      for name in pairs(group) do listed[name] = true end
    end
    local has = {}
    for _, name in ipairs(expect.value(server:connect():hello()).methods) do has[name] = true end
    assert.equal(5, groups)
    assert.same(has, listed)
  end)

  it("asks for authentication before anything but hello and ping", function()
    start { user("app", ALL) }
    local c = server:connect { tcp = true }
    for right, group in pairs(METHODS) do
      for method, arguments in pairs(group) do
        assert.equal(right ~= "any" and "UNAUTHENTICATED" or nil, code_of(c, method, arguments), method)
      end
    end
    expect.value(c:auth("app", "other"))
    assert.equal("k", expect.value(c:get "k"))
  end)

  for _, right in ipairs(ALL) do
    it("lets a user with the right " .. right .. " do that alone", function()
      start { user("app", { right }) }
      local c = enter "app"
      for group, methods in pairs(METHODS) do
        for method, arguments in pairs(methods) do
          local code = code_of(c, method, arguments)
          local wanted = group ~= "any" and group ~= right and "DENIED" or nil
          assert.equal(wanted, code, method)
        end
      end
    end)
  end

  it("holds keys, patterns, tags and subscriptions against a user's keys", function()
    start { user("app", ALL, { keys = { "user:*", "a:*:b" } }) }
    local c = enter "app"
    for _, ask in ipairs {
      { "get", "user:1" }, { "get", "a:x:b" }, { "get_many", { "user:1", "user:2" } }, { "set", "user:1", 1 },
      { "invalidate_match", "user:1*" }, { "subscribe", { patterns = "user:*", keys = { "a:1:b" } } }, { "stats" },
      { "lift_floors", { key = "user:1" } }, { "lift_floors", { match = "user:1*" } },
    } do
      assert.is_nil(code_of(c, ask[1], { unpack(ask, 2) }), ask[1])
    end
    for _, ask in ipairs {
      { "get", "users:1" }, { "get", "a:x:c" }, { "get_many", { "user:1", "other" } }, { "set", "other", 1 },
      { "invalidate_match", "*" }, { "invalidate_match", "use*" }, { "invalidate_tag", "t" },
      { "subscribe", { patterns = "*" } }, { "subscribe", { keys = { "user:1", "x" } } },
      { "subscribe", { tags = "t" } }, { "lift_floors", { key = "users:1" } }, { "lift_floors", { match = "use*" } },
      { "lift_floors", { all = true } },
    } do
      assert.equal("DENIED", code_of(c, ask[1], { unpack(ask, 2) }), ask[1])
    end
  end)

  it("holds each of ten thousand texts against a user's keys before it does anything", function()
    start({ user("app", ALL, { keys = { "user:*", "a:*:b" } }) }, { io_threads = 1 })
    local c, fine, odd, wide = enter "app", {}, {}, {}
    for i = 1, 9999 do
      fine[i], odd[i], wide[i] = "user:" .. i, "user:" .. i, "user:" .. i .. ":*"
    end
    odd[9999], wide[9999] = "other", "*"
    expect.value(c:set("user:1", "stays"))
    for _, ask in ipairs {
      { "invalidate_many", odd }, { "get_many", odd }, { "expire_many", odd }, { "subscribe", { patterns = wide } },
      { "subscribe", { keys = fine, patterns = wide } },
    } do
      -- What stands behind it is answered behind it, and with nothing done.
      local id, after = c:send(ask[1], ask[2]), c:send("peek", "user:1")
      expect.error("DENIED", ask[1], c:receive(id))
      assert.equal("stays", expect.value(c:receive(after)).value)
    end
    assert.equal(0, expect.value(c:unsubscribe()))
    assert.equal(9999, expect.value(c:subscribe { keys = fine }))
    assert.equal(9999, expect.value(c:invalidate_many(fine) and c:unsubscribe { keys = {} }))
    assert.equal("BAD_REQUEST", code_of(c, "subscribe", { { keys = fine, tags = {}, patterns = "user:*", more = 1 } }))
    assert.truthy(expect.value(c:stats()).counters.sliced > 0)
  end)

  it("tells a wrong password and an unknown name alike, and closes in the end", function()
    start({ user("app", ALL), OPS }, { max_auth_failures = 3 })
    local c = server:connect { tcp = true }
    local _, wrong = c:auth("app", "wrong")
    local _, unknown = c:auth("nobody", "other")
    assert.equal("AUTH_FAILED", wrong.code)
    assert.same(wrong, unknown)
    expect.error("AUTH_FAILED", {}, c:auth("app", "third"))
    expect.error("CLOSED", {}, c:ping()) -- closed
    assert.equal(3, server:connect():stats().counters.auths_failed)
    assert.equal(1, server:connect():stats().counters.connections_unknown)
    assert.is_nil(server:log():find("wrong", 1, true))
    assert.truthy(server:log():find("auth.failed", 1, true))
  end)

  it("answers what was sent behind auth once it is through", function()
    start { user("app", ALL) }
    local c = server:connect { tcp = true }
    local ids = { c:send("auth", "app", "other") }
    for i = 1, 50 do ids[#ids + 1] = c:send("get", "k" .. i) end
    assert.is_true(expect.value(c:receive(ids[1])))
    for i = 1, 50 do assert.equal("k" .. i, expect.value(c:receive(ids[i + 1]))) end
  end)

  it("stops at auth in the middle of what came at once, and goes on as that user", function()
    start { user("reader", { "read" }), user("app", ALL), OPS }
    local c = enter "reader"
    local bytes, ids = {}, 0
    local function add(method, ...)
      ids = ids + 1
      bytes[#bytes + 1] = client.encode_request(ids, method, ...)
      return ids
    end
    local refused = {}
    for round = 1, 3 do
      refused[round] = add("set", "k" .. round, round)
      add("get", "k" .. round)
    end
    local auth = add("auth", "app", "other")
    for i = 1, 40 do add("set", "k" .. i, i) end -- more than are looked at together
    for i = 1, 40 do add("get", "k" .. i) end
    c:write(table.concat(bytes))
    for _, id in ipairs(refused) do expect.error("DENIED", {}, c:receive(id)) end
    expect.value(c:receive(auth))
    for i = 1, 40 do assert.is_true(expect.value(c:receive(auth + i))) end
    for i = 1, 40 do assert.equal(i, expect.value(c:receive(auth + 40 + i))) end
  end)

  it("takes small requests only, and not for long, before it knows who asks", function()
    start({ user("app", ALL), OPS }, { auth_timeout = "1s", max_frame_before_auth = "1kb" })
    local ops, big, idle = server:connect(), server:connect { tcp = true }, server:connect { tcp = true }
    expect.error("TOO_LARGE", {}, big:ping { x = ("y"):rep(1100) })
    expect.error("CLOSED", {}, idle:read_message(wait.PATIENCE)) -- closed by the server
    assert.equal(1, ops:stats().counters.connections_unknown)
    expect.value(ops:set("k", ("y"):rep(5000)))
  end)

  it("changes what an open connection may do with a reload", function()
    start { user("app", { "read", "write" }), user("gone", ALL), OPS }
    local ops, c, gone = server:connect(), enter "app", enter "gone"
    expect.value(c:set("k", 1))
    server:write_conf(with { user("app", { "read" }), OPS })
    expect.value(ops:reload())
    expect.error("DENIED", "write", c:set("k", 2))
    assert.equal(1, expect.value(c:get "k"))
    expect.error("CLOSED", {}, gone:ping())
    server:write_conf(with { user("app", { "read" }, { password_hash = THIRD }), OPS })
    expect.value(ops:reload())
    expect.error("CLOSED", {}, c:get "k")
    expect.error("AUTH_FAILED", {}, server:connect { tcp = true }:auth("app", "other"))
    assert.equal(1, expect.value(enter("app", "third"):get "k"))
    server:write_conf(with { user("app", { "chief" }), OPS })
    expect.error("RELOAD_FAILED", "chief", ops:reload())
    assert.is_nil(server:log():find("argon2", 1, true))
  end)

  it("reads hashes from a file and from the environment", function()
    local o = with({
      { name = "filed", password_file = "app.hash", rights = { "read" } },
      { name = "named", password_hash = "${APP_HASH}", rights = { "read" } },
    })
    o.files, o.env = { ["app.hash"] = OTHER .. "\n" }, { APP_HASH = THIRD }
    server = Server.start(o)
    assert.equal("k", expect.value(enter("filed"):get "k"))
    assert.equal("k", expect.value(enter("named", "third"):get "k"))
  end)

  it("watches a file with a hash, and keeps the old one while the new one is broken", function()
    local o = with({ { name = "filed", password_file = "app.hash", rights = { "read" } } }, { watch = true })
    o.files = { ["app.hash"] = OTHER .. "\n" }
    server = Server.start(o)
    local before, path = enter "filed", server.folder .. "/app.hash"
    files.replace(path, "no hash\n")
    wait.until_true("the reload is refused", function() return server:log():find("reload.refused", 1, true) end)
    assert.equal("k", expect.value(before:get "k"))
    files.replace(path, THIRD .. "\n")
    expect.error("CLOSED", {}, before:receive())
    assert.equal("k", expect.value(enter("filed", "third"):get "k"))
    expect.error("AUTH_FAILED", {}, server:connect { tcp = true }:auth("filed", "other"))
  end)

  it("knows a user by the system's user over a Unix socket", function()
    start { user("app", { "read" }), OPS }
    expect.value(server:connect():stats())
    expect.error("UNAUTHENTICATED", "auth", server:connect { tcp = true }:stats())
  end)

  it("keeps connections for operators when the others are taken", function()
    start({ user("app", { "read" }), OPS }, { max_connections = 3, reserved_connections = 1 })
    for _ = 1, 3 do enter "app" end -- the server's object keeps them open
    expect.error("CLOSED", {}, server:connect { tcp = true }:ping())
    local ops = server:connect()
    assert.equal(1, expect.value(ops:stats()).counters.connections_reserved)
  end)

  it("closes a connection whose request comes in too slowly", function()
    start({ user("app", ALL), OPS }, { frame_grace = "200ms", frame_rate = "1kb" })
    local c = enter "app"
    c:write "\148\0\1\163g"
    expect.error("CLOSED", {}, c:read_message(wait.PATIENCE))
    assert.equal(1, server:connect():stats().counters.connections_slow)
  end)

  it("goes on while many guess, and when guessers leave", function()
    start({ user("app", ALL), OPS }, { max_auth_queue = 64 })
    local ops, guessers = server:connect(), {}
    expect.value(ops:set("k", 1))
    for i = 1, 200 do
      guessers[i] = server:connect { tcp = true }
      guessers[i]:send("auth", "app", "guess" .. i)
    end
    for _ = 1, 200 do assert.equal(1, expect.value(ops:get "k")) end
    for i = 1, 200 do guessers[i]:close() end
    wait.until_true("all guesses have ended", function()
      local c = ops:stats().counters
      return c.auths_failed + c.auths_refused == 200 and c.auths_refused > 0
    end)
    assert.is_nil(server:log():find("guess", 1, true))
  end)

  it("holds nobody back for having been refused unseen", function()
    -- One attempt of an address at a time. The second of "guesser" is held back, and is that one.
    start({ user("app", ALL), OPS }, {
      max_auth_queue = 1, auth_cache = "0s", auth_delay = "2s", auth_delay_cap = "1h", max_auth_failures = 1000,
    })
    local ops, guesser, c = server:connect(), server:connect { tcp = true }, server:connect { tcp = true }
    expect.error("AUTH_FAILED", {}, guesser:auth("guesser", "wrong"))
    local held, ids = guesser:send("auth", "guesser", "wrong"), {}
    wait.until_true("it is held", function() return ops:stats().counters.auths_held == 1 end)
    for i = 1, 20 do ids[i] = c:send("auth", "app", "other") end
    for i = 1, 20 do expect.error("OVERLOADED", "max_auth_queue", c:receive(ids[i])) end
    assert.equal(20, ops:stats().counters.auths_refused)
    expect.error("AUTH_FAILED", {}, guesser:receive(held))
    -- Twenty failures would hold it back for days.
    assert.is_true(expect.value(c:auth("app", "other")))
  end)

  it("is not open to all unless the configuration says so", function()
    local function check(more)
      local o = Server.prepare(with(nil, more))
      local status, text = process.run(o:command "--check", { stderr = o.folder .. "/errors" })
      text = text .. files.read(o.folder .. "/errors")
      o:remove()
      return status, text
    end
    local status, text = check { listen = "0.0.0.0:7499" }
    assert.equal(1, status)
    assert.truthy(text:find("serves everybody who can reach it", 1, true), text)
    assert.equal(0, (check { listen = "0.0.0.0:7499", open_to_all = true }))
    assert.equal(0, (check { listen = "0.0.0.0:7499", users = { user("app", { "read" }) } }))
    assert.equal(0, (check { listen = "127.0.0.1:7499" }))
  end)

  it("lets the tool in, which makes hashes too", function()
    local function tool(words, input, env)
      return process.run({ Server.tool, unpack(words) }, { stderr = server.folder .. "/errors", stdin = true,
        input = input, env = env })
    end
    start { user("app", { "read" }) }
    local at = "127.0.0.1:" .. server.port
    files.write(server.folder .. "/password", "other\n")
    local status, text = tool { "-s", at, "--user", "app", "--password-file", server.folder .. "/password", "get", "k" }
    assert.same({ 0, '"k"\n' }, { status, text })
    status = tool({ "-s", at, "get", "k" }, nil, { RTCACHE_USER = "app", RTCACHE_PASSWORD = "other" })
    assert.equal(0, status)
    status = tool({ "-s", at, "get", "k" }, nil, { RTCACHE_USER = "app", RTCACHE_PASSWORD = "third" })
    assert.equal(3, status)
    assert.truthy(files.read(server.folder .. "/errors"):find("AUTH_FAILED", 1, true))
    assert.equal(3, (tool { "-s", at, "get", "k" }))
    assert.equal(2, (tool { "-s", at, "get", "k", "--user", "app" })) -- and no password
    assert.equal(2, (tool { "-s", at, "get", "k", "--password-file", server.folder .. "/password" }))
    status, text = tool({ "passwd" }, "a new one\n")
    assert.equal(0, status)
    local hash = text:match "^(%$argon2id%$v=19%$m=65536,t=2,p=1%$%S+)\n$"
    server:write_conf(with { user("app", { "read", "admin" }, { password_hash = hash }) })
    server:signal "HUP"
    server:wait_log "reload.done generation=2"
    assert.equal("k", expect.value(enter("app", "a new one"):get "k"))
    assert.equal(2, (tool({ "passwd" }, "\n")))
    assert.equal(2, (tool({ "passwd", "--user", "app" }, "a new one\n"))) -- no server is asked
  end)
end)
