--- Processes: started, watched, signalled and waited for, through LuaJIT's ffi.
--
-- A child dies with the test run (PR_SET_PDEATHSIG). Its standard output is read line by line, its
-- standard error goes to a file. Waiting is by event: poll on the pipe, or on the process itself.

local ffi = require "ffi"
local socket = require "socket"

ffi.cdef [[
typedef int rt_pid;
struct rt_pollfd { int fd; short events, revents; };
int fork(void);
int execvp(const char *file, char *const argv[]);
void _exit(int status);
int dup2(int from, int to);
int fcntl(int fd, int command, ...);
int open(const char *path, int flags, ...);
int close(int fd);
int pipe2(int fds[2], int flags);
long read(int fd, void *buf, size_t n);
long write(int fd, const void *buf, size_t n);
int poll(struct rt_pollfd *fds, unsigned long n, int timeout_ms);
int waitpid(int pid, int *status, int options);
int kill(int pid, int sig);
int prctl(int option, unsigned long a, unsigned long b, unsigned long c, unsigned long d);
int setpgid(int pid, int pgid);
int setenv(const char *name, const char *value, int overwrite);
int chdir(const char *path);
int getuid(void);
int getpid(void);
char *strerror(int number);
char *mkdtemp(char *template);
struct rt_rlimit { unsigned long soft, hard; };
int setrlimit(int what, const struct rt_rlimit *limit);
long syscall(long number, ...);
]]
local C = ffi.C

local M = {}

local O_WRONLY, O_CREAT, O_APPEND, O_CLOEXEC = 1, 64, 1024, 524288
local POLLIN, WNOHANG = 1, 1
local PR_SET_PDEATHSIG = 1
local PIDFD_OPEN = 434
local RLIMIT_NOFILE = 7
local F_DUPFD = 0
local SIGNALS = { HUP = 1, INT = 2, QUIT = 3, KILL = 9, TERM = 15, CONT = 18, STOP = 19 }

M.is_root = C.getuid() == 0

---@class support.Process
---@field pid integer
---@field status? integer @exit code once it has ended; 128 + signal where it was killed
local Process = {}
Process.__index = Process

local function sys_error(what) error(what .. ": " .. ffi.string(C.strerror(ffi.errno())), 3) end

-- The descriptors become 3 and so on, as sd_listen_fds(3) has them, for this process.
local function hand_over(fds, env)
  local copies = {}
  for i, fd in ipairs(fds) do copies[i] = C.fcntl(fd, F_DUPFD, ffi.cast("int", 100)) end
  for i, fd in ipairs(copies) do
    C.dup2(fd, 2 + i)
    C.close(fd)
  end
  C.setenv("LISTEN_FDS", tostring(#fds), 1)
  C.setenv("LISTEN_PID", tostring(C.getpid()), 1)
  for name, value in pairs(env or {}) do C.setenv(name, value, 1) end
end

-- Runs in the child, between fork and exec.
local function become(argv, options, stdin, stdout)
  C.prctl(PR_SET_PDEATHSIG, options.death_signal or 9, 0, 0, 0)
  if stdin then C.dup2(stdin, 0) end
  C.dup2(stdout, 1)
  if options.stderr then
    local fd = C.open(options.stderr, O_WRONLY + O_CREAT + O_APPEND, ffi.cast("int", 420))
    if fd < 0 then C._exit(126) end
    C.dup2(fd, 2)
  else
    C.dup2(stdout, 2)
  end
  for name, value in pairs(options.env or {}) do C.setenv(name, value, 1) end
  if options.handed then hand_over(options.handed, options.env) end
  if options.cwd and C.chdir(options.cwd) ~= 0 then C._exit(126) end
  if options.descriptors then
    local limit = ffi.new("struct rt_rlimit", options.descriptors, options.descriptors)
    if C.setrlimit(RLIMIT_NOFILE, limit) ~= 0 then C._exit(126) end
  end
  C.execvp(argv[0], ffi.cast("char *const *", argv))
  C._exit(127)
end

---@class support.SpawnOptions
---@field stderr? string @file to append to; else it comes with standard output
---@field stdin? boolean @a pipe, for `write`
---@field env? table<string, string>
---@field handed? integer[] @descriptors of sockets that it is to listen on, as from a service manager
---@field cwd? string
---@field death_signal? integer @sent to the child when the test run dies; 9 by default
---@field descriptors? integer @RLIMIT_NOFILE

---@param command string[]
---@param options? support.SpawnOptions
---@return support.Process
function M.spawn(command, options)
  options = options or {}
  local argv = ffi.new("const char *[?]", #command + 1)
  for i, word in ipairs(command) do argv[i - 1] = word end
  local out, into = ffi.new "int[2]", ffi.new("int[2]", -1, -1)
  if C.pipe2(out, O_CLOEXEC) ~= 0 then sys_error "pipe" end
  if options.stdin and C.pipe2(into, O_CLOEXEC) ~= 0 then sys_error "pipe" end
  local pid = C.fork()
  if pid < 0 then sys_error "fork" end
  if pid == 0 then become(argv, options, options.stdin and into[0] or nil, out[1]) end
  C.close(out[1])
  if options.stdin then C.close(into[0]) end
  return setmetatable({
    pid = pid,
    pidfd = tonumber(C.syscall(PIDFD_OPEN, ffi.cast("int", pid), ffi.cast("int", 0))),
    out = out[0],
    into = options.stdin and into[1] or nil,
    text = "",
    name = command[1],
  }, Process)
end

local function readable(fd, timeout)
  local set = ffi.new "struct rt_pollfd[1]"
  set[0].fd, set[0].events = fd, POLLIN
  return C.poll(set, 1, math.max(0, math.ceil(timeout * 1000))) > 0
end

local chunk = ffi.new "char[65536]"

-- Appends what there is; false at the end of the output, nil where none came in time.
local function read_some(self, timeout)
  if not self.out then return false end
  if not readable(self.out, timeout) then return nil end
  local n = tonumber(C.read(self.out, chunk, 65536))
  if n <= 0 then
    C.close(self.out)
    self.out = nil
    return false
  end
  self.text = self.text .. ffi.string(chunk, n)
  return true
end

--- The next line of its output.
---@return string|nil line @nil at the end, or when none came within timeout seconds
function Process:line(timeout)
  local deadline = socket.gettime() + (timeout or 10)
  while true do
    local line, rest = self.text:match "^([^\n]*)\n(.*)$"
    if line then
      self.text = rest
      return line
    end
    local more = read_some(self, deadline - socket.gettime())
    if more == nil then return nil end
    if more == false then
      local last = self.text
      self.text = ""
      return last ~= "" and last or nil
    end
  end
end

--- All of its output, up to its end.
function Process:read_all(timeout)
  local deadline = socket.gettime() + (timeout or 30)
  repeat
    local more = read_some(self, deadline - socket.gettime())
    if more == nil then error(self.name .. " did not end its output in time", 2) end
  until not more
  local text = self.text
  self.text = ""
  return text
end

function Process:write(text)
  local at = 0
  while at < #text do
    local n = tonumber(C.write(self.into, ffi.cast("const char *", text) + at, #text - at))
    if n < 0 then sys_error "write" end
    at = at + n
  end
end

function Process:signal(name)
  if not self.status then C.kill(self.pid, SIGNALS[name]) end
end

---@return integer|nil status @nil where it still runs after timeout seconds
function Process:wait(timeout)
  if self.status then return self.status end
  if not readable(self.pidfd, timeout or 30) then return nil end
  local status = ffi.new "int[1]"
  if C.waitpid(self.pid, status, WNOHANG) ~= self.pid then return nil end
  local s = status[0]
  local killed_by = s % 128
  self.status = killed_by == 0 and math.floor(s / 256) % 256 or 128 + killed_by
  C.close(self.pidfd)
  return self.status
end

--- Kills it, if it still runs, and lets go of everything.
function Process:finish()
  if not self.status then
    self:signal "KILL"
    self:wait(30)
  end
  for _, name in ipairs { "out", "into" } do
    if self[name] then C.close(self[name]) end
    self[name] = nil
  end
end

--- Runs a command to its end.
---@return integer status
---@return string output @standard output, and standard error unless options.stderr names a file
function M.run(command, options)
  local p = M.spawn(command, options)
  if p.into then
    p:write(options.input or "")
    C.close(p.into)
    p.into = nil
  end
  local text = p:read_all(options and options.timeout)
  local status = p:wait(30)
  p:finish()
  return status, text
end

--- Sends a signal to any process, by number of process.
function M.signal(pid, name) return C.kill(pid, SIGNALS[name]) == 0 end

---@return integer[] pids @of the direct children of pid
function M.children(pid)
  local list = {}
  for line in io.popen("cat /proc/[0-9]*/stat 2>/dev/null"):lines() do
    local child, parent = line:match "^(%d+) %(.*%) %a (%d+)"
    if tonumber(parent) == pid then list[#list + 1] = tonumber(child) end
  end
  return list
end

--- Bytes of memory that are resident.
function M.resident(pid)
  local f = assert(io.open("/proc/" .. pid .. "/status"))
  local text = f:read "*a"
  f:close()
  return tonumber(text:match "VmRSS:%s*(%d+) kB") * 1024
end

---@return integer
function M.descriptors(pid)
  local count = 0
  for _ in require("lfs").dir("/proc/" .. pid .. "/fd") do count = count + 1 end
  return count - 2
end

--- A new empty folder.
function M.temporary_folder()
  local base = (os.getenv "TMPDIR" or "/tmp") .. "/rtcache-spec-XXXXXX"
  local name = ffi.new("char[?]", #base + 1, base)
  if C.mkdtemp(name) == nil then sys_error "mkdtemp" end
  return ffi.string(name)
end

function M.own_pid() return C.getpid() end

return M
