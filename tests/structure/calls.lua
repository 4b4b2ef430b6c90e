--- Rules over what objects take from each other: floors, and circles inside a folder.

local M = {}

-- stem -> stem of another object -> a name that it takes from there.
local function graph_of(objects)
  local home, graph = {}, {}
  for stem, object in pairs(objects) do
    for _, name in ipairs(object.defines) do home[name] = stem end
  end
  for stem, object in pairs(objects) do
    graph[stem] = {}
    for _, name in ipairs(object.takes) do
      local other = home[name]
      if other and other ~= stem and (not graph[stem][other] or name < graph[stem][other]) then
        graph[stem][other] = name
      end
    end
  end
  return graph
end

local function sorted_keys(t)
  local keys = {}
  for key in pairs(t) do keys[#keys + 1] = key end
  table.sort(keys)
  return keys
end

local function folder_of(stem) return stem:match "^[^/]+" end

--- The circles inside folders: sets of objects of which each reaches all others (Tarjan's algorithm).
---@return string[][] @each sorted; in the order of their first
local function circles_of(graph)
  local index, low, on, stack, found, count = {}, {}, {}, {}, {}, 0
  local function visit(v)
    count = count + 1
    index[v], low[v], on[v], stack[#stack + 1] = count, count, true, v
    for _, w in ipairs(sorted_keys(graph[v])) do
      if folder_of(w) == folder_of(v) then
        if not index[w] then
          visit(w)
          low[v] = math.min(low[v], low[w])
        elseif on[w] then
          low[v] = math.min(low[v], index[w])
        end
      end
    end
    if low[v] < index[v] then return end
    local circle = {}
    repeat
      local last = table.remove(stack)
      on[last] = nil
      circle[#circle + 1] = last
    until last == v
    table.sort(circle)
    if #circle > 1 then found[#found + 1] = circle end
  end
  for _, v in ipairs(sorted_keys(graph)) do
    if not index[v] then visit(v) end
  end
  table.sort(found, function(a, b) return a[1] < b[1] end)
  return found
end

local function set_of(list)
  local set = {}
  for _, item in ipairs(list) do set[item] = true end
  return set
end

-- The shortest way from an object back to itself, inside its circle: steps { from, to, name }.
local function way_around(graph, start, circle)
  local inside, came, queue = set_of(circle), {}, { start }
  while #queue > 0 do
    local v = table.remove(queue, 1)
    for _, w in ipairs(sorted_keys(graph[v])) do
      if w == start then
        local steps = { { v, w, graph[v][w] } }
        while came[v] do
          table.insert(steps, 1, { came[v], v, graph[came[v]][v] })
          v = came[v]
        end
        return steps
      elseif inside[w] and not came[w] then
        came[w] = v
        queue[#queue + 1] = w
      end
    end
  end
end

local function text_of(steps)
  local words = { steps[1][1] }
  for _, step in ipairs(steps) do words[#words + 1] = ("-> %s (%s)"):format(step[2], step[3]) end
  return table.concat(words, " ")
end

-- The line of a source that names something; 1 where a macro hides it.
local function line_of(tree, path, name)
  local file = tree.by_path[path]
  for number, line in ipairs(file and file.code or {}) do
    if line:find("%f[%w_]" .. name .. "%f[^%w_]") then return number end
  end
  return 1
end

local function check_floors(tree, graph, floors, report)
  for _, from in ipairs(sorted_keys(graph)) do
    for _, to in ipairs(sorted_keys(graph[from])) do
      local lower, upper, name = floors[folder_of(to)], floors[folder_of(from)], graph[from][to]
      if folder_of(to) ~= folder_of(from) and lower and upper and lower >= upper then
        local path = "core/" .. from .. ".c"
        report(path, line_of(tree, path, name), ("takes %s from %s of floor %d; %s is on floor %d"):format(name, to,
          lower, folder_of(from), upper))
      end
    end
  end
end

local LIST = "tests/structure/circles.lua"

-- An entry of the list, with its files as a set of stems.
local function entry_of(tree, allowed)
  local entry = { folder = allowed[1], files = {}, why = allowed[3], line = 1 }
  for word in allowed[2]:gmatch "%S+" do entry.files[entry.folder .. "/" .. word] = true end
  local first = allowed[2]:match "%S+"
  local list = tree.by_path[LIST]
  for number, line in ipairs(list and list.lines or {}) do
    if line:find('"' .. entry.folder .. '"', 1, true) then entry.folder_line = number end
    if line:find("%f[%w_]" .. first .. "%f[^%w_]") and entry.folder_line and entry.line == 1 then
      entry.line = entry.folder_line
    end
  end
  return entry
end

-- How many of a circle's objects an entry names.
local function shared(entry, circle)
  local count = 0
  for _, stem in ipairs(circle) do count = count + (entry.files[stem] and 1 or 0) end
  return count
end

-- What an entry's circle has gained, and has lost.
local function compare(graph, entry, circle, report)
  local now = set_of(circle)
  for _, stem in ipairs(circle) do
    if not entry.files[stem] then
      report("core/" .. stem .. ".c", 1, "joins a circle of calls: " .. text_of(way_around(graph, stem, circle)))
    end
  end
  local gone = {}
  for _, stem in ipairs(sorted_keys(entry.files)) do
    if not now[stem] then gone[#gone + 1] = stem end
  end
  if #gone > 0 then
    report(LIST, entry.line, ("this circle of %s has shrunk: take %s out"):format(entry.folder,
      table.concat(gone, ", ")))
  end
end

local function check_circles(tree, graph, allowed, report)
  local entries, circle_of = {}, {}
  for i, item in ipairs(allowed) do
    entries[i] = entry_of(tree, item)
    if not (item[3] or ""):match "^%u.* .* .* .*%.$" then
      report(LIST, entries[i].line, "the reason of a circle is a whole sentence")
    end
  end
  local function tell_new(circle)
    local steps = way_around(graph, circle[1], circle)
    local rest = #circle > #steps and ("; all of it: " .. table.concat(circle, " ")) or ""
    report("core/" .. circle[1] .. ".c", 1, "a new circle of calls: " .. text_of(steps) .. rest)
  end
  for _, circle in ipairs(circles_of(graph)) do
    local best
    for _, entry in ipairs(entries) do
      if shared(entry, circle) > (best and shared(best, circle) or 0) then best = entry end
    end
    -- Of the parts that a circle fell into, the largest keeps its entry.
    if not best or circle_of[best] and #circle_of[best] >= #circle then
      tell_new(circle)
    else
      if circle_of[best] then tell_new(circle_of[best]) end
      circle_of[best] = circle
    end
  end
  for _, entry in ipairs(entries) do
    if circle_of[entry] then
      compare(graph, entry, circle_of[entry], report)
    else
      report(LIST, entry.line, ("this circle of %s is gone: take it out"):format(entry.folder))
    end
  end
end

---@param tree structure.Tree
---@param objects table<string, structure.Object>
---@param floors table<string, integer>
---@param allowed { [1]: string, [2]: string, [3]: string }[] @circles.lua's
---@return string[] problems
function M.check(tree, objects, floors, allowed)
  local problems = {}
  local function report(path, line, text) problems[#problems + 1] = ("%s:%d: %s"):format(path, line, text) end
  local graph = graph_of(objects)
  check_floors(tree, graph, floors, report)
  check_circles(tree, graph, allowed, report)
  table.sort(problems)
  return problems
end

return M
