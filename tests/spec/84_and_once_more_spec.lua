-- What works once and what works again: outages, locks, reloads, cuts, breakers and VMs, three times
-- each in one life of a server; and every file that is watched, changed in every way, one after the
-- other.

local Certificates = require "spec.support.certificates"
local Server = require "spec.support.server"
local Source = require "spec.support.source"
local Sqlite = require "spec.support.sqlite"
local client = require "rtcache.client"
local expect = require "spec.support.expect"
local files = require "spec.support.files"
local postgres = require "spec.support.postgres"
local wait = require "spec.support.wait"

local GATE, TIMES = 30, 3

-- Cheap hashes (8 MiB, one pass) of "other" and "third".
local HASHES = {
  other = "$argon2id$v=19$m=8192,t=1,p=1$dMoaTKxrUTzGwdGXZgwEuw$LasVO8KoMTADkX1NpsRNndVnt/i1l1inqZQiq6N7UOM",
  third = "$argon2id$v=19$m=8192,t=1,p=1$WlEb5kh62HJTcCh2EXccKA$CAhK/L0ZNGzuZtgqdn9oDNubadflqjRttTFctOAaHOA",
}

describe("again and again,", function()
  local server, source, cache, cluster
  after_each(function()
    if source then source:close() end
    if server then server:stop() end
    if cluster then cluster:stop() end
    server, source, cluster = nil, nil, nil
  end)

  local QUICK = { pattern = "k:*", ttl = "1h", retries = 0, backoff_base = "1ms", backoff_cap = "1ms",
    breaker_failures = 0 }
  local function quick(more)
    local l = {}
    for name, v in pairs(QUICK) do l[name] = v end
    for name, v in pairs(more or {}) do l[name] = v end
    return l
  end
  local function stats() return expect.value(cache:stats()) end

  it("a database is killed and comes back", function()
    cluster = postgres.start()
    server, source = Source.postgres({ loaders = { quick() } }, cluster,
      { pool = 2, pipeline = 64, reconnect_base = "10ms", reconnect_cap = "50ms" })
    cache = server:connect()
    for round = 1, TIMES do
      local key = "k:" .. round
      source:put(key, "round " .. round)
      assert.equal("round " .. round, expect.value(cache:get(key)))
      cluster:kill()
      expect.error("BACKEND_DOWN", {}, cache:get(key .. ":new"))
      assert.equal("round " .. round, expect.value(cache:get(key)))
      cluster:launch()
      source.db:reconnect()
      source:put(key .. ":new", "back")
      wait.until_true("it is back", function() return cache:get(key .. ":new") == "back" end)
    end
  end)

  it("a database stands still, its loads are given up, and it goes on", function()
    server, source = Source.postgres { loaders = { quick { load_timeout = "100ms" } } }
    cache = server:connect()
    for round = 1, TIMES do
      source.db:shut(GATE)
      for i = 1, 10 do source:put(("k:%d:%d"):format(round, i), "v", { gate = GATE }) end
      for i = 1, 10 do expect.error("LOAD_TIMEOUT", {}, cache:get(("k:%d:%d"):format(round, i))) end
      wait.until_true("all are stopped", function() return source.db:waiting(GATE) == 0 end)
      source.db:open(GATE)
      for i = 1, 10 do
        wait.until_true("it is loaded", function() return cache:get(("k:%d:%d"):format(round, i)) == "v" end)
      end
    end
    assert.truthy(stats().counters.loads_timeout >= 10 * TIMES)
  end)

  it("a file of SQLite is locked, and is free again", function()
    server, source = Source.sqlite {
      loaders = { quick() },
      backends = {},
    }
    server.options.backends.main.busy_timeout = "10ms"
    server:write_conf(server.options)
    cache = server:connect()
    expect.value(cache:reload())
    local other = Sqlite.open(server.folder .. "/source.db")
    for round = 1, TIMES do
      local key = "k:" .. round
      source:put(key, "v")
      other:exec "BEGIN IMMEDIATE"
      for _ = 1, 5 do expect.error("BACKEND_DOWN", "locked", cache:refresh(key)) end
      other:exec "ROLLBACK"
      wait.until_true("it is loaded", function() return cache:get(key) == "v" end)
    end
    other:close()
  end)

  it("a breaker opens, lets one through, and is closed by it or opens anew", function()
    server, source = Source.sqlite {
      loaders = { quick { breaker_failures = 3, breaker_open = "20ms" } }, options = { loader_threads = 1 },
    }
    cache = server:connect()
    local opened = 0
    local function fail(key) expect.error("BACKEND_DOWN", {}, cache:get(key)) end
    for round = 1, TIMES do
      for i = 1, 6 do source:put(("k:%d:%d"):format(round, i), "v", { fail = "down" }) end
      source:put("k:well:" .. round, "well")
      for i = 1, 3 do fail(("k:%d:%d"):format(round, i)) end
      opened = opened + 1
      assert.equal(opened, stats().counters.breaker_opened)
      -- The probe fails, and it is open for the whole time again; then one comes through.
      wait.until_true("a probe", function()
        local _, err = cache:get(("k:%d:4"):format(round))
        return err.code == "BACKEND_DOWN"
      end)
      opened = stats().counters.breaker_opened
      wait.until_true("a probe that is well", function() return cache:get("k:well:" .. round) == "well" end)
      assert.equal("closed", server:loader("k:*").breaker)
      for i = 5, 6 do fail(("k:%d:%d"):format(round, i)) end -- fewer than three, counted anew
      assert.equal("closed", server:loader("k:*").breaker)
      source:put("k:in between:" .. round, "well")
      expect.value(cache:get("k:in between:" .. round))
    end
  end)

  it("a feed is cut, and what was loaded before is not fresh once it is back", function()
    server, source = Source.postgres({ loaders = { quick { stale_ttl = "1h" } } }, nil,
      { feed = "changes", feed_heartbeat = "100ms", reconnect_base = "10ms", reconnect_cap = "20ms" })
    cache = server:connect()
    local function feed() return stats().feeds.main end
    for round = 1, TIMES do
      local key = "k:" .. round
      wait.until_true("it is up", function() return feed().connected and feed().lag_ms ~= nil end)
      wait.until_true("what is loaded is fresh", function()
        source:put(key, "old")
        cache:refresh(key)
        return cache:peek(key).status == "hit"
      end)
      local gaps = feed().gaps
      source.db:exec [[SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE datname = current_database()
        AND (query LIKE 'LISTEN%' OR query LIKE '%pg_notify($1%') AND pid <> pg_backend_pid()]]
      wait.until_true("the gap is known", function() return feed().gaps > gaps end)
      assert.equal("stale", cache:peek(key).status)
      source:put(key, "new")
      wait.until_true("the new one is loaded", function() return cache:get(key) == "new" end)
    end
  end)

  it("a reload is refused, taken over by the method, and taken over on SIGHUP", function()
    server, source = Source.sqlite { loaders = { quick() } }
    cache = server:connect()
    local function script(text)
      server:write_script("source.lua", ("return { load = function() return %q end }"):format(text))
    end
    for round = 1, TIMES do
      server:write_script("source.lua", "return {")
      expect.error("RELOAD_FAILED", "source.lua:1", cache:reload())
      script("method " .. round)
      expect.value(cache:reload())
      assert.equal("method " .. round, expect.value(cache:refresh "k:1").value)
      script("signal " .. round)
      server:signal "HUP"
      -- The I/O threads take it over after the loader threads.
      wait.until_true("it is taken over", function()
        return cache:refresh("k:1").value == "signal " .. round and stats().server.generation == 1 + 2 * round
      end)
    end
    assert.equal(TIMES, stats().counters.reloads_refused)
  end)

  it("a script fills its memory, and a new VM takes over", function()
    server = Server.start {
      options = { script_memory = "4mb", loader_threads = 1, script_cpu = "10s" },
      scripts = {
        ["hoard.lua"] = [[
          local all = {}
          return { load = function(key) all[key] = ('x'):rep(200000) .. key return 1 end }]],
        ["good.lua"] = "return { load = function(key) return key end }",
      },
      loaders = { quick { pattern = "hoard:*", script = "hoard.lua" }, quick { pattern = "good:*",
        script = "good.lua" } },
    }
    cache = server:connect()
    local n = 0
    for round = 1, TIMES do
      wait.until_true("it is full", function()
        n = n + 1
        cache:get("hoard:" .. n)
        return stats().scripts.replaced >= round
      end)
      wait.until_true("a load of others", function() return cache:get("good:" .. n) == "good:" .. n end)
    end
  end)
end)

local ONE = [[
local a, b = require "beside.a", require "b"
return { load = function() return "one" .. a .. b end }
]]

describe("a watched file is seen", function()
  local server, cache, certificates

  setup(function()
    certificates = Certificates.make()
    certificates:ca "stranger-ca"
    for _, name in ipairs { "first", "second" } do certificates:issue(name, "DNS:localhost,IP:127.0.0.1") end
    certificates:issue("client", "DNS:client")
    certificates:issue("stranger", "DNS:stranger", { ca = "stranger-ca" })
    server = Server.prepare {
      options = { watch = true, auth_delay = "0s", users = {
        { name = "app", password_file = "app.hash", rights = { "read" } },
        { name = "ops", unix_user = "root", rights = { "read", "write", "invalidate", "admin" } },
      } },
      tls = { certificate = "server.pem", key = "server.key", client_ca = "clients.pem" },
      loaders = { { pattern = "*", script = "one.lua", ttl = "0s" } },
      scripts = {
        ["one.lua"] = ONE,
      },
      files = {
        ["server.pem"] = certificates:text "first.pem", ["server.key"] = certificates:text "first.key",
        ["clients.pem"] = certificates:text "ca.pem", ["app.hash"] = HASHES.other .. "\n",
      },
    }
    files.make_folder(server.folder .. "/scripts/beside")
    files.make_folder(server.folder .. "/lua")
    files.write(server.folder .. "/scripts/beside/a.lua", "return 'a'")
    files.write(server.folder .. "/lua/b.lua", "return 'b'")
    server:launch()
    cache = server:connect()
  end)
  teardown(function()
    server:stop()
    certificates:remove()
  end)

  local ways = {
    { "that another one is renamed to", function(path, text) files.replace(path, text) end },
    { "that is written at its place", function(path, text) files.write(path, text) end },
    { "that is removed and comes back", function(path, text)
      os.remove(path)
      files.write(path, text)
    end },
  }
  local function get() return cache:refresh("k").value end
  local function tls(name)
    local c = client.connect { port = server.tls_port, timeout = wait.PATIENCE, tls = { ca = certificates:path "ca.pem",
      cert = certificates:path(name .. ".pem"), key = certificates:path(name .. ".key") } }
    return c and c:ping() and c
  end
  local function script(value) return ("return { load = function() return %q end }"):format(value) end
  local function module(name, value) return { name, ("return %q"):format(value) } end

  -- What is written, and what shows it; two of each file, in turn.
  local WATCHED = {
    ["a script"] = {
      { { "scripts/one.lua", script "new" }, function() return get() == "new" end },
      { { "scripts/one.lua", script "newer" }, function() return get() == "newer" end },
    },
    ["a module beside the scripts"] = {
      { module("scripts/beside/a.lua", "A"), function() return get():match "^one([aA]+)[bB]+$" == "A" end },
      { module("scripts/beside/a.lua", "AA"), function() return get():match "^one([aA]+)[bB]+$" == "AA" end },
    },
    ["a module of the folder lua"] = {
      { module("lua/b.lua", "B"), function() return get():match "^one[aA]+([bB]+)$" == "B" end },
      { module("lua/b.lua", "BB"), function() return get():match "^one[aA]+([bB]+)$" == "BB" end },
    },
    ["a password's file"] = {
      { { "app.hash", HASHES.third .. "\n" }, function() return server:connect { tcp = true }:auth("app",
        "third") end },
      { { "app.hash", HASHES.other .. "\n" }, function() return server:connect { tcp = true }:auth("app",
        "other") end },
    },
    ["a CA of clients"] = {
      { { "clients.pem", "stranger-ca.pem" }, function() return tls "stranger" end },
      { { "clients.pem", "ca.pem" }, function() return tls "client" end },
    },
  }
  for what, pair in pairs(WATCHED) do
    for _, way in ipairs(ways) do
      it(("%s %s"):format(what, way[1]), function()
        if what:find "module" then
          files.replace(server.folder .. "/scripts/one.lua",
            ONE)
          wait.until_true("the script is back", function() return get():find "^one[aA]+[bB]+$" end)
        end
        for _ = 1, 2 do
          for _, change in ipairs(pair) do
            local name, text = change[1][1], change[1][2]
            way[2](server.folder .. "/" .. name, text:find "%.pem$" and certificates:text(text) or text)
            wait.until_true(what .. " is seen", change[2])
          end
        end
      end)
    end
  end

  it("rtcache.conf, however it is written", function()
    for i, way in ipairs(ways) do
      for _, most in ipairs { 3 + i, 2 } do
        server.options.options.max_key = most
        local was = files.read(server.conf)
        server:write_conf(server.options)
        local text = files.read(server.conf)
        files.replace(server.conf, was)
        way[2](server.conf, text)
        wait.until_true("it is seen", function()
          return cache:peek(("x"):rep(most)) == nil and (select(2,
            cache:peek(("x"):rep(most + 1))) or {}).code == "BAD_KEY"
        end)
      end
    end
  end)

  it("a certificate and its key", function()
    for _, way in ipairs(ways) do
      for _, name in ipairs { "second", "first" } do
        way[2](server.folder .. "/server.key", certificates:text(name .. ".key"))
        way[2](server.folder .. "/server.pem", certificates:text(name .. ".pem"))
        wait.until_true("it is seen", function()
          local c = tls "client"
          return c and c.sock:getpeercertificate():subject()[1].value == name
        end)
      end
    end
  end)
end)
