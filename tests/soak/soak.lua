-- ./dev soak [MINUTES]: one server under mixed load, with reloads, broken scripts, clients that come and
-- go and a full store. Every answer is checked; memory and descriptors must stand still after the first
-- quarter of the time.

local Server = require "spec.support.server"
local Sqlite = require "spec.support.sqlite"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

local MINUTES = tonumber(arg[1]) or 10
local SPARE_BYTES = 8 * 1024 * 1024 -- what an allocator may hold back
local ROWS = 2000

local SCRIPT = [[
return {
  load = function(key, ctx)
    local row = ctx.db:row("SELECT name, version FROM source WHERE id = $1", tonumber(ctx.match[1]))
    if not row then return nil end
    return { key = key, name = row.name }, { version = row.version }
  end,
}
]]

local function start()
  local server = Server.prepare {
    options = { memory = "16mb", io_threads = 2, loader_threads = 2 },
    backends = { main = { driver = "sqlite", path = "source.db" } },
    scripts = { ["row.lua"] = SCRIPT },
    loaders = {
      { pattern = "row:*", script = "row.lua", backend = "main", ttl = "200ms", stale_ttl = "200ms" },
      { pattern = "bench:*", script = "row.lua", backend = "main", ttl = "1h" },
    },
  }
  local db = Sqlite.open(server.folder .. "/source.db",
    "CREATE TABLE source (id INTEGER PRIMARY KEY, name TEXT, version INTEGER);"
    .. ("WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
      .. " INSERT INTO source SELECT i, 'row ' || i, 1 FROM n;"):format(ROWS))
  db:close()
  return server:launch()
end

local function expect(ok, what, err)
  if not ok then error(what .. ": " .. tostring(err), 0) end
end

local function check_row(id, value, err)
  expect(not err, "get of row " .. id, err)
  if id > ROWS then
    expect(value == nil, "row " .. id .. " is absent and was found")
  else
    expect(value and value.name == "row " .. id, "row " .. id .. " came with another's value")
  end
end

local steps = {}

function steps.get(cache)
  local id = math.random(ROWS + 100)
  check_row(id, cache:get("row:" .. id))
end

function steps.many(cache)
  local keys, ids = {}, {}
  for i = 1, 50 do
    ids[i] = math.random(ROWS)
    keys[i] = "row:" .. ids[i]
  end
  local answers, err = cache:get_many(keys)
  expect(answers, "get_many", err)
  for i, answer in ipairs(answers) do check_row(ids[i], answer.value, answer.error) end
end

-- Far more than the memory holds, so that entries are evicted all the time.
function steps.set(cache)
  local key = "filler:" .. math.random(1000000)
  local text = key .. ("."):rep(math.random(2000))
  local _, err = cache:set(key, text)
  expect(not err, "set", err)
  local back, get_err = cache:peek(key)
  expect(not get_err and (back == nil or back.value == text), "peek after set", get_err)
end

function steps.invalidate(cache)
  local _, err = cache:invalidate("row:" .. math.random(ROWS))
  expect(not err, "invalidate", err)
end

function steps.refresh(cache)
  local id = math.random(ROWS)
  local entry, err = cache:refresh("row:" .. id)
  expect(entry, "refresh", err)
  check_row(id, entry.value)
end

-- Asks and leaves without reading the answer.
function steps.leave(_, server)
  local cache = server:connect()
  for _ = 1, 20 do expect(cache:send("get", "row:" .. math.random(ROWS)), "send") end
  cache:close()
  table.remove(server.clients)
end

function steps.garbage(_, server)
  local cache = server:connect()
  cache:write(("\193garbage"):rep(math.random(100)))
  cache:close()
  table.remove(server.clients)
end

local function reload(cache, server, round)
  local broken = round % 10 == 0
  server:write_script("row.lua", broken and "return {" or SCRIPT .. "-- " .. round .. "\n")
  local answer, err = cache:reload()
  if broken then
    expect(not answer and err.code == "RELOAD_FAILED", "a broken script was taken", err)
  else
    expect(answer, "reload", err)
  end
end

local function sample(server)
  return { bytes = process.resident(server.pid), descriptors = process.descriptors(server.pid) }
end

local function say(began, steps_done, now)
  print(("%5d s  %9d steps  %6.1f MB  %d descriptors"):format(wait.now() - began, steps_done,
    now.bytes / 1048576, now.descriptors))
end

local WEIGHTS = { get = 60, many = 10, set = 40, invalidate = 10, refresh = 5, leave = 1, garbage = 1 }

local function shuffled_plan()
  local plan = {}
  for name, count in pairs(WEIGHTS) do
    for _ = 1, count do plan[#plan + 1] = name end
  end
  for i = #plan, 2, -1 do
    local j = math.random(i)
    plan[i], plan[j] = plan[j], plan[i]
  end
  return plan
end

local function soak(server)
  local cache = server:connect()
  local began = wait.now()
  local ends, warm_at = began + 60 * MINUTES, began + 15 * MINUTES
  local round, done, warm = 0, 0, nil
  local hits = process.spawn { "build/bench_load", "--protocol", "rtcache", "--connect",
    "127.0.0.1:" .. server.port, "--connections", "4", "--depth", "4", "--keys", "100", "--fill",
    "--seconds", tostring(60 * MINUTES) }
  local next_line = began + 10
  while wait.now() < ends do
    round = round + 1
    reload(cache, server, round)
    for _, name in ipairs(shuffled_plan()) do
      steps[name](cache, server)
      done = done + 1
    end
    warm = warm or wait.now() >= warm_at and sample(server)
    if wait.now() >= next_line then
      say(began, done, sample(server))
      next_line = wait.now() + 10
    end
  end
  hits:finish()
  local last = sample(server)
  say(began, done, last)
  expect(warm, "too short to compare")
  expect(last.bytes <= warm.bytes * 1.1 + SPARE_BYTES,
    ("memory grew from %d to %d bytes"):format(warm.bytes, last.bytes))
  expect(last.descriptors <= warm.descriptors + 2,
    ("descriptors grew from %d to %d"):format(warm.descriptors, last.descriptors))
end

math.randomseed(os.time())
local server = start()
local ok, err = pcall(soak, server)
if not ok then io.stderr:write("soak: ", tostring(err), "\nthe log's end:\n", server:log():sub(-4000), "\n") end
local stopped, stop_err = pcall(server.stop, server)
if not stopped then io.stderr:write("soak: ", tostring(stop_err), "\n") end
print(("%d passed, %d failed"):format(ok and stopped and 1 or 0, ok and stopped and 0 or 1))
os.exit(ok and stopped and 0 or 1)
