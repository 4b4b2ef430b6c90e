--- Which tests plausibly see a change of a line, the likeliest for their seconds first.
---
--- A test is the likelier to see it, the more of the file it runs that few others run: one that mirrors the
--- file comes before one that only passes through.

local M = {}
M.__index = M

---@param tests table[]  of map.load
---@param counted table  of map.counted: a statement of several lines is counted on some of them
---@param places? fun(word: string): table[]  { file, line } of all of core where the word stands
function M.new(tests, counted, places)
  local self = setmetatable({ at = {}, all = {}, share = {}, counted = counted, places = places }, M)
  for _, test in ipairs(tests) do
    for file, lines in pairs(test.files) do
      self.at[file] = self.at[file] or {}
      self.all[file] = self.all[file] or {}
      self.all[file][test] = true
      for line in pairs(lines) do
        self.at[file][line] = self.at[file][line] or {}
        self.at[file][line][test] = true
      end
    end
  end
  self:add_shares()
  return self
end

-- share[file][test]: lines of the file that the test runs, each divided by the tests that run it.
function M:add_shares()
  for file, lines in pairs(self.at) do
    local share = {}
    for _, tests in pairs(lines) do
      local count = 0
      for _ in pairs(tests) do count = count + 1 end
      for test in pairs(tests) do share[test] = (share[test] or 0) + 1 / count end
    end
    self.share[file] = share
  end
end

-- Tests of the nearest line above that is counted, or of the line itself.
function M:tests_at(file, line)
  local counted, lines = self.counted[file] or {}, self.at[file] or {}
  while line > 1 and not counted[line] do line = line - 1 end
  return lines[line] or {}
end

-- Of a header's macro: the tests that run the lines of other files where it is used, and one of these files.
function M:tests_of_users(m)
  local found, file = {}, m.file
  for _, place in ipairs(m.macro and self.places and self.places(m.macro) or {}) do
    for test in pairs(self:tests_at(place.file, place.line)) do found[test], file = true, place.file end
  end
  return found, file
end

--- The tests that run what the mutant changes, or its file where that is no statement.
---@param m table
function M:tests_of(m)
  local found, file = {}, m.file
  for _, line in ipairs(m.run_at or (m.is_loose and {} or { m.line })) do
    for test in pairs(self:tests_at(m.file, line)) do found[test] = true end
  end
  if not next(found) then found, file = self:tests_of_users(m) end
  if m.is_loose and not next(found) then found, file = self.all[m.file] or {}, m.file end
  return self:in_order(file, found)
end

function M:in_order(file, found)
  local share, list = self.share[file] or {}, {}
  for test in pairs(found) do list[#list + 1] = test end
  local function weight(test) return (share[test] or 0.01) / (test.seconds + 0.3) end
  table.sort(list, function(a, b)
    local x, y = weight(a), weight(b)
    if x ~= y then return x > y end
    return a.name < b.name
  end)
  return list
end

return M
