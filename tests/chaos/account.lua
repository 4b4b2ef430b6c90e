--- What was done, by kind, and what was found.

local M = { counts = {}, codes = {} }

function M.count(name, n) M.counts[name] = (M.counts[name] or 0) + (n or 1) end

--- An error that was answered, by its code.
function M.code(name) M.codes[name] = (M.codes[name] or 0) + 1 end

local FINDING = "finding: "

--- Ends the run: what was seen is wrong.
function M.finding(format, ...) error(FINDING .. format:format(...), 0) end

local log

--- Where each step is told, so that it can be found again.
function M.open(path) log = assert(io.open(path, "w")) end

function M.note(format, ...)
  log:write(os.date "!%H:%M:%S ", format:format(...), "\n")
  log:flush()
end

local function list(counts)
  local names = {}
  for name in pairs(counts) do names[#names + 1] = name end
  table.sort(names)
  for i, name in ipairs(names) do names[i] = ("%s %d"):format(name, counts[name]) end
  return table.concat(names, ", ")
end

--- Lines of what was done, and of what others have counted, by the words before the dot.
function M.lines(others)
  local groups, names = {}, {}
  for _, counts in ipairs { M.counts, others } do
    for name, n in pairs(counts) do
      local group, rest = name:match "^([^.]*)%.(.*)$"
      if not groups[group] then names[#names + 1] = group end
      groups[group] = groups[group] or {}
      groups[group][rest] = n
    end
  end
  table.sort(names)
  for i, name in ipairs(names) do names[i] = ("%s: %s"):format(name, list(groups[name])) end
  names[#names + 1] = "errors answered: " .. list(M.codes)
  return names
end

--- Those of the names that did not happen here nor with others.
function M.missing(names, others)
  local missing = {}
  for _, name in ipairs(names) do
    if (M.counts[name] or others[name] or 0) == 0 then missing[#missing + 1] = name end
  end
  return missing
end

return M
