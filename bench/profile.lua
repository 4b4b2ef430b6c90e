-- What callgrind counted, by function and by part of the program.

local report = require "report"

local SHOWN = 12

local profile = {}

-- The part that a function belongs to, by the folder of its source or by its library.
local FOLDERS = {
  load = "core/load", bind = "core/bind, core/script", script = "core/bind, core/script",
  wire = "core/wire, core/base", base = "core/wire, core/base", backend = "core/backend",
  store = "core/store",
}
local LIBRARIES = { { "libluajit", "LuaJIT" }, { "libev", "libev" }, { "libpq", "libpq" } }
local PARTS = { "core/load", "core/bind, core/script", "core/wire, core/base", "core/store", "core/backend",
  "core, the rest", "LuaJIT", "malloc", "libev", "libc and others", "libpq" }

local function part_of(file, object)
  local folder = file:match "core/(%a+)/"
  if folder then return FOLDERS[folder] or "core, the rest" end
  if file:find "/malloc/" then return "malloc" end
  for _, library in ipairs(LIBRARIES) do
    if object:find(library[1], 1, true) then return library[2] end
  end
  return "libc and others"
end

-- "(12) name" the first time, "(12)" from then on.
local function name_of(names, text)
  local id, name = text:match "^%((%d+)%)%s*(.*)$"
  if name ~= "" then names[id] = name end
  return names[id]
end

local function add(sums, key, n) sums[key] = (sums[key] or 0) + n end

-- Inlined code counts as its own file's where that is in core/, else as that of the function it is in.
-- What libpq calls counts as libpq.
local Reader = {}
Reader.__index = Reader

function Reader:name(kind, text)
  if kind == "ob" or kind == "cob" then
    self[kind] = name_of(self.objects, text)
  elseif kind == "fn" or kind == "cfn" then
    self[kind] = name_of(self.functions, text)
  else
    self[kind] = name_of(self.files, text)
    if kind == "fl" then self.fi = nil end
    if kind == "fi" or kind == "fe" then self.fi = self[kind] end
    if kind == "cfi" then self.cfl = self.cfi end
  end
end

function Reader:count(n)
  local file = self.fi and self.fi:find "core/" and self.fi or self.fl
  add(self.by_function, (self.fi or self.fl):match "[^/]*$" .. ":" .. self.fn, n)
  add(self.by_part, part_of(file, self.ob), n)
  self.total = self.total + n
end

function Reader:count_call(n)
  local from, to = part_of(self.fl, self.ob), part_of(self.cfl or self.fl, self.cob or self.ob)
  if from == "libpq" and to ~= "libpq" then
    add(self.by_part, from, n)
    add(self.by_part, to, -n)
  end
  self.cob, self.cfl = nil, nil
end

-- Instructions by function, of the whole run, and by part, from a profile.
function profile.read(out)
  local r = setmetatable({ objects = {}, functions = {}, files = {}, by_function = {}, by_part = {}, total = 0,
    ob = "", fl = "" }, Reader)
  local called = false
  for line in io.lines(out) do
    local kind, text = line:match "^(%l+)=(%(.*)$"
    if kind then
      r:name(kind, text)
    elseif line:find "^calls=" then
      called = true
    elseif line:find "^[%d%+%-%*]" then
      local n = tonumber(line:match "(%d+)%s*$")
      if called then r:count_call(n) else r:count(n) end
      called = false
    end
  end
  assert(r.total > 0, "callgrind counted nothing")
  return r.by_function, r.total, r.by_part
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

-- A table with a column for each of `columns`, {name, by_part of once, by_part of twice, units}: what one
-- unit costs by part, altogether, and without libpq.
function profile.parts(columns)
  local rows, sums, libpq = {}, {}, {}
  local head = { "part" }
  for c, column in ipairs(columns) do head[c + 1], sums[c], libpq[c] = column.name, 0, 0 end
  for _, part in ipairs(PARTS) do
    local row, any = { part }, false
    for c, column in ipairs(columns) do
      local n = ((column.twice[part] or 0) - (column.once[part] or 0)) / column.units
      row[c + 1] = n >= 0.5 and ("%.0f"):format(n) or ""
      any = any or n >= 0.5
      sums[c] = sums[c] + n
      if part == "libpq" then libpq[c] = n end
    end
    if any then rows[#rows + 1] = row end
  end
  local all, own = { "altogether" }, { "without libpq" }
  for c in ipairs(columns) do
    all[c + 1], own[c + 1] = ("%.0f"):format(sums[c]), ("%.0f"):format(sums[c] - libpq[c])
  end
  rows[#rows + 1] = all
  rows[#rows + 1] = own
  return report.table(head, rows)
end

return profile
