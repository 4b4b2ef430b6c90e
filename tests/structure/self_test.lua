--- Plants one violation of each rule in a tree of its own and expects exactly that report; those of calls
--- stand in calls_test.lua.

local calls_test = require "calls_test"
local rules = require "rules"
local tree = require "tree"

local M = {}

local STAGES = "stage_names=(\n    build unit-asan\n    spec\n)\n"
local MAP = "| [unit](unit) | C |\n| `build` | 38 | x |\n| `unit-asan` | 87 | x |\n| `spec` | 2 | x |\n"

local CLEAN = {
  [".ci/stages.sh"] = STAGES,
  ["tests/README.md"] = MAP,
  ["core/base/err.h"] = "int err_set(void);\n",
  ["core/store/store.h"] = '#include "base/err.h"\n',
  ["core/store/store.c"] = '#include "store/store.h"\n/* clock_ms() is the caller\'s */\n'
    .. "int store_get(void)\n{\n    return 0;\n}\n",
  ["core/bind/run.c"] = '#include "backend/backend.h"\n#include <lua.h>\n',
  ["core/backend/backend.h"] = "#include <ev.h>\n",
  ["core/backend/backend.c"] = '#include "backend/postgres/postgres.h"\n',
  ["core/backend/postgres/postgres.h"] = '#include "backend/backend.h"\n',
  ["core/backend/postgres/pg_conn.c"] = '#include "backend/postgres/pg_conn.h"\n',
  ["core/backend/postgres/pg_conn.h"] = '#include "backend/backend.h"\n#include <libpq-fe.h>\n',
  ["core/sys/mailbox.h"] = "#include <ev.h>\nstruct mailbox {\n    _Atomic int n, more[4];\n};\n",
  ["core/load/load.c"] = '#include "store/store.h"\nchar template[] = "/tmp/x-XXXXXX";\n',
  ["tests/unit/store/store_test.c"] = "int main(void);\n",
  ["tests/unit/store/store_model_test.c"] = "int main(void);\n",
  ["tests/unit/wire/error_table_test.c"] = "int main(void);\n",
}

-- at: the file that is blamed, where it is another.
local PLANTED = {
  { "a folder includes a higher floor", "core/store/store.c", '#include "load/flight.h"\n', 1, "floor 4" },
  { "a folder includes its neighbour", "core/store/store.c", '#include "backend/x.h"\n', 1, "floor 2" },
  { "a folder without a floor", "core/util/x.c", "int util_x;\n", 1, "no floor" },
  { "Lua and a backend outside bind", "core/script/x.c", '#include "bind/x.h"\n', 1, "floor 3" },
  { "libpq outside its driver", "core/load/load.c", "#include <libpq-fe.h>\n", 1, "libpq" },
  { "libpq beside its driver", "core/backend/identity.c", "#include <libpq-fe.h>\n", 1, "libpq" },
  { "SQLite in another driver", "core/backend/postgres/pg_row.c", "\n#include <sqlite3.h>\n", 2, "sqlite3.h" },
  { "a driver that knows another", "core/backend/sqlite/sqlite.c", '#include "backend/postgres/x.h"\n', 1, "driver's" },
  { "a driver known beside it", "core/backend/identity.c", '#include "backend/sqlite/x.h"\n', 1, "driver's" },
  { "a driver known above it", "core/load/load.c", '\n#include "backend/sqlite/x.h"\n', 2, "driver's" },
  { "Lua outside script and bind", "core/net/io.c", "\n#include <lua.h>\n", 2, "lua.h" },
  { "libev in the store", "core/store/wheel.c", "#include <ev.h>\n", 1, "ev.h" },
  { "libev in the store, through a header", "core/store/wheel.c", '#include "sys/mailbox.h"\n', 1, "ev.h" },
  { "a clock in the store", "core/store/wheel.c", "int x;\nint t = clock_ms();\n", 2, "time" },
  { "a clock in flights", "core/load/flight.c", "int t = clock_us( );\n", 1, "time" },
  { "an atomic elsewhere", "core/net/conn.c", "_Atomic int n;\n", 1, "_Atomic" },
  { "a lock elsewhere", "core/net/conn.h", "pthread_mutex_t lock;\n", 1, "pthread_mutex" },
  { "state of a thread", "core/net/conn.c", "static _Thread_local int n;\n", 1, "_Thread_local" },
  { "state of a thread, in gcc's word", "core/store/wheel.c", "int x;\nstatic __thread int n;\n", 2, "__thread" },
  { "an atomic of another folder", "core/serve/ledger.h", "int x = atomic_load(&m->n);\n", 1, "n is an atomic of sys" },
  { "an atomic of another folder, in a row", "core/serve/ledger.h",
    "int x;\natomic_fetch_add_explicit(&m->more[1], 1,\n", 2, "more is an atomic of sys" },
  { "our own header in angles", "core/wire/x.c", "#include <base/err.h>\n", 1, "stands in quotes" },
  { "a library of a higher floor", "CMakeLists.txt", "rtcache_folder(base)\nrtcache_folder(store rt_base rt_load)\n", 2,
    "rt_load" },
  { "bits of a hash by hand", "core/store/wheel.c", "int x;\nint y = (hash >> 8) & 63;\n", 2, "bits of a hash" },
  { "a hash divided by hand", "core/net/conn.c", "int y = e->hash % n;\n", 1, "bits of a hash" },
  { "a stage that is not on the map", ".ci/stages.sh", STAGES:gsub("spec", "spec sim"), 1,
    "the stage sim has no row", at = "tests/README.md" },
  { "a stage without its seconds", "tests/README.md", MAP:gsub("38", "?"), 1, "the stage build has no row" },
  { "a stage that is gone", "tests/README.md", MAP .. "| `fuzz` | 10 | x |\n", 5, "no stage fuzz" },
  { "a folder that is not on the map", "tests/history/run.lua", "\n", 1, "the folder history", at = "tests/README.md" },
  { "a folder that is gone", "tests/README.md", "| [model](model) | x |\n" .. MAP, 1, "no folder model" },
  { "a long file", "tests/unit/x_test.lua", ("local x\n"):rep(501), 501, "501 lines" },
  { "a long Lua module", "lua/rtcache/x.lua", ("local x\n"):rep(251), 251, "251 lines" },
  { "a long function", "core/net/conn.c", "int conn_x(void)\n{\n" .. ("    x();\n"):rep(69) .. "}\n", 2, "71 lines" },
  { "a wide drawing", "core/net/conn.c", "/*\n * " .. ("-"):rep(98) .. "\n */\nint x;\n", 2, "101 columns" },
  { "unfinished work", "scripts/user.lua", "-- TODO: later\n", 1, "TODO" },
  { "unfinished work in C", "core/net/conn.c", "int x; /* XXX */\n", 1, "XXX" },
  { "a name exported twice", "core/wire/store.c", "int store_get(void)\n{\n}\n", 1, "store_get is exported" },
  { "a test of nothing", "tests/unit/net/gone_test.c", "int main(void);\n", 1, "mirrors no" },
}

local function tree_with(path, text)
  local files = {}
  for p, t in pairs(CLEAN) do files[p] = t end
  if path then files[path] = text end
  return tree.of(files)
end

local function fails_as_planted(plant)
  local _, path, text, line, what = unpack(plant, 1, 5)
  local problems = rules.check(tree_with(path, text))
  local where = ("%s:%d: "):format(plant.at or path, line)
  return #problems == 1 and problems[1]:sub(1, #where) == where
    and problems[1]:find(what, 1, true) ~= nil, problems
end

--- A folder on disk is read with the same result.
local function reads_a_folder()
  local root = os.tmpname()
  os.remove(root)
  os.execute(("mkdir -p '%s/core/net' '%s/core/net/corpus'"):format(root, root))
  for _, path in ipairs { "core/net/conn.c", "core/net/corpus/conn.c" } do
    local f = assert(io.open(root .. "/" .. path, "w"))
    f:write "/* \"quoted\" */ char c = '\"'; _Atomic int n; // _Atomic\n"
    f:close()
  end
  local problems = rules.check(tree.read(root))
  os.execute("rm -r '" .. root .. "'")
  return #problems == 1 and problems[1]:find("core/net/conn.c:1: _Atomic", 1, true) == 1, problems
end

---@return integer passed
---@return integer failed
function M.run()
  local passed, failed = 0, 0
  local function count(name, ok, problems)
    if ok then
      passed = passed + 1
    else
      failed = failed + 1
      print(name .. ": not reported as planted, but:\n  " .. table.concat(problems, "\n  "))
    end
  end
  local clean = rules.check(tree_with())
  count("a clean tree", #clean == 0, clean)
  for _, p in ipairs(PLANTED) do
    count(p[1], fails_as_planted(p))
  end
  count("a folder", reads_a_folder())
  local listed = rules.check(tree_with("tests/structure/threads.lua", ""))
  count("a list of what is gone",
    #listed > 30 and listed[#listed]:find("any more: take it out", 1, true) ~= nil, listed)
  calls_test.run(count)
  local _, warnings = rules.check(tree_with("core/net/conn.c", "int other_x(void)\n{\n}\n"))
  count("a foreign prefix is a warning", #warnings == 1, warnings)
  return passed, failed
end

return M
