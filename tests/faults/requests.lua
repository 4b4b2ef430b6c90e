--- Requests of all kinds, each of which asks for memory where the others do not, and the server that they are
--- for. 09 lets one allocation of one of them fail.
--
--   local server = Server.prepare(requests.options())
--   requests.make_source(server.folder)
--   local value, err = requests.kinds.batch(c, 7, beside)
--
-- A request is called with a connection, a number that it alone has, and another connection, which may be told of
-- a failure, too.

local Sqlite = require "spec.support.sqlite"
local client = require "rtcache.client"

local M = {}

M.ROWS = 100000
M.NEVER = "never" -- a key that no request has
local BATCH = 8
local MANY = 2000 -- more than is done in one turn

local ROW = [[
return { load = function(key, ctx)
  local row = ctx.db:row("SELECT name FROM people WHERE id = $1", tonumber(ctx.match[1]))
  return { key = key, name = row.name, list = { 1, 2, 3 } }, { tags = { "all" } }
end }]]

-- Its statement is another for each key.
local FRESH = [[
return { load = function(_, ctx)
  local n = tonumber(ctx.match[1])
  return ctx.db:row(("SELECT id, name, %d AS n FROM people WHERE id = $1 AND id > -%d"):format(n, n), n).name
end }]]

local BATCHES = [[
return { load_many = function(keys, ctx)
  local values, options = {}, {}
  for _, key in ipairs(keys) do
    values[key] = ctx.db:value("SELECT name FROM people WHERE id = $1", tonumber(key:match "%d+"))
    options[key] = { tags = { "all", key }, ttl = "60s" }
  end
  return values, options
end }]]

local WRITER = [[
return {
  load = function(_, ctx) return ctx.db:value("SELECT name FROM kept WHERE id = $1", tonumber(ctx.match[1])) end,
  save = function(_, value, ctx)
    ctx.db:exec("INSERT OR REPLACE INTO kept VALUES ($1, $2)", tonumber(ctx.match[1]), value)
    return value, { tags = { "all" } }
  end,
  remove = function(_, ctx) ctx.db:exec("DELETE FROM kept WHERE id = $1", tonumber(ctx.match[1])) end,
}]]

-- A cheap hash (8 MiB, one pass) of "other".
local OTHER = "$argon2id$v=19$m=8192,t=1,p=1$dMoaTKxrUTzGwdGXZgwEuw$LasVO8KoMTADkX1NpsRNndVnt/i1l1inqZQiq6N7UOM"
local ALL = { "read", "write", "invalidate", "admin" }

-- As a number, which needs no look at the system's users: the C library ends the process where it has no memory for
-- that.
local function own_uid()
  local pipe = assert(io.popen "id -u")
  local uid = pipe:read "*l"
  pipe:close()
  return uid
end

---@return support.ServerOptions
function M.options()
  local function loader(pattern, fields)
    local l = { pattern = pattern, backend = "main" }
    for name, v in pairs(fields) do l[name] = v end
    return l
  end
  return {
    options = {
      auth_delay = "0s",
      defaults = { backoff_base = "1ms", backoff_cap = "1ms", breaker_failures = 0, retries = 0 },
      users = {
        { name = "local", unix_user = own_uid(), rights = ALL },
        { name = "app", password_hash = OTHER, rights = ALL, keys = { "*" } },
      },
    },
    backends = { main = { driver = "sqlite", path = "source.db" } },
    scripts = { ["row.lua"] = ROW, ["fresh.lua"] = FRESH, ["batches.lua"] = BATCHES, ["writer.lua"] = WRITER },
    loaders = {
      loader("row:*", { script = "row.lua" }),
      loader("fresh:*", { script = "fresh.lua" }),
      loader("batch:*", { script = "batches.lua" }),
      loader("kept:*", { script = "writer.lua" }),
      loader("sql:*", { sql = "SELECT id, name FROM people WHERE id = $1" }),
    },
  }
end

---@param folder string
function M.make_source(folder)
  Sqlite.open(folder .. "/source.db", "CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT);"
    .. "CREATE TABLE kept (id INTEGER PRIMARY KEY, name TEXT);"
    .. "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < " .. M.ROWS .. ")"
    .. " INSERT INTO people SELECT i, 'row ' || i FROM n"):close()
end

local function keys(prefix, n, count)
  local list = {}
  for i = 1, count do list[i] = prefix .. (n * count + i) % M.ROWS + 1 end
  return list
end

-- A get_many, whose error is the first of a key's.
local function many(c, list)
  local found, err = c:get_many(list)
  for _, one in ipairs(found or {}) do err = err or one.error end
  return found, err
end

-- Calls one after the other, up to one that fails.
local function all(c, ...)
  for i = 1, select("#", ...) do
    local call = select(i, ...)
    local _, err = c[call[1]](c, unpack(call, 2, call.n or #call))
    if err then return nil, err end
  end
  return true
end

-- Twice round the loop that both connections are on: what was written to the one before has been read.
local function is_read(beside)
  beside:ping()
  beside:ping()
end

local function in_pieces(c, beside, pieces)
  for i, piece in ipairs(pieces) do
    local ok, err = c:write(piece)
    if not ok then return nil, err end
    if i < #pieces then is_read(beside) end
  end
  c.next_id = c.next_id + 1
  return c:receive(c.next_id - 1)
end

-- The same request so many times, in one write.
local function in_one_go(c, times, ...)
  local first, list = c.next_id, {}
  for i = 1, times do list[i] = client.encode_request(first + i - 1, ...) end
  c.next_id = first + times
  local ok, err = c:write(table.concat(list))
  for i = 1, times do
    if ok and not err then ok, err = c:receive(first + i - 1) end
  end
  return ok, err
end

-- Each has to allocate: a small set, and an invalidation of one key, need not.
M.kinds = {
  load = function(c, n) return c:get("row:" .. n) end,
  set = function(c, n) return c:set("set:" .. n, ("x"):rep(300000), { tags = { "some" } }) end,
  many = function(c, n) return many(c, { "row:" .. n, "row:1" }) end,
  invalidate = function(c, n) return c:invalidate_match("row:" .. n .. "*") end,
  reload = function(c) return c:reload() end,
  -- What is left of a frame that has lost a piece must not be taken for a request: cut where it would be one.
  ["a frame in pieces"] = function(c, n, beside)
    local inner = client.encode_request(1, "set", M.NEVER, 1)
    local request = client.encode_request(c.next_id, "set", "set:" .. n, inner:rep(40))
    local from = request:find(inner, 1, true)
    return in_pieces(c, beside, { request:sub(1, from - 1), request:sub(from, from + 9 * #inner - 1),
      request:sub(from + 9 * #inner) })
  end,
  ["a large frame in pieces"] = function(c, n, beside)
    local request = client.encode_request(c.next_id, "set", "set:" .. n, ("x"):rep(100000))
    return in_pieces(c, beside, { request:sub(1, 20000), request:sub(20001, 60000), request:sub(60001) })
  end,
  ["many in one go"] = function(c, n) return in_one_go(c, 20, "get", "row:" .. n) end,
  ["a batch"] = function(c, n) return many(c, keys("batch:", n, BATCH)) end,
  ["a write"] = function(c, n)
    return all(c, { "put", "kept:" .. n, "saved" }, { "get", "kept:" .. n }, { "delete", "kept:" .. n })
  end,
  ["a loader of sql"] = function(c, n) return c:get("sql:" .. n) end,
  ["many of sql"] = function(c, n) return many(c, keys("sql:", n, BATCH)) end,
  ["a new statement"] = function(c, n) return c:get("fresh:" .. n) end,
  entry = function(c, n)
    return all(c, { "get_entry", "row:" .. n }, { "peek", "row:" .. n }, { "refresh", "row:" .. n },
      { "touch", "row:" .. n }, { "expire", "row:" .. n })
  end,
  ["many keys"] = function(c, n)
    local list = keys("row:", n, MANY)
    return all(c, { "invalidate_many", list }, { "expire_many", list }, { "get_many", keys("set:", n, MANY) })
  end,
  ["tags and patterns"] = function(c, n)
    return all(c, { "invalidate_tag", "tag " .. n }, { "expire_tag", "tag " .. n },
      { "invalidate_match", "set:" .. n .. "*" }, { "expire_match", "*:" .. n },
      { "lift_floors", { key = "row:" .. n } })
  end,
  auth = function(c) return c:auth("app", "other") end,
  subscribe = function(c, n, beside)
    local key = "set:" .. n
    local ok, err = c:subscribe { keys = { key, "row:" .. n }, tags = { "t" .. n }, patterns = { "*:" .. n } }
    if not ok then return nil, err end
    ok, err = beside:set(key, "new", { tags = { "t" .. n } })
    if not ok then return nil, err end
    local name, params = c:notification()
    if not name then return nil, params end
    return all(c, { "unsubscribe", { keys = { key } } }, { "unsubscribe" })
  end,
}

M.names = {}
for name in pairs(M.kinds) do M.names[#M.names + 1] = name end
table.sort(M.names)

return M
