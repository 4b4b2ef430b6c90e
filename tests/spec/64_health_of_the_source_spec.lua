local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local wait = require "spec.support.wait"

local GATE = 64

-- What the key says decides what its load meets.
local SCRIPT = [[
local does = {}
does["good"] = function(_, ctx) return ctx.db:value "SELECT 'good'" end
does["word"] = function(_, ctx) ctx.db:value "SELECT 1" return nil, { code = "NO_SUCH_COUPON", message = "no" } end
does["throw"] = function(_, ctx) ctx.db:value "SELECT 1" error "thrown" end
does["fault"] = function(_, ctx) ctx.db:value "SELECT 1" local none; return none.field end
does["unpackable"] = function(_, ctx) ctx.db:value "SELECT 1" return print end
does["large"] = function(_, ctx) return ctx.db:value "SELECT repeat('x', 2000000)" end
does["parameter"] = function(_, ctx) return ctx.db:value("SELECT $1::text", "a\0b") end
does["spin"] = function(_, ctx) ctx.db:value "SELECT 1" while true do end end
does["nobody asked"] = function() return nil end
does["nothing asked, and thrown"] = function() error "thrown" end
does["sleep"] = function(_, ctx) ctx.db:value "SELECT 1" rtcache.sleep(60) end
does["wait"] = function(_, ctx) ctx.db:value("SELECT 1 FROM pg_advisory_xact_lock_shared($1)", 64) end
does["says so"] = function() return nil, { code = "BACKEND_DOWN", message = "on holiday" } end
does["hides it"] = function(_, ctx)
  pcall(ctx.db.value, ctx.db, "SELECT raise('57P03')")
  error "sorry"
end
setmetatable(does, { __index = function(_, state)
  return function(_, ctx) return ctx.db:value("SELECT raise($1)", state) end
end })

local function load(key, ctx) return does[ctx.match[1]:gsub("^%d+ ", "")](key, ctx) end

return {
  load = load,
}
]]

local MANY = [[
return { load_many = function(keys, ctx)
  local values, options = {}, {}
  for i, key in ipairs(keys) do
    local what = ctx.match[i][1]:gsub("^%d+ ", "")
    if what == "good" then
      values[key] = ctx.db:value "SELECT 'good'"
    elseif what == "own" then
      options[key] = { error = { code = "NO_SUCH_COUPON" } }
    else
      values[key] = ctx.db:value("SELECT raise($1)", what)
    end
  end
  return values, options
end }
]]

describe("the breaker", function()
  local server, source, cache, number

  setup(function()
    local function loader(pattern, script, fields)
      local l = { pattern = pattern, script = script, retries = 0, backoff_base = "1ms", backoff_cap = "1ms",
        ttl = "1ms", breaker_failures = 3, breaker_open = "10min", load_timeout = "60s", wait_timeout = "60s" }
      for name, v in pairs(fields or {}) do l[name] = v end
      return l
    end
    server, source = Source.postgres {
      scripts = { ["does.lua"] = SCRIPT, ["many.lua"] = MANY },
      options = { loader_threads = 1, script_cpu = "20ms", max_value = "1mb" },
      loaders = {
        loader("one:*", "does.lua"),
        loader("many:*", "many.lua"),
        loader("brief:*", "does.lua", { load_timeout = "50ms" }),
        loader("slow:*", "does.lua", { load_timeout = "50ms" }),
        loader("says:*", "does.lua"),
        loader("hides:*", "does.lua"),
        loader("probe:*", "does.lua", { breaker_open = "1ms" }),
        loader("idle:*", "does.lua"),
        loader("sql:*", nil, { sql = "SELECT n FROM numbers WHERE n = $1" }),
        loader("down:*", "does.lua", { backend = "down" }),
      },
      backends = { down = { driver = "postgres", url = "host=/nonexistent" } },
    }
    source.db:exec [[CREATE TABLE numbers (n int);
      INSERT INTO numbers VALUES (1), (2);
      CREATE FUNCTION raise(state text) RETURNS text LANGUAGE plpgsql AS
        'BEGIN RAISE EXCEPTION USING MESSAGE = ''raised'', ERRCODE = state; END']]
    cache = server:connect()
    number = 0
  end)
  teardown(function()
    source:close()
    server:stop()
  end)
  after_each(function() source:open_gates() end)

  -- A load of a key of its own, which fails.
  local function fails(prefix, what)
    number = number + 1
    local _, err = cache:get(prefix .. number .. " " .. what)
    assert.truthy(err, what)
    return err.code
  end

  local function state(pattern) return server:loader(pattern).breaker end

  for _, what in ipairs {
    "word", "throw", "fault", "unpackable", "large", "parameter", "spin", "22P02", "23505", "42P01", "42501",
    "40001", "40P01", "55P03", "P0001", "XX000", "25006", "nothing asked, and thrown",
  } do
    it(("does not count what a key or a script did: %s"):format(what), function()
      for _ = 1, 6 do assert.are_not.equal("BREAKER_OPEN", fails("one:", what)) end
      assert.equal("closed", state "one:*")
    end)
  end

  it("does not count the bad ids of one reader, singly or in batches", function()
    expect.value(cache:get "sql:1")
    for i = 1, 6 do expect.error("BACKEND_ERROR", "22P02", cache:get("sql:abc" .. i)) end
    local keys = {}
    for i = 1, 20 do keys[i] = "sql:many" .. i end
    expect.value(cache:get_many(keys))
    assert.equal("closed", state "sql:*")
    assert.equal(2, expect.value(cache:get "sql:2").n)
    for _ = 1, 6 do fails("many:", "22P02") end
    for _ = 1, 6 do fails("many:", "own") end
    assert.equal("closed", state "many:*")
  end)

  for i, what in ipairs { "53200", "53300", "57014", "57P03", "58030", "08006" } do
    it(("counts what the source says of its own health: %s"):format(what), function()
      local prefix = i % 2 == 0 and "many:" or "one:"
      for _ = 1, 3 do assert.are_not.equal("BREAKER_OPEN", fails(prefix, what)) end
      assert.equal("open", state(prefix .. "*"))
      assert.equal("BREAKER_OPEN", fails(prefix, "22P02"))
      server:write_conf(server.options) -- a loader that is gone and comes again has a new breaker
      local options = server.options
      local without = {}
      for k, v in pairs(options) do without[k] = v end
      without.loaders = { options.loaders[3] }
      server:write_conf(without)
      expect.value(cache:reload())
      server:write_conf(options)
      expect.value(cache:reload())
      assert.equal("closed", state(prefix .. "*"))
    end)
  end

  it("counts a source that cannot be reached", function()
    for _ = 1, 3 do assert.equal("BACKEND_DOWN", fails("down:", "good")) end
    assert.equal("open", state "down:*")
  end)

  it("counts a query that was not answered within load_timeout, and no script that slept", function()
    for _ = 1, 6 do assert.equal("LOAD_TIMEOUT", fails("brief:", "sleep")) end
    assert.equal("closed", state "brief:*")
    source.db:shut(GATE)
    for _ = 1, 3 do assert.equal("LOAD_TIMEOUT", fails("slow:", "wait")) end
    assert.equal("open", state "slow:*")
  end)

  it("takes a script's word that the source is down, and sees through one that hides it", function()
    for _ = 1, 3 do assert.equal("BACKEND_DOWN", fails("says:", "says so")) end
    assert.equal("open", state "says:*")
    for _ = 1, 3 do assert.equal("LOAD_FAILED", fails("hides:", "hides it")) end
    assert.equal("open", state "hides:*")
  end)

  it("is not kept from opening by loads that ask nothing", function()
    fails("idle:", "57P03")
    fails("idle:", "57P03")
    for i = 1, 5 do expect.absent(cache:get("idle:" .. i .. " nobody asked")) end
    fails("idle:", "57P03")
    assert.equal("open", state "idle:*")
  end)

  it("is closed by a probe that the source refused, for it has answered", function()
    for _ = 1, 3 do fails("probe:", "57P03") end
    wait.until_true("the probe is let through", function() return fails("probe:", "22P02") == "BACKEND_ERROR" end)
    assert.equal("closed", state "probe:*")
  end)

  it("is not kept open by a probe that asked nothing: the next load is one", function()
    for _ = 1, 3 do fails("probe:", "57P03") end
    wait.until_true("a probe without a question", function()
      return fails("probe:", "nothing asked, and thrown") == "LOAD_FAILED"
    end)
    assert.equal("half-open", state "probe:*")
    assert.equal("good", expect.value(cache:get "probe:1 good"))
    assert.equal("closed", state "probe:*")
  end)
end)
