-- ./dev bench cost [--requests 2000] [--save]: instructions of one load in bind/ and below, without a
-- database: the coroutine, the script, decode and pack. Runs of N and of 2N loads, as bench/callgrind.lua.

local profile = require "profile"
local report = require "report"

local BINARY = "build/bench_load_cost"
local KEYS = 100 -- of a load_many, as in load_cost.c
local options = report.options(arg, { requests = 2000 })

local function count(mode, loads)
  local out, directory = os.tmpname(), os.tmpname()
  os.remove(directory)
  assert(os.execute("mkdir '" .. directory .. "'") == 0)
  local ended = os.execute(("valgrind --tool=callgrind --quiet --callgrind-out-file='%s' %s %s %d '%s'"):format(
    out, BINARY, mode, loads, directory))
  os.execute("rm -r '" .. directory .. "'")
  assert(ended == 0, "load_cost failed")
  local by_function, total = profile.read(out)
  os.remove(out)
  return by_function, total
end

local rows, where = {}, {}
for _, mode in ipairs { "row", "packed_row", "load_many" } do
  local keys = mode == "load_many" and KEYS or 1
  local loads = math.ceil(options.requests / keys)
  local once, total_once = count(mode, loads)
  local twice, total_twice = count(mode, 2 * loads)
  rows[#rows + 1] = { mode, tostring(keys), ("%.0f"):format((total_twice - total_once) / loads / keys) }
  where[#where + 1] = ("\n%s:\n\n"):format(mode) .. profile.costliest(once, twice, loads * keys, "key")
end
local text = "## Instructions per load\n\n"
  .. "Of bind/ and below, with a database that answers at once; a row of five columns.\n\n"
  .. report.table({ "script", "keys of a load", "instructions per key" }, rows) .. table.concat(where)
io.write(text)
if options.save then report.save("cost", text) end
