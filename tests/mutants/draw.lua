--- Which mutants a seed draws: the same from the same sources, however many workers there are.
---
--- Each number from 1 to N has a kind, in turn, and candidates of its own of that kind, in the order
--- they are drawn in: the first that is valid is the mutant of the number.

local operators = require "mutants.operators"
local work = require "mutants.work"

local M = {}

-- Numbers below 2^53 by multiplication and remainder alone: the same on every machine.
local function generator(seed)
  local state = (seed * 7919 + 104729) % 2147483647
  if state == 0 then state = 1 end
  return function(most)
    state = state * 48271 % 2147483647
    return state % most + 1
  end
end

local function shuffle(list, random)
  for i = #list, 2, -1 do
    local k = random(i)
    list[i], list[k] = list[k], list[i]
  end
end

--- The sources below the paths, which are folders or files of core.
function M.sources(paths)
  local list = {}
  for _, file in ipairs(work.lines "find core -type f | LC_ALL=C sort") do
    local wanted = #paths == 0
    for _, path in ipairs(paths) do
      path = path:gsub("/+$", "")
      wanted = wanted or file == path or file:sub(1, #path + 1) == path .. "/"
    end
    if wanted and file:find "%.[ch]$" and work.is_there(file) then list[#list + 1] = file end
  end
  return list
end

--- Where a word stands in core's functions: { file, line } of each line.
---@param word string  letters, digits and underscores
function M.places(word)
  local list = {}
  for _, line in ipairs(work.lines(("grep -rnw --include='*.c' '%s' core | LC_ALL=C sort"):format(word))) do
    local file, number = line:match "^([^:]+):(%d+):"
    list[#list + 1] = { file = file, line = tonumber(number) }
  end
  return list
end

--- All mutants of the sources by kind, as the seed shuffles them.
---@return table<string, table[]>
function M.shuffled(sources, seed)
  local by_kind, random = {}, generator(seed)
  for _, kind in ipairs(operators.KINDS) do by_kind[kind] = {} end
  for _, file in ipairs(sources) do
    for _, m in ipairs(operators.of(file, work.read(file))) do
      local list = by_kind[m.kind]
      list[#list + 1] = m
    end
  end
  for _, kind in ipairs(operators.KINDS) do shuffle(by_kind[kind], random) end
  return by_kind
end

--- The candidates of a number, one after the other; nil behind the last.
function M.candidates(by_kind, number, count)
  local kinds = operators.KINDS
  local list = by_kind[kinds[(number - 1) % #kinds + 1]]
  local step = math.ceil(count / #kinds)
  local at = math.ceil(number / #kinds) - step
  return function()
    at = at + step
    return list[at]
  end
end

return M
