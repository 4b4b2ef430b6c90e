-- The sandbox: what a script sees as its globals. Runs once per VM, trusted, as a chunk that gets
-- the primitives written in C and returns the functions that C keeps.
--
-- Every script has an environment of its own with copies of the library tables, so that nothing it
-- changes is seen by another. What would work long in C without a look at the clock is written in
-- Lua, or in C of our own.
local raw = ...

local PARK = raw.park -- what a coroutine yields to the runtime when it waits

local pcall, select, type, next, pairs, ipairs = pcall, select, type, next, pairs, ipairs
local rawget, rawset, rawequal, tostring, tonumber, unpack =
  rawget, rawset, rawequal, tostring, tonumber, unpack
local setfenv, setmetatable, getmetatable = setfenv, setmetatable, getmetatable
local co_create, co_resume, co_yield = coroutine.create, coroutine.resume, coroutine.yield
local co_status, co_running = coroutine.status, coroutine.running
local c_concat, c_insert, c_remove = table.concat, table.insert, table.remove
local floor, c_rep = math.floor, string.rep
local string = string
local format = string.format

-- Raises a text with the position of the script, whatever lies between.
local function fail(...)
  raw.fail(format(...))
end

-- integers ---------------------------------------------------------------------------------------

local ffi = raw.ffi
local int64, uint64 = ffi.typeof("int64_t"), ffi.typeof("uint64_t")

local function make_integer(high, low, signed)
  local v = uint64(high) * 4294967296ULL + uint64(low)
  return signed and ffi.cast(int64, v) or v
end

local function integer_kind(v)
  return ffi.istype(int64, v) and 1 or ffi.istype(uint64, v) and 2 or 0
end

-- What Lua writes with an exponent, and so with 14 digits, though it is exact.
local function is_long(n)
  return (n >= 1e14 or n <= -1e14) and n <= 9007199254740992 and n >= -9007199254740992 and n == floor(n)
end

local cdata_tostring

local function show_cdata(v)
  local s = cdata_tostring(v)
  local kind = integer_kind(v)
  return kind == 0 and s or string.sub(s, 1, kind == 1 and -3 or -4) -- without LL or ULL
end

-- The text of what .. takes.
local function concatenable(v)
  local kind = type(v)
  if kind == "string" or kind == "number" then
    return v
  elseif kind == "cdata" and integer_kind(v) ~= 0 then
    return show_cdata(v)
  end
  fail("attempt to concatenate a %s value", kind)
end

local function concat_cdata(a, b)
  local other = type(a) == "cdata" and b or a
  local meta = type(other) == "table" and getmetatable(other)
  local own = type(meta) == "table" and rawget(meta, "__concat")
  if own then
    return own(a, b)
  end
  return concatenable(a) .. concatenable(b)
end

cdata_tostring = raw.teach_cdata(0LL, show_cdata, concat_cdata)

-- base -------------------------------------------------------------------------------------------

local base = {
  _VERSION = _VERSION,
  assert = raw.assert,
  error = raw.throw,
  getmetatable = raw.getmetatable,
  setmetatable = raw.setmetatable,
  ipairs = ipairs,
  next = next,
  pairs = pairs,
  rawequal = rawequal,
  rawget = rawget,
  rawset = rawset,
  select = select,
  type = type,
  unpack = unpack,
}

-- The digits of an integer, all of them.
function base.tostring(...)
  local v = ...
  if type(v) == "number" and is_long(v) then
    return format("%d", v)
  end
  return tostring(...)
end

-- Digits past 2^53 are the integer that they are.
function base.tonumber(...)
  local text, radix = ...
  local n = tonumber(...)
  local wide = n and (n >= 9007199254740992 or n <= -9007199254740992)
  if wide and type(text) == "string" and (radix == nil or radix == 10) then
    local digits = string.match(text, "^%s*%+?(%-?%d+)%s*$")
    return digits and raw.integer(digits) or n
  end
  return n
end

function base.rawlen(v)
  if type(v) ~= "table" and type(v) ~= "string" then
    fail("rawlen takes a table or a string")
  end
  return raw.length(v)
end

-- Where the stack is full, no hook runs: it would need room. An error that is caught looks at the
-- clock itself, at the first level that has room for that.
local function after_pcall(ok, ...)
  if not ok then
    raw.look()
  end
  return ok, ...
end

local function protected(...)
  return after_pcall(pcall(...))
end

base.pcall = protected

local function after_xpcall(handler, ok, ...)
  if ok then
    return true, ...
  end
  return false, handler((...))
end

-- The handler runs after the stack is unwound, so that hooks see it like any other code.
function base.xpcall(f, handler, ...)
  return after_xpcall(handler, protected(f, ...))
end

-- coroutine --------------------------------------------------------------------------------------

-- Coroutines that scripts made: true, or "waiting" while one waits for a backend.
local own = setmetatable({}, { __mode = "k" })

local function after_resume(co, ok, first, ...)
  if ok and first == PARK and co_status(co) == "suspended" then
    own[co] = "waiting"
    co_yield(PARK, (...))
    own[co] = true
    return after_resume(co, co_resume(co))
  end
  if not ok then
    raw.look()
  end
  return ok, first, ...
end

local function resume(co, ...)
  local state = own[co]
  if state == "waiting" then
    return false, "cannot resume a coroutine that waits for a backend"
  elseif not state then
    if type(co) ~= "thread" then
      fail("coroutine.resume takes a coroutine, not a %s", type(co))
    end
    return false, "cannot resume a coroutine that the script did not make"
  elseif not raw.has_stack() then
    return false, "coroutines are nested too deep"
  end
  return after_resume(co, co_resume(co, ...))
end

local function create(f)
  if type(f) ~= "function" then
    fail("a coroutine is made of a function, not of a %s", type(f))
  end
  local co = co_create(f)
  own[co] = true
  return co
end

local function after_wrap(ok, ...)
  if ok then
    return ...
  end
  raw.rethrow((...))
end

local coroutine = {
  create = create,
  resume = resume,
  status = co_status,
}

function coroutine.wrap(f)
  local co = create(f)
  return function(...)
    return after_wrap(resume(co, ...))
  end
end

function coroutine.yield(...)
  if not own[co_running()] then
    fail("coroutine.yield outside of a coroutine that the script made")
  end
  return co_yield(...)
end

function coroutine.running()
  local co = co_running()
  return own[co] and co or nil
end

-- string -----------------------------------------------------------------------------------------

local text = {}
for _, name in ipairs { "byte", "char", "format", "len", "lower", "reverse", "sub", "upper" } do
  text[name] = string[name]
end
for _, name in ipairs { "find", "match", "gmatch", "gsub" } do
  text[name] = raw[name] -- with a bound of time
end

-- C would take a count past 2^31 for a negative one.
function text.rep(s, n, separator)
  if type(n) == "number" and n >= 2147483648 then
    fail("string.rep: not enough memory for %.14g times", n)
  end
  return c_rep(s, n, separator)
end

-- table ------------------------------------------------------------------------------------------

local list = {}

-- Elements that the library refuses or would write with fewer digits, as texts.
local function with_texts(t, i, j)
  local texts
  for k = i, j do
    local v = t[k]
    local kind = type(v)
    if v == nil then
      return t -- the library says so
    end
    if (kind == "number" and is_long(v)) or kind == "cdata" then
      texts = texts or setmetatable({}, { __index = t })
      texts[k] = base.tostring(v)
    end
  end
  if not texts then
    return t
  end
  for k = i, j do
    texts[k] = texts[k]
  end
  return texts
end

function list.concat(t, separator, i, j)
  if type(t) == "table" then
    local first = i == nil and 1 or tonumber(i)
    local last = j == nil and #t or tonumber(j)
    if first and last then
      t, i, j = with_texts(t, first, last), first, last
    end
  end
  return c_concat(t, separator, i, j)
end

-- Written in Lua where C would move many elements without looking at the clock.
function list.insert(t, ...)
  local n = select("#", ...)
  if n ~= 2 then
    return c_insert(t, ...)
  end
  local at, v = ...
  if type(t) ~= "table" or type(at) ~= "number" then
    fail("table.insert takes a table, a position and a value")
  end
  at = floor(at)
  local last = #t + 1
  if last < at then
    last = at
  end
  for i = last, at + 1, -1 do
    t[i] = t[i - 1]
  end
  t[at] = v
end

function list.remove(t, at)
  if at == nil then
    return c_remove(t)
  end
  if type(t) ~= "table" or type(at) ~= "number" then
    fail("table.remove takes a table and a position")
  end
  at = floor(at)
  local last = #t
  if at < 1 or at > last then
    return nil
  end
  local v = t[at]
  for i = at, last - 1 do
    t[i] = t[i + 1]
  end
  t[last] = nil
  return v
end

local function less(a, b)
  return a < b
end

-- Merges the sorted runs from[lo..mid] and from[mid+1..hi] into to[lo..hi].
local function merge(from, to, lo, mid, hi, before)
  local i, j = lo, mid + 1
  for k = lo, hi do
    if j > hi or (i <= mid and not before(from[j], from[i])) then
      to[k] = from[i]
      i = i + 1
    else
      to[k] = from[j]
      j = j + 1
    end
  end
end

-- A merge sort: stable, and n log n whatever the comparator answers.
local function sort(t, before)
  local n = #t
  local from, to = t, {}
  local width = 1
  while width < n do
    for lo = 1, n, width * 2 do
      local mid, hi = lo + width - 1, lo + width * 2 - 1
      if mid > n then
        mid = n
      end
      if hi > n then
        hi = n
      end
      merge(from, to, lo, mid, hi, before)
    end
    from, to = to, from
    width = width * 2
  end
  if from ~= t then
    for i = 1, n do
      t[i] = from[i]
    end
  end
end

-- A comparator that waits for a backend is refused, as with the table.sort of any Lua.
function list.sort(t, before)
  if type(t) ~= "table" then
    fail("table.sort takes a table, not a %s", type(t))
  end
  if before ~= nil and type(before) ~= "function" then
    fail("table.sort takes a function to compare with, not a %s", type(before))
  end
  raw.call(sort, t, before or less)
end

-- environments -----------------------------------------------------------------------------------

local numbers = {}
for name, f in next, math do
  numbers[name] = f
end

-- One generator serves all scripts of the VM; who seeds it foretells what the others draw.
function numbers.randomseed()
  fail("math.randomseed: the generator is shared by all scripts, and seeded when they are read")
end

local clock = { time = os.time, date = os.date, clock = os.clock }

local function copy(from)
  local to = {}
  for k, v in next, from do
    to[k] = v
  end
  return to
end

local function check_name(name)
  if type(name) ~= "string" or #name > 128 or not string.find(name, "^[%w_%-]+[%w_%.%-]*$")
    or string.find(name, "..", 1, true) or string.sub(name, -1) == "." then
    fail("require takes a module's name: letters, digits, _ and -, with dots between")
  end
end

local MAIN = {} -- stands for the coroutine where there is none

-- A coroutine may wait in the middle of a module, or be stopped there and never come back: others
-- then read the module for themselves.
-- libraries: of the environment, by name, for a name that no file has.
local function make_require(env, libraries)
  local loaded = {}
  local readers = setmetatable({}, { __mode = "v" }) -- the coroutine that reads a module
  return function(name)
    check_name(name)
    local me = co_running() or MAIN
    if loaded[name] ~= nil then
      return loaded[name]
    elseif readers[name] == me then
      fail("require \"%s\": the module requires itself", name)
    end
    local library = libraries[name]
    local chunk = raw.load_module(name, library ~= nil) -- raises where there is none
    if not chunk then
      return library
    end
    setfenv(chunk, env)
    readers[name] = me
    local ok, result = pcall(chunk, name)
    readers[name] = nil
    if not ok then
      raw.rethrow(result)
    elseif loaded[name] ~= nil then
      return loaded[name] -- another coroutine was faster
    end
    if result == nil then
      result = true
    end
    loaded[name] = result
    return result
  end
end

-- api: what api.lua returned; nil where there is none.
local function new_env(api)
  local env = copy(base)
  env._G = env
  env.string = copy(text)
  env.table = copy(list)
  env.math = copy(numbers)
  env.bit = copy(bit)
  env.coroutine = copy(coroutine)
  env.os = copy(clock)
  env.require = make_require(env, { bit = env.bit }) -- the one that is no global elsewhere, and so required
  if api then
    env.print = api.print
    env.rtcache = copy(api.rtcache)
    env.rtcache.json = copy(api.rtcache.json)
  end
  return env
end

raw.freeze_strings(text)

return { new_env = new_env, fail = fail, make_integer = make_integer, integer_kind = integer_kind }
