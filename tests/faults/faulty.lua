--- The other side of faulty.c: makes calls of a running server fail.
--
--   local server = Server.prepare { binary = faulty.binary, env = control:env(), ... }
--   control:fail_allocation(17)   -- the 17th from now
--   control:calm()

local ffi = require "ffi"
local Server = require "spec.support.server"
local files = require "spec.support.files"

ffi.cdef [[
struct faulty_control {
  volatile int64_t fail_at, more, seen, failed, thread_at, wall_shift_s, take_most, trouble_each, taken,
    disk_room, disk_holds, held;
};
void *mmap(void *at, size_t size, int protection, int flags, int fd, long offset);
int munmap(void *at, size_t size);
]]

local PROT_READ_WRITE, MAP_SHARED, O_RDWR = 3, 1, 2

local M = {}

M.binary = Server.binary:gsub("[^/]+$", "") .. "rtcached_faulty"

---@class faults.Control
---@field path string
---@field at ffi.cdata*
local Control = {}
Control.__index = Control

---@param folder string
---@return faults.Control
function M.control(folder)
  local path = folder .. "/faults.control"
  files.write(path, ("\0"):rep(ffi.sizeof "struct faulty_control"))
  local fd = ffi.C.open(path, O_RDWR)
  assert(fd >= 0, path)
  local at = ffi.C.mmap(nil, ffi.sizeof "struct faulty_control", PROT_READ_WRITE, MAP_SHARED, fd, 0)
  ffi.C.close(fd)
  return setmetatable({ path = path, at = ffi.cast("struct faulty_control *", at) }, Control)
end

--- The environment of a server that is to obey.
function Control:env() return { FAULTS_CONTROL = self.path } end

--- The nth allocation from now fails, and so many after it.
function Control:fail_allocation(nth, more)
  self.at.seen, self.at.failed, self.at.more = 0, 0, more or 0
  self.at.fail_at = nth
end

--- Counts allocations and lets none fail.
function Control:count_allocations() self:fail_allocation(2 ^ 60) end

--- Nothing fails any more; how many allocations were asked for, and how many failed.
function Control:calm()
  self.at.fail_at, self.at.thread_at = 0, 0
  return tonumber(self.at.seen), tonumber(self.at.failed)
end

--- The nth thread from now does not start.
function Control:fail_thread(nth) self.at.thread_at = nth end

function Control:shift_wall_clock(seconds) self.at.wall_shift_s = seconds end

--- Receiving and sending takes no more bytes at once than `most`, and each so many-th time none. 0: as it is.
function Control:take_little(most, trouble_each)
  self.at.taken, self.at.take_most, self.at.trouble_each = 0, most, trouble_each
end

--- How many times was received and sent since.
function Control:taken() return tonumber(self.at.taken) end

--- The disk has room for so many bytes more; nil: for all.
function Control:leave_room(bytes)
  self.at.disk_holds = 0
  self.at.disk_room = bytes and bytes + 1 or 0
end

--- After so many bytes, whoever reads or writes waits until there is room.
function Control:hold_disk(bytes)
  self.at.disk_holds, self.at.disk_room = 1, bytes + 1
end

--- Whether somebody waits.
function Control:holds() return self.at.held > 0 end

function Control:close()
  if self.at then ffi.C.munmap(ffi.cast("void *", self.at), ffi.sizeof "struct faulty_control") end
  self.at = nil
  os.remove(self.path)
end

return M
