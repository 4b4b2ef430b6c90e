-- ./dev history [OPERATIONS [SEED]]: a run against real databases, and what its history shows.

local Setup = require "history.setup"
local files = require "spec.support.files"
local postgres = require "spec.support.postgres"
local process = require "spec.support.process"

local operations, seed = tonumber(arg[1] or 200000), tonumber(arg[2] or 1)
if not operations or not seed then
  io.stderr:write "usage: run.lua [OPERATIONS [SEED]]\n"
  os.exit(2)
end

local function report(setup)
  local stats = setup:stats()
  local c, s = stats.counters, stats.store
  print(("queries: primary %d, replica %d"):format(stats.backends.main.queries, stats.backends.replica.queries))
  print(("evictions %d, loads %d, voided %d, below the floor %d, rejoined %d, floors dropped %s"):format(
    s.evictions, c.loads, c.loads_voided, c.loads_below, c.rejoined, tostring(stats.flights.floors_dropped)))
  local sums = { batch_keys = 0, loads_prefetch = 0, loads_early = 0 }
  for _, loader in ipairs(setup:loaders()) do
    for name, sum in pairs(sums) do sums[name] = sum + loader[name] end
  end
  print(("batches %d of %.1f keys, split %d; loaded ahead %d, early %d, wasted %d; renewed %d"):format(c.batches,
    sums.batch_keys / c.batches, c.batches_split, sums.loads_prefetch, sums.loads_early, c.refresh_wasted, s.renewals))
end

local cluster = postgres.start()
local folder = process.temporary_folder()
local path = os.getenv "HISTORY" or folder .. "/history.bin"
local ok, err = pcall(function()
  local setup = Setup.start { cluster = cluster, script = Setup.script, restarts = true, failover = true }
  local ran, text = setup:run(operations, path, { seed = seed })
  io.write(text)
  if not ran then error("the workload failed; the server's log ends:\n" .. setup.server:log():sub(-4000), 0) end
  report(setup)
  setup:stop()
end)
cluster:stop()
local status = 2
if ok then
  local text
  status, text = process.run({ "build/history_check", path }, { timeout = 600 })
  io.write(text)
else
  io.stderr:write("history: ", tostring(err), "\n")
end
files.remove(folder)
os.exit(status)
