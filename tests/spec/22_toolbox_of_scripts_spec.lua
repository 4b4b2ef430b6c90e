local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local raw = require "spec.support.raw"
local wait = require "spec.support.wait"

local GATE = 22

describe("a script's toolbox:", function()
  local server, source, cache

  setup(function()
    server, source = Source.postgres {
      options = {
        defaults = { retries = 0, breaker_failures = 0, wait_timeout = "60s", load_timeout = "60s", ttl = "60s" },
      },
      backends = { side = { driver = "sqlite", path = "side.db", init = "side.sql" } },
      files = { ["side.sql"] = "CREATE TABLE t (a INTEGER); INSERT INTO t VALUES (7);" },
      loaders = {
        { pattern = "tool:*", script = "tool.lua", backend = "main" },
        { pattern = "stale:*", script = "tool.lua", backend = "main", ttl = "60s", stale_ttl = "10min" },
      },
      scripts = {
        ["tool.lua"] = [[
          local tools = {}

          function tools.all(ctx)
            local function gate(n)
              return function()
                ctx.db:value("SELECT 1 FROM pg_advisory_xact_lock_shared($1)", 22)
                return n
              end
            end
            return rtcache.all { gate("a"), gate("b"), gate("c") }
          end

          tools["all fails"] = function(ctx)
            return rtcache.all {
              function() return ctx.db:value("SELECT 1") end,
              function() return ctx.db:value("SELECT nothing FROM nowhere") end,
            }
          end

          function tools.sleep() rtcache.sleep(0.02) return "rested" end
          function tools.side() return rtcache.backend("side"):value("SELECT a FROM t") end
          function tools.now() return rtcache.now() end
          function tools.null() return { a = rtcache.null, b = { rtcache.null, 1 } } end
          function tools.empty() return { plain = {}, map = rtcache.map {}, array = rtcache.array {} } end
          function tools.bin() return rtcache.bin "text" end

          function tools.json()
            local t = rtcache.json.decode '{"a": [1, 2.5, null], "big": 9007199254740993, "e": {}}'
            return { value = t, text = rtcache.json.encode { 1, "x", true } }
          end

          tools["json broken"] = function() return rtcache.json.decode "{broken" end

          function tools.caught(ctx)
            local ok, err = pcall(ctx.db.value, ctx.db, "SELECT nothing FROM nowhere")
            return { ok = ok, code = err.code, text = tostring(err) }
          end

          function tools.log() rtcache.log("warn", "watch out for %d", 42) return "logged" end

          local function count(ctx)
            ctx.db:exec("INSERT INTO loads (key) VALUES ('" .. ctx.match[1] .. "')")
          end

          function tools.uncached(ctx) count(ctx) return "fresh", { cache = false } end
          tools["own ttl"] = function() return "v", { ttl = "2min", stale_ttl = 1, version = 9007199254740993LL } end
          tools["own stale_ttl"] = function() return "v", { ttl = 0.001, stale_ttl = "2min" } end
          tools["bad ttl"] = function() return "v", { ttl = "soon" } end
          tools["bad option"] = function() return "v", { tll = 5 } end
          tools["bad version"] = function() return "v", { version = 1.5 } end

          function tools.unchanged(ctx)
            count(ctx)
            if ctx.version == 5 and ctx.value.name == "first" then return rtcache.unchanged end
            return { name = "first" }, { version = 5 }
          end

          function tools.sprintf() return ("%5.2f|%s|%q"):format(3.14159, "x", 'a"b') end
          function tools.sort() local t = { 3, 1, 2 } table.sort(t) return t end

          return { load = function(key, ctx) return tools[ctx.match[1] ](ctx) end }
        ]],
      },
    }
    cache = server:connect()
  end)
  teardown(function()
    source:close()
    server:stop()
  end)
  after_each(function() source:open_gates() end)

  it("several calls run at once, and their results come in order", function()
    source.db:shut(GATE)
    local id = cache:send("get", "tool:all")
    source:await_gate(GATE, 3)
    source.db:open(GATE)
    assert.same({ "a", "b", "c" }, expect.value(cache:receive(id)))
  end)

  it("one of several calls that fails, fails all", function()
    expect.error("BACKEND_ERROR", { "tool.lua", "nowhere" }, cache:get "tool:all fails")
  end)

  it("it may sleep, and reach another backend", function()
    assert.equal("rested", expect.value(cache:get "tool:sleep"))
    assert.equal(7, expect.value(cache:get "tool:side"))
  end)

  it("it knows the time", function()
    local now = expect.value(cache:get "tool:now")
    assert.truthy(math.abs(now - wait.now()) < 60)
  end)

  it("it can say null, and an empty map or array", function()
    local client = require "rtcache.client"
    assert.same({ a = client.null, b = { client.null, 1 } }, expect.value(cache:get "tool:null"))
    local words = raw.show(assert(raw.get(server:connect(), "tool:empty")))
    for _, part in ipairs { "plain: []", "map: {}", "array: []" } do
      assert.truthy(words:find(part, 1, true), words)
    end
  end)

  it("it can say that a text is bin", function()
    local msgpack = require "rtcache.msgpack"
    assert.same(msgpack.bin "text", expect.value(server:connect({ keep_bin = true }):get "tool:bin"))
  end)

  it("it reads and writes JSON exactly", function()
    local client = require "rtcache.client"
    local got = expect.value(cache:get "tool:json")
    assert.same({ a = { 1, 2.5, client.null }, big = 9007199254740993LL, e = {} }, got.value)
    assert.equal('[1,"x",true]', (got.text:gsub("%s", "")))
    local _, err = cache:get "tool:json broken"
    assert.truthy(err and err.message:find("tool.lua:", 1, true), tostring(err))
  end)

  it("an error of the database can be caught, with its code", function()
    local caught = expect.value(cache:get "tool:caught")
    assert.is_false(caught.ok)
    assert.equal("BACKEND_ERROR", caught.code)
    assert.truthy(caught.text:find("nowhere", 1, true), caught.text)
  end)

  it("what it logs stands in the server's log, with script and line", function()
    assert.equal("logged", expect.value(cache:get "tool:log"))
    server:wait_log "watch out for 42"
    assert.truthy(server:log():match "tool%.lua:%d+[^\n]*watch out for 42")
  end)

  it("a value that is not to be cached is loaded each time", function()
    for i = 1, 3 do
      assert.equal("fresh", expect.value(cache:get "tool:uncached"))
      assert.equal(i, source:loads "uncached")
    end
    expect.absent(cache:peek "tool:uncached")
  end)

  it("its own ttl, stale_ttl and version go before the loader's", function()
    expect.value(cache:get "tool:own ttl")
    local entry = expect.value(cache:peek "tool:own ttl")
    assert.truthy(entry.ttl_ms > 60000 and entry.ttl_ms <= 120000)
    assert.equal(9007199254740993LL, entry.version)
    expect.value(cache:get "tool:own stale_ttl") -- the loader's is 0
    wait.until_true("it is stale", function()
      return expect.value(cache:peek "tool:own stale_ttl").status == "stale"
    end)
  end)

  it("options beside the value that are wrong fail the load, and are named", function()
    expect.error("SCRIPT_ERROR", { "tool.lua", "ttl" }, cache:get "tool:bad ttl")
    expect.error("SCRIPT_ERROR", { "tool.lua", "tll" }, cache:get "tool:bad option")
    expect.error("SCRIPT_ERROR", { "tool.lua", "version" }, cache:get "tool:bad version")
  end)

  it("unchanged moves the deadlines and keeps value and version", function()
    expect.value(cache:get "stale:unchanged")
    expect.value(cache:expire "stale:unchanged")
    assert.truthy(expect.status("stale", cache:peek "stale:unchanged").ttl_ms <= 0)
    local entry = expect.value(cache:refresh "stale:unchanged")
    assert.same({ name = "first" }, entry.value)
    assert.equal(5, entry.version)
    assert.truthy(expect.status("hit", cache:peek "stale:unchanged").ttl_ms > 0)
    assert.equal(2, source:loads "unchanged")
  end)

  it("the usual libraries are there", function()
    assert.equal(' 3.14|x|"a\\"b"', expect.value(cache:get "tool:sprintf"))
    assert.same({ 1, 2, 3 }, expect.value(cache:get "tool:sort"))
  end)
end)
