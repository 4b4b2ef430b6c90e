-- What a reload meets: subscriptions of users that change, passwords that are being looked at, loads and
-- writes in the air and in queues, requests that wait, backoffs, breakers, floors and deadlines.

local Server = require "spec.support.server"
local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local wait = require "spec.support.wait"

-- Cheap hashes (8 MiB, one pass) of "other" and "third".
local OTHER = "$argon2id$v=19$m=8192,t=1,p=1$dMoaTKxrUTzGwdGXZgwEuw$LasVO8KoMTADkX1NpsRNndVnt/i1l1inqZQiq6N7UOM"
local THIRD = "$argon2id$v=19$m=8192,t=1,p=1$WlEb5kh62HJTcCh2EXccKA$CAhK/L0ZNGzuZtgqdn9oDNubadflqjRttTFctOAaHOA"

local OPS = { name = "ops", unix_user = "root", rights = { "read", "write", "invalidate", "admin" } }

local GATE = 30

local function code(_, err) return err and err.code or "fine" end

describe("a reload and users:", function()
  local server, ops

  local function user(name, more)
    local u = { name = name, password_hash = OTHER, rights = { "read", "invalidate" } }
    for k, v in pairs(more or {}) do u[k] = v end
    return u
  end
  local function configure(users, more)
    local o = { auth_delay = "0s", auth_timeout = "1h", users = users }
    for name, v in pairs(more or {}) do o[name] = v end
    return { options = o }
  end
  local function start(users, more)
    server = Server.start(configure(users, more))
    ops = server:connect()
  end
  local function reload(users, more)
    server:write_conf(configure(users, more))
    expect.value(ops:reload())
  end
  local function enter(name, password)
    local c = server:connect { tcp = true }
    expect.value(c:auth(name, password or "other"))
    return c
  end
  after_each(function() server:stop() end)

  -- What becomes of a connection that has subscribed, and of one that has not.
  for _, row in ipairs {
    { "nothing changes", user "app", "stays", "stays" },
    { "it gets more rights", user("app", { rights = { "read", "write", "invalidate" } }), "closed", "stays" },
    { "it gets fewer rights", user("app", { rights = { "read" } }), "closed", "stays" },
    { "it may read no more", user("app", { rights = { "invalidate" } }), "closed", "stays" },
    { "its rights are in another order", user("app", { rights = { "invalidate", "read" } }), "stays", "stays" },
    { "it is held to keys", user("app", { keys = { "k*" } }), "closed", "stays" },
    { "it has another password", user("app", { password_hash = THIRD }), "closed", "closed" },
    { "it has another name", user "else", "closed", "closed" },
    { "it is gone", nil, "closed", "closed" },
    { "others come before it", user "app", "stays", "stays", user "first" },
  } do
    it(("of one who has subscribed, when %s: %s"):format(row[1], row[3]), function()
      start { OPS, user "app" }
      local near, plain = enter "app", enter "app"
      expect.value(near:subscribe { keys = "k" })
      local users = { OPS, row[2] }
      if row[5] then table.insert(users, 1, row[5]) end
      reload(users)
      expect.value(ops:invalidate "k" ~= nil)
      if row[3] == "stays" then
        assert.equal("k", select(2, near:notification())[1].key)
      else
        expect.error("CLOSED", {}, near:receive()) -- and nothing before
      end
      assert.equal(row[4] == "closed" and "CLOSED" or "fine", code(plain:ping()))
      wait.until_true("what is closed has no subscriptions", function()
        local n = ops:stats().counters
        return n.subscribed - n.unsubscribed == (row[3] == "stays" and 1 or 0)
      end)
    end)
  end

  it("who was nobody's is closed where it has subscribed or not, when the first users come", function()
    start()
    local near, plain = server:connect { tcp = true }, server:connect { tcp = true }
    expect.value(near:subscribe { keys = "k" })
    reload { OPS, user "app" }
    expect.error("CLOSED", {}, near:receive())
    expect.error("CLOSED", {}, plain:receive())
    assert.equal("fine", code(ops:stats())) -- is root's now
  end)

  it("who was somebody may do everything when there are no users any more", function()
    start { OPS, user "app" }
    local c, nobody = enter "app", server:connect { tcp = true }
    expect.error("DENIED", {}, c:set("k", 1))
    expect.error("UNAUTHENTICATED", {}, nobody:get "k")
    reload(nil)
    expect.value(c:set("k", 1))
    assert.equal(1, expect.value(nobody:get "k"))
  end)

  describe("a password that waits to be looked at", function()
    for _, row in ipairs {
      { "the user stays", user "app", "fine" },
      { "the user has another password", user("app", { password_hash = THIRD }), "AUTH_FAILED" },
      { "the user is gone", nil, "AUTH_FAILED" },
      { "the user has other rights", user("app", { rights = { "write" } }), "fine" },
    } do
      it("is settled by the users that there are then, when " .. row[1], function()
        start({ OPS, user "app" }, { auth_delay = "700ms", auth_cache = "0s" })
        expect.error("AUTH_FAILED", {}, server:connect { tcp = true }:auth("app", "wrong"))
        local c = server:connect { tcp = true }
        local id, behind = c:send("auth", "app", "other"), c:send("set", "k", 1)
        wait.until_true("it is held", function() return ops:stats().counters.auths_held == 1 end)
        reload({ OPS, row[2] }, { auth_delay = "700ms", auth_cache = "0s" })
        assert.equal(0, ops:stats().counters.auths)
        assert.equal(row[3], code(c:receive(id)))
        local may = row[2] and row[2].rights[1] == "write"
        assert.equal(row[3] ~= "fine" and "UNAUTHENTICATED" or may and "fine" or "DENIED", code(c:receive(behind)))
      end)
    end
  end)
end)

describe("a reload and what is under way:", function()
  local server, source, cache

  local function start(loader, options)
    local l = { pattern = "k:*", ttl = "1h", retries = 0, breaker_failures = 0, load_timeout = "5min",
      wait_timeout = "5min",
      backoff_base = "1ms", backoff_cap = "1ms" }
    for name, v in pairs(loader or {}) do l[name] = v end
    local o = { loader_threads = 1, io_threads = 1 }
    for name, v in pairs(options or {}) do o[name] = v end
    server, source = Source.postgres { options = o, loaders = { l } }
    cache = server:connect()
  end
  -- fields of the loader; script: the text of its script from now on.
  local function reload(fields, script)
    for name, v in pairs(fields or {}) do server.options.loaders[1][name] = v end
    if script then server:write_script("source.lua", script) end
    server:write_conf(server.options)
    expect.value((server.observer or server:connect()):reload())
  end
  after_each(function()
    source:open_gates()
    source:close()
    server:stop()
  end)

  local function at_gate(key)
    source:put(key, "old", { gate = GATE })
    source.db:shut(GATE)
    local id = cache:send("get", key)
    source:await_gate(GATE)
    return id
  end
  local NEW = "return { load = function() return 'new' end, save = function() return 'saved', { version = 7 } end }"

  it("a load in the air answers who waits with the old script, and is not stored", function()
    start()
    local id = at_gate "k:1"
    reload(nil, NEW)
    local later = server:connect()
    assert.equal("new", expect.value(later:get "k:1"))
    source.db:open(GATE)
    assert.equal("old", expect.value(cache:receive(id)))
    assert.equal("new", expect.value(cache:get "k:1"))
  end)

  it("a load in the queue runs the new script, within the new bound", function()
    start { max_loads = 1 }
    local id = at_gate "k:1"
    local other = server:connect()
    local queued = { other:send("get", "k:2"), other:send("get", "k:3") }
    server:await_loader("k:*", "queued", 2)
    reload({ max_loads = 2 }, NEW)
    for _, n in ipairs(queued) do assert.equal("new", expect.value(other:receive(n))) end
    source.db:open(GATE)
    assert.equal("old", expect.value(cache:receive(id)))
  end)

  it("a load in the queue of a loader that is gone hears so, and one in the air is answered", function()
    start { max_loads = 1 }
    local id = at_gate "k:1"
    local other = server:connect()
    local queued = other:send("get", "k:2")
    server:await_loader("k:*", "queued", 1)
    reload { pattern = "another:*" }
    expect.error("NO_LOADER", {}, other:receive(queued))
    source.db:open(GATE)
    assert.equal("old", expect.value(cache:receive(id)))
    expect.error("NO_LOADER", {}, cache:get "k:1")
  end)

  it("a request that waits keeps its deadline, a later one has the new one", function()
    start { wait_timeout = "5min" }
    local id = at_gate "k:1"
    reload { wait_timeout = "1ms" }
    expect.error("TIMEOUT", "within 1 ms", server:connect():get "k:1")
    source.db:open(GATE)
    assert.equal("old", expect.value(cache:receive(id)))
  end)

  it("a load in the air keeps its load_timeout, a later one has the new one", function()
    start { load_timeout = "5min" }
    local id = at_gate "k:1"
    reload { load_timeout = "20ms" }
    source:put("k:2", "v", { gate = GATE })
    expect.error("LOAD_TIMEOUT", {}, server:connect():get "k:2")
    source.db:open(GATE)
    assert.equal("old", expect.value(cache:receive(id)))
  end)

  it("a write in the air ends on the old script and drops its entry, one that waits runs the new one", function()
    start { max_writes = 1 }
    local write = [[return { load = function() return "loaded" end, save = function(key, _, ctx)
      ctx.db:value("SELECT 1 AS passed FROM pg_advisory_xact_lock_shared(]] .. GATE .. [[)")
      return "%s", { version = 7 }
    end }]]
    reload(nil, write:format "by the old one")
    source.db:shut(GATE)
    local other = server:connect()
    local ids = { cache:send("put", "k:1", 1) }
    source:await_gate(GATE)
    ids[2], ids[3] = other:send("put", "k:1", 2), other:send("put", "k:2", 3)
    expect.value(other:ping())
    reload(nil, NEW)
    source.db:open(GATE)
    local first = expect.value(cache:receive(ids[1]))
    assert.same({ 7, false }, { tonumber(first.version), first.stored })
    for i = 2, 3 do assert.is_true(expect.value(other:receive(ids[i])).stored) end
    assert.equal("saved", expect.value(cache:peek "k:1").value)
    assert.equal("saved", expect.value(cache:peek "k:2").value)
  end)

  it("a backend that is another one now answers what was asked of it before", function()
    start()
    local id = at_gate "k:1"
    server.options.backends.main.max_result = "1mb"
    reload()
    source:put("k:2", "by the new one")
    assert.equal("by the new one", expect.value(server:connect():get "k:2"))
    source.db:open(GATE)
    assert.equal("old", expect.value(cache:receive(id)))
  end)

  it("an entry keeps its times, and what is stored later has the new ones", function()
    start { ttl = "1h", stale_ttl = "1h" }
    source:put("k:1", "v")
    expect.value(cache:get "k:1")
    reload { ttl = "10s", stale_ttl = "0s" }
    assert.truthy(cache:peek("k:1").ttl_ms > 1000000)
    expect.value(cache:expire "k:1")
    assert.equal("stale", cache:peek("k:1").status)
    expect.value(cache:refresh "k:1")
    assert.truthy(cache:peek("k:1").ttl_ms <= 10000)
    expect.value(cache:expire "k:1")
    expect.absent(cache:peek "k:1")
  end)

  it("what was to be loaded ahead is not where that is off now", function()
    start { ttl = "600ms", refresh_ahead = 0.3, prefetch_min_reads = 1, jitter = 0 }
    for i = 1, 5 do source:put("k:" .. i, "v") end
    for i = 1, 5 do
      for _ = 1, 5 do expect.value(cache:get("k:" .. i)) end
    end
    reload { refresh_ahead = 0 }
    local before = source:loads()
    wait.until_true("they are gone", function()
      for i = 1, 5 do if cache:peek("k:" .. i) then return false end end
      return true
    end)
    assert.equal(before, source:loads())
  end)

  it("a key that is in backoff stays so", function()
    start { backoff_base = "30s", backoff_cap = "30s" }
    source:put("k:1", "v", { fail = "it fails" })
    expect.value(cache:hello { errors = "map" })
    expect.error("LOAD_FAILED", {}, cache:get "k:1")
    reload()
    local err = expect.error("LOAD_FAILED", {}, cache:get "k:1")
    assert.truthy(err.retry_after_ms == nil or err.retry_after_ms > 0)
    assert.equal(1, source:loads "k:1")
  end)

  it("a floor stays, and a tag that was invalidated", function()
    start()
    expect.value(cache:invalidate("k:1", { version = 5 }) ~= nil)
    expect.value(cache:set("k:2", "v", { tags = { "t" } }))
    expect.value(cache:invalidate_tag "t")
    reload()
    expect.error("VERSION_CONFLICT", {}, cache:set("k:1", "v", { version = 4 }))
    expect.absent(cache:peek "k:2")
  end)

  it("a breaker stays open where pattern and backend stay, and is closed where they do not", function()
    start { breaker_failures = 2, breaker_open = "1h" }
    for i = 1, 2 do source:put("k:" .. i, "v", { fail = "down" }) end
    for i = 1, 2 do expect.error("BACKEND_DOWN", {}, cache:get("k:" .. i)) end
    source:put("k:well", "v")
    reload { ttl = "2h" }
    assert.equal("open", server:loader("k:*").breaker)
    expect.error("BREAKER_OPEN", {}, cache:get "k:well")
    reload { pattern = "k:{id:text}" }
    assert.equal("closed", server:loader("k:{id:text}").breaker)
    assert.equal("v", expect.value(cache:get "k:well"))
  end)

  it("a probe in the air does not keep the breaker from letting another one through", function()
    start { breaker_failures = 2, breaker_open = "1ms" }
    for i = 1, 2 do source:put("k:" .. i, "v", { fail = "down" }) end
    for i = 1, 2 do expect.error("BACKEND_DOWN", {}, cache:get("k:" .. i)) end
    source:put("k:gate", "v", { gate = GATE })
    source:put("k:well", "v")
    source.db:shut(GATE)
    local id
    wait.until_true("it probes", function()
      id = cache:send("get", "k:gate")
      wait.until_true("it is refused, or waits", function()
        return source.db:waiting(GATE) > 0 or cache:stats().counters.breaker_refused > 0
      end)
      return source.db:waiting(GATE) > 0
    end)
    reload()
    wait.until_true("another probe", function() return server:connect():get "k:well" == "v" end)
    source.db:open(GATE)
    expect.value(cache:receive(id))
    assert.equal("closed", server:loader("k:*").breaker)
  end)

  it("a load in the air is shown in flight, and is counted when it ends", function()
    start()
    local id = at_gate "k:1"
    reload { ttl = "2h" }
    local l = server:loader "k:*"
    assert.same({ 1, 1, 0 }, { l.in_flight, l.loads, l.found })
    source.db:open(GATE)
    expect.value(cache:receive(id))
    server:await_loader("k:*", "in_flight", 0)
    l = server:loader "k:*"
    assert.same({ 1, 1 }, { l.loads, l.found })
  end)

  it("counts of a loader go on while its pattern stays", function()
    start()
    source:put("k:1", "v")
    expect.value(cache:get "k:1")
    expect.value(cache:get "k:1")
    reload { ttl = "2h" }
    local l = server:loader "k:*"
    assert.same({ 1, 1, 1 }, { l.loads, l.hits, l.misses })
    reload { pattern = "other:*" }
    reload { pattern = "k:*" }
    l = server:loader "k:*"
    assert.same({ 1, 1, 1 }, { l.loads, l.hits, l.misses })
  end)
end)
