-- What callgrind counted, by function.

local report = require "report"

local SHOWN = 15

local profile = {}

-- Instructions by function, and of the whole run, from a profile.
function profile.read(out)
  local f = io.popen("callgrind_annotate --auto=no --threshold=100 '" .. out .. "' 2>/dev/null")
  local by_function, total = {}, nil
  for line in f:lines() do
    local number, what = line:match "^%s*([%d,]+)%s*%b()%s+(.*)$"
    local n = number and tonumber((number:gsub(",", "")))
    if n and what:find "PROGRAM TOTALS" then
      total = n
    elseif n then
      what = what:gsub(" %[.*%]$", ""):gsub("^[^:]*/", "")
      by_function[what] = (by_function[what] or 0) + n
    end
  end
  f:close()
  return by_function, assert(total, "callgrind counted nothing")
end

-- A table of what one unit costs: the difference of two profiles that are so many units apart.
function profile.costliest(once, twice, units, unit)
  local list = {}
  for what, n in pairs(twice) do
    list[#list + 1] = { what, (n - (once[what] or 0)) / units }
  end
  table.sort(list, function(a, b) return a[2] > b[2] end)
  local rows = {}
  for i = 1, math.min(SHOWN, #list) do rows[i] = { list[i][1], ("%.0f"):format(list[i][2]) } end
  return report.table({ "where", "instructions per " .. unit }, rows)
end

return profile
