--- tests/README.md is the map of the tests: it has each stage of `./dev test` with its seconds, and each folder.

local M = {}

local MAP = "tests/README.md"

-- The words between `stage_names=(` and the bracket that closes it.
local function stages_of(file)
  local names, inside = {}, false
  for _, line in ipairs(file.lines) do
    if inside and line:match "^%)" then break end
    for word in (inside and line or ""):gmatch "%S+" do names[word] = true end
    inside = inside or line:match "^stage_names=%($" ~= nil
  end
  return names
end

local function folders_of(tree)
  local names = {}
  for _, file in ipairs(tree.list) do
    local name = file.path:match "^tests/([^/]+)/"
    if name then names[name] = true end
  end
  return names
end

-- First cells of the map's tables, with their lines: `stage` with its seconds, and [folder](...).
local function rows_of(file)
  local stages, folders = {}, {}
  for number, line in ipairs(file.lines) do
    local stage = line:match "^| `([%w-]+)` | %d+ | "
    local folder = line:match "^| %[([%w_-]+)%]%("
    if stage then stages[stage] = number end
    if folder then folders[folder] = number end
  end
  return stages, folders
end

local function compare(what, there, rows, report)
  for name in pairs(there) do
    if not rows[name] then report(1, ("the %s %s has no row"):format(what, name)) end
  end
  for name, line in pairs(rows) do
    if not there[name] then report(line, ("there is no %s %s"):format(what, name)) end
  end
end

function M.rule(tree, file, report)
  if file.path ~= MAP then return end
  local stages, folders = rows_of(file)
  local ci = tree.by_path[".ci/stages.sh"]
  compare("stage", ci and stages_of(ci) or {}, stages, report)
  compare("folder", folders_of(tree), folders, report)
end

return M
