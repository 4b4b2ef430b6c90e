-- ./dev history restarts [OPERATIONS [SEED]]: runs against a server that keeps its state and is stopped and killed
-- at any moment, half of the operations with a feed that listens and half with one that reads a log.

local Setup = require "history.setup"
local files = require "spec.support.files"
local postgres = require "spec.support.postgres"
local process = require "spec.support.process"

local operations, seed = tonumber(arg[1] or 200000), tonumber(arg[2] or 1)
if not operations or not seed then
  io.stderr:write "usage: restarts.lua [OPERATIONS [SEED]]\n"
  os.exit(2)
end

local EVERY = 700 -- operations between the beginning of a life and its end

local folder = process.temporary_folder()

---@return integer status @of history_check
local function run(cluster, log)
  local path = os.getenv "HISTORY" or folder .. "/history.bin"
  local setup = Setup.start { cluster = cluster, script = Setup.script, restarts = true, lives = true, log = log }
  local ran, text = setup:run(math.ceil(operations / 2), path, { seed = seed, keys = 400, every = EVERY })
  print(("seed %d, a feed that %s"):format(seed, log and "reads a log" or "listens"))
  io.write(text)
  if not ran then error("the workload failed; the server's log ends:\n" .. setup.server:log():sub(-4000), 0) end
  local broken = select(2, setup.server:log():gsub("journal%.broken", ""))
  if broken > 0 then print(("the journal broke %d times"):format(broken)) end
  setup:stop()
  local status, verdict = process.run({ "build/history_check", path }, { timeout = 600 })
  io.write(verdict)
  return status
end

local cluster = postgres.start()
local worst = 0
local ok, err = pcall(function()
  for _, log in ipairs { false, true } do worst = math.max(worst, run(cluster, log)) end
end)
cluster:stop()
if not ok then io.stderr:write("history: ", tostring(err), "\n") end
files.remove(folder)
os.exit(ok and worst or 2)
