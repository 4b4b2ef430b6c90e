--- What a history run runs against: two databases, a server with little memory, and its loader.
--
--   local setup = Setup.start { binary = "build/rtcached", script = "..." }
--   setup:run(200000, "history.bin")     -- the workload's own line
--   setup:stop()

local lfs = require "lfs"
local Server = require "spec.support.server"
local files = require "spec.support.files"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

---@class history.Setup
local Setup = {}
Setup.__index = Setup

-- The account is what the database itself knows of each version; the rules compare with nothing else.
local PRIMARY = [[
CREATE TABLE account (class text, id bigint, version bigint, content text, team int, deleted bool);
CREATE FUNCTION next_version() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN NEW.version := OLD.version + 1; RETURN NEW; END $$;
CREATE FUNCTION keep_account() RETURNS trigger LANGUAGE plpgsql AS $$
BEGIN
  -- planned anew each time: the types of the columns change under it
  EXECUTE 'INSERT INTO account SELECT $2, $1.id, $1.version, left($1.body, 16), $1.team, $1.deleted'
    USING NEW, left(TG_TABLE_NAME, 1);
  RETURN NULL;
END $$;
]]

local TABLE = [[
CREATE TABLE %s_rows (id bigint PRIMARY KEY, body text NOT NULL, team int NOT NULL,
  deleted boolean NOT NULL DEFAULT false, version bigint NOT NULL DEFAULT 1);
]]

local TRIGGERS = [[
CREATE TRIGGER next_version BEFORE UPDATE ON %s_rows FOR EACH ROW EXECUTE FUNCTION next_version();
CREATE TRIGGER keep_account AFTER INSERT OR UPDATE ON %s_rows FOR EACH ROW EXECUTE FUNCTION keep_account();
]]

local LOG = "rtcache_log"
local FED_TTL, U_TTL = "1s", "700ms" -- as workload.c says of its classes

local function watch_sql(class, ...)
  local status, text = process.run { Server.tool, "watch-sql", class .. "_rows", "--key", class .. ":{id}",
    "--version", "version", ... }
  assert(status == 0, text)
  return text
end

local function make_databases(cluster, log)
  local primary, replica = cluster:database(), cluster:database()
  primary:exec(PRIMARY)
  for _, class in ipairs { "p", "r", "u" } do
    primary:exec(TABLE:format(class))
    primary:exec(TRIGGERS:format(class, class))
  end
  primary:exec(watch_sql("p", "--tag", "t:{team}", log and "--log" or nil))
  primary:exec(watch_sql("r", log and "--log" or nil))
  replica:exec(TABLE:format "r")
  return primary, replica
end

-- A standby that has whatever anybody was told of, so that a failover loses nothing.
local function make_standby(cluster)
  local standby = cluster:standby()
  cluster.admin:exec "ALTER SYSTEM SET synchronous_standby_names = '*'"
  cluster.admin:exec "ALTER SYSTEM SET synchronous_commit = 'remote_apply'"
  cluster.admin:exec "SELECT pg_reload_conf()"
  wait.until_true("the standby is synchronous", function()
    return cluster.admin:number "SELECT count(*) FROM pg_stat_replication WHERE sync_state = 'sync'" == 1
  end)
  return standby
end

-- Of whichever takes writes.
local function url_of(db, standby)
  if not standby then return db.url end
  return ("%s,%s&target_session_attrs=read-write"):format(db.url, standby.folder)
end

local function loader(pattern, backend, ttl, more)
  local l = { pattern = pattern, script = "row.lua", backend = backend, ttl = ttl, negative_ttl = ttl,
    stale_ttl = "2s", stale_if_error = "5s", wait_timeout = "3s", load_timeout = "900ms", write_timeout = "2s",
    batch_window = "500us", batch_max = 16, refresh_ahead = 0.5, prefetch_min_reads = 1, early_beta = 10 }
  for name, v in pairs(more or {}) do l[name] = v end
  return l
end

local function options_of(primary_url, replica_url, script)
  local quick = { driver = "postgres", pool = 8, reconnect_base = "10ms", reconnect_cap = "50ms" }
  local function backend(more)
    local b = {}
    for name, v in pairs(quick) do b[name] = v end
    for name, v in pairs(more) do b[name] = v end
    return b
  end
  return {
    options = {
      io_threads = 2, loader_threads = 2, memory = "1mb", floors = 400, floor_ttl = "1500ms", tag_slots = 4096,
      script_cpu = "5s",
      defaults = { backoff_base = "1ms", backoff_cap = "5ms", breaker_failures = 0, retry_base = "1ms" },
    },
    backends = {
      main = backend { url = primary_url, feed = "rtcache", feed_heartbeat = "100ms", feed_grace = "300ms" },
      replica = backend { url = replica_url, primary = "main" },
      plain = backend { url = primary_url },
    },
    scripts = { ["row.lua"] = script },
    loaders = {
      loader("p:*", "main", FED_TTL, { versioned = true }),
      loader("r:*", "replica", FED_TTL, { versioned = true }),
      loader("u:*", "plain", U_TTL),
    },
  }
end

local function await_feed(server)
  local cache = server:connect()
  wait.until_true("the feed is up", function()
    local feed = assert(cache:stats()).feeds.main
    return feed.connected and not feed.cut and feed.lag_ms
  end)
end

local keeper = lfs.currentdir() .. "/tests/history/keeper"

---@class history.SetupOptions
---@field cluster support.Cluster
---@field script string
---@field restarts boolean? @the server may be killed, and is started again
---@field failover boolean? @the cluster gets a standby
---@field lives boolean? @the server has a folder of state, and is ended in all ways instead of other trouble
---@field log boolean? @the feed reads a log instead of listening
---@field change? fun(o: support.ServerOptions)

---@param o history.SetupOptions
function Setup.start(o)
  local self = setmetatable({ cluster = o.cluster, restarts = o.restarts, log = o.log }, Setup)
  self.primary, self.replica = make_databases(o.cluster, o.log)
  self.standby = o.failover and make_standby(o.cluster) or nil
  self.urls = { primary = url_of(self.primary, self.standby), replica = url_of(self.replica, self.standby) }
  local options = options_of(self.urls.primary, self.urls.replica, o.script)
  if o.restarts then options.binary, options.env = keeper, { RTCACHED_KEPT = Server.binary } end
  if o.lives then
    options.options.state, options.options.snapshot_every = "state", "100ms"
    options.env.RTCACHED_PID = process.temporary_folder() .. "/pid"
    self.pid_file = options.env.RTCACHED_PID
  end
  if o.log then options.backends.main.feed_log = LOG end
  if o.change then o.change(options) end
  self.server = Server.start(options)
  await_feed(self.server)
  return self
end

--- Runs the workload; the history goes to a file.
---@param o? {seed: integer?, keys: integer?, every: integer?} @every: operations between two troubles
---@return boolean ok
---@return string output
function Setup:run(operations, path, o)
  o = o or {}
  local function url(name) return self.urls[name] .. "&application_name=workload" end
  local command = {
    "build/history_workload", "--socket", self.server.socket_path, "--primary", url "primary",
    "--replica", url "replica", "--postmaster", tostring(self.cluster.process.pid),
    "--script", self.server.folder .. "/scripts/row.lua", "--out", path, "--operations", tostring(operations),
    "--seed", tostring(o.seed or 1), "--keys", tostring(o.keys or 3000),
    "--every", tostring(o.every or math.max(1000, math.min(5000, math.floor(operations / 60)))),
  }
  local function add(...)
    for _, word in ipairs { ... } do command[#command + 1] = word end
  end
  if self.restarts then add "--restarts" end
  if self.pid_file then add("--lives", self.pid_file) end
  if self.log then add("--log", LOG) end
  if self.standby then
    add("--standby", "postgresql://postgres@/postgres?host=" .. self.standby.folder,
      "--standby-postmaster", tostring(self.standby.process.pid))
  end
  local status, text = process.run(command, { timeout = 3600 })
  return status == 0, text
end

function Setup:stats() return assert(self.server:connect():stats()) end

function Setup:loaders() return assert(self.server:connect():loaders()) end

function Setup:stop()
  -- a workload that failed may leave one stopped
  process.signal(self.cluster.process.pid, "CONT")
  if self.standby then process.signal(self.standby.process.pid, "CONT") end
  self.primary:close()
  self.replica:close()
  self.server:stop()
  if self.pid_file then files.remove((self.pid_file:gsub("/pid$", ""))) end
  if self.standby then self.standby:stop() end
end

Setup.script = assert(files.read "tests/history/scripts/row.lua")

return Setup
