--- A source of data that a spec can change under the server: rows with a value, a version, a
--- failure, and a gate at which their loads wait; every load leaves a line in the table `loads`.
---
---   local server, source = Source.sqlite { loaders = { { pattern = "user:*", ttl = "60s" } } }
---   source:put("user:1", "Ann")
---   source:loads "user:1"        --> 0

local Server = require "spec.support.server"
local Sqlite = require "spec.support.sqlite"
local postgres = require "spec.support.postgres"
local wait = require "spec.support.wait"

---@class support.Source
---@field db support.Database|support.Sqlite
local Source = {}
Source.__index = Source

Source.script = [[
local function find(ctx, key)
  return ctx.db:row("SELECT value, version, fail, gate FROM source WHERE key = $1", key)
end

return {
  load = function(key, ctx)
    ctx.db:exec("INSERT INTO loads (key) VALUES ($1)", key)
    local row = find(ctx, key)
    if row and row.gate ~= 0 then
      ctx.db:value("SELECT 1 AS passed FROM pg_advisory_xact_lock_shared($1)", row.gate)
      row = find(ctx, key)
    end
    if not row then return nil end
    if row.fail == "down" then return nil, { code = "BACKEND_DOWN", message = "the source is down" } end
    if row.fail ~= "" then return nil, row.fail end
    return row.value, { version = row.version ~= 0 and row.version or nil }
  end,
}
]]

local SCHEMA = [[
CREATE TABLE source (key TEXT PRIMARY KEY, value TEXT NOT NULL DEFAULT '',
  version BIGINT NOT NULL DEFAULT 0, fail TEXT NOT NULL DEFAULT '', gate BIGINT NOT NULL DEFAULT 0);
CREATE TABLE loads (key TEXT NOT NULL);
]]

local function quote(s) return "'" .. s:gsub("'", "''") .. "'" end

-- Loaders without a script get the script above, and the backend "main".
local function complete(o)
  o.scripts = o.scripts or {}
  o.scripts["source.lua"] = Source.script
  for _, l in ipairs(o.loaders or {}) do
    l.script = l.script or (not l.sql and "source.lua" or nil)
    l.backend = l.backend or "main"
  end
end

--- A server over a new SQLite database.
---@param o support.ServerOptions
---@return support.Server, support.Source
function Source.sqlite(o)
  complete(o)
  o.backends = o.backends or {}
  o.backends.main = { driver = "sqlite", path = "source.db" }
  local server = Server.prepare(o)
  local db = Sqlite.open(server.folder .. "/source.db", SCHEMA)
  local ok, err = pcall(server.launch, server)
  if not ok then
    server:remove()
    error(err, 2)
  end
  return server, setmetatable({ db = db }, Source)
end

--- A server over a new database of the run's PostgreSQL, or of `cluster`.
---@param o support.ServerOptions
---@param cluster? support.Cluster
---@param backend? table @further options of the backend
---@return support.Server, support.Source
function Source.postgres(o, cluster, backend)
  complete(o)
  local db = cluster and cluster:database() or postgres.database()
  db:exec(SCHEMA)
  o.backends = o.backends or {}
  -- One query to a connection: a query that waits at a gate must hold up nothing behind it. Eight for
  -- each loader thread, over which a pool is shared out: all keys of a test may be of one of them.
  local threads = o.options and o.options.loader_threads or tonumber(os.getenv "SPEC_THREADS") or 1
  o.backends.main = { driver = "postgres", url = db.url, pool = 8 * threads, pipeline = 1 }
  for name, v in pairs(backend or {}) do o.backends.main[name] = v end
  return Server.start(o), setmetatable({ db = db }, Source)
end

--- What the source has under a key from now on. fields: version, fail, gate.
---@param key string
---@param value? string
---@param fields? table
function Source:put(key, value, fields)
  fields = fields or {}
  self.db:exec(("BEGIN; DELETE FROM source WHERE key = %s; "
    .. "INSERT INTO source (key, value, version, fail, gate) VALUES (%s, %s, %s, %s, %d); COMMIT")
    :format(quote(key), quote(key), quote(value or ""),
      (tostring(fields.version or 0):gsub("LL$", "")), quote(fields.fail or ""), fields.gate or 0))
end

function Source:remove(key) self.db:exec("DELETE FROM source WHERE key = " .. quote(key)) end

--- Loads of a key so far; of all keys without one.
function Source:loads(key)
  return self.db:number("SELECT count(*) FROM loads"
    .. (key and " WHERE key = " .. quote(key) or ""))
end

--- Waits until this many loads of a key have begun.
function Source:await_loads(key, count)
  wait.until_true(("%d loads of %s"):format(count, key), function()
    return self:loads(key) >= count
  end)
end

--- Waits until a load stands at the gate.
function Source:await_gate(gate, count)
  wait.until_true("a load at the gate", function() return self.db:waiting(gate) >= (count or 1) end)
end

--- Opens every gate; for the end of a test that may have failed in the middle.
function Source:open_gates() self.db:exec "SELECT pg_advisory_unlock_all()" end

function Source:close() self.db:close() end

return Source
