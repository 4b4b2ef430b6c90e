--- Coroutines that wait for sockets and for time, in one thread.
--
--   loop.spawn(function() loop.sleep(1) ... loop.readable(sock, 5) ... end)
--   loop.run(function() return done end)

local socket = require "socket"

local M = {}

local tasks = {} -- of coroutines: what each waits for
local count = 0

local function wait(what)
  what.deadline = what.deadline or math.huge
  return coroutine.yield(what)
end

local function after(seconds) return seconds and socket.gettime() + seconds end

--- Waits until there is something to read; false: not in time.
function M.readable(sock, seconds) return wait { read = sock, deadline = after(seconds) } end

function M.writable(sock, seconds) return wait { write = sock, deadline = after(seconds) } end

function M.sleep(seconds) wait { deadline = after(seconds) } end

--- Polls for a condition.
---@return any @false: not in time
function M.await(condition, seconds)
  local deadline = socket.gettime() + seconds
  while true do
    local result = condition()
    if result then return result end
    if socket.gettime() > deadline then return false end
    M.sleep(0.02)
  end
end

local function resume(task, answer)
  local ok, what = coroutine.resume(task, answer)
  if not ok then error(debug.traceback(task, tostring(what)), 0) end
  if coroutine.status(task) == "dead" then
    tasks[task] = nil
    count = count - 1
  else
    tasks[task] = what
  end
end

function M.spawn(f)
  local task = coroutine.create(f)
  count = count + 1
  resume(task)
  return task
end

--- How many have not ended.
function M.count() return count end

-- Those that wait, by their sockets: two of them may share one, to read and to write.
local function waiting_now()
  local reads, writes = { by = {} }, { by = {} }
  local first = socket.gettime() + 0.1
  for task, what in pairs(tasks) do
    local list = what.read and reads or what.write and writes
    if list then
      local sock = what.read or what.write
      list[#list + 1] = sock
      list.by[sock] = task
    end
    if what.deadline < first then first = what.deadline end
  end
  return reads, writes, first
end

local function turn()
  local reads, writes, first = waiting_now()
  local pause = math.max(0, first - socket.gettime())
  local ready = { {}, {} }
  if #reads + #writes > 0 then
    ready[1], ready[2] = socket.select(reads, writes, pause)
  elseif pause > 0 then
    socket.sleep(pause)
  end
  local due, taken = {}, {}
  local function take(task, answer)
    if task and not taken[task] then
      taken[task] = true
      due[#due + 1] = { task, answer }
    end
  end
  for _, sock in ipairs(ready[1]) do take(reads.by[sock], true) end
  for _, sock in ipairs(ready[2]) do take(writes.by[sock], true) end
  local now = socket.gettime()
  for task, what in pairs(tasks) do
    if what.deadline <= now then take(task, false) end
  end
  for _, item in ipairs(due) do
    if tasks[item[1]] then resume(item[1], item[2]) end
  end
end

--- Runs until done() is true; an error of a coroutine is raised here.
function M.run(done)
  while not done() do turn() end
end

return M
