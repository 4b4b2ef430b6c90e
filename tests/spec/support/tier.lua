--- A server with a tier, over a table in PostgreSQL or in SQLite.
--
--   local t = tier.start("postgres", { loaders = { { pattern = "dear:*", tier = true } } })
--   t.source:put("dear:1", "Ann", { version = 7 })
--   t:await_rows(1)          -- the table has so many rows
--   t:forget("dear:1")       -- it is evicted from memory
--   t:numbers().hits

local Server = require "spec.support.server"
local Source = require "spec.support.source"
local Sqlite = require "spec.support.sqlite"
local expect = require "spec.support.expect"
local postgres = require "spec.support.postgres"
local process = require "spec.support.process"
local restart = require "spec.support.restart"
local wait = require "spec.support.wait"

local M = {}

local FILLER = [[
local text = string.rep("x", 300)
return { load = function() return text end }]]

---@class support.Tier
local Tier = {}
Tier.__index = Tier

--- The SQL that makes the table.
function M.sql(...)
  local status, text = process.run { Server.tool, "tier-sql", ... }
  if status ~= 0 then error(text, 2) end
  return text
end

-- A loader of the spec is kept in the tier, has a version, and is written however quick it is.
local function complete(o)
  o.options = o.options or {}
  for name, v in pairs { memory = "1mb", shards = 1 } do
    if o.options[name] == nil then o.options[name] = v end
  end
  o.scripts = o.scripts or {}
  o.scripts["filler.lua"] = FILLER
  for _, l in ipairs(o.loaders) do
    l.tier = l.tier == nil or l.tier
    l.ttl = l.ttl or "1h"
    l.tier_min_load = l.tier_min_load or "0ms"
  end
  table.insert(o.loaders, { pattern = "filler:*", script = "filler.lua", ttl = "1h" })
  o.options.tier = o.options.tier or {}
  o.options.tier.backend = o.options.tier.backend or "tier"
  o.options.tier.timeout = o.options.tier.timeout or "5s" -- a busy machine is no slow tier
end

--- kind: "postgres" or "sqlite". o.no_table: the table is not made.
---@return support.Tier
function M.start(kind, o)
  complete(o)
  local self = setmetatable({ kind = kind, fillers = 0 }, Tier)
  if kind == "postgres" then
    self.db = o.db or postgres.database()
    o.backends = { tier = { driver = "postgres", url = self.db.url, pool = 2 } }
  else
    local folder = o.folder or process.temporary_folder()
    self.path = folder .. "/tier.db"
    self.db = Sqlite.open(self.path, "")
    o.backends = { tier = { driver = "sqlite", path = self.path, pool = 1 } }
  end
  if not o.no_table then self.db:exec(M.sql(kind == "sqlite" and "--sqlite" or nil)) end
  for name, v in pairs(o.tier_backend or {}) do o.backends.tier[name] = v end
  self.server, self.source = Source.sqlite(o)
  self.cache = self.server:connect()
  return self
end

function Tier:numbers()
  local stats, err = self.cache:stats()
  if not stats then error(tostring(err), 2) end
  return stats.tier
end

--- One number of a key's row, or of all of them.
function Tier:number(sql) return self.db:number(sql) end

--- Waits until all that was queued so far is written.
function Tier:settle()
  wait.until_true("what waits is written", function()
    local n = self:numbers()
    return n.queue == 0 and n.queue_bytes == 0
  end)
end

--- The column of a key's row.
function Tier:row(key, column)
  return self.db:value(("SELECT %s FROM cache_entry WHERE cache_key = '%s'"):format(column, key))
end

--- Others take its place in memory.
function Tier:forget(key)
  wait.until_true(key .. " is evicted", function()
    -- As large as what is to go, and read more often.
    for _ = 1, 8 do
      local keys = {}
      for i = 1, 400 do keys[i] = "filler:" .. self.fillers + i end
      self.fillers = self.fillers + #keys
      for _ = 1, 4 do expect.value(self.cache:get_many(keys)) end
    end
    local _, err = self.cache:peek(key)
    local there = self.cache:peek(key)
    return err == nil and there == nil
  end)
end

--- Stops the server, or kills it, and starts it again; `between` runs meanwhile.
function Tier:restart(how, between, options)
  self.cache = restart[how](self.server, between, options)
end

function Tier:stop()
  self.source:close()
  self.server:stop()
  self.db:close()
end

return M
