--- The memory that all scripts of a loader thread share: one that fills it is told by name, and
--- takes nothing from the others for long.

local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local wait = require "spec.support.wait"

local SCRIPTS = {
  ["good.lua"] = "return { load = function() local t = {} for i = 1, 200 do t[i] = { i } end return #t end }",
  -- Keeps what it loads in its module, a megabyte each time.
  ["hoard.lua"] = [[
    local kept, n = {}, 0
    return {
      load = function()
        n = n + 1
        kept[n] = ("k"):rep(1e6) .. n
        return n
      end,
    }
  ]],
  -- In small pieces, and past every error, as careful scripts do.
  ["pieces.lua"] = [[
    kept = {}
    return {
      load = function()
        for _, size in ipairs { 10000, 1000, 100, 1 } do
          pcall(function() for i = 1, 1e9 do kept[#kept + 1] = ("p"):rep(size) .. #kept end end)
        end
        return #kept
      end,
    }
  ]],
  -- Keeps nothing, but uses all there is.
  ["greedy.lua"] = [[
    return {
      load = function()
        local keep = {}
        pcall(function() for i = 1, 1e9 do keep[#keep + 1] = ("m"):rep(1000) .. i end end)
        pcall(function() for i = 1, 1e9 do keep[#keep + 1] = "m" .. i end end)
        pcall(function() for i = 1, 1e9 do keep[#keep + 1] = {} end end)
        return 1
      end,
    }
  ]],
  -- Waits until there is a row, and says which attempt it is.
  ["wait.lua"] = [[
    return {
      load = function(key, ctx)
        ctx.db:exec("INSERT INTO loads (key) VALUES ($1)", key)
        while not ctx.db:row("SELECT 1 AS is_open FROM source WHERE key = 'gate'") do rtcache.sleep(0.01) end
        return ctx.attempt
      end,
      save = function(key, value, ctx)
        ctx.db:exec("INSERT INTO loads (key) VALUES ($1)", key)
        while true do rtcache.sleep(0.01) end
      end,
    }
  ]],
}

local function start()
  local loaders = {}
  for name in pairs(SCRIPTS) do
    loaders[#loaders + 1] = { pattern = name:match "%l+" .. ":*", script = name }
  end
  local scripts = {}
  for name, text in pairs(SCRIPTS) do scripts[name] = text end
  return Source.sqlite {
    options = {
      defaults = {
        retries = 0, breaker_failures = 0, load_timeout = "60s", wait_timeout = "60s", write_timeout = "60s",
      },
      script_memory = "16mb", script_cpu = "20s", script_calls = 1000000, loader_threads = 1,
    },
    loaders = loaders, scripts = scripts,
  }
end

describe("the memory of scripts", function()
  local server, source, cache, loaded
  before_each(function()
    server, source = start()
    cache, loaded = server:connect(), 0
  end)
  after_each(function()
    source:close()
    server:stop()
  end)

  local function load(name, options)
    loaded = loaded + 1
    return cache:get(name .. ":" .. loaded, options)
  end

  local function assert_good()
    for _ = 1, 20 do assert.equal(200, expect.value(load "good")) end
  end

  local function replaced() return expect.value(cache:stats()).scripts.replaced end

  -- Loads of the hoarder until it is told of what it keeps.
  local function hoard()
    for _ = 1, 100 do
      local value, err = load "hoard"
      if err then return value, err end
    end
    error "it was never told"
  end

  it("is another one's again after each load that took all of it", function()
    for _ = 1, 10 do
      local value, err = load "greedy"
      assert.truthy(value == 1 or err.message:find("not enough memory", 1, true), tostring(err))
      assert_good()
    end
    assert.equal(0, replaced())
    wait.until_true("the collections are counted", function()
      return expect.value(cache:stats()).scripts.collections >= 10
    end)
  end)

  it("bounds what a script keeps, and says which one keeps how much", function()
    for round = 1, 3 do
      local value, err = hoard()
      expect.error("SCRIPT_ERROR", "not enough memory: hoard.lua keeps ", value, err)
      assert.truthy(err.message:find("KiB between its loads, and may keep 8192 KiB", 1, true), err.message)
      wait.until_true("it is counted", function() return replaced() == round end)
      assert_good()
      assert.equal(1, expect.value(load "hoard")) -- it begins anew
    end
    local line = server:wait_log "script%.vm_replaced ([^\n]+)"
    local kept = tonumber(line:match '^script="hoard.lua" kept_bytes=(%d+) used_bytes=%d+ max_bytes=16777216$')
    assert.truthy(kept and kept > 8 * 1024 * 1024 and kept < 16 * 1024 * 1024, line)
    assert.truthy(expect.value(cache:stats()).scripts.runs > 20)
  end)

  it("fails no load of others while scripts fill it in small pieces", function()
    for _ = 1, 6 do
      load "pieces"
      assert_good()
      load "hoard"
      assert_good()
    end
    wait.until_true("it is counted", function() return replaced() > 0 end)
  end)

  it("lets loads in the air end where they began, and those that stay too long begin again", function()
    local reader = server:connect()
    local first = assert(reader:send("get", "wait:1"))
    wait.until_true("it has begun", function() return source:loads "wait:1" == 1 end)
    hoard()
    local second = assert(reader:send("get", "wait:2"))
    wait.until_true("it has begun", function() return source:loads "wait:2" == 1 end)
    hoard()
    wait.until_true("the first has begun again", function() return source:loads "wait:1" == 2 end)
    assert.equal(1, source:loads "wait:2")
    source:put("gate", "open")
    assert.equal(2, expect.value(reader:receive(first)))
    assert.equal(1, expect.value(reader:receive(second)))
    wait.until_true("both are counted", function() return replaced() == 2 end)
    wait.until_true("nothing is parked", function() return expect.value(cache:stats()).scripts.parked == 0 end)
  end)

  it("tells of a write in the air that stays too long what is known of it", function()
    local writer = server:connect()
    local write = assert(writer:send("put", "wait:1", "value"))
    wait.until_true("it has begun", function() return source:loads "wait:1" == 1 end)
    hoard()
    hoard()
    local value, err = writer:receive(write)
    expect.error("OUT_OF_MEMORY", "the memory of all scripts was full", value, err)
  end)

  it("reads in the new one what the last reload has read", function()
    server:write_script("good.lua", "this is no Lua, and nobody has reloaded it")
    hoard()
    wait.until_true("it is counted", function() return replaced() == 1 end)
    assert_good()
  end)
end)
