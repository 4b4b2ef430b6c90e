--- A real PostgreSQL in a folder of its own, reached through a Unix socket only.
--
--   local db = postgres.database()       -- a new database on the cluster that the run shares
--   db:exec "CREATE TABLE ..."           -- through one psql that stays open
--   db.url                               -- for rtcache.conf
--   postgres.start()                     -- a cluster of one's own, to be killed and stopped

local files = require "spec.support.files"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

local M = {}

local BIN = os.getenv "PGBIN" or "/usr/lib/postgresql/15/bin"

M.psql = BIN .. "/psql"

local CONF = [[
listen_addresses = ''
fsync = off
full_page_writes = off
shared_buffers = 16MB
max_connections = 60
autovacuum = off
log_connections = on
log_disconnections = on
log_line_prefix = '%m [%p] %a '
]]

-- PostgreSQL refuses to run as root.
local function as_postgres(command)
  if not process.is_root then return command end
  local full = {
    "setpriv", "--reuid=postgres", "--regid=postgres", "--init-groups", "--pdeathsig", "QUIT",
  }
  for _, word in ipairs(command) do full[#full + 1] = word end
  return full
end

--- A command line that runs as the user whom PostgreSQL runs as.
M.as_postgres = as_postgres

local function must_run(command)
  local status, text = process.run(as_postgres(command), { env = { LC_ALL = "C.UTF-8" } })
  if status ~= 0 then error(table.concat(command, " ") .. " failed:\n" .. text, 3) end
  return text
end

---@class support.Cluster
---@field folder string
local Cluster = {}
Cluster.__index = Cluster

---@class support.Database
---@field url string
local Database = {}
Database.__index = Database

local session_count = 0

-- One psql that stays open: the text of a statement in, its lines out.
local function open_session(cluster, name)
  local p = process.spawn({
    BIN .. "/psql", "-XAtq", "-h", cluster.folder, "-U", "postgres", "-d", name,
  }, { stdin = true, env = { PGAPPNAME = "spec", PGOPTIONS = "-c client_min_messages=error" } })
  return p
end

--- Runs statements; the rows as lines, columns split by |. An error of the database is raised.
---@param sql string
---@return string[] lines
function Database:exec(sql)
  session_count = session_count + 1
  local marker = "-- end of " .. session_count
  self.psql:write(sql .. "\n;\n\\echo '" .. marker .. "'\n")
  local lines = {}
  while true do
    local line = self.psql:line(wait.PATIENCE * 2)
    if not line then error("psql did not answer: " .. sql, 2) end
    if line == marker then return lines end
    if line:match "^ERROR:" or line:match "^FATAL:" or line:match "^psql:" then
      error(line .. " in " .. sql, 2)
    end
    lines[#lines + 1] = line
  end
end

---@return string|nil @the first line
function Database:value(sql) return self:exec(sql)[1] end

function Database:number(sql) return tonumber(self:value(sql)) end

--- Holds a gate shut: loaders that run SELECT pg_advisory_xact_lock_shared(gate) wait at it.
function Database:shut(gate) self:exec("SELECT pg_advisory_lock(" .. gate .. ")") end

function Database:open(gate) self:exec("SELECT pg_advisory_unlock(" .. gate .. ")") end

--- How many statements wait at a gate now.
function Database:waiting(gate)
  return self:number(
    "SELECT count(*) FROM pg_locks WHERE locktype = 'advisory' AND NOT granted AND objid = " .. gate)
end

function Database:close() self.psql:finish() end

--- A new session of the same database, after the cluster was restarted.
function Database:reconnect()
  self.psql:finish()
  self.psql = open_session(self.cluster, self.name)
end

--- A session of a database that it has already.
---@return support.Database
function Cluster:open(name)
  return setmetatable({ name = name, cluster = self, psql = open_session(self, name) }, Database)
end

---@return support.Database
function Cluster:database()
  self.databases = self.databases + 1
  local name = "spec_" .. self.databases
  self.admin = self.admin or setmetatable({ psql = open_session(self, "postgres") }, Database)
  self.admin:exec("CREATE DATABASE " .. name)
  return setmetatable({
    name = name,
    cluster = self,
    psql = open_session(self, name),
    url = ("postgresql://postgres@/%s?host=%s"):format(name, self.folder),
  }, Database)
end

--- Starts the postmaster and waits until it takes connections.
function Cluster:launch()
  self.process = process.spawn(as_postgres { BIN .. "/postgres", "-D", self.data }, {
    stderr = self.log_path,
    death_signal = 3,
    env = { LC_ALL = "C.UTF-8" },
  })
  wait.until_true("PostgreSQL takes connections", function()
    if self.process:wait(0) then error("PostgreSQL ended:\n" .. self:log()) end
    return 0 == process.run { BIN .. "/pg_isready", "-q", "-h", self.folder }
  end)
end

function Cluster:log() return files.read(self.log_path) or "" end

--- Times that a client other than the specs' own was let in.
function Cluster:connections(name)
  local count = 0
  for line in self:log():gmatch "[^\n]*connection authorized:[^\n]*" do
    if line:find("database=" .. name, 1, true) and not line:find("application_name=spec", 1, true) then
      count = count + 1
    end
  end
  return count
end

--- All its processes end at once; clients see their connections break.
function Cluster:kill()
  if self.admin then self.admin:close() end
  self.admin = nil
  self.process:signal "QUIT"
  if not self.process:wait(wait.PATIENCE) then error "PostgreSQL did not end" end
  self.process:finish()
end

--- A machine that hangs: connections stay open and nothing answers.
function Cluster:freeze()
  process.signal(self.process.pid, "STOP")
  self.frozen = process.children(self.process.pid)
  for _, pid in ipairs(self.frozen) do process.signal(pid, "STOP") end
end

function Cluster:thaw()
  for _, pid in ipairs(self.frozen or {}) do process.signal(pid, "CONT") end
  self.frozen = nil
  process.signal(self.process.pid, "CONT")
end

function Cluster:stop()
  if self.frozen then self:thaw() end
  if not self.process.status then self:kill() end
  files.remove(self.folder)
end

-- A folder for a cluster, which has no data yet.
local function prepare()
  local folder = process.temporary_folder()
  if process.is_root then
    assert(0 == process.run { "chown", "postgres:postgres", folder })
    assert(0 == process.run { "chmod", "755", folder })
  end
  return setmetatable({
    folder = folder,
    data = folder .. "/data",
    log_path = folder .. "/postgres.log",
    databases = 0,
  }, Cluster)
end

function Cluster:configure(settings)
  local conf = assert(io.open(self.data .. "/postgresql.conf", "a"))
  conf:write(settings, "unix_socket_directories = '", self.folder, "'\n")
  conf:close()
end

--- A copy of it that follows it, and takes reads only until promote().
---@return support.Cluster
function Cluster:standby()
  local copy = prepare()
  must_run { BIN .. "/pg_basebackup", "-h", self.folder, "-U", "postgres", "-D", copy.data, "-R",
    "-c", "fast", "--no-sync" }
  copy:configure ""
  copy:launch()
  return copy
end

--- The standby is a primary from now on.
function Cluster:promote()
  must_run { BIN .. "/pg_ctl", "promote", "-w", "-D", self.data }
end

---@param settings? string @more lines of postgresql.conf
---@return support.Cluster
function M.start(settings)
  local self = prepare()
  must_run { BIN .. "/initdb", "-D", self.data, "-A", "trust", "-U", "postgres", "-E", "UTF8",
    "--locale=C.UTF-8", "--no-sync" }
  self:configure(CONF .. (settings or ""))
  self:launch()
  return self
end

local shared

--- A new database on the cluster that all spec files of a run share.
---@return support.Database
function M.database()
  shared = shared or M.start()
  return shared:database()
end

--- Ends the shared cluster; the run's last act.
function M.stop_shared()
  if shared then shared:stop() end
  shared = nil
end

return M
