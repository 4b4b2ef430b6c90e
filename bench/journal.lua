-- ./dev bench journal [--threads N] [--seconds 1] [--folder DIR] [--save]: what a change costs in the journal,
-- alone and in batches of 64, without and with sync, by 1, 2, 4... threads. The folder lies on the disk that counts
-- for sync: below the temporary ones by default.

local files = require "spec.support.files"
local process = require "spec.support.process"
local report = require "report"

local f = io.popen "nproc"
local options = report.options(arg, { threads = f:read "*n", seconds = 1, folder = "" })
f:close()

local function row(line)
  local n = {}
  for name, number in line:gmatch "([%w_]+)=([%d%.]+)" do n[name] = tonumber(number) end
  return { n.sync == 1 and "sync" or "on", tostring(n.batch), tostring(n.threads), report.whole(n.rate),
    ("%.0f"):format(n.cpu_ns), ("%.0f"):format(n.wall_ns) }
end

local folder = options.folder ~= "" and options.folder or process.temporary_folder()
local status, out = process.run({ "build/bench_journal", folder .. "/state", tostring(options.threads),
  tostring(options.seconds) }, { timeout = 3600 })
files.remove(folder .. "/state")
if options.folder == "" then files.remove(folder) end
if status ~= 0 then
  io.stderr:write("bench: ", out)
  os.exit(1)
end
local rows = {}
for line in out:gmatch "[^\n]+" do
  if line:find "^sync=" then rows[#rows + 1] = row(line) end
end
local text = ("## Changes in the journal\n\nRecords of a key of 16 bytes with a version, as many as one turn has "
  .. "changed in one write. Times are those of one record in\none thread; with `sync` each write waits for the "
  .. "disk, and threads that wait together are done together. %s.\n\n"):format(report.machine())
  .. report.table({ "journal", "records a write", "threads", "records/s", "CPU ns a record", "wall ns a record" }, rows)
io.write(text)
if options.save then report.save("journal", text) end
