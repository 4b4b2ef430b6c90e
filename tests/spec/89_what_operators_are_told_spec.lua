-- Promises of docs/operations.md: what the log says of what has happened, that it can be rotated, how a
-- server drains, what stands in the way of a socket, and that servers share a channel.

local Server = require "spec.support.server"
local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local files = require "spec.support.files"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

-- Cheap hash (8 MiB, one pass) of "other".
local OTHER = "$argon2id$v=19$m=8192,t=1,p=1$dMoaTKxrUTzGwdGXZgwEuw$LasVO8KoMTADkX1NpsRNndVnt/i1l1inqZQiq6N7UOM"

local GATE = 30

local SCRIPT = [[
return {
  load = function(key, ctx)
    if key:find "fails" then error "it fails" end
    if key:find "down" then return nil, { code = "BACKEND_DOWN", message = "it is down" } end
    if key:find "large" then return ("x"):rep(200000) end
    if key:find "says" then rtcache.log('warn', 'a word of the script') return 1 end
    if key:find "tagged" then return 1, { tags = { "t" } } end
    if key:find "notice" then ctx.db:exec "DO $$ BEGIN RAISE WARNING 'a word of the database'; END $$" return 1 end
    return "a value"
  end,
  save = function(key, value, ctx)
    if key:find "fails" then error "it is not taken" end
    if key:find "some" then
      ctx.db:exec("INSERT INTO loads (key) VALUES ($1)", key)
      error "it was undone"
    end
    return value, { version = 1 }
  end,
}
]]

describe("the log", function()
  local server, source, cache

  local function start(options, loader)
    local o = { log_level = "debug", io_threads = 1, loader_threads = 1, memory = "1mb", shards = 1 }
    for name, v in pairs(options or {}) do o[name] = v end
    local l = { pattern = "k:*", script = "one.lua", ttl = "1h", retries = 0, breaker_failures = 0 }
    for name, v in pairs(loader or {}) do l[name] = v end
    server, source = Source.postgres { options = o, scripts = { ["one.lua"] = SCRIPT }, loaders = { l } }
    cache = server:connect()
  end
  after_each(function()
    if source then source:close() end
    if server then server:stop() end
    server, source = nil, nil
  end)

  -- The line of an event at a level, once it is there, with each of these texts in it.
  local function says(level, event, ...)
    local more = { ... }
    return wait.until_true(level .. " " .. event .. " " .. table.concat(more, " "), function()
      for line in server:log():gmatch("[^\n]*Z " .. ("%-5s "):format(level) .. event:gsub("%.", "%%.") .. "[^\n]*") do
        local plain, all = line:gsub('"', ""), true
        for _, text in ipairs(more) do all = all and plain:find(text, 1, true) ~= nil end
        if all then return plain end
      end
    end)
  end

  local USERS = { users = {
    { name = "app", password_hash = OTHER, rights = { "read" } },
    { name = "ops", unix_user = "root", rights = { "read", "write", "invalidate", "admin" } },
  }, auth_delay = "0s" }
  local function tcp() return server:connect { tcp = true } end

  for _, row in ipairs {
    { "a load that fails", function() cache:get "k:fails" end, "warn", "load.failed", { 'pattern=k:*', 'key=k:fails',
      'code=LOAD_FAILED' } },
    { "a value that cannot be kept, once", function()
      for i = 1, 3 do cache:get("k:large" .. i) end
      assert.equal(1, select(2, server:log():gsub("load%.too_large", "")))
    end, "warn", "load.too_large", "pattern=k:*" },
    { "a write that fails", function() cache:put("k:fails", 1) end, "warn", "write.failed",
      "method=put pattern=k:* key=k:fails effect=none code=LOAD_FAILED" },
    { "a write that fails in the middle", function() cache:put("k:some", 1) end, "warn", "write.failed",
      "method=put pattern=k:* key=k:some effect=some" },
    { "a write without tags, once", function()
      cache:get "k:tagged"
      for i = 1, 3 do cache:put("k:" .. i, 1) end
      assert.equal(1, select(2, server:log():gsub("write%.untagged", "")))
    end, "warn", "write.untagged", "pattern=k:*" },
    { "a script", function() cache:get "k:says" end, "warn", "script.log", "a word of the script" },
    { "the database", function() cache:get "k:notice" end, "debug", "pg.notice", "a word of the database" },
    { "a connection to it", function() cache:get "k:notice" end, "info", "pg.connected", "backend=main" },
    { "a breaker", function() cache:get "k:down" end, "warn", "loader.breaker_opened", "pattern=k:*",
      loader = { breaker_failures = 1 } },
    { "who lifts floors", function() cache:lift_floors { key = "k:1" } end, "warn", "floors.lifted", "key=k:1" },
    { "who says hello", function() cache:hello { client = "somebody" } end, "debug", "conn.hello", "somebody" },
    { "malformed bytes", function() tcp():write "\193" end, "info", "conn.malformed", "id=" },
    { "who idles", function() tcp() end, "info", "conn.idle", "idle_ms=100", options = { idle_timeout = "100ms" } },
    { "who is slow", function() tcp():write "\148\0" end, "warn", "conn.slow", "bytes=2",
      options = { frame_grace = "100ms", frame_rate = "1gb" } },
    { "who does not read", function()
      cache:set("x", ("x"):rep(50000))
      for _ = 1, 100 do cache:send("get", "x") end
    end, "warn", "conn.unread", "bytes=", options = {
      output_timeout = "100ms", max_output = "128kb", max_value = "60kb", max_batch = 100 } },
    { "who does not authenticate", function() tcp() end, "info", "conn.auth_timeout", "id=",
      options = { users = USERS.users, auth_timeout = "1s" } },
    { "who gets in", function() expect.value(tcp():auth("app", "other")) end, "debug", "auth.ok", "user=app",
      options = USERS },
    { "who does not", function() tcp():auth("app", "wrong") end, "warn", "auth.failed", "user=app", options = USERS },
    { "who guesses too often", function() tcp():auth("app", "wrong") end, "warn", "conn.cut",
      "reason=max_auth_failures",
      options = { users = USERS.users, max_auth_failures = 1 } },
    { "whose user has changed", function()
      local c = tcp()
      expect.value(c:auth("app", "other"))
      server.options.options.users = { USERS.users[2] }
      server:write_conf(server.options)
      cache:reload()
    end, "info", "conn.user_changed", "user=app", options = USERS },
    { "who is one too many", function() tcp():ping() end, "warn", "listen.refused", "reason=max_connections limit=1",
      options = { max_connections = 1, reserved_connections = 0 } },
    { "an address that is open to all", function() end, "warn", "listen.open", "0.0.0.0",
      options = { open_to_all = true, listen = { "127.0.0.1:0", "0.0.0.0:0" } }, tcp = true },
    { "a reload that begins", function() cache:reload() end, "info", "reload.begin", "" },
    { "a reload that changes nothing", function() cache:reload() end, "info", "reload.done", "changed=0" },
    { "a reload that changes something", function()
      server:write_script("one.lua", SCRIPT .. "-- another text")
      cache:reload()
    end, "info", "reload.done", "changed=1" },
    { "a reload that is refused", function()
      server:write_script("one.lua", "return {")
      cache:reload()
    end, "error", "reload.refused", "one.lua:1" },
    { "a signal", function() server:signal "TERM" end, "info", "server.signal", "signal=15" },
    { "that the server is ready", function() end, "info", "server.ready", "" },
    { "that it drains", function() server:signal "TERM" end, "info", "server.draining", "" },
    { "that it has stopped", function() server:signal "TERM" end, "info", "server.stopped", "" },
  } do
    it(("says %s: %s"):format(row[1], row[4]), function()
      local options = {}
      for name, v in pairs(row.options or {}) do options[name] = v end
      if row.tcp then
        server, source = Source.postgres { options = { listen = options.listen, open_to_all = true } }
      else
        start(options, row.loader)
      end
      row[2]()
      says(row[3], row[4], unpack(type(row[5]) == "table" and row[5] or { row[5] }))
    end)
  end

  it("holds no value, no password and no connection string, and keys of 32 bytes at most", function()
    start(USERS)
    local long = "k:fails:" .. ("y"):rep(100)
    cache:get(long)
    cache:set("k:1", "a secret value")
    cache:put("k:fails", "a secret value")
    tcp():auth("app", "a secret password")
    local log = says("warn", "load.failed", "key=k:fails:") and says("warn", "auth.failed") and server:log()
    assert.is_nil(log:find("secret", 1, true))
    assert.is_nil(log:find("postgresql://", 1, true))
    assert.is_nil(log:find("k:fails:" .. ("y"):rep(25), 1, true))
  end)

  it("can be rotated again and again: what comes later is in the new file, and the old one stays as it is", function()
    server = Server.prepare {}
    local folder = server.folder .. "/log"
    files.make_folder(folder)
    local log = folder .. "/rtcache.log"
    server.options.options = { log_file = log }
    server:write_conf(server.options)
    server:launch()
    cache = server:connect()
    local function await(path, text, count)
      wait.until_true(text, function() return select(2, (files.read(path) or ""):gsub(text, "")) >= (count or 1) end)
    end
    await(log, "server%.ready")
    for round = 1, 3 do
      local old = log .. "." .. round
      assert(os.rename(log, old))
      server:signal "HUP"
      await(log, "reload%.done")
      local size = #files.read(old)
      for _ = 1, 3 do expect.value(cache:reload()) end
      await(log, "reload%.done", 4)
      assert.equal(size, #files.read(old))
      assert.is_nil(files.read(log):find("log.reopen_failed", 1, true))
      -- Where it cannot be opened again the old one goes on.
      assert(os.rename(folder, folder .. ".away"))
      server:signal "HUP"
      await(folder .. ".away/rtcache.log", "log%.reopen_failed")
      assert(os.rename(folder .. ".away", folder))
    end
  end)
end)

describe("a server that drains", function()
  local server, source, cache
  after_each(function()
    source:open_gates()
    source:close()
    server:stop()
  end)
  local function start()
    server, source = Source.postgres {
      options = { drain_timeout = "1h", auth_delay = "1min", auth_delay_cap = "1h", users = {
        { name = "app", password_hash = OTHER, rights = { "read" } },
        { name = "ops", unix_user = "root", rights = { "read", "write", "invalidate", "admin" } } } },
      scripts = { ["gate.lua"] = ([[
        local function pass(_, ctx)
          ctx.db:value("SELECT 1 AS passed FROM pg_advisory_xact_lock_shared(%d)")
          return "in time", { version = 1 }
        end
        return { load = pass, save = function(key, _, ctx) return pass(key, ctx) end }]]):format(GATE) },
      loaders = { { pattern = "*", script = "gate.lua", wait_timeout = "10min", load_timeout = "5min",
        write_timeout = "5min" } },
    }
    source.db:shut(GATE)
    cache = server:connect()
  end

  it("answers what waits for loads and writes, tells auth, and takes nothing more", function()
    start()
    local held = server:connect { tcp = true }
    expect.error("AUTH_FAILED", {}, held:auth("app", "wrong"))
    local auth = held:send("auth", "app", "other")
    wait.until_true("it is held", function() return cache:stats().counters.auths_held == 1 end)
    local ids = { cache:send("get", "a"), cache:send("put", "b", 1), cache:send("get_many", { "c", "d" }) }
    source:await_gate(GATE, 4)
    server:signal "TERM"
    expect.error("SHUTTING_DOWN", {}, held:receive(auth))
    wait.until_true("it takes nothing more", function()
      local _, err = cache:ping()
      return err and err.code == "SHUTTING_DOWN"
    end)
    source.db:open(GATE)
    assert.equal("in time", expect.value(cache:receive(ids[1])))
    assert.equal(1, expect.value(cache:receive(ids[2])).version)
    assert.equal("in time", expect.value(cache:receive(ids[3]))[2].value)
    expect.error("CLOSED", {}, cache:read_message())
    assert.equal(0, server.process:wait(wait.PATIENCE))
  end)

  it("stops at once when it is told so again, and says so to all who wait", function()
    start()
    local ids = { cache:send("get", "a"), cache:send("get", "b") }
    source:await_gate(GATE, 2)
    server:signal "TERM"
    server:wait_log "server.draining"
    server:signal "TERM"
    for _, id in ipairs(ids) do expect.error("SHUTTING_DOWN", {}, cache:receive(id)) end
    assert.equal(0, server.process:wait(wait.PATIENCE))
  end)
end)

describe("a Unix socket", function()
  it("takes no place of a file that is none", function()
    for _, make in ipairs {
      function(path) files.write(path, "precious") end,
      function(path) files.make_folder(path) end,
    } do
      local server = Server.prepare {}
      make(server.socket_path)
      local status, text = process.run(server:command())
      assert.equal(1, status)
      assert.truthy(text:find(server.socket_path, 1, true), text)
      assert.truthy(require("lfs").attributes(server.socket_path, "mode") ~= "socket")
      server:remove()
    end
  end)
end)

describe("servers that share a channel", function()
  it("take each other's heartbeats for none of theirs", function()
    local backend = { feed = "changes", feed_heartbeat = "200ms" }
    local first, source = Source.postgres({ loaders = { { pattern = "k:*", ttl = "1h" } } }, nil, backend)
    local second = Server.start { options = {}, backends = first.options.backends,
      scripts = { ["source.lua"] = Source.script }, loaders = first.options.loaders }
    finally(function()
      source:close()
      first:stop()
      second:stop()
    end)
    local of = { first:connect(), second:connect() }
    local function feed(c) return expect.value(c:stats()).feeds.main end
    for _, c in ipairs(of) do
      wait.until_true("it is up", function() return feed(c).connected and feed(c).lag_ms end)
    end
    local gaps = { feed(of[1]).gaps, feed(of[2]).gaps }
    local begun = wait.now()
    repeat -- so that each has sent some of them
      for _, c in ipairs(of) do expect.value(c:set("marker", 1)) end
      source.db:exec [[NOTIFY changes, '{"k":"marker"}']]
      for _, c in ipairs(of) do wait.until_true("it is told", function() return c:peek "marker" == nil end) end
    until wait.now() - begun > 1
    for i, c in ipairs(of) do
      assert.same({ gaps[i], 0, true, false }, { feed(c).gaps, feed(c).bad, feed(c).connected, feed(c).cut })
    end
  end)
end)
