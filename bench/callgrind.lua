-- ./dev bench callgrind [--requests 20000] [--save]: instructions of the server per hit. Two runs, of N
-- and of 2N requests: their difference is N hits without start, filling and end.

local Server = require "spec.support.server"
local files = require "spec.support.files"
local peers = require "peers"
local report = require "report"

local DEPTHS = { 1, 16 }
local options = report.options(arg, { requests = 20000 })

-- Instructions of a whole run, and its profile.
local function count(depth, requests)
  local out = os.tmpname()
  local server = peers.start_rtcached({}, function(command)
    local full = { "valgrind", "--tool=callgrind", "--quiet", "--callgrind-out-file=" .. out }
    for _, word in ipairs(command) do full[#full + 1] = word end
    return full
  end)
  peers.load("rtcache", "127.0.0.1:" .. server.port, server.pid, {
    "--connections", 1, "--depth", depth, "--keys", 1000, "--fill", "--requests", requests,
  })
  server:stop()
  local total = tonumber(files.read(out):match "totals: (%d+)" or files.read(out):match "summary: (%d+)")
  return assert(total, "callgrind counted nothing"), out
end

local function profile(out)
  local f = io.popen("callgrind_annotate --auto=no '" .. out .. "' 2>/dev/null")
  local lines = {}
  for line in f:lines() do
    local instructions, percent, what = line:match "^%s*([%d,]+)%s*%((%s*[%d%.]+%%)%)%s+(.*)$"
    if instructions and #lines < 15 and not what:find "PROGRAM TOTALS" then
      lines[#lines + 1] = ("    %16s %s  %s"):format(instructions, percent,
        (what:gsub(" %[.*%]$", ""):gsub("^%S*/", "")))
    end
  end
  f:close()
  return table.concat(lines, "\n") .. "\n"
end

if not files.read(Server.binary) then error("no " .. Server.binary, 0) end
local rows, last = {}, nil
for _, depth in ipairs(DEPTHS) do
  local once, first = count(depth, options.requests)
  local twice, second = count(depth, 2 * options.requests)
  rows[#rows + 1] = { tostring(depth), ("%.0f"):format((twice - once) / options.requests) }
  os.remove(first)
  if last then os.remove(last) end
  last = second
end
local text = ("## Instructions per hit\n\nOf the whole server, in user space, one connection, difference of %s "
  .. "and %s hits under callgrind.\n\n"):format(report.whole(2 * options.requests),
  report.whole(options.requests))
  .. report.table({ "in flight", "instructions per hit" }, rows)
io.write(text, "\nwhere (start included):\n\n", profile(last))
os.remove(last)
if options.save then report.save("callgrind", text) end
