--- The servers that are measured, each with one thread for requests, in memory only, on a TCP port of
--- its own. They end with this program, however it ends.

local socket = require "socket"

local Server = require "spec.support.server"
local files = require "spec.support.files"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

local M = {}

---@class bench.Peer
---@field name string @also the protocol's
---@field version string
---@field settings string
---@field pid integer
---@field address string
---@field stop fun(self)

local function cores()
  local f = io.popen "nproc"
  local n = tonumber(f:read "*l")
  f:close()
  return n
end

--- A command line on a core of its own: 0 for the load generator, 1 for the server.
---@param core integer
---@param command string[]
function M.pinned(core, command)
  if cores() < 2 then return command end
  local full = { "taskset", "-c", tostring(core) }
  for _, word in ipairs(command) do full[#full + 1] = word end
  return full
end

local function free_port()
  local s = assert(socket.bind("127.0.0.1", 0))
  local _, port = s:getsockname()
  s:close()
  return tonumber(port)
end

local function first_version(command)
  local _, text = process.run(command)
  return text:match "%d+%.%d+[%w%.%-]*" or "unknown"
end

local function await_port(name, port)
  wait.until_true(name .. " takes connections", function()
    local s = socket.connect("127.0.0.1", port)
    if s then s:close() end
    return s
  end)
end

-- command: a function of port and folder.
local function start_peer(name, version_command, settings, command)
  local folder, port = process.temporary_folder(), free_port()
  local p = process.spawn(M.pinned(1, command(port, folder)), { stderr = folder .. "/log" })
  await_port(name, port)
  return {
    name = name,
    version = first_version(version_command),
    settings = settings,
    pid = p.pid,
    address = "127.0.0.1:" .. port,
    stop = function()
      p:finish()
      files.remove(folder)
    end,
  }
end

function M.redis()
  return start_peer("redis", { "redis-server", "--version" }, "no save, no append-only file",
    function(port, folder)
      return { "redis-server", "--port", tostring(port), "--bind", "127.0.0.1", "--dir", folder,
        "--save", "", "--appendonly", "no", "--loglevel", "warning" }
    end)
end

---@param megabytes? integer @256 by default
function M.memcached(megabytes)
  local memory = tostring(megabytes or 256)
  return start_peer("memcached", { "memcached", "-V" },
    ("-t 1 -m %s, text protocol, one get a line"):format(memory),
    function(port)
      local command = { "memcached", "-l", "127.0.0.1", "-p", tostring(port), "-U", "0", "-t", "1",
        "-m", memory }
      if process.is_root then
        command[#command + 1] = "-u"
        command[#command + 1] = "nobody"
      end
      return command
    end)
end

function M.tarantool()
  return start_peer("tarantool", { "tarantool", "--version" },
    "memtx hash index, wal_mode none, SELECT by iproto", function(port, folder)
      return { "tarantool", "bench/tarantool.lua", folder, tostring(port) }
    end)
end

--- rtcached for benchmarks: started with spec's support, under `wrap` (pinned to core 1 by default).
---@param options support.ServerOptions
---@param wrap? fun(command: string[]): string[]
---@return support.Server
function M.start_rtcached(options, wrap)
  options.options = options.options or {}
  options.options.io_threads = options.options.io_threads or 1
  options.options.loader_threads = options.options.loader_threads or 1
  options.scripts = options.scripts or {}
  options.scripts["bench.lua"] = "return { load = function(key) return nil end }"
  options.loaders = options.loaders or {}
  table.insert(options.loaders, { pattern = "bench:*", script = "bench.lua", ttl = "1h" })
  local server = Server.prepare(options)
  local command = server.command
  function server:command(...)
    return (wrap or function(c) return M.pinned(1, c) end)(command(self, ...))
  end
  return server:launch()
end

---@param more? table<string, any> @options of its configuration
function M.rtcache(more)
  local server = M.start_rtcached { options = more }
  return {
    name = "rtcache",
    version = first_version { Server.binary, "--version" },
    settings = "io_threads 1, loader_threads 1, MessagePack-RPC",
    pid = server.pid,
    address = "127.0.0.1:" .. server.port,
    stop = function() server:stop() end,
  }
end

---@class bench.Figures @rate per second, the rest in microseconds
---@field rate number
---@field p50_us number
---@field p99_us number
---@field p999_us number
---@field server_cpu_us number

--- Starts the load generator against a server; what it returns waits for its end.
---@param address string
---@param pid integer
---@param arguments string[]
---@return fun(): bench.Figures
function M.start_load(protocol, address, pid, arguments)
  local command = { "build/bench_load", "--protocol", protocol, "--connect", address, "--pid",
    tostring(pid) }
  for _, word in ipairs(arguments) do command[#command + 1] = tostring(word) end
  local p = process.spawn(M.pinned(0, command))
  return function()
    local text = p:read_all(3600)
    local status = p:wait(30)
    p:finish()
    if status ~= 0 then error("the load generator failed against " .. protocol .. ": " .. text, 0) end
    local figures = {}
    for name, number in text:gmatch "([%w_]+)=([%d%.]+)" do figures[name] = tonumber(number) end
    return figures
  end
end

--- Runs the load generator against a server, to its end.
---@return bench.Figures
function M.load(...) return M.start_load(...)() end

return M
