--- Figures: medians, tables, and the file bench/RESULTS.md that keeps the last ones.

local files = require "spec.support.files"

local M = { path = "bench/RESULTS.md" }

---@param list number[]
function M.median(list)
  local sorted = { unpack(list) }
  table.sort(sorted)
  local middle = (#sorted + 1) / 2
  return (sorted[math.floor(middle)] + sorted[math.ceil(middle)]) / 2
end

--- The median of each figure over several runs.
---@param runs bench.Figures[]
---@return bench.Figures
function M.medians(runs)
  local result = {}
  for name in pairs(runs[1]) do
    local list = {}
    for i, run in ipairs(runs) do list[i] = run[name] end
    result[name] = M.median(list)
  end
  return result
end

--- 1234567.8 as "1,234,568".
function M.whole(n)
  local digits = ("%.0f"):format(n)
  local rest
  repeat
    digits, rest = digits:gsub("^(%d+)(%d%d%d)", "%1,%2")
  until rest == 0
  return digits
end

--- A Markdown table; the first column is text.
---@param head string[]
---@param rows string[][]
function M.table(head, rows)
  local lines = { "| " .. table.concat(head, " | ") .. " |", "| --- |" .. (" ---: |"):rep(#head - 1) }
  for _, row in ipairs(rows) do lines[#lines + 1] = "| " .. table.concat(row, " | ") .. " |" end
  return table.concat(lines, "\n") .. "\n"
end

local function command_output(command)
  local f = io.popen(command)
  local text = f:read "*a"
  f:close()
  return (text:gsub("%s+$", ""))
end

-- Before anything here adds to it.
local began_with = command_output "cut -d ' ' -f 1 /proc/loadavg"

--- What it ran on, when, and beside how much else.
function M.machine()
  local cpu = command_output "sed -n 's/^model name.*: //p' /proc/cpuinfo | head -1"
  return ("%s, %s cores, Linux %s, load average %s at the beginning, %s"):format(
    cpu ~= "" and cpu or "unknown processor", command_output "nproc",
    command_output("uname -r"):match "^%d+%.%d+", began_with, os.date "!%Y-%m-%d")
end

local HEAD = [[
# Benchmarks, the last figures

Written by `./dev bench WHAT --save`; `docs/development.md` says how they are taken. Ratios hold from
machine to machine, absolute figures do not.
]]

--- Puts a section's text into bench/RESULTS.md, in place of the one of that name.
---@param section string
---@param text string
function M.save(section, text)
  local all = files.read(M.path) or HEAD
  local first, last = "<!-- " .. section .. ":begin -->\n", "<!-- " .. section .. ":end -->\n"
  local from = all:find(first, 1, true)
  local before, after = all .. "\n", ""
  if from then
    before = all:sub(1, from - 1)
    after = all:sub(select(2, all:find(last, from, true)) + 1)
  end
  files.write(M.path, before .. first .. text .. last .. after)
end

--- The options of a bench from its command line: --save, --rounds N, --seconds N; a default that is a
--- string takes any word.
function M.options(arguments, defaults)
  local o = { save = false }
  for name, v in pairs(defaults) do o[name] = v end
  local i = 1
  while arguments[i] do
    local name = arguments[i]:match "^%-%-(%w+)$"
    if name == "save" then
      o.save = true
    elseif name and type(o[name]) == "number" and tonumber(arguments[i + 1]) then
      o[name] = tonumber(arguments[i + 1])
      i = i + 1
    elseif name and type(o[name]) == "string" and arguments[i + 1] then
      o[name] = arguments[i + 1]
      i = i + 1
    else
      io.stderr:write("bench: unknown option ", arguments[i], "\n")
      os.exit(2)
    end
    i = i + 1
  end
  return o
end

return M
