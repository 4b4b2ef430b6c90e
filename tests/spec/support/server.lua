--- The server under test: a folder of its own, one process, clients.
--
--   local server = Server.start { scripts = { ["user.lua"] = "return { ... }" },
--     loaders = { { pattern = "user:*", script = "user.lua", ttl = "60s" } } }
--   local cache = server:connect()
--   server:stop()    -- SIGTERM; asserts exit code 0 and a log without a sanitizer's report

local lfs = require "lfs"
local client = require "rtcache.client"
local conf = require "spec.support.conf"
local files = require "spec.support.files"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

---@class support.Server
---@field folder string
---@field port integer
local Server = {}
Server.__index = Server

local function absolute(path)
  return path:sub(1, 1) == "/" and path or lfs.currentdir() .. "/" .. path
end

Server.binary = absolute(os.getenv "RTCACHED" or "build/rtcached")
Server.tool = absolute(os.getenv "RTCACHE" or "build/rtcache")

--- Whether it was built with a sanitizer, whose memory is no measure of the server's.
function Server.is_sanitized()
  local program = files.read(Server.binary) or ""
  return program:find("__asan_init", 1, true) ~= nil or program:find("__tsan_init", 1, true) ~= nil
end

local REPORTS = {
  "ERROR: AddressSanitizer", "ERROR: LeakSanitizer", "WARNING: ThreadSanitizer", "runtime error:",
}

---@class support.ServerOptions
---@field options? table @further options of rtcache.conf
---@field backends? table
---@field loaders? table[] @without jitter unless they say so
---@field scripts? table<string, string>
---@field files? table<string, string> @further files in the folder
---@field env? table<string, string> @of the process
---@field handed? integer[] @descriptors of sockets that listen already
---@field tls? table @the group of that name, and an address that speaks it
---@field descriptors? integer @RLIMIT_NOFILE
---@field binary? string @another than the one of the run

-- The text of rtcache.conf for a folder.
local function conf_text(folder, o)
  local options = {
    listen = { "127.0.0.1:0", "unix:" .. folder .. "/rtcache.sock" },
    memory = "256mb",
    shards = 8,
    watch = false,
    scripts = "scripts",
  }
  if o.tls then options.listen[3], options.tls = "tls:127.0.0.1:0", o.tls end
  for name, v in pairs(o.options or {}) do options[name] = v end
  options.backends = o.backends
  local loaders = {}
  for i, l in ipairs(o.loaders or {}) do
    loaders[i] = { jitter = 0 }
    for name, v in pairs(l) do loaders[i][name] = v end
  end
  if #loaders > 0 then options.loaders = loaders end
  -- Results must be the same with more threads of each kind; bounds per loader thread would not.
  local threads = tonumber(os.getenv "SPEC_THREADS")
  if threads then
    options.io_threads = options.io_threads or threads
    options.loader_threads = options.loader_threads or threads
  end
  return conf.text(options)
end

--- A folder with rtcache.conf and all it names; nothing is started.
---@param o support.ServerOptions
---@return support.Server
function Server.prepare(o)
  local folder = process.temporary_folder()
  local self = setmetatable({ folder = folder, options = o, clients = {} }, Server)
  self.conf = folder .. "/rtcache.conf"
  self.log_path = folder .. "/server.log"
  self.socket_path = folder .. "/rtcache.sock"
  files.make_folder(folder .. "/scripts")
  for name, text in pairs(o.scripts or {}) do files.write(folder .. "/scripts/" .. name, text) end
  for name, text in pairs(o.files or {}) do files.write(folder .. "/" .. name, text) end
  self:write_conf(o)
  return self
end

---@param o support.ServerOptions @all of them again
function Server:write_conf(o)
  self.options = o
  files.replace(self.conf, conf_text(self.folder, o))
end

function Server:write_script(name, text) files.replace(self.folder .. "/scripts/" .. name, text) end

--- The command line that serves this folder.
function Server:command(...) return { self.options.binary or Server.binary, "-c", self.conf, ... } end

--- Starts the process and waits until it says that it is ready.
function Server:launch()
  local env = { UBSAN_OPTIONS = "print_stacktrace=1", ASAN_OPTIONS = "detect_leaks=1" }
  for name, v in pairs(self.options.env or {}) do env[name] = v end
  self.process = process.spawn(self:command(), {
    stderr = self.log_path,
    descriptors = self.options.descriptors,
    handed = self.options.handed,
    env = env,
  })
  self.addresses = {}
  while true do
    local line = self.process:line(wait.PATIENCE)
    if not line then
      local status = self.process:wait(0)
      self.process:finish()
      if status == 127 then error("cannot run " .. self:command()[1], 2) end
      local state = status and "exit code " .. status or "it still runs"
      error(("the server did not become ready (%s); its log:\n%s"):format(state, self:log()), 2)
    end
    if line == "ready" then break end
    local address = line:match "^listening on (.+)$"
    self.addresses[#self.addresses + 1] = address or line
    self.tls_port = self.tls_port or tonumber((address or ""):match "^tls:127%.0%.0%.1:(%d+)$")
    self.port = self.port or tonumber((address or ""):match "^127%.0%.0%.1:(%d+)$")
  end
  self.pid = self.process.pid
  return self
end

---@param o support.ServerOptions
---@return support.Server
function Server.start(o)
  local self = Server.prepare(o)
  local ok, err = pcall(self.launch, self)
  if not ok then
    files.remove(self.folder)
    error(err, 2)
  end
  return self
end

--- A new connection; over the Unix socket unless options.tcp or options.tls.
---@param options? rtcache.ConnectOptions
---@return rtcache.Client
function Server:connect(options)
  options = options or {}
  local how = {}
  for name, v in pairs(options) do how[name] = v end
  if options.tls then
    how.port = self.tls_port
  elseif options.tcp then
    how.port = self.port
  else
    how.path = self.socket_path
  end
  how.timeout = how.timeout or wait.PATIENCE
  local c = assert(client.connect(how))
  self.clients[#self.clients + 1] = c
  return c
end

--- What it has written to its log so far.
function Server:log() return files.read(self.log_path) or "" end

--- Waits for a line of the log that matches.
function Server:wait_log(pattern)
  return wait.until_true("a line of the log like " .. pattern, function()
    return self:log():match(pattern)
  end)
end

function Server:signal(name) self.process:signal(name) end

--- What `loaders` says about the loader with this pattern.
function Server:loader(pattern)
  self.observer = self.observer or self:connect()
  for _, l in ipairs(assert(self.observer:loaders())) do
    if l.pattern == pattern then return l end
  end
  error("no loader " .. pattern, 2)
end

--- Waits until a field of a loader has a value; the loader's thread counts on its own time.
function Server:await_loader(pattern, field, expected)
  wait.until_true(("%s of %s is %s"):format(field, pattern, tostring(expected)), function()
    return self:loader(pattern)[field] == expected
  end)
end

function Server:close_clients()
  for _, c in ipairs(self.clients) do c:close() end
  self.clients, self.observer = {}, nil
end

local function check_log(self)
  local log = self:log()
  for _, report in ipairs(REPORTS) do
    if log:find(report, 1, true) then error("the server's log has a report:\n" .. log, 3) end
  end
end

function Server:kill()
  self.process:signal "KILL"
  self.process:wait(wait.PATIENCE)
  self.process:finish()
end

--- Ends it as an operator would, and asserts that it ended well. A second call does nothing.
function Server:stop()
  if self.stopped then return end
  self.stopped = true
  self:close_clients()
  local status = self.process and self.process.status
  if self.process and not status then
    self:signal "TERM"
    status = self.process:wait(wait.PATIENCE)
    self.process:finish()
    if status ~= 0 then
      error(("the server ended with %s; its log:\n%s"):format(status, self:log()), 2)
    end
  end
  check_log(self)
  self:remove()
end

--- As `stop`, without waiting for what is under way: an operator who asks twice.
function Server:stop_at_once()
  self:close_clients()
  self:signal "TERM"
  self:wait_log "server%.draining"
  self:stop()
end

function Server:remove()
  if not os.getenv "SPEC_KEEP" then files.remove(self.folder) end
end

return Server
