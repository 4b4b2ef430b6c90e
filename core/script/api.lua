-- What scripts call by the name `rtcache` and `ctx.db`: the part that waits. Runs once per VM,
-- trusted; gets the primitives written in C, returns the functions that bind/ keeps.
--
-- A call that waits makes an operation in C (a number names it) and yields PARK until it has
-- settled. The runtime resumes a run whenever anything of it settles, so every wait is a loop.
local raw = ...

local PARK = raw.park
local WIDTH_MAX = 256

local type, select, pcall = type, select, pcall
local co_create, co_resume, co_yield = coroutine.create, coroutine.resume, coroutine.yield
local co_status = coroutine.status
local format = string.format
local settled, take, drop = raw.settled, raw.take, raw.drop

local function fail(...)
  raw.fail(format(...))
end

local function await(op)
  while not settled(op) do
    co_yield(PARK, op)
  end
  return take(op)
end

-- A function for each of these, which make operations, that waits for the answer too.
local function awaited(asks)
  local functions = {}
  for name, ask in pairs(asks) do
    functions[name] = function(self, text, ...)
      return await(ask(self, text, select("#", ...), ...))
    end
  end
  return functions
end

-- By driver: the methods of its backends, and what is for sql_loader.lua alone.
local drivers = {}
for i, driver in ipairs(raw.drivers) do
  drivers[i] = { methods = awaited(driver.methods), hidden = awaited(driver.hidden) }
end

local function sleep(seconds)
  return await(raw.sleep(seconds))
end

-- What a coroutine inside `all` waits for: an operation, or the table of such of an inner `all`.
local function ready(waits)
  if type(waits) ~= "table" then
    return settled(waits)
  end
  for _, inner in pairs(waits) do
    if ready(inner) then
      return true
    end
  end
  return false
end

local function give_up(waits)
  if type(waits) ~= "table" then
    return drop(waits)
  end
  for _, inner in pairs(waits) do
    give_up(inner)
  end
end

local function check_functions(fs)
  if type(fs) ~= "table" then
    fail("rtcache.all takes a table of functions, not a %s", type(fs))
  end
  local n, why = raw.elements(fs)
  if not n then
    fail("rtcache.all: %s", why)
  end
  if n > WIDTH_MAX then
    fail("rtcache.all takes %d functions at most", WIDTH_MAX)
  end
  for i = 1, n do
    if type(fs[i]) ~= "function" then
      fail("rtcache.all: element %d is a %s, not a function", i, type(fs[i]))
    end
  end
  return n
end

local function all(fs)
  local n = check_functions(fs)
  local cos, waits, results = {}, {}, {}
  local running, failed, problem = n, false, nil

  local function step(i, ok, first, op)
    if not ok then
      failed, problem = true, first
      cos[i], waits[i] = nil, nil
    elseif co_status(cos[i]) == "suspended" then
      waits[i] = op
    else
      results[i] = first
      cos[i], waits[i] = nil, nil
      running = running - 1
    end
  end

  if not raw.has_stack() then
    fail("rtcache.all is nested too deep")
  end
  for i = 1, n do
    cos[i] = co_create(fs[i])
    step(i, co_resume(cos[i]))
    if failed then
      break
    end
  end
  while running > 0 and not failed do
    co_yield(PARK, waits)
    for i = 1, n do
      if cos[i] and ready(waits[i]) then
        step(i, co_resume(cos[i]))
        if failed then
          break
        end
      end
    end
  end
  if failed then
    give_up(waits)
    raw.rethrow(problem)
  end
  return results
end

local levels = { debug = 0, info = 1, warn = 2, error = 3 }

local function log(level, ...)
  local n = select("#", ...)
  if n > 0 and levels[level] then
    local ok, text = pcall(format, ...)
    return raw.log(levels[level], ok and text or fail("rtcache.log: %s", text))
  end
  if type(level) ~= "string" then
    fail("rtcache.log takes a text to print, not a %s", type(level))
  elseif n > 0 and not level:find("%", 1, true) then
    fail("rtcache.log: \"%s\" is no level (debug, info, warn, error) and no format for the values after it", level)
  end
  local ok, text = pcall(format, level, ...)
  return raw.log(levels.info, ok and text or fail("rtcache.log: %s", text))
end

-- Scripts expect one; its lines go to the server's log.
local function print(...)
  local texts = {}
  for i = 1, select("#", ...) do
    texts[i] = tostring((select(i, ...)))
  end
  raw.log(levels.info, table.concat(texts, "\t"))
end

local rtcache = {
  all = all,
  sleep = sleep,
  log = log,
  backend = raw.backend,
  now = raw.now,
  null = raw.null,
  unchanged = raw.unchanged,
  absent = raw.absent,
  array = raw.array,
  map = raw.map,
  bin = raw.bin,
  poison = raw.poison,
  unpack = raw.unpack,
  json = { encode = raw.json_encode, decode = raw.json_decode },
}

return { rtcache = rtcache, print = print, drivers = drivers, internal = {
  cut_first = raw.cut_first, placed = raw.placed, captures = raw.captures,
} }
