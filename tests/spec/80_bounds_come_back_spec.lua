-- Whatever is taken is given back: each bound is gone past again and again, one after the other, on
-- every way in which what took a place can end; and then exactly as many fit as may. What is asked at
-- once goes out in one write, so that the server takes it in one turn.

local Server = require "spec.support.server"
local client = require "rtcache.client"
local expect = require "spec.support.expect"
local wait = require "spec.support.wait"

-- Cheap hash (8 MiB, one pass) of "other".
local OTHER = "$argon2id$v=19$m=8192,t=1,p=1$dMoaTKxrUTzGwdGXZgwEuw$LasVO8KoMTADkX1NpsRNndVnt/i1l1inqZQiq6N7UOM"

-- What a load or a write does says its key: any:WHAT:NUMBER.
local WAYS = [[
local ways = {
  value = function() return "a value" end,
  tagged = function() return "a value", { tags = { "t" } } end,
  nothing = function() return nil end,
  throws = function() error "it throws" end,
  says = function() return nil, "it says so" end,
  wrong = function() return rtcache.nothing.there end,
  sleeps = function() rtcache.sleep(600) end,
  naps = function() rtcache.sleep(0.02) return "a value" end,
  spins = function() while true do end end,
  bad = function() return { print } end,
}
local function way(key) return ways[key:match "^%w+:(%w+)"]() end
local function many(keys)
  local values, options = {}, {}
  for _, key in ipairs(keys) do
    if key:find ":poison" then error(rtcache.poison(key)) end
    if key:find ":some" then error(rtcache.poison()) end
    local ok, err
    values[key], err = way(key)
    options[key] = err and { error = err } or nil
  end
  return values, options
end
local function save(key) way(key) return nil end
]]

describe("a bound that was reached", function()
  local server, cache

  -- loaders: of the script above; fields: of the server.
  local function start(loaders, options, fields)
    local o = {
      options = { io_threads = 1, loader_threads = 1, script_cpu = "20ms" },
      scripts = {
        ["ways.lua"] = WAYS .. "return { load = way, save = save, remove = save }",
        ["many.lua"] = WAYS .. "return { load_many = many }",
      },
      loaders = loaders,
    }
    for _, l in ipairs(loaders or {}) do
      l.script, l.ttl, l.negative_ttl = l.script or "ways.lua", l.ttl or "1h", l.negative_ttl or "1h"
      l.breaker_failures, l.retries = l.breaker_failures or 0, l.retries or 0
      l.backoff_base, l.backoff_cap = "1ms", "1ms"
    end
    for name, v in pairs(options or {}) do o.options[name] = v end
    for name, v in pairs(fields or {}) do o[name] = v end
    server = Server.start(o)
    cache = server:connect()
    return o
  end

  local function stats() return expect.value(cache:stats()) end
  local function counters() return stats().counters end

  local function await_idle()
    wait.until_true("nothing is under way", function()
      local busy = stats().flights.loading
      for _, l in ipairs(expect.value(cache:loaders())) do busy = busy + l.in_flight + l.queued end
      return busy == 0
    end)
  end

  -- No place is taken any more, and so the server drains at once when it is told to end.
  local function finish()
    if not server then return end
    wait.until_true("no script and no backend has anything to do", function()
      local s = stats()
      local busy = s.scripts.parked
      for _, l in ipairs(expect.value(cache:loaders())) do busy = busy + l.in_flight + l.queued end
      for _, b in pairs(s.backends) do busy = busy + b.in_flight + b.queued end
      return busy == 0
    end)
    server:close_clients()
    server:signal "TERM"
    assert.equal(0, server.process:wait(wait.PATIENCE))
    server.process:finish()
    assert.is_nil(server:log():find("server.drain_timeout", 1, true))
    server:stop()
    server = nil
  end

  -- Requests in one write, so that they are taken in one turn; the id of the first, the rest follow.
  local function together(c, requests)
    local bytes, first = {}, c.next_id + 1
    for i, r in ipairs(requests) do bytes[i] = client.encode_request(first + i - 1, unpack(r)) end
    c.next_id = c.next_id + #requests
    assert(c:write(table.concat(bytes)))
    return first
  end

  -- The codes of their answers, "fine" for a value, in their order.
  local function at_once(c, requests)
    local codes, first = {}, together(c, requests)
    for i = 1, #requests do
      local _, err = c:receive(first + i - 1)
      codes[i] = err and err.code or "fine"
    end
    return codes
  end

  -- A key that nobody asked for before.
  local number = 0
  local function fresh(what)
    number = number + 1
    return what .. ":" .. number
  end

  describe("max_parked", function()
    local c

    local function asks(method, what, code, ...)
      local more = { ... }
      return function()
        local _, err = c:receive(c:send(method, fresh(what), unpack(more)))
        assert.equal(code, err and err.code)
      end
    end
    local ways = {
      { "a value", asks("get", "any:value") },
      { "an absence", asks("get", "any:nothing") },
      { "an error", asks("get", "any:throws", "LOAD_FAILED") },
      { "a fault of the script", asks("get_entry", "any:wrong", "SCRIPT_ERROR") },
      { "load_timeout", asks("get", "late:sleeps", "LOAD_TIMEOUT") },
      { "its own deadline", asks("get", "any:sleeps", "TIMEOUT", { timeout_ms = 1 }) },
      { "STALE_SOURCE", function() -- or TIMEOUT, where the last attempt took too long
        assert.truthy(select(2, c:get(fresh "any:value", { min_version = 5, timeout_ms = 15 })))
      end },
      { "a refresh", asks("refresh", "any:value") },
      { "a refusal", asks("get", "none:sleeps", "OVERLOADED") },
      { "no loader", asks("get", "nobodys", "NO_LOADER") },
      { "a put", asks("put", "any:value", nil, 1) },
      { "a put that fails", asks("put", "any:throws", "LOAD_FAILED", 1) },
      { "a put past write_timeout", asks("put", "late:sleeps", "TIMEOUT", 1) },
      { "a put past its deadline", asks("put", "any:sleeps", "WRITE_UNKNOWN", 1, { timeout_ms = 1 }) },
      { "a delete", asks("delete", "any:value") },
      { "a put that nobody takes", asks("put", "nobodys", "NO_LOADER", 1) },
      { "a wait for what is stale", function()
        local key = fresh "any:sleeps"
        expect.value(c:set(key, "old", { ttl_ms = 1, stale_ttl_ms = 3600000 }))
        wait.until_true("it is stale", function() return c:peek(key).status == "stale" end)
        expect.status("stale", c:get_entry(key, { stale_wait_ms = 1 }))
      end },
      { "a tag that was invalidated meanwhile", function()
        local id = c:send("get", fresh "any:naps")
        expect.value(cache:invalidate_tag "t")
        expect.value(c:receive(id))
      end },
      { "an invalidation meanwhile", function()
        local key = fresh "any:naps"
        local id = c:send("get", key)
        expect.value(c:ping())
        cache:invalidate(key)
        expect.value(c:receive(id))
      end },
      { "a get_many", function()
        expect.value(c:get_many { fresh "any:value", fresh "any:throws", fresh "any:nothing" })
      end },
      { "a get_many past its deadline", function()
        expect.value(c:get_many({ fresh "any:sleeps", fresh "any:sleeps" }, { timeout_ms = 1 }))
      end },
      { "an auth", function() expect.value(c:auth("app", "other")) end },
      { "an auth that fails", function() expect.error("AUTH_FAILED", {}, c:auth("app", "wrong")) end },
      { "a reload", function() expect.value(c:reload()) end },
    }

    setup(function()
      start({
        { pattern = "any:*", load_timeout = "1s", wait_timeout = "5min", write_timeout = "500ms" },
        { pattern = "late:*", load_timeout = "5ms", write_timeout = "5ms" },
        { pattern = "none:*", max_loads = 1, max_queue = 0 },
      }, {
        max_parked = 3, max_batch = 3, auth_delay = "0s", max_auth_failures = 1000,
        users = {
          { name = "app", password_hash = OTHER, rights = { "read", "write", "invalidate", "admin" } },
          { name = "ops", unix_user = "root", rights = { "read", "write", "invalidate", "admin" } },
        },
      })
      expect.value(cache:get_many({ "none:sleeps:1" }, { partial = true }))
      server:await_loader("none:*", "in_flight", 1)
      c = server:connect()
      expect.value(c:auth("app", "other"))
    end)
    teardown(finish)

    for _, way in ipairs(ways) do
      it("is free again after " .. way[1], function()
        local refused = counters().parked_refused
        for _ = 1, 7 do way[2]() end
        assert.equal(refused, counters().parked_refused)
        local asked = {}
        for i = 1, 4 do asked[i] = { "get", fresh "any:sleeps", { timeout_ms = 100 } } end
        asked[5] = { "put", fresh "any:value", 1 }
        assert.same({ "TIMEOUT", "TIMEOUT", "TIMEOUT", "OVERLOADED", "OVERLOADED" }, at_once(c, asked))
      end)
    end
  end)

  describe("max_loads and max_queue", function()
    local other

    -- Both may have one load at once, beside each other one of their backend.
    setup(function()
      start({
        { pattern = "one:*", max_loads = 1, max_queue = 0, load_timeout = "40ms", backend = "main" },
        { pattern = "again:*", max_loads = 1, max_queue = 0, load_timeout = "40ms", backend = "main", retries = 2,
          retry_base = "1ms", retry_cap = "1ms" },
        { pattern = "many:*", max_loads = 1, max_queue = 0, batch_max = 3, load_timeout = "40ms", backend = "main",
          script = "many.lua" },
        { pattern = "two:*", max_loads = 1, max_queue = 1, load_timeout = "40ms", backend = "main" },
        { pattern = "wide:*", max_loads = 100, load_timeout = "40ms", backend = "main" },
        { pattern = "low:*", max_loads = 1, max_queue = 0, load_timeout = "40ms", backend = "main", versioned = true },
      }, { retry_budget = 1 }, { backends = { main = { driver = "sqlite", path = "x.db", max_loads = 1,
        min_loads = 1 } },
        files = { ["x.db"] = "" } })
    end)
    teardown(finish)
    before_each(function() other = server:connect() end)
    after_each(function() other:close() end)

    local function get(key, code)
      return function()
        local _, err = cache:get(fresh(key))
        assert.equal(code, err and err.code)
      end
    end
    -- One that waits in the queue behind another one, and what becomes of it.
    local function queued(ends, method, options)
      return function()
        local c, key = server:connect(), fresh "two:value"
        local closed = counters().connections_closed
        local first = together(c, { { "get", fresh "two:sleeps" }, { method or "get", key, options } })
        if ends(c, first + 1, key) ~= "left" then expect.error("LOAD_TIMEOUT", {}, c:receive(first)) end
        c:close()
        wait.until_true("the server knows that it has left", function()
          return counters().connections_closed > closed
        end)
      end
    end
    local function began(before)
      wait.until_true("it has begun", function() return server:loader("one:*").loads > before end)
    end
    local function get_three(...)
      local kinds = { ... }
      return function()
        local keys = {}
        for i, kind in ipairs(kinds) do keys[i] = fresh("many:" .. kind) end
        assert.equal(#keys, #expect.value(cache:get_many(keys)))
      end
    end
    local ways = {
      { "a value", get("one:value") },
      { "an absence", get("one:nothing") },
      { "an error that is thrown", get("one:throws", "LOAD_FAILED") },
      { "an error that is returned", get("one:says", "LOAD_FAILED") },
      { "a fault of the script", get("one:wrong", "SCRIPT_ERROR") },
      { "script_cpu", get("one:spins", "SCRIPT_ERROR") },
      { "a value that cannot be packed", get("one:bad", "BAD_VALUE") },
      { "a value without the version that it needs", get("low:value", "BAD_VALUE") },
      { "load_timeout", get("one:sleeps", "LOAD_TIMEOUT") },
      { "attempts that fail", get("again:throws", "LOAD_FAILED") },
      { "attempts that end with load_timeout", get("again:sleeps", "LOAD_TIMEOUT") },
      { "a refresh", function() expect.value(cache:refresh(fresh "one:value")) end },
      { "a load for nobody", function()
        expect.value(other:get_many({ fresh "one:sleeps" }, { partial = true }))
      end },
      { "a load whose client has left", function()
        local c = server:connect()
        local before = server:loader("one:*").loads
        c:send("get", fresh "one:sleeps")
        began(before)
        c:close()
      end },
      { "a load of what was invalidated meanwhile", function()
        local key, before = fresh "one:naps", server:loader("one:*").loads
        local id = other:send("get", key)
        began(before)
        cache:invalidate(key)
        expect.value(other:receive(id))
      end },
      { "a load of what was set meanwhile", function()
        local key = fresh "one:naps"
        local id = other:send("get", key)
        expect.value(other:ping())
        expect.value(cache:set(key, "new"))
        expect.value(other:receive(id))
      end },
      { "a load over a reload", function()
        local before = server:loader("one:*").loads
        local id = other:send("get", fresh "one:naps")
        began(before)
        expect.value(cache:reload())
        expect.value(other:receive(id))
      end },
      { "one that waited for its turn", queued(function(c, id) expect.value(c:receive(id)) end) },
      { "one that waited, and its deadline came", queued(function(c, id)
        expect.error("TIMEOUT", {}, c:receive(id))
      end, "get", { timeout_ms = 1 }) },
      { "one that waited, and its client left", queued(function(c)
        c:close()
        return "left"
      end) },
      { "one that waited for nobody, and then somebody asked", queued(function(c, id, key)
        assert.is_true(expect.value(c:receive(id)))
        expect.value(c:get(key))
      end, "refresh", { background = true }) },
      { "one that waited over a reload", queued(function(c, id)
        expect.value(cache:reload())
        expect.value(c:receive(id))
      end) },
      { "one that waited, and was set meanwhile", queued(function(c, id, key)
        expect.value(cache:set(key, "new"))
        expect.value(c:receive(id))
      end) },
      { "one that waited for nobody, and made room", function()
        local key = fresh "two:value"
        assert.same({ "LOAD_TIMEOUT", "fine", "fine" }, at_once(other, {
          { "get", fresh "two:sleeps" }, { "refresh", key, { background = true } }, { "get", fresh "two:value" } }))
        expect.absent(cache:peek(key))
      end },
      { "a batch", get_three("value", "nothing", "says") },
      { "a batch that fails", get_three("value", "throws") },
      { "a batch with a poisonous key", get_three("value", "poison", "value") },
      { "a batch with a poisonous key that nobody names", get_three("value", "some", "value") },
      { "a batch that takes too long", get_three("value", "sleeps") },
    }

    for _, way in ipairs(ways) do
      it("are free again after " .. way[1], function()
        local refused = counters().loads_refused
        for _ = 1, 3 do
          way[2]()
          await_idle()
        end
        assert.equal(way[1]:find "made room" and refused + 3 or refused, counters().loads_refused)
        for loader, most in pairs { one = 1, two = 2, many = 3 } do
          local asked = {}
          for i = 1, most + 1 do asked[i] = { "get", fresh(loader .. ":sleeps") } end
          local codes = at_once(other, asked)
          for i = 1, most do assert.equal("LOAD_TIMEOUT", codes[i], loader) end
          assert.equal("OVERLOADED", codes[most + 1], loader)
          await_idle()
        end
        -- One of the backend at once: the others wait, and have their turns.
        assert.same({ "LOAD_TIMEOUT", "LOAD_TIMEOUT" },
          at_once(other, { { "get", fresh "wide:sleeps" }, { "get", fresh "wide:sleeps" } }))
      end)
    end
  end)

  describe("max_writes and max_write_queue", function()
    local other, files_of

    setup(function()
      files_of = start { { pattern = "one:*", max_writes = 1, max_write_queue = 1, write_timeout = "250ms" } }
    end)
    teardown(finish)
    before_each(function() other = server:connect() end)

    local function put(key, code)
      return function()
        local _, err = cache:put(fresh(key), 1)
        assert.equal(code, err and err.code)
      end
    end
    -- One that waits beside or behind another one, and what becomes of it.
    local function waits(same, ends)
      return function()
        local first = fresh "one:sleeps"
        local begun = counters().writes
        local id = other:send("put", first, 1)
        wait.until_true("it runs", function() return counters().writes > begun end)
        ends(same and first or fresh "one:value")
        expect.error("TIMEOUT", {}, other:receive(id))
      end
    end
    local function given_up(key) expect.error("TIMEOUT", "its turn", cache:put(key, 1, { timeout_ms = 1 })) end
    local function left(key)
      local c = server:connect()
      c:send("put", key, 1)
      expect.value(c:ping())
      c:close()
    end
    local function moved(key)
      local id = cache:send("put", key, 1)
      expect.value(cache:ping())
      expect.value(other:reload())
      expect.value(cache:receive(id))
    end
    local function lost(key)
      local id = cache:send("put", key, 1)
      expect.value(cache:ping())
      server:write_script("ways.lua", WAYS .. "return { load = way }")
      expect.value(other:reload())
      expect.error("BAD_REQUEST", "save", cache:receive(id))
      server:write_script("ways.lua", files_of.scripts["ways.lua"])
      expect.value(other:reload())
    end
    for _, way in ipairs {
      { "one that succeeds", put "one:value" },
      { "one that fails", put("one:throws", "LOAD_FAILED") },
      { "a fault of the script", put("one:wrong", "SCRIPT_ERROR") },
      { "script_cpu", put("one:spins", "SCRIPT_ERROR") },
      { "write_timeout", put("one:sleeps", "TIMEOUT") },
      { "one whose client has left", function()
        local failed = counters().writes_failed
        left(fresh "one:sleeps")
        wait.until_true("it is over", function() return counters().writes_failed > failed end)
      end },
      { "one that waited for a place, and was given up", waits(false, given_up) },
      { "one that waited for its key, and was given up", waits(true, given_up) },
      { "one that waited for a place over a reload", waits(false, moved) },
      { "one that nobody takes any more after a reload", waits(false, lost) },
    } do
      it("are free again after " .. way[1], function()
        local refused = counters().writes_refused
        for _ = 1, 3 do
          way[2]()
          await_idle()
        end
        assert.equal(refused, counters().writes_refused)
        assert.same({ "TIMEOUT", "fine", "OVERLOADED" }, at_once(other, {
          { "put", fresh "one:sleeps", 1 }, { "delete", fresh "one:value" }, { "put", fresh "one:value", 1 } }))
      end)
    end
  end)
end)
