--- Requests as a well-behaved client makes them, each with what its answer has to look like; and requests of the
--- same methods with arguments that nobody should send.
---
--- A value says which key it is for: `key` in it, or `id` where a row is the value. So an answer that belongs to
--- another request is seen.

local bytes = require "chaos.bytes"
local msgpack = require "rtcache.msgpack"

local M = {}

local encode, null = bytes.encode, msgpack.null

M.ROWS = 300
local TROUBLES = {
  "sleep", "late", "fail", "throw", "word", "down", "spin", "bomb", "rep", "deep", "huge", "absent", "nocache",
  "unchanged", "all", "both", "log", "json", "bad", "options", "hoard", "tags", "queries", "wrong", "transaction",
}
local STATUSES = { hit = true, stale = true, miss = true, negative = true, stale_error = true }

--- Of these the value tells its key, whoever has stored it.
local CHECKED = { { "row", 30 }, { "pg", 30 }, { "sq", 15 }, { "f", 10 } }
local OTHERS = { { "w", 30 }, { "ws", 20 }, { "rp", 10 }, { "t", 15 }, { "j", 10 }, { "m", 5 } }

local function make_key(r, kind)
  if kind == "t" then return ("t:%s:%d"):format(r:pick(TROUBLES), r:skewed(200)) end
  return kind .. ":" .. r:skewed(M.ROWS + 20)
end

--- A key; whose: "app" for those that the value tells of among all, "junk" for the others alone.
function M.key(r, whose)
  if whose == "junk" or r:chance(0.3) then return make_key(r, r:weighted(OTHERS)) end
  return make_key(r, r:weighted(CHECKED))
end

local function fits(key, value)
  local kind, id = key:match "^(%l+):(%d+)$"
  if value == null or value == nil or kind == "w" or kind == "ws" or kind == "rp" or kind == "j" or kind == "m" then
    return true
  end
  if not id then return true end -- what the troublesome scripts answer is no matter
  if type(value) ~= "table" then return false end
  if kind == "sq" then return tostring(value.id) == id end
  return value.key == key
end

local function value_for(r, key)
  local kind, id = key:match "^(%l+):(%d+)$"
  local size = r:chance(0.9) and r:skewed(3000) or r:skewed(300000)
  return bytes.map {
    key = encode(key), id = encode(tonumber(id) or 0), pad = bytes.text(size), name = encode("set " .. (kind or "")),
  }
end

local function is_entry(key)
  return function(e)
    return type(e) == "table" and STATUSES[e.status] and fits(key, e.value) and type(e.age_ms) == "number"
  end
end

local function is(kind) return function(v) return type(v) == kind end end
local function is_true(v) return v == true end

local function keys(r, whose, most)
  local list, seen = {}, {}
  for _ = 1, r:skewed(most) do
    local key = M.key(r, whose)
    if not seen[key] or r:chance(0.2) then list[#list + 1] = key end
    seen[key] = true
  end
  return list
end

local function encoded(list)
  local parts = {}
  for i, v in ipairs(list) do parts[i] = encode(v) end
  return bytes.array(parts)
end

local function reading(r)
  local o = {}
  if r:chance(0.2) then o.timeout_ms = encode(r:skewed(3000)) end
  if r:chance(0.1) then o.stale_wait_ms = encode(r:skewed(500)) end
  if r:chance(0.03) then o.min_version = encode(r:skewed(50)) end
  return bytes.map(o)
end

local function storing(r)
  local o = {}
  if r:chance(0.5) then o.ttl_ms = encode(r:skewed(100000)) end
  if r:chance(0.3) then o.stale_ttl_ms = encode(r:skewed(10000)) end
  if r:chance(0.2) then o.version = encode(r:skewed(100)) end
  if r:chance(0.4) then o.tags = encoded { "team:" .. r:int(9), "t" .. r:int(3) } end
  return bytes.map(o)
end

local function versioned(r)
  local o = {}
  if r:chance(0.3) then o.version = encode(r:skewed(60)) end
  if r:chance(0.1) then o.deleted = "\195" end
  return bytes.map(o)
end

local PATTERNS = { "row:*", "pg:{id:int}", "w:*", "t:sleep:*", "f:1*", "*:1", "*7*", "j:*", "sq:{n:int}" }

local function topics(r)
  local o = {}
  if r:chance(0.6) then o.keys = encoded(keys(r, "app", 30)) end
  if r:chance(0.6) then o.patterns = encoded { r:pick(PATTERNS), r:pick(PATTERNS) } end
  if r:chance(0.4) then o.tags = encoded { "team:" .. r:int(9) } end
  return bytes.map(o)
end

local function tag(r) return r:chance(0.7) and encode("team:" .. r:int(9)) or encoded { "team:1", "t" .. r:int(3) } end

local function are_values(list)
  return function(answer)
    if type(answer) ~= "table" or #answer ~= #list then return false end
    for i, key in ipairs(list) do
      local a = answer[i]
      if type(a) ~= "table" or not fits(key, a.value) then return false end
      if a.value == nil and a.error == nil and not a.pending then return false end
    end
    return true
  end
end

-- Each answers the encoded params and the check of a result.
local make = {}

function make.get(r, who)
  local key = M.key(r, who)
  return { encode(key), reading(r) }, function(v) return fits(key, v) end
end

function make.get_entry(r, who)
  local key = M.key(r, who)
  return { encode(key), reading(r) }, is_entry(key)
end

function make.get_many(r, who)
  local list = keys(r, who, 150)
  return { encoded(list), r:chance(0.2) and bytes.map { partial = "\195" } or reading(r) }, are_values(list)
end

function make.peek(r, who)
  local key = M.key(r, who)
  local entry = is_entry(key)
  return { encode(key) }, function(v) return v == null or entry(v) end
end

function make.set(r, who)
  local key = M.key(r, who)
  return { encode(key), value_for(r, key), storing(r) }, is_true
end

function make.put(r, who)
  local key = M.key(r, who)
  return { encode(key), value_for(r, key), bytes.map(r:chance(0.2) and { version = encode(r:skewed(50)) } or {}) },
    is "table"
end

function make.delete(r, who) return { encode(M.key(r, who)) }, is "table" end

function make.touch(r, who)
  return { encode(M.key(r, who)), bytes.map { ttl_ms = encode(r:skewed(9000)) } }, is "boolean"
end

function make.invalidate(r, who) return { encode(M.key(r, who)), versioned(r) }, is "boolean" end

function make.invalidate_many(r, who) return { encoded(keys(r, who, 300)), versioned(r) }, is "number" end

function make.invalidate_tag(r) return { tag(r) }, is_true end

function make.invalidate_match(r) return { encode(r:pick(PATTERNS)) }, is_true end

function make.expire(r, who) return { encode(M.key(r, who)) }, is "boolean" end

function make.expire_many(r, who) return { encoded(keys(r, who, 300)) }, is "number" end

function make.expire_tag(r) return { tag(r) }, is_true end

function make.expire_match(r) return { encode(r:pick(PATTERNS)) }, is_true end

function make.refresh(r, who)
  local key = M.key(r, who)
  local entry = is_entry(key)
  local o = r:chance(0.3) and bytes.map { background = "\195" } or bytes.map {}
  return { encode(key), o }, function(v) return v == true or entry(v) end
end

function make.subscribe(r) return { topics(r) }, is "number" end

function make.unsubscribe(r) return r:chance(0.5) and { topics(r) } or {}, is "number" end

function make.ping() return {}, function(v) return v == "pong" end end

function make.hello(r)
  return { bytes.map { client = encode("chaos " .. r:int(9)) } }, function(v)
    return type(v) == "table" and v.server == "rtcache"
  end
end

function make.stats() return {}, function(v) return type(v) == "table" and type(v.counters) == "table" end end

function make.loaders() return {}, is "table" end

function make.lift_floors(r)
  local o = r:pick { { key = encode "row:1" }, { match = encode(r:pick(PATTERNS)) }, { all = "\195" } }
  return { bytes.map(o) }, is "boolean"
end

M.MIX = {
  { "get", 40 }, { "get_entry", 10 }, { "get_many", 8 }, { "peek", 4 }, { "set", 12 }, { "put", 5 }, { "delete", 2 },
  { "touch", 3 }, { "invalidate", 6 }, { "invalidate_many", 1 }, { "invalidate_tag", 1 }, { "invalidate_match", 0.3 },
  { "expire", 3 }, { "expire_many", 0.5 }, { "expire_tag", 0.5 }, { "expire_match", 0.2 }, { "refresh", 4 },
  { "subscribe", 1 }, { "unsubscribe", 0.5 }, { "ping", 2 }, { "hello", 1 }, { "stats", 0.3 }, { "loaders", 0.2 },
  { "lift_floors", 0.1 },
}

--- A request that fits the protocol.
---@param who string @"app" or "junk"
---@return string method
---@return string[] params
---@return fun(result: any): boolean fits
function M.plausible(r, who)
  local method = r:weighted(M.MIX)
  local params, check = make[method](r, who)
  return method, params, check
end

--- The params of one method, and the check of its result.
function M.make(method, r, who) return make[method](r, who) end

local METHODS = { "auth", "reload", "nothing", "", "get\0", ("m"):rep(300) }
for _, item in ipairs(M.MIX) do METHODS[#METHODS + 1] = item[1] end

--- The same methods with anything for arguments: some are replaced, missing, repeated or too many.
---@return string method
---@return string[] params
function M.implausible(r, who)
  local method = r:pick(METHODS)
  local params = make[method] and r:chance(0.7) and make[method](r, who) or {}
  for _ = 1, r:int(3) do
    local what = r:int(4)
    if what == 1 and #params > 0 then
      params[r:int(#params)] = bytes.value(r)
    elseif what == 2 then
      params[#params + 1] = bytes.value(r)
    elseif what == 3 then
      params[#params] = nil
    else
      params[#params + 1] = bytes.map { [r:pick { "ttl_ms", "tags", "version", "keys", "errors", "match", "partial",
        "timeout_ms", "min_version", "patterns" }] = bytes.value(r) }
    end
  end
  if method == "hello" and r:chance(0.5) then params = { bytes.map { errors = encode "map" } } end
  return method, params
end

return M
