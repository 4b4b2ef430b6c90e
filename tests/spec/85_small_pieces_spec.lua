-- Each limit of size is gone up to in many small pieces, to just below it and to just above it: what is
-- looked at for one large piece alone would not see these.

local Server = require "spec.support.server"
local Source = require "spec.support.source"
local client = require "rtcache.client"
local expect = require "spec.support.expect"
local msgpack = require "rtcache.msgpack"
local wait = require "spec.support.wait"

-- Cheap hash (8 MiB, one pass) of "other".
local OTHER = "$argon2id$v=19$m=8192,t=1,p=1$dMoaTKxrUTzGwdGXZgwEuw$LasVO8KoMTADkX1NpsRNndVnt/i1l1inqZQiq6N7UOM"

describe("in small pieces", function()
  local server, cache, source

  local function start(options, fields)
    local o = { options = { io_threads = 1, loader_threads = 1 } }
    for name, v in pairs(options or {}) do o.options[name] = v end
    for name, v in pairs(fields or {}) do o[name] = v end
    for _, l in ipairs(o.loaders or {}) do
      l.ttl, l.retries, l.breaker_failures, l.backoff_base, l.backoff_cap = "1h", 0, 0, "1ms", "1ms"
    end
    server = Server.start(o)
    cache = server:connect()
  end
  after_each(function()
    if source then source:close() end
    if server then server:stop() end
    server, source = nil, nil
  end)

  local function code(_, err) return err and err.code or "fine" end

  -- An array of so many ones, which takes as many bytes and its header.
  local function ones(count)
    local t = {}
    for i = 1, count do t[i] = 1 end
    return t
  end

  it("max_value is a bound of a set and a put, of arrays and of maps", function()
    start({ max_value = 1000 }, {
      scripts = { ["one.lua"] = [[
        return { load = function() end, save = function(_, v) return v, { version = 1 } end }]] },
      loaders = { { pattern = "*", script = "one.lua" } },
    })
    local map = {}
    for i = 1, 249 do map[("%03d"):format(i)] = i % 2 == 0 end -- 4 bytes for each key and one for its value
    assert.equal(1 + 2 + 249 * 5, #msgpack.encode(map))
    for _, method in ipairs { "set", "put" } do
      assert.equal("fine", code(cache[method](cache, "k", ones(997))), method) -- and a header of 3
      assert.equal("TOO_LARGE", code(cache[method](cache, "k", ones(998))), method)
      assert.equal("TOO_LARGE", code(cache[method](cache, "k", map)), method)
    end
  end)

  it("max_value is a bound of what a script returns, in load, load_many and save", function()
    local build = [[
      local function build(key)
        local t = {}
        for i = 1, tonumber(key:match "%d+") do t[i] = 1 end
        return t
      end
    ]]
    start({ max_value = 1000 }, {
      scripts = {
        ["one.lua"] = build .. "return { load = build, save = function(key) return build(key), { version = 1 } end }",
        ["many.lua"] = build .. [[return { load_many = function(keys)
          local out = {}
          for _, key in ipairs(keys) do out[key] = build(key) end
          return out
        end }]],
      },
      loaders = { { pattern = "one:*", script = "one.lua" }, { pattern = "many:*", script = "many.lua" } },
    })
    assert.equal("fine", code(cache:get "one:997"))
    assert.equal("TOO_LARGE", code(cache:get "one:998"))
    assert.equal("fine", code(cache:put("one:997", 1)))
    assert.equal("TOO_LARGE", code(cache:put("one:998", 1)))
    local items = expect.value(cache:get_many { "many:997", "many:998", "many:1" })
    assert.equal(997, #items[1].value)
    assert.equal("TOO_LARGE", items[2].error.code)
    assert.equal(1, #items[3].value)
  end)

  describe("a frame", function()
    -- A ping with a parameter that makes the whole of it so many bytes; it is refused for that.
    local function ping(size)
      local room = size - #client.encode_request(7, "ping", ones(20))
      return client.encode_request(7, "ping", ones(20 + room))
    end

    it("comes byte by byte up to max_frame, and is told at the byte after it", function()
      start { max_frame = 2000, max_frame_before_auth = 2000, max_value = 400, max_key = 100 }
      local c = server:connect { tcp = true }
      for _ = 1, 3 do
        local bytes = ping(2000)
        assert.equal(2000, #bytes)
        for at = 1, #bytes, 7 do assert(c:write(bytes:sub(at, at + 6))) end
        expect.error("BAD_REQUEST", {}, c:receive(7))
      end
      local bytes = ping(2001)
      for at = 1, #bytes do
        if not c:write(bytes:sub(at, at)) then break end
      end
      expect.error("TOO_LARGE", {}, c:receive(7))
      expect.error("CLOSED", {}, c:ping())
    end)

    it("may begin behind many others in one read, and each is counted for itself", function()
      start { max_frame = 2000, max_frame_before_auth = 2000, max_value = 400, max_key = 100 }
      local bytes = {}
      for i = 1, 200 do bytes[i] = ping(1900) end
      assert(cache:write(table.concat(bytes)))
      for _ = 1, 200 do expect.error("BAD_REQUEST", {}, cache:receive(7)) end
    end)

    it("comes in pieces up to max_frame_before_auth", function()
      start { max_frame_before_auth = 600, users = { { name = "app", password_hash = OTHER, rights = { "read" } } } }
      local c = server:connect { tcp = true }
      for _ = 1, 3 do
        local bytes = ping(600)
        for at = 1, #bytes, 50 do assert(c:write(bytes:sub(at, at + 49))) end
        expect.error("BAD_REQUEST", {}, c:receive(7))
      end
      local bytes = ping(601)
      for at = 1, #bytes, 50 do c:write(bytes:sub(at, at + 49)) end
      expect.error("TOO_LARGE", {}, c:receive(7))
      expect.error("CLOSED", {}, c:ping())
    end)
  end)

  it("what is unread stays below max_output, of answers of one byte each", function()
    start { max_output = "65kb", max_value = "1kb", max_batch = 10000 }
    local lazy, count = server:connect(), 80000
    expect.value(cache:set("k", 1))
    local requests = {}
    for i = 1, count do requests[i] = client.encode_request(i, "get", "k") end
    requests = table.concat(requests)
    lazy.sock:settimeout(0)
    local sent = 0
    wait.until_true("it has to read first", function()
      local last, _, partial = lazy.sock:send(requests, sent + 1)
      sent = last or partial or sent
      return cache:stats().counters.paused >= 1
    end)
    assert.equal(0, cache:stats().counters.connections_cut)
    local answered = 0
    while answered < count do
      lazy.sock:settimeout(0)
      if sent < #requests then
        local last, _, partial = lazy.sock:send(requests, sent + 1)
        sent = last or partial or sent
      end
      lazy.sock:settimeout(wait.PATIENCE)
      answered = answered + 1
      assert.equal(1, expect.value(lazy:receive(answered)))
      if answered > 2000 and sent == #requests then break end
    end
    assert.equal(1, expect.value(lazy:receive(count)))
    assert.equal(0, cache:stats().counters.connections_cut)
  end)

  it("a get_many comes up to max_output by items of some bytes, hits and loads alike", function()
    start({ max_output = "65kb", max_value = "1kb", max_batch = 10000 }, {
      scripts = { ["one.lua"] = "return { load = function() return 1 end }" },
      loaders = { { pattern = "*", script = "one.lua" } },
    })
    local keys = {}
    for i = 1, 10000 do keys[i] = "k" .. i end -- 8 bytes for {value = 1}: 80,000
    for _ = 1, 3 do expect.error("TOO_LARGE", "max_output", cache:get_many(keys)) end
    for i = 3001, 10000 do keys[i] = nil end
    for _ = 1, 3 do assert.equal(3000, #expect.value(cache:get_many(keys))) end
  end)

  local function rows_behave(open, sql)
    return function()
      open(sql)
      for _, method in ipairs { "rows", "row" } do
        assert.equal("fine", code(cache:get(method .. ":10")), method)
      end
      assert.equal("TOO_LARGE", code(cache:get "rows:2000"))
      assert.equal("fine", code(cache:get "one:2000"))
      expect.error("TOO_LARGE", {}, cache:get "columns:2000")
      assert.equal("fine", code(cache:get "rows:11"))
    end
  end
  local function rows_script(columns)
    return [[
      local function many(n)
        local t = {}
        for i = 1, n do t[i] = (i % 1000 + 1000) .. " AS c" .. i end
        return "SELECT " .. table.concat(t, ", ")
      end
      return { load = function(key, ctx)
        local what, n = key:match "(%a+):(%d+)"
        local sql = "]] .. columns .. [["
        if what == "rows" then return #ctx.db:rows(sql, tonumber(n)) end
        if what == "columns" then return ctx.db:row(many(1500)) end
        return ctx.db:row(sql .. " LIMIT 1", tonumber(n))
      end }]]
  end

  it("max_result is a bound of many small rows, and of many small columns, in PostgreSQL", rows_behave(function()
    server, source = Source.postgres({
      scripts = { ["rows.lua"] = rows_script "SELECT i, i AS j FROM generate_series(1, $1::int) AS i" },
      loaders = { { pattern = "*", script = "rows.lua", retries = 0, breaker_failures = 0 } },
    }, nil, { max_result = "4kb" })
    cache = server:connect()
  end))

  it("max_result is a bound of many small rows, and of many small columns, in SQLite", rows_behave(function()
    server, source = Source.sqlite {
      scripts = { ["rows.lua"] = rows_script
        "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < $1) SELECT i, i AS j FROM n" },
      loaders = { { pattern = "*", script = "rows.lua", retries = 0, breaker_failures = 0 } },
    }
    server.options.backends.main.max_result = "4kb"
    server:write_conf(server.options)
    cache = server:connect()
    expect.value(cache:reload())
  end))

  it("script_cpu is a bound of all that runs between waits, however little at a time", function()
    start({ script_cpu = "50ms" }, {
      scripts = { ["one.lua"] = [[return { load = function()
        for _ = 1, 100000 do
          local n = 0
          for i = 1, 20000 do n = n + i end
          rtcache.sleep(0)
        end
      end }]] },
      loaders = { { pattern = "*", script = "one.lua", load_timeout = "5min", wait_timeout = "5min" } },
    })
    expect.error("SCRIPT_ERROR", "stopped after 50 ms of CPU", cache:get "k")
  end)

  it("script_memory is a bound of many small tables, between waits too", function()
    start({ script_memory = "8mb", script_cpu = "10s" }, {
      scripts = { ["one.lua"] = [[return { load = function(key)
        local all = {}
        for i = 1, 1e6 do
          all[i] = { i }
          if key == "waits" and i % 1000 == 0 then rtcache.sleep(0) end
        end
        return #all
      end }]] },
      loaders = { { pattern = "*", script = "one.lua", load_timeout = "5min", wait_timeout = "5min" } },
    })
    for _ = 1, 3 do
      expect.error("SCRIPT_ERROR", "not enough memory", cache:get "at once")
      expect.error("SCRIPT_ERROR", "not enough memory", cache:get "waits")
    end
  end)

  it("tags are 64 of a value, given by a client, a load or a save, and the 65th is told of", function()
    start({}, {
      scripts = { ["one.lua"] = [[
        local function tags(key)
          local t = {}
          for i = 1, tonumber(key:match "%d+") do t[i] = "t" .. i end
          return 1, { tags = t, version = 1 }
        end
        return { load = tags, save = tags }]] },
      loaders = { { pattern = "*", script = "one.lua" } },
    })
    local function tags(count)
      local t = {}
      for i = 1, count do t[i] = "t" .. i end
      return { tags = t }
    end
    assert.equal("fine", code(cache:set("k", 1, tags(64))))
    assert.equal(64, #cache:get_entry("k").tags)
    assert.equal("BAD_REQUEST", code(cache:set("k", 1, tags(65))))
    assert.equal("fine", code(cache:get "k:64"))
    assert.equal("SCRIPT_ERROR", code(cache:get "k:65"))
    assert.equal("fine", code(cache:put("k:64", 1)))
    assert.equal("SCRIPT_ERROR", code(cache:put("k:65", 1)))
    for i = 1, 64 do
      expect.value(cache:set("k", 1, tags(64)))
      expect.value(cache:invalidate_tag("t" .. i))
      expect.absent(cache:peek "k")
    end
  end)

  it("max_subscriptions is a bound of one after the other", function()
    start { max_subscriptions = 20 }
    for i = 1, 20 do
      local kind = ({ "keys", "patterns", "tags" })[i % 3 + 1]
      assert.equal(i, expect.value(cache:subscribe { [kind] = "x" .. i }))
    end
    for _, kind in ipairs { "keys", "patterns", "tags" } do
      expect.error("OVERLOADED", "max_subscriptions (20)", cache:subscribe { [kind] = "y" })
    end
  end)

  it("max_batch is a bound of texts of all kinds together", function()
    start { max_batch = 5 }
    local five = { "a", "b", "c", "d", "e" }
    for _, method in ipairs { "get_many", "invalidate_many", "expire_many", "invalidate_tag", "expire_tag" } do
      assert.equal("fine", code(cache[method](cache, five)), method)
      assert.equal("BAD_REQUEST", code(cache[method](cache, { "a", "b", "c", "d", "e", "f" })), method)
    end
    assert.equal("fine", code(cache:subscribe { keys = { "a", "b" }, patterns = { "c", "d" }, tags = { "e" } }))
    assert.equal("BAD_REQUEST", code(cache:subscribe { keys = { "a", "b" }, patterns = { "c", "d" }, tags = { "e",
      "f" } }))
  end)
end)
