-- Every option that docs/configuration.md says a reload takes over, each with what shows it: a server
-- begins with the one value and shows that, is given the other one and shows that. And every option
-- that takes a restart is refused by a reload, by name, whatever its value.

local Server = require "spec.support.server"
local client = require "rtcache.client"
local expect = require "spec.support.expect"
local files = require "spec.support.files"
local socket = require "socket"
local wait = require "spec.support.wait"

-- Cheap hash (8 MiB, one pass) of "other".
local OTHER = "$argon2id$v=19$m=8192,t=1,p=1$dMoaTKxrUTzGwdGXZgwEuw$LasVO8KoMTADkX1NpsRNndVnt/i1l1inqZQiq6N7UOM"

local USERS = {
  { name = "app", password_hash = OTHER, rights = { "read" } },
  { name = "ops", unix_user = "root", rights = { "read", "write", "invalidate", "admin" } },
}

local SCRIPT = [[
local module = require "words.which"
local attempts = {}
local ways = {
  value = function() return "a value" end, absent = function() return nil end,
  fails = function() error "it fails" end,
  down = function() return nil, { code = "BACKEND_DOWN", message = "it is down" } end,
  versioned = function() return "a value", { version = 3 } end,
  module = function() return module end,
  sleeps = function() rtcache.sleep(600) return "slept" end,
  naps = function() rtcache.sleep(0.1) return "napped" end,
  spins = function() local n = 0 for i = 1, 3e6 do n = n + i % 7 end return n end,
  takes = function() local t = {} for i = 1, 300000 do t[i] = i end return #t end,
  calls = function(ctx) for _ = 1, 5 do ctx.db:value "SELECT 1" end return 5 end,
  large = function(ctx) return #ctx.db:value "SELECT hex(zeroblob(2000))" end,
  writes = function(ctx) return ctx.db:exec "INSERT INTO t VALUES (1)" end,
  database = function(ctx) return ctx.db:value "SELECT name FROM who" end,
}
local function load(key, ctx)
  local what = key:match "%a+"
  if what == "attempts" then
    attempts[key] = (attempts[key] or 0) + 1
    if ctx.attempt > 2 then return ctx.attempt end
    return nil, { code = "BACKEND_DOWN", message = "attempt " .. ctx.attempt, retryable = true }
  end
  return ways[what](ctx)
end
return {
  load = load,
  save = function(key, value, ctx)
    if value == "sleeps" then rtcache.sleep(600) end
    return "saved", { version = 9, tags = {} }
  end,
}
]]

local MANY = [[return { load_many = function(keys)
  local values = {}
  for _, key in ipairs(keys) do values[key] = #keys end
  return values
end }]]

local function code(_, err) return err and err.code or "fine" end

describe("a reload takes over", function()
  local server, cache, conf

  local function configure(o, where, name, value)
    if where == "server" then
      o.options[name] = value
    elseif where == "backend" then
      o.backends.main[name] = value
    else
      o.loaders[1][name] = value
      if name == "retry_cap" or name == "backoff_cap" then o.loaders[1][name:gsub("cap", "base")] = value end
    end
  end

  local function start(where, row)
    local o = {
      options = { io_threads = 1, loader_threads = 1, auth_delay = "0s" },
      backends = { main = { driver = "sqlite", path = "main.db" } },
      loaders = { { pattern = "*", script = "one.lua", backend = "main", breaker_failures = 0, retries = 0,
        write_timeout = "1ms" } }, -- after a start nothing is fresh for longer
      scripts = { ["one.lua"] = SCRIPT, ["many.lua"] = MANY }, files = { ["main.db"] = "" },
    }
    for name, v in pairs(row.server or {}) do o.options[name] = v end
    for name, v in pairs(row.loader or {}) do o.loaders[1][name] = v end
    for name, v in pairs(row.backend or {}) do o.backends.main[name] = v end
    configure(o, where, row[1], row[2])
    conf = o
    server = Server.prepare(o)
    for _, folder in ipairs { "scripts/words", "more", "lua", "lua/words", "luas", "luas/words" } do
      files.make_folder(server.folder .. "/" .. folder)
    end
    files.write(server.folder .. "/lua/words/which.lua", 'return "from lua"')
    files.write(server.folder .. "/luas/words/which.lua", 'return "from luas"')
    files.write(server.folder .. "/more/one.lua", "return { load = function() return 'another value' end }")
    for _, name in ipairs { "main", "other", "second" } do
      local db = require("spec.support.sqlite").open(("%s/%s.db"):format(server.folder, name),
        ("CREATE TABLE t (n); CREATE TABLE who (name); INSERT INTO who VALUES ('%s')"):format(name))
      db:close()
    end
    server:launch()
    cache = server:connect { tcp = row.refused }
  end

  after_each(function()
    if server then server:stop() end
    server = nil
  end)

  local number = 0
  local function key(what)
    number = number + 1
    return what .. ":" .. number
  end
  local function counters() return expect.value(cache:stats()).counters end
  local function await(name, least)
    wait.until_true(name, function() return counters()[name] >= least end)
  end
  local function tcp() return server:connect { tcp = true } end

  -- Requests in one write; the codes of their answers in the order of the requests.
  local function at_once(c, requests)
    local bytes, codes, first = {}, {}, c.next_id
    for i, r in ipairs(requests) do bytes[i] = client.encode_request(first + i, unpack(r)) end
    c.next_id = first + #requests
    assert(c:write(table.concat(bytes)))
    for i = 1, #requests do codes[i] = code(c:receive(first + i)) end
    return table.concat(codes, " ")
  end
  local function gets(what, count, options)
    local out = {}
    for i = 1, count do out[i] = { "get", key(what), options } end
    return out
  end
  local function get(what, options) return function() return code(cache:get(key(what), options)) end end
  local function value(what) return function() return expect.value(cache:refresh(key(what))).value end end
  -- Whether what was just loaded is fresh for so many seconds.
  local function fresh(what, seconds)
    return function()
      local k = key(what)
      cache:get(k)
      return expect.value(cache:peek(k)).ttl_ms > 1000 * seconds
    end
  end
  local function stale_key(what)
    local k = key(what)
    expect.value(cache:set(k, "old", { ttl_ms = 1, stale_ttl_ms = 1000000 }))
    wait.until_true("it is stale", function() return cache:peek(k).status == "stale" end)
    return k
  end
  -- What is read often enough to be loaded ahead.
  local function loaded_ahead(times)
    return function()
      local k, before = key "value", server:loader("*").loads_prefetch
      for _ = 1, times do cache:get(k) end
      wait.until_true("it is gone",
        function() return cache:peek(k) == nil or server:loader("*").loads_prefetch > before end)
      return server:loader("*").loads_prefetch > before
    end
  end
  -- Of another name, from 127.0.0.ADDRESS, and once: it stays.
  local function hold_one(address)
    if counters().auths_held > 0 then return end
    local c = tcp()
    for i = 1, 2 do
      c.sock:close()
      c.sock = assert(socket.tcp())
      c.sock:settimeout(wait.PATIENCE)
      assert(c.sock:bind("127.0.0." .. address, 0))
      assert(c.sock:connect("127.0.0.1", server.port))
      if i == 1 then expect.error("AUTH_FAILED", {}, c:auth("nobody", "wrong")) end
    end
    c:send("auth", "nobody", "a guess")
    await("auths_held", 1)
  end

  local OF_SERVER = {
    { "memory", "256mb", "64mb", function() return cache:stats().store.memory_limit > 100e6 end, true, false },
    { "scripts", "scripts", "more", value "value", "a value", "another value" },
    { "lua", "lua", "luas", value "module", "from lua", "from luas" },
    { "max_key", 4096, 5, function() return code(cache:get "value:long") end, "fine", "BAD_KEY" },
    { "max_value", "1mb", 50, function() return code(cache:set("k", ("x"):rep(60))) end, "fine", "TOO_LARGE" },
    { "max_frame", "16mb", "8kb", function()
      return code(server:connect():ping { x = ("x"):rep(9000) })
    end, "BAD_REQUEST", "TOO_LARGE", server = { max_value = "1kb" } },
    { "max_connections", 100, 1, function() return code(tcp():ping()) end, "fine", "CLOSED",
      server = { reserved_connections = 0 } },
    { "reserved_connections", 0, 10, function() return code(server:connect():ping()) end, "CLOSED", "fine",
      server = { max_connections = 1 } },
    { "max_parked", 2, 1, function() return at_once(cache, gets("sleeps", 2, { timeout_ms = 20 })) end,
      "TIMEOUT TIMEOUT", "TIMEOUT OVERLOADED", server = { max_batch = 1 } },
    { "max_output", "64mb", "128kb", function()
      for i = 1, 3 do cache:set("k" .. i, ("x"):rep(50000)) end
      return code(cache:get_many { "k1", "k2", "k3" })
    end, "fine", "TOO_LARGE", server = { max_value = "60kb", max_batch = 10 } },
    { "client_memory", "256mb", "200mb", function() return cache:stats().client_memory.limit > 250e6 end, true, false },
    { "max_batch", 3, 2, function() return code(cache:get_many { "value:1", "value:2", "value:3" }) end, "fine",
      "BAD_REQUEST" },
    { "max_subscriptions", 2, 1, function() return code(cache:subscribe { keys = { "a", "b" } }) end, "fine",
      "OVERLOADED" },
    { "script_memory", "256mb", "4mb", get "takes", "fine", "SCRIPT_ERROR" },
    { "script_cpu", "10s", "1ms", get "spins", "fine", "SCRIPT_ERROR" },
    { "script_calls", 1000, 3, get "calls", "fine", "SCRIPT_ERROR" },
    { "retry_budget", 1, 0, function()
      local before = counters().retries_refused
      for _ = 1, 80 do cache:get(key "attempts") end
      return counters().retries_refused > before
    end, false, true, loader = { retries = 1, retry_base = "1ms", retry_cap = "1ms" } },
    { "log_level", "info", "debug", function()
      expect.value(cache:hello { client = "somebody" })
      return server:log():find("conn.hello", 1, true) ~= nil
    end, false, true },
    { "max_frame_before_auth", "4kb", 512, function() return code(tcp():ping { x = ("x"):rep(1000) }) end,
      "BAD_REQUEST", "TOO_LARGE", server = { users = USERS } },
    { "max_auth_failures", 1000, 1, function()
      local c = tcp()
      c:auth("app", "wrong")
      return code(c:ping())
    end, "fine", "CLOSED", server = { users = USERS } },
    { "auth_delay", "0s", "1s", function()
      local c, before = tcp(), counters()
      c:auth("app", "wrong")
      c:send("auth", "app", "guess")
      wait.until_true("it is held or not", function()
        local now = counters()
        return now.auths_held > before.auths_held or now.auths_failed == before.auths_failed + 2
      end)
      return counters().auths_held > before.auths_held
    end, false, true, server = { users = USERS } },
    { "auth_delay_cap", "20ms", "1h", function()
      local c = tcp()
      for _ = 1, 5 do expect.error("AUTH_FAILED", {}, c:auth("app", "wrong")) end
      local before = wait.now()
      expect.error("AUTH_FAILED", {}, c:auth("app", "wrong"))
      return wait.now() - before >= 0.3 -- 20 ms, doubled four times
    end, nil, true, server = { users = USERS, auth_delay = "20ms", max_auth_failures = 1000 } },
    { "max_auth_queue", 256, 1, function()
      hold_one(1)
      return code(tcp():auth("app", "other"))
    end, "fine", "OVERLOADED", server = { users = USERS, auth_delay = "9s", auth_cache = "0s" } },
    { "auth_share_address", 0.2, 0, function()
      hold_one(1)
      return code(tcp():auth("app", "other"))
    end, "fine", "OVERLOADED", server = { users = USERS, auth_delay = "9s", auth_cache = "0s", max_auth_queue = 10 } },
    { "auth_share_network", 0.2, 0, function()
      hold_one(2)
      return code(tcp():auth("app", "other"))
    end, "fine", "OVERLOADED", server = { users = USERS, auth_delay = "9s", auth_cache = "0s", max_auth_queue = 10,
      auth_share_address = 0 } },
    { "auth_cache", "0s", "10min", function()
      for _ = 1, 2 do expect.value(tcp():auth("app", "other")) end
      return counters().auths_cached > 0
    end, false, true, server = { users = USERS } },
    { "open_to_all", true, false, function() return code(cache:reload()) end, "fine", "RELOAD_FAILED",
      server = { listen = { "127.0.0.1:0", "0.0.0.0:0" } }, refused = true },
    -- What is there after a time shows by an event; that it does not come by none.
    { "auth_timeout", "1h", "1s", function() tcp() await("connections_unknown", 1) end, nil, nil,
      server = { users = USERS } },
    { "idle_timeout", "1h", "100ms", function() tcp() await("connections_idle", 1) end },
    { "output_timeout", "1h", "100ms", function()
      cache:set("k", ("x"):rep(900000))
      local c = server:connect()
      for _ = 1, 30 do c:send("get", "k") end
      await("connections_unread", 1)
    end },
    { "frame_grace", "1h", "100ms", function()
      tcp():write "\148\0\1\163g"
      await("connections_slow", 1)
    end, nil, nil, server = { frame_rate = "1gb" } },
    { "frame_rate", 0, "1gb", function()
      tcp():write "\148\0\1\163g"
      await("connections_slow", 1)
    end, nil, nil, server = { frame_grace = "100ms" } },
    { "floor_ttl", "10min", "1s", function()
      cache:invalidate("k", { version = 5 })
      expect.error("VERSION_CONFLICT", {}, cache:set("k", 1, { version = 4 }))
      wait.until_true("the floor is over", function() return cache:set("k", 1, { version = 4 }) end)
    end, nil, nil, loader = { load_timeout = "500ms", write_timeout = "500ms" } },
    { "watch", false, true, function()
      server:write_script("one.lua", "return { load = function() return 'seen' end }")
      wait.until_true("it is seen", function() return cache:get(key "value") == "seen" end)
    end },
    { "drain_timeout", "1h", "10ms", function()
      local id = cache:send("get", key "sleeps")
      server:await_loader("*", "in_flight", 1)
      server:signal "TERM"
      expect.error("SHUTTING_DOWN", {}, cache:receive(id))
      server:wait_log "server.drain_timeout"
    end, nil, nil, loader = { wait_timeout = "1h" } },
  }

  local OF_LOADER = {
    { "script", "one.lua", "many.lua", value "value", "a value", 1 },
    { "ttl", "60s", "1h", fresh("value", 1000), false, true },
    { "stale_ttl", "0s", "1h", function()
      local k = key "value"
      cache:get(k)
      return expect.value(cache:expire(k)) and cache:peek(k) ~= nil
    end, false, true },
    { "negative_ttl", "5s", "1h", fresh("absent", 1000), false, true },
    { "stale_if_error", "0s", "1h", function()
      local k = key "value"
      cache:get(k)
      wait.until_true("its time is over", function() return cache:peek(k) == nil or cache:peek(k).status ~= "hit" end)
      return cache:peek(k) ~= nil
    end, false, true, loader = { ttl = "20ms" } },
    { "jitter", 0, 0.5, function()
      local seen, count = {}, 0
      for _ = 1, 30 do
        local k = key "value"
        cache:get(k)
        local s = math.floor(expect.value(cache:peek(k)).ttl_ms / 10000)
        count = count + (seen[s] and 0 or 1)
        seen[s] = true
      end
      return count > 5
    end, false, true, loader = { ttl = "1h" } },
    { "stale_wait", "0s", "5min", function() return cache:get(stale_key "naps") end, "old", "napped",
      loader = { wait_timeout = "5min" } },
    { "wait_timeout", "5min", "10ms", get "naps", "fine", "TIMEOUT" },
    { "load_timeout", "5min", "10ms", get "naps", "fine", "LOAD_TIMEOUT" },
    { "retries", 1, 2, get "attempts", "BACKEND_DOWN", "fine", loader = { retry_base = "1ms", retry_cap = "1ms" } },
    { "retry_base", "1ms", "1h", function() return code(cache:get(key "attempts", { timeout_ms = 500 })) end, "fine",
      "TIMEOUT", loader = { retries = 2, retry_cap = "1h", load_timeout = "1h" },
      server = { floor_ttl = "2h" } },
    { "retry_cap", "1h", "1ms", function() return code(cache:get(key "attempts", { timeout_ms = 500 })) end, "TIMEOUT",
      "fine", loader = { retries = 2, load_timeout = "1h" }, server = { floor_ttl = "2h" } },
    { "backoff_base", "1ms", "1h", function()
      local most = 0
      for _ = 1, 10 do
        local k = key "down"
        cache:get(k)
        local _, err = cache:get(k)
        most = math.max(most, err.retry_after_ms or 0)
      end
      return most > 1000
    end, false, true, loader = { backoff_cap = "1h" }, map = true },
    { "backoff_cap", "1h", "1ms", function()
      local most = 0
      for _ = 1, 10 do
        local k = key "down"
        cache:get(k)
        local _, err = cache:get(k)
        most = math.max(most, err and err.retry_after_ms or 0)
      end
      return most > 1000
    end, true, false, map = true },
    { "max_loads", 2, 1, function() return at_once(cache, gets("sleeps", 2)) end, "LOAD_TIMEOUT LOAD_TIMEOUT",
      "LOAD_TIMEOUT OVERLOADED", loader = { max_queue = 0, load_timeout = "100ms" } },
    { "max_queue", 1, 0, function() return at_once(cache, gets("sleeps", 2)) end, "LOAD_TIMEOUT LOAD_TIMEOUT",
      "LOAD_TIMEOUT OVERLOADED", loader = { max_loads = 1, load_timeout = "100ms" } },
    { "max_waiters", 2, 1, function()
      local one = { "get", key "sleeps" }
      return at_once(cache, { one, one })
    end, "LOAD_TIMEOUT LOAD_TIMEOUT", "LOAD_TIMEOUT OVERLOADED", loader = { load_timeout = "100ms" } },
    { "batch_max", 3, 2, function()
      return expect.value(cache:get_many { key "k", key "k", key "k" })[1].value
    end, 3, 2, loader = { script = "many.lua" } },
    { "batch_window", "1us", "200ms", function()
      local other, mine = server:connect(), cache:send("get", key "k")
      expect.value(cache:ping()) -- its turn is over
      local id = other:send("get", key "k")
      return expect.value(other:receive(id)) == 2 and expect.value(cache:receive(mine)) == 2
    end, nil, true, loader = { script = "many.lua" } },
    { "max_writes", 2, 1, function()
      return at_once(cache, { { "put", key "k", "sleeps" }, { "put", key "k", "sleeps" } })
    end, "TIMEOUT TIMEOUT", "TIMEOUT OVERLOADED", loader = { max_write_queue = 0, write_timeout = "100ms" } },
    { "max_write_queue", 1, 0, function()
      return at_once(cache, { { "put", key "k", "sleeps" }, { "put", key "k", "sleeps" } })
    end, "TIMEOUT TIMEOUT", "TIMEOUT OVERLOADED", loader = { max_writes = 1, write_timeout = "100ms" } },
    { "write_timeout", "5min", "10ms", function() return code(cache:put(key "k", "sleeps", { timeout_ms = 300 })) end,
      "WRITE_UNKNOWN", "TIMEOUT" },
    { "write", "invalidate", "through", function() return expect.value(cache:put(key "k", 1)).stored end, false, true },
    { "breaker_failures", 0, 1, function()
      cache:get(key "down")
      return code(cache:get(key "value"))
    end, "fine", "BREAKER_OPEN" },
    { "breaker_open", "1ms", "1h", function()
      cache:get(key "down")
      local _, err
      wait.until_true("it is open", function()
        _, err = cache:get(key "down")
        return err.code == "BREAKER_OPEN"
      end)
      return err.retry_after_ms > 1000000
    end, nil, true, loader = { breaker_failures = 1 }, map = true },
    { "refresh_ahead", 0, 0.1, loaded_ahead(10), false, true, loader = { ttl = "400ms" } },
    { "prefetch_min_reads", 200, 3, loaded_ahead(10), false, true, loader = { ttl = "400ms", refresh_ahead = 0.1 } },
    { "early_beta", 0, 10, function()
      local k = key "naps"
      cache:get(k)
      wait.until_true("it is gone", function()
        if cache:peek(k) then cache:get(k) end
        return cache:peek(k) == nil or server:loader("*").loads_early > 0
      end)
      return server:loader("*").loads_early > 0
    end, false, true, loader = { ttl = "400ms", refresh_ahead = 0 } },
    { "versioned", false, true, get "value", "fine", "BAD_VALUE" },
    { "backend", "main", "second", value "database", "main", "second" },
  }

  local OF_BACKEND = {
    { "path", "main.db", "other.db", value "database", "main", "other" },
    { "max_result", "8mb", "1kb", get "large", "fine", "TOO_LARGE" },
    { "busy_timeout", "0s", "1h", function()
      local db = require("spec.support.sqlite").open(server.folder .. "/main.db")
      db:exec "BEGIN EXCLUSIVE"
      local _, err = cache:get(key "writes", { timeout_ms = 300 })
      db:exec "ROLLBACK"
      db:close()
      return err.code
    end, "BACKEND_DOWN", "TIMEOUT" },
    { "max_loads", 10, 1, function()
      local ids = { cache:send("get", key "naps"), cache:send("get", key "naps") }
      server:await_loader("*", "queued", 1)
      for _, id in ipairs(ids) do expect.value(cache:receive(id)) end
      return true
    end, nil, true, backend = { min_loads = 1 } },
  }

  for where, rows in pairs { server = OF_SERVER, loader = OF_LOADER, backend = OF_BACKEND } do
    for _, row in ipairs(rows) do
      local name, check, was, is = row[1], row[4], row[5], row[6]
      it(("%s of the %s"):format(name, where), function()
        start(where, row)
        if row.map then expect.value(cache:hello { errors = "map" }) end
        if was ~= nil then assert.equal(was, check()) end
        if row.refused then
          conf.options[name] = row[3]
          server:write_conf(conf)
          assert.equal(is, check())
          return
        end
        configure(conf, where, name, row[3])
        if row[3] == "second" then conf.backends.second = { driver = "sqlite", path = "second.db" } end
        server:write_conf(conf)
        expect.value(cache:reload())
        local shown = check()
        if is ~= nil then assert.equal(is, shown) end
      end)
    end
  end

  -- Elsewhere: what a certificate, a password, a detail and a restart are shows in specs of their own.
  local ELSEWHERE = { tls = 46, users = 45, errors = 74, defaults = 16, backends = 16, loaders = 16,
    snapshot_every = 95, warm_downtime = 95, warm_wait = 29 }

  local RESTART = {
    { "listen", { "127.0.0.1:0" } }, { "shards", 16 }, { "io_threads", 3 }, { "loader_threads", 3 },
    { "failed_keys", 7 }, { "floors", 7 }, { "tag_slots", 1024 }, { "max_globs", 7 }, { "max_notices", 7 },
    { "log_file", "x.log" }, { "user", "nobody" }, { "unix_mode", "0600" }, { "auth_threads", 2 },
    { "unix_group", "0", server = { unix_mode = "0660" } },
    { "state", "state" }, { "journal", "off", server = { state = "state" } },
    { "journal_bytes", "2mb", server = { state = "state" } }, { "tier", { backend = "main" } },
  }
  for _, row in ipairs(RESTART) do
    it(("not %s, which it names, and nothing of what came with it"):format(row[1]), function()
      start("server", { row[1], nil, server = row.server })
      conf.options[row[1]] = row[2]
      conf.options.max_key = 5
      server:write_conf(conf)
      expect.error("CONFIG", row[1] .. " cannot change without a restart", cache:reload())
      assert.equal("fine", code(cache:get "value:long"))
      assert.equal(1, cache:stats().server.generation)
    end)
  end

  it("what docs/configuration.md says, and each of it is here", function()
    local of, heading = {}, ""
    for line in files.read("docs/configuration.md"):match("options:begin(.-)options:end"):gmatch "[^\n]+" do
      heading = line:match "^### (%a+ ?%a*)" or heading
      local cells = {}
      for cell in line:gsub("\\|", ""):gmatch "([^|]+)" do cells[#cells + 1] = cell:match "^%s*(.-)%s*$" end
      local name = (cells[1] or ""):match "^`([%w_]+)`$"
      of[heading] = of[heading] or {}
      if name then of[heading][name] = cells[5] or true end
    end
    local reloaded, restarted, policies, there = {}, {}, {}, {}
    for _, options in pairs(of) do
      for name, when in pairs(options) do
        if when == "reload" then reloaded[name] = true end
        if when == "restart" then restarted[name] = true end
        if options.stale_ttl then policies[name] = true end
      end
    end
    for name in pairs(ELSEWHERE) do there[name] = true end
    for _, row in ipairs(OF_SERVER) do there[row[1]] = true end
    assert.same(reloaded, there)
    there = {}
    for _, row in ipairs(RESTART) do there[row[1]] = true end
    assert.same(restarted, there)
    there = { prefetch_max_concurrent = true, prefetch_max_queue = true, warm = true,
      tier_min_load = true } -- specs 33, 95 and 39
    for _, row in ipairs(OF_LOADER) do there[row[1]] = policies[row[1]] end
    assert.same(policies, there)
  end)
end)
