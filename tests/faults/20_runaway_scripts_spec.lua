local lfs = require "lfs"
local Server = require "spec.support.server"
local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local figures = require "faults.figures"
local files = require "spec.support.files"
local socket = require "socket"

local FOLDER = "tests/sandbox/runaways/"
local STALL_BOUND_MS = 50

local function read_runaways()
  local runaways = {}
  for file in lfs.dir(FOLDER) do
    local name = file:match "^(.+)%.lua$"
    if name then
      local text = assert(files.read(FOLDER .. file))
      local what, answer = text:match "^%-%- (.-)\n%-%- stopped: (.-)\n"
      assert(what, file .. " does not say what must come of it")
      runaways[#runaways + 1] = { name = name, text = text, what = what, answer = answer }
    end
  end
  table.sort(runaways, function(a, b) return a.name < b.name end)
  return runaways
end

local MODULES = {
  ["spinning.lua"] = "while true do end",
  ["snake.lua"] = "return require 'tail'",
  ["tail.lua"] = "return require 'snake'",
}

describe("a runaway script", function()
  local runaways = read_runaways()
  local server, source, cache, other, reader
  local stalls, loads = {}, 0
  local hits_beside, hits_alone = {}, {} -- how long each took, in ms: beside runaways, and afterwards

  setup(function()
    local scripts = { ["quick.lua"] = "return { load = function(key) return key end }" }
    local loaders = { { pattern = "quick:*", script = "quick.lua" } }
    for name, text in pairs(MODULES) do scripts[name] = text end
    for _, r in ipairs(runaways) do
      assert(not scripts[r.name .. ".lua"], r.name .. " is the name of a module too")
      scripts[r.name .. ".lua"] = r.text
      loaders[#loaders + 1] = { pattern = r.name .. ":*", script = r.name .. ".lua" }
    end
    server, source = Source.sqlite {
      options = {
        defaults = { retries = 0, breaker_failures = 0, ttl = "60s", load_timeout = "5s", wait_timeout = "10s" },
        script_cpu = "20ms", script_memory = "64mb", script_calls = 100, loader_threads = 1,
      },
      loaders = loaders, scripts = scripts,
    }
    cache, other, reader = server:connect(), server:connect(), server:connect()
    expect.value(reader:set("quick:hit", "hit"))
  end)
  teardown(function()
    source:close()
    server:stop()
  end)

  local function hit(times)
    local began = socket.gettime()
    assert.equal("hit", expect.value(reader:get "quick:hit"))
    times[#times + 1] = (socket.gettime() - began) * 1000
  end

  -- Loads of another script on the same thread, one after the other until the runaway is answered,
  -- with hits meanwhile: the longest that one of the loads took, in ms, and the answer.
  local function stall_during(key)
    local id = assert(cache:send("get", key))
    local longest = 0
    repeat
      loads = loads + 1
      local began = socket.gettime()
      local quick = assert(other:send("get", "quick:" .. loads))
      repeat hit(hits_beside) until other:receive_any(0)
      expect.value(other:receive(quick))
      longest = math.max(longest, (socket.gettime() - began) * 1000)
    until cache:receive_any(0)
    return longest, cache:receive(id)
  end

  -- On a slow machine the clock may come before any other bound.
  local function says_one_of(answers, err)
    for answer in (answers .. " | stopped after 20 ms of CPU | "):gmatch "(.-) | " do
      if err.message:find(answer, 1, true) then return true end
    end
    return false
  end

  for _, r in ipairs(runaways) do
    it("is stopped, and named with its line: " .. r.name .. " (" .. r.what .. ")", function()
      cache:get(r.name .. ":1") -- some need what a first load left behind
      local longest, value, err = stall_during(r.name .. ":2")
      stalls[#stalls + 1] = { name = r.name, ms = longest }
      assert.truthy(err, "it returned " .. tostring(value))
      assert.truthy(says_one_of(r.answer, err), tostring(err))
      assert.truthy(err.message:find("%l+%.lua:%d+: "), "no position in " .. tostring(err))
      assert.truthy(err.code ~= "TIMEOUT" and err.code ~= "LOAD_TIMEOUT", tostring(err))
    end)
  end

  it("is stopped when it runs away while it is read, and leaves the old one in place", function()
    server:write_script("quick.lua", "local function spin()\n  while true do end\nend\nspin()")
    local _, err = other:reload()
    assert.equal("RELOAD_FAILED", err and err.code, tostring(err))
    assert.truthy(err.message:find("quick.lua:2: stopped after 20 ms of CPU", 1, true), tostring(err))
    assert.equal("quick:as before", expect.value(other:get "quick:as before"))
  end)

  -- The I/O threads run no scripts. On two cores a hit may have to wait for a processor all the same.
  it("holds up no hit", function()
    for _ = 1, #hits_beside do hit(hits_alone) end
    table.sort(hits_beside)
    table.sort(hits_alone)
    local function at(times, share) return times[math.max(1, math.ceil(#times * share))] end
    for _, share in ipairs { 0.5, 0.99, 1 } do
      figures.print(("hits beside runaways, %g %% of %d within"):format(share * 100, #hits_beside),
        at(hits_beside, share), "ms", ("%.2f ms without them (printed only)"):format(at(hits_alone, share)))
    end
    -- Had hits to wait for runaways, each would take as long as script_cpu.
    assert.truthy(at(hits_beside, 0.5) < 10 * (Server.is_sanitized() and 10 or 1))
  end)

  it("holds up the loads of others for a short time only", function()
    table.sort(stalls, function(a, b) return a.ms > b.ms end)
    io.write(("\nlongest stall of another load, bound %d ms, script_cpu 20 ms:\n"):format(STALL_BOUND_MS))
    for i = 1, math.min(10, #stalls) do
      io.write(("  %6.1f ms  %s\n"):format(stalls[i].ms, stalls[i].name))
    end
    -- No bound of time is asserted on a machine that is shared; one of thirty times the bound is a bug.
    assert.truthy(stalls[1].ms < 30 * STALL_BOUND_MS * (Server.is_sanitized() and 10 or 1), stalls[1].name)
    local scripts = expect.value(other:stats()).scripts
    assert.truthy(scripts.cpu_stops > 30)
    assert.truthy(scripts.cpu_stops + scripts.memory_stops + scripts.call_stops > 80)
    assert.truthy(scripts.memory_bytes < 64 * 1024 * 1024)
    assert.equal(0, scripts.parked)
  end)
end)
