-- Ten scripts that run away and ten that hoard memory, each with loads and writes in the air all the time,
-- beside good ones on the same thread. What the good ones may lose is counted in time: the moments in which one
-- of them was asked for and failed, added up.

local Server = require "spec.support.server"
local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local figures = require "faults.figures"
local socket = require "socket"

local BAD_AT_ONCE = 4 -- loads of each bad script
local GOOD_A_SECOND = 200
local TIMEOUT_MS = 2000
local SECONDS = figures.pick(6, 60)
local MOMENT = 0.1 -- seconds

-- Some wait first, so that they come to the thread with an answer and not with a start.
local RUNAWAYS = {
  "while true do end",
  "local n = 0 repeat n = n + 1 until false",
  "local function down(n) return down(n + 1) end return down(0)",
  "while true do pcall(function() while true do end end) end",
  "rtcache.sleep(0.001) while true do end",
  "rtcache.sleep(0.02) while true do pcall(error, 'no') end",
  "ctx.db:value 'SELECT 1 AS one' while true do end",
  "for i = 1, 1e9 do ctx.db:value 'SELECT 1 AS one' while true do end end",
  "string.rep('a', 1e5):find(string.rep('a*', 30) .. 'b')",
  "local t = {} for i = 1, 1e5 do t[i] = i % 1000 end while true do table.sort(t, function(a, b) return a < b end) end",
}
local HOARDERS = {
  "for i = 1, 3e5 do kept[#kept + 1] = { i } end",
  "kept[#kept + 1] = ('x'):rep(8e6 + #kept)",
  "for i = 1, 2e5 do kept[key .. i] = i end",
  "for i = 1, 1e5 do kept[#kept + 1] = function() return i, kept end end",
  "for i = 1, 2e4 do kept[#kept + 1] = coroutine.create(function() return i end) end",
  "local own = {} for i = 1, 1e9 do own[i] = { i } end",
  "local own = {} for i = 1, 1e9 do own[i] = ('y'):rep(1e5 + i) end",
  "rtcache.sleep(0.001) for i = 1, 3e5 do kept[#kept + 1] = { i } end",
  "ctx.db:value 'SELECT 1 AS one' for i = 1, 3e5 do kept[#kept + 1] = { i } end",
  "local text = '' for i = 1, 1e9 do text = text .. 'more and more' kept[i % 1000] = text end",
}
local GOOD = {
  quick = "return key",
  counts = "local n = 0 for i = 1, 5e4 do n = n + i % 7 end return key",
  naps = "rtcache.sleep(0.005) return key",
  asks = "return ctx.db:value('SELECT $1 AS same', key)",
  asks_again = "for i = 1, 3 do ctx.db:value 'SELECT 1 AS one' end return ctx.db:value('SELECT $1 AS same', key)",
}

local function script_of(body)
  return "local kept = {}\nlocal function load(key, ctx)\n" .. body .. "\nend\n" ..
    "return { load = load, save = function(key, value, ctx) return load(key, ctx) end }\n"
end

-- A batch of keys.
local MANY = [[
return { load_many = function(keys)
  local found = {}
  for _, key in ipairs(keys) do found[key] = key end
  return found
end }]]

describe("a good script", function()
  local server, source
  local bad, good = {}, { "many" }

  setup(function()
    local scripts, loaders = { ["many.lua"] = MANY }, { { pattern = "many:*", script = "many.lua" } }
    local function add(name, body)
      scripts[name .. ".lua"] = script_of(body)
      loaders[#loaders + 1] = { pattern = name .. ":*", script = name .. ".lua" }
    end
    for i, body in ipairs(RUNAWAYS) do
      bad[#bad + 1] = "runs" .. i
      add(bad[#bad], body)
    end
    for i, body in ipairs(HOARDERS) do
      bad[#bad + 1] = "hoards" .. i
      add(bad[#bad], body)
    end
    for name, body in pairs(GOOD) do
      good[#good + 1] = name
      add(name, body)
    end
    server, source = Source.sqlite {
      options = {
        defaults = { ttl = "60s", breaker_failures = 0, retries = 0 },
        loader_threads = 1, script_memory = "64mb",
      },
      loaders = loaders, scripts = scripts,
    }
  end)
  teardown(function()
    source:close()
    server:stop()
  end)

  it("loses at most a second beside ten that run away and ten that hoard", function()
    local asker, others = server:connect(), server:connect()
    local number, asked, failed = 0, {}, {} -- asked: by id; failed: by moment
    local count, lost, longest = 0, 0, 0
    local function fresh(name)
      number = number + 1
      return name .. ":" .. number
    end
    local pending = {} -- the bad one of an id
    -- Each fourth is a write.
    local function ask_bad(name)
      local key = fresh(name)
      local id = number % 4 > 0 and others:send("get", key) or others:send("put", key, 1)
      pending[assert(id)] = name
    end

    for _, name in ipairs(good) do expect.value(asker:get(fresh(name))) end
    for _ = 1, BAD_AT_ONCE do
      for _, name in ipairs(bad) do ask_bad(name) end
    end
    local began, bad_ended = socket.gettime(), 0
    local function take()
      while true do
        local id = asker:receive_any(0)
        if not id then break end
        local value, err = asker:receive(id)
        local a = asked[id]
        asked[id] = nil
        count = count + 1
        longest = math.max(longest, socket.gettime() - a.at)
        if value ~= a.key then
          lost = lost + 1
          failed[math.floor((a.at - began) / MOMENT)] = tostring(err)
        end
      end
      while true do
        local id = others:receive_any(0)
        if not id then break end
        local _, err = others:receive(id)
        local name = pending[id]
        pending[id] = nil
        bad_ended = bad_ended + 1
        if name:find "^runs" then assert.truthy(err, name) end
        if socket.gettime() < began + SECONDS then ask_bad(name) end
      end
    end
    local sent = 0
    while socket.gettime() < began + SECONDS do
      while sent < (socket.gettime() - began) * GOOD_A_SECOND do
        sent = sent + 1
        local key = fresh(good[sent % #good + 1])
        asked[assert(asker:send("get", key, { timeout_ms = TIMEOUT_MS }))] = { key = key, at = socket.gettime() }
      end
      take()
      socket.select({ asker.sock, others.sock }, nil, 0.002)
    end
    while next(asked) do
      socket.select({ asker.sock }, nil, 1)
      take()
    end

    local moments, example = 0, "none"
    for _, err in pairs(failed) do moments, example = moments + 1, err end
    local scripts = expect.value(asker:stats()).scripts
    figures.print(("of %d good loads, failed"):format(count), lost, "loads", "none is hoped for")
    figures.print("moments in which good loads failed, together", moments * MOMENT, "s", "1 s")
    figures.print("the longest good load", longest * 1000, "ms", "printed only")
    figures.print("bad loads that ended meanwhile", bad_ended, "loads", "printed only")
    figures.print("VMs that were replaced", scripts.replaced, "VMs", "printed only")
    assert.truthy(bad_ended > 10, "the bad ones did not run")
    assert.truthy(scripts.cpu_stops > 5 and scripts.memory_stops > 0, "the bad ones were not stopped")
    assert.truthy(moments * MOMENT <= 1 * (Server.is_sanitized() and 5 or 1),
      ("%d of %d good loads failed, as: %s"):format(lost, count, example))
  end)
end)
