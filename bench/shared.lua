-- ./dev bench shared [--threads N] [--shards 16] [--seconds 1] [--save]: hits of the store alone by 1, 2, 4...
-- threads, without network. Threads: as many as there are cores, by default.

local process = require "spec.support.process"
local report = require "report"

local f = io.popen "nproc"
local options = report.options(arg, { threads = f:read "*n", shards = 16, seconds = 1 })
f:close()

local NAMES = { ["10000 0"] = "10,000 keys", ["1000000 0"] = "a million", ["1000000 1"] = "a million, by Zipf's law",
  ["1 0"] = "one key" }

local function row(line)
  local n = {}
  for name, number in line:gmatch "([%w_]+)=([%d%.]+)" do n[name] = tonumber(number) end
  return { NAMES[("%d %d"):format(n.keys, n.zipf)], tostring(n.threads), report.whole(n.rate),
    ("%.0f"):format(n.cpu_ns), ("%.0f"):format(n.wall_ns) }
end

local status, out = process.run({ "build/bench_shared", tostring(options.threads), tostring(options.shards),
  tostring(options.seconds) }, { timeout = 3600 })
if status ~= 0 then
  io.stderr:write("bench: ", out)
  os.exit(1)
end
local rows = {}
for line in out:gmatch "[^\n]+" do rows[#rows + 1] = row(line) end
local text = ("## Hits of the store alone\n\nBy several threads, from %d shards, values of 100 bytes, without network: "
  .. "what is left to wait for is memory, locks\nand lines that threads write in turn. The CPU time of a hit in one "
  .. "thread counts; the wall time too, where each thread has\na core of its own. %s.\n\n")
  :format(options.shards, report.machine())
  .. report.table({ "keys", "threads", "hits/s", "CPU ns a hit", "wall ns a hit" }, rows)
io.write(text)
if options.save then report.save("shared", text) end
