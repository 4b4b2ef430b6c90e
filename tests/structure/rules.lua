--- What the structure of the sources promises (docs/development.md), as rules over a tree.

local map = require "map"
local threads = require "threads"

local M = {}

-- A folder of core/ includes only itself, base, and folders of lower floors.
M.floors = {
  base = 0,
  sys = 1, conf = 1, metrics = 1, wire = 1, state = 1,
  store = 2, script = 2, backend = 2,
  bind = 3, tier = 3,
  load = 4,
  serve = 5,
  net = 6,
  server = 7, cli = 7,
}

-- A folder of backend/ is a driver's. It may include itself, backend and lower floors; no other file may include
-- it, but for these.
M.knows_driver = {
  ["backend/backend"] = "the table of drivers",
}

-- The folders in which a header from outside may be included, directly or through others.
M.outside = {
  { headers = { "lua.h", "lualib.h", "lauxlib.h", "luajit.h" }, only = { script = true, bind = true } },
  { headers = { "libpq-fe.h" }, only = { ["backend/postgres"] = true } },
  { headers = { "sqlite3.h" }, only = { ["backend/sqlite"] = true } },
  { headers = { "openssl/ssl.h", "openssl/err.h", "openssl/bio.h" }, only = { sys = true } },
  { headers = { "ev.h" }, never = { store = true, base = true, wire = true } },
}

M.max_lines = 500
M.max_width = 100
M.written = { ["bench/RESULTS.md"] = true } -- by a program, of any length
M.max_lua_module = 250 -- in lua/
M.max_function = 70

-- Unit tests that mirror no file of core/: what they hold together instead.
M.extra_tests = {
  ["bind/toy_driver"] = "backend/verb.h, bind/method.c, conf/conf_driver.h: a driver that speaks no SQL, in one file",
  ["bind/bounds"] = "script/vm.c and bind/run.c: scripts that will not end",
  ["wire/error_table"] = "docs/protocol.md and base/err.h",
  ["bind/write"] = "bind/run.c and bind/result.c: save and remove",
  ["load/change_journal"] = "load/change.c and state/journal.c: what changes note",
  ["net/io_journal"] = "net/conn.c, net/conn_in.c and net/io_thread.c: answers wait for the journal",
  ["state/state_nomem"] = "core/state: files and the journal without memory",
  ["state/journal_blocks"] = "state/journal_read.c and state/journal_record.c: blocks that are right, in a wrong order",
  ["load/flight_marks"] = "load/flight*.c and store/marks.c: loads that tags and patterns overtake",
  ["load/flight_write"] = "load/flight_change.c: what writes to the source leave behind",
  ["backend/postgres/pg_server"] = "tests/unit/backend/postgres/pg_server.h: a PostgreSQL ends with its test",
  ["metrics/counters_table"] = "docs/operations.md and metrics.h",
}

local function folder_of(path) return path:match "^core/([^/]+)/" end

-- "backend/postgres" of core/backend/postgres/x.c, "backend" of core/backend/x.c.
local function place_of(path) return path:match "^core/(.+)/[^/]+$" end

local function driver_of(place) return place and place:match "^backend/[^/]+" end

local function stem_of(path) return path:match "^core/(.+)%.[ch]$" end

-- Every header that a file includes, through others too: name -> the line of its own that brings it.
local function reach(tree, file)
  local found, queue = {}, {}
  for _, include in ipairs(file.includes) do queue[#queue + 1] = { include.name, include.line } end
  while #queue > 0 do
    local name, line = unpack(table.remove(queue))
    if not found[name] then
      found[name] = line
      local header = tree.by_path["core/" .. name]
      for _, include in ipairs(header and header.includes or {}) do
        queue[#queue + 1] = { include.name, line }
      end
    end
  end
  return found
end

local rules = {}
M.rules = rules
for name, rule in pairs(threads.rules) do rules[name] = rule end
rules.map = map.rule

function rules.floors(_, file, report)
  local folder = folder_of(file.path)
  if not folder then return end
  if not M.floors[folder] then return report(1, "no floor is known for core/" .. folder) end
  for _, include in ipairs(file.includes) do
    local other = include.ours and include.name:match "^([^/]+)/"
    local floor = other and M.floors[other]
    if floor and other ~= folder and floor >= M.floors[folder] then
      report(include.line, ("%s is on floor %d and may not include %s of floor %d")
        :format(folder, M.floors[folder], include.name, floor))
    end
  end
end

-- Our own headers stand in quotes; in angles they would pass by the floors.
function rules.own_headers(tree, file, report)
  if not folder_of(file.path) then return end
  for _, include in ipairs(file.includes) do
    if not include.ours and tree.by_path["core/" .. include.name] then
      report(include.line, ("<%s> is our own, and stands in quotes"):format(include.name))
    end
  end
end

-- CMakeLists.txt gives a folder's library nothing of its own floor or a higher one.
function rules.libraries(_, file, report)
  if file.path ~= "CMakeLists.txt" then return end
  for number, line in ipairs(file.lines) do
    local folder, uses = line:match "^rtcache_folder%((%w+)(.*)"
    for other in (uses or ""):gmatch "rt_(%w+)" do
      local upper, lower = M.floors[folder], M.floors[other]
      if not (upper and lower) or lower >= upper then
        report(number, ("rt_%s may not be linked with rt_%s"):format(folder, other))
      end
    end
  end
end

function rules.drivers(_, file, report)
  local place = place_of(file.path)
  if not place or M.knows_driver[stem_of(file.path)] then return end
  for _, include in ipairs(file.includes) do
    local driver = include.ours and driver_of(place_of("core/" .. include.name))
    if driver and driver ~= place then
      report(include.line, ("%s is a driver's, which %s may not know"):format(include.name, place))
    end
  end
end

function rules.outside(tree, file, report)
  local folder, place = folder_of(file.path), place_of(file.path)
  if not folder then return end
  local reached = reach(tree, file)
  for _, rule in ipairs(M.outside) do
    local bad = rule.only and not (rule.only[folder] or rule.only[place]) or rule.never and rule.never[folder]
    for _, header in ipairs(rule.headers) do
      if bad and reached[header] then
        report(reached[header], folder .. " may not know <" .. header .. ">")
      end
    end
  end
  if folder ~= "bind" and reached["lua.h"] and reached["backend/backend.h"] then
    report(1, "only bind knows both Lua and a backend")
  end
end

function rules.clock(_, file, report)
  local timeless = folder_of(file.path) == "store" or file.path:match "^core/load/flight[^/]*$"
  for number, line in ipairs(timeless and file.code or {}) do
    if line:match "%f[%w_]clock_[%w_]+%s*%(" then report(number, "time is a parameter here") end
  end
end

-- Who takes which bits of a key's hash stands in one map; other folders hash other things.
function rules.hash_bits(_, file, report)
  local folder = folder_of(file.path)
  if folder ~= "store" and folder ~= "load" and folder ~= "net" then return end
  for number, line in ipairs(file.code) do
    if line:match "%f[%w_]hash%s*>>" or line:match "%f[%w_]hash%s*%%" then
      report(number, "bits of a hash: core/base/hash.h has a function for each use, and the map")
    end
  end
end

function rules.file_lines(_, file, report)
  local limit = file.path:match "^lua/" and M.max_lua_module or M.max_lines
  if #file.lines > limit and not M.written[file.path] then
    report(#file.lines, ("%d lines; at most %d"):format(#file.lines, limit))
  end
end

-- A function's braces stand in column 0, which clang-format sees to.
--- clang-format breaks code and leaves comments as they were drawn. A line of code is longer only for a text in it.
function rules.comment_width(_, file, report)
  if not file.path:match "%.[ch]$" then return end
  for number, line in ipairs(file.lines) do
    local code = (file.code[number] or ""):gsub("%s+$", "")
    local comment = line:find("*/", 1, true) or line:find("/*", 1, true) or line:match "^ %* "
    if #line > M.max_width and comment and #code <= M.max_width and not line:find('"', 1, true) then
      report(number, ("a comment of %d columns; at most %d"):format(#line, M.max_width))
    end
  end
end

function rules.function_lines(_, file, report)
  local from
  for number, line in ipairs(file.code) do
    if line:match "^{" then
      from = number
    elseif line:match "^}" and from then
      local count = number - from + 1
      if count > M.max_function then
        report(from, ("a function of %d lines; at most %d"):format(count, M.max_function))
      end
      from = nil
    end
  end
end

function rules.promises(_, file, report)
  if file.path:match "^tests/structure/" then return end
  for number, line in ipairs(file.lines) do
    for _, word in ipairs { "TODO", "FIXME", "XXX" } do
      if line:match("%f[%w]" .. word .. "%f[^%w]") then report(number, word .. " is no plan") end
    end
  end
end

function rules.mirror(tree, file, report)
  local name = file.path:match "^tests/unit/(.+)_test%.c$"
  if not name or M.extra_tests[name] then return end
  local base = name
  repeat
    if tree.by_path["core/" .. base .. ".c"] or tree.by_path["core/" .. base .. ".h"] then return end
    base = base:match "^(.+/.+)_[^_/]+$"
  until not base
  report(1, "mirrors no core/" .. name .. ".c")
end

-- The functions that a C file exports: name and line.
local function exports(file)
  local list = {}
  for number, line in ipairs(file.code) do
    local name = line:match "^[%a_][%w_%s%*]-([%a_][%w_]*)%("
    local local_only = line:match "^static" or line:match "^[%a_]+%(" or line:match ";%s*$"
    if name and not local_only then list[#list + 1] = { name = name, line = number } end
  end
  return list
end

-- One name, one function: the files of core/ end up in one program.
function rules.names(tree, file, report)
  if not file.path:match "^core/.+%.c$" then return end
  if not tree.exported then
    tree.exported = {}
    for _, other in ipairs(tree.list) do
      for _, e in ipairs(other.path:match "^core/.+%.c$" and exports(other) or {}) do
        if e.name ~= "main" then
          tree.exported[e.name] = tree.exported[e.name] or other.path
        end
      end
    end
  end
  for _, e in ipairs(exports(file)) do
    local first = tree.exported[e.name]
    if first and first ~= file.path then report(e.line, e.name .. " is exported by " .. first .. " too") end
  end
end

-- A warning only: what a file exports bears its name. shard.c: shard_*; pg_conn.c: pg_conn_*.
function M.prefix(_, file, warn)
  local name = file.path:match "^core/.+/([^/]+)%.c$"
  if not name or name == "main" then return end
  for _, e in ipairs(exports(file)) do
    if e.name:sub(1, #name) ~= name then warn(e.line, "exports " .. e.name) end
  end
end

---@param tree structure.Tree
---@return string[] problems
---@return string[] warnings
function M.check(tree)
  local problems, warnings = {}, {}
  local function into(list, file)
    return function(line, text) list[#list + 1] = ("%s:%d: %s"):format(file.path, line, text) end
  end
  for _, file in ipairs(tree.list) do
    for _, rule in pairs(rules) do rule(tree, file, into(problems, file)) end
    M.prefix(tree, file, into(warnings, file))
  end
  table.sort(problems)
  table.sort(warnings)
  return problems, warnings
end

return M
