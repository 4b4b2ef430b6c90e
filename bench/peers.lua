--- The servers that are measured, each with one thread for requests, in memory only, on a TCP port of
--- its own. They end with this program, however it ends.

local socket = require "socket"

local Server = require "spec.support.server"
local files = require "spec.support.files"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

local M = {}

---@class bench.Peer
---@field name string
---@field protocol string
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

local function pinned_to_second(command) return M.pinned(1, command) end

-- command: a function of port and folder; wrap: pinned to core 1 by default.
local function start_peer(name, version_command, settings, wrap, command)
  local folder, port = process.temporary_folder(), free_port()
  local p = process.spawn((wrap or pinned_to_second)(command(port, folder)), { stderr = folder .. "/log" })
  await_port(name, port)
  return {
    name = name,
    protocol = name,
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

---@class bench.PeerOptions
---@field threads? integer @for requests; 1 by default
---@field wrap? fun(command: string[]): string[]
---@field megabytes? integer @of memcached

---@param o? bench.PeerOptions
function M.redis(o)
  o = o or {}
  local threads = o.threads or 1
  return start_peer("redis", { "redis-server", "--version" }, "no save, no append-only file"
    .. (threads > 1 and (", io-threads %d, io-threads-do-reads"):format(threads) or ""), o.wrap,
    function(port, folder)
      return { "redis-server", "--port", tostring(port), "--bind", "127.0.0.1", "--dir", folder,
        "--save", "", "--appendonly", "no", "--loglevel", "warning", "--io-threads", tostring(threads),
        "--io-threads-do-reads", threads > 1 and "yes" or "no" }
    end)
end

---@param o? bench.PeerOptions
function M.memcached(o)
  o = o or {}
  local memory, threads = tostring(o.megabytes or 1024), tostring(o.threads or 1)
  return start_peer("memcached", { "memcached", "-V" },
    ("-t %s -m %s, text protocol"):format(threads, memory), o.wrap,
    function(port)
      local command = { "memcached", "-l", "127.0.0.1", "-p", tostring(port), "-U", "0", "-t", threads,
        "-m", memory }
      if process.is_root then
        command[#command + 1] = "-u"
        command[#command + 1] = "nobody"
      end
      return command
    end)
end

---@param o? bench.PeerOptions
function M.tarantool(o)
  return start_peer("tarantool", { "tarantool", "--version" },
    "memtx hash index, wal_mode none; iproto SELECT and REPLACE, CALL of a Lua function for many", o and o.wrap,
    function(port, folder) return { "tarantool", "bench/tarantool.lua", folder, tostring(port) } end)
end

--- Not among the packages: where somebody has built it.
---@param path string @of its binary
---@param o? bench.PeerOptions
function M.pogocache(path, o)
  o = o or {}
  local threads = tostring(o.threads or 1)
  local peer = start_peer("pogocache", { path, "--version" }, ("--threads %s, redis' protocol"):format(threads), o.wrap,
    function(port) return { path, "-h", "127.0.0.1", "-p", tostring(port), "--threads", threads } end)
  peer.protocol = "redis"
  return peer
end

--- bench/echo.c: the same bytes, and nothing done for them. It speaks rtcache's protocol.
---@param is_set boolean
---@param key_bytes integer
---@param value_bytes integer
---@param many integer
function M.echo(is_set, key_bytes, value_bytes, many)
  local peer = start_peer("epoll echo", { "true" }, "bench/echo.c: as many bytes each way, no cache", nil,
    function(port)
      return { "build/bench_echo", is_set and "set" or "get", tostring(port), tostring(key_bytes),
        tostring(value_bytes), tostring(many) }
    end)
  peer.version, peer.protocol = "", "rtcache"
  return peer
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
    return (wrap or pinned_to_second)(command(self, ...))
  end
  return server:launch()
end

---@param more? table<string, any> @options of its configuration
---@param wrap? fun(command: string[]): string[]
function M.rtcache(more, wrap)
  local threads = more and more.io_threads or 1
  local server = M.start_rtcached({ options = more }, wrap)
  return {
    name = "rtcache",
    protocol = "rtcache",
    version = first_version { Server.binary, "--version" },
    settings = ("io_threads %d, loader_threads 1, MessagePack-RPC"):format(threads),
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
---@field load_cpu number @of the generator, as a share of the time

--- Starts the load generator against a server; what it returns waits for its end.
---@param address string
---@param pid integer
---@param arguments string[]
---@param anywhere? boolean @else on core 0
---@return fun(): bench.Figures
function M.start_load(protocol, address, pid, arguments, anywhere)
  local command = { "build/bench_load", "--protocol", protocol, "--connect", address, "--pid",
    tostring(pid) }
  for _, word in ipairs(arguments) do command[#command + 1] = tostring(word) end
  local p = process.spawn(anywhere and command or M.pinned(0, command))
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
