--- A real PgBouncer in a folder of its own, in front of a cluster, reached through a Unix socket only.
--
--   local pooler = pgbouncer.start(db.cluster, "transaction", { default_pool_size = 2 })
--   pooler:url(db.name)                  -- for rtcache.conf
--   pooler:stop()

local files = require "spec.support.files"
local postgres = require "spec.support.postgres"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

local M = {}

local PROGRAM = os.getenv "PGBOUNCER" or "/usr/sbin/pgbouncer"
local PORT = 6432 -- of the socket's name

---@class support.Pooler
local Pooler = {}
Pooler.__index = Pooler

local CONF = [[
[databases]
* = host=%s user=postgres
[pgbouncer]
pool_mode = %s
unix_socket_dir = %s
listen_port = %d
auth_type = any
max_client_conn = 1000
]]

local function conf_text(cluster, mode, folder, settings)
  local lines = { CONF:format(cluster.folder, mode, folder, PORT) }
  for name, v in pairs(settings or {}) do lines[#lines + 1] = ("%s = %s\n"):format(name, tostring(v)) end
  return table.concat(lines)
end

function Pooler:url(database)
  return ("postgresql://postgres@/%s?host=%s&port=%d"):format(database, self.folder, PORT)
end

function Pooler:log() return files.read(self.log_path) or "" end

function Pooler:stop()
  self.process:signal "INT"
  self.process:wait(wait.PATIENCE)
  self.process:finish()
  files.remove(self.folder)
end

---@param cluster support.Cluster
---@param mode string @session, transaction or statement
---@param settings? table @more of pgbouncer.ini
---@return support.Pooler
function M.start(cluster, mode, settings)
  local folder = process.temporary_folder()
  if process.is_root then
    assert(0 == process.run { "chown", "postgres:postgres", folder })
    assert(0 == process.run { "chmod", "755", folder })
  end
  local self = setmetatable({ folder = folder, log_path = folder .. "/pgbouncer.log" }, Pooler)
  files.write(folder .. "/pgbouncer.ini", conf_text(cluster, mode, folder, settings))
  self.process = process.spawn(postgres.as_postgres { PROGRAM, folder .. "/pgbouncer.ini" }, {
    stderr = self.log_path,
    death_signal = 3,
  })
  wait.until_true("PgBouncer takes connections", function()
    if self.process:wait(0) then error("PgBouncer ended:\n" .. self:log()) end
    return 0 == process.run { postgres.psql, "-XAtq", "-h", folder, "-p", tostring(PORT), "-U", "postgres",
      "-c", "SELECT 1", "postgres" }
  end)
  return self
end

return M
