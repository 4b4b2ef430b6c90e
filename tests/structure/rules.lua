--- What the structure of the sources promises (docs/development.md), as rules over a tree.

local M = {}

-- A folder of core/ includes only itself, base, and folders of lower floors.
M.floors = {
  base = 0,
  sys = 1, conf = 1, metrics = 1, wire = 1,
  store = 2, script = 2, backend = 2,
  bind = 3,
  load = 4,
  net = 5,
  server = 6, cli = 6,
}

-- The folders in which a header from outside may be included, directly or through others.
M.outside = {
  { headers = { "lua.h", "lualib.h", "lauxlib.h", "luajit.h" }, only = { script = true, bind = true } },
  { headers = { "libpq-fe.h", "sqlite3.h" }, only = { backend = true } },
  { headers = { "openssl/ssl.h", "openssl/err.h", "openssl/bio.h" }, only = { sys = true } },
  { headers = { "ev.h" }, never = { store = true, base = true, wire = true } },
}

-- Where threads share state; nowhere else is there an atomic or a lock.
M.shared = {
  ["base/log"] = "the level, and the count of each call site",
  ["conf/conf"] = "references to a snapshot",
  ["metrics/metrics"] = "counters, summed when read",
  ["sys/mailbox"] = "messages between loops",
  ["sys/pool"] = "the queue of a thread pool",
  ["store/shard"] = "a shard's lock",
  ["store/shard_tick"] = "the same lock",
  ["store/shard_put"] = "the same lock",
  ["store/shard_priv"] = "the same limit",
  ["store/heap"] = "entries that are returned to a shard from outside its lock",
  ["store/compact"] = "references to an entry",
  ["store/entry"] = "references to an entry",
  ["load/flight"] = "the table of flights, here and in the next three",
  ["load/flight_change"] = "the table of flights",
  ["load/flight_end"] = "the table of flights",
  ["load/flight_priv"] = "the table of flights",
  ["load/flight_table"] = "the table of flights",
  ["load/gate"] = "counts that stats reads",
  ["load/load"] = "counts that stats reads",
  ["load/load_end"] = "counts that stats reads",
  ["load/prefetch"] = "counts that stats reads",
  ["load/snapshot"] = "references to a snapshot",
  ["load/feed"] = "whether a feed is cut, which loads ask",
  ["load/feeds"] = "what stats reads of the feeds",
  ["net/stats"] = "reads the feeds' numbers",
  ["load/news"] = "what is on its way to each I/O thread",
  ["store/marks"] = "tags and patterns, in one order",
  ["store/globs"] = "references to a pattern that shards share",
  ["backend/sqlite_beside"] = "the files beside a database, for all that open it",
  ["sys/loop_memory"] = "the reserve of all loops",
  ["net/admin"] = "reads the loaders' counters",
  ["store/store"] = "reads the shards' counters",
}

M.max_lines = 500
M.written = { ["bench/RESULTS.md"] = true } -- by a program, of any length
M.max_lua_module = 250 -- in lua/
M.max_function = 70

-- Unit tests that mirror no file of core/: what they hold together instead.
M.extra_tests = {
  ["bind/bounds"] = "script/vm.c and bind/run.c: scripts that will not end",
  ["wire/error_table"] = "docs/protocol.md and base/err.h",
  ["bind/write"] = "bind/run.c and bind/result.c: save and remove",
  ["load/flight_marks"] = "load/flight*.c and store/marks.c: loads that tags and patterns overtake",
  ["load/flight_write"] = "load/flight_change.c: what writes to the source leave behind",
  ["metrics/counters_table"] = "docs/operations.md and metrics.h",
}

local function folder_of(path) return path:match "^core/([^/]+)/" end

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

function rules.outside(tree, file, report)
  local folder = folder_of(file.path)
  if not folder then return end
  local reached = reach(tree, file)
  for _, rule in ipairs(M.outside) do
    local bad = rule.only and not rule.only[folder] or rule.never and rule.never[folder]
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

function rules.threads(_, file, report)
  local stem = stem_of(file.path)
  if not stem or M.shared[stem] then return end
  for number, line in ipairs(file.code) do
    local word = line:match "%f[%w_]_Atomic%f[^%w_]" or line:match "%f[%w_]atomic_[%w_]+"
      or line:match "%f[%w_]pthread_mutex[%w_]*" or line:match "%f[%w_]pthread_cond[%w_]*"
      or line:match "%f[%w_]pthread_rwlock[%w_]*" or line:match "%f[%w_]pthread_spin[%w_]*"
      or line:match "%f[%w_]__atomic_[%w_]+" or line:match "%f[%w_]__sync_[%w_]+"
    if word then report(number, word .. ": this file is not one that threads share") end
  end
end

function rules.file_lines(_, file, report)
  local limit = file.path:match "^lua/" and M.max_lua_module or M.max_lines
  if #file.lines > limit and not M.written[file.path] then
    report(#file.lines, ("%d lines; at most %d"):format(#file.lines, limit))
  end
end

-- A function's braces stand in column 0, which clang-format sees to.
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
