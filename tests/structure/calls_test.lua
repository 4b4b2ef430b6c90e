--- Plants calls that are not allowed: as nm prints them, and in objects that gcc made of real sources.

local calls = require "calls"
local objects = require "objects"
local tree = require "tree"

local M = {}

local FLOORS = { base = 0, wire = 1, sys = 1, store = 2, net = 5 }

local WHY = "Each of them needs the other for now."

-- What nm says of an object that defines a function of its own name and takes those of others.
local function object(stem, ...)
  local at = ("build/CMakeFiles/rt_x.dir/core/%s.c.o: "):format(stem)
  local lines = { ("%s%s T 0 10\n"):format(at, stem:gsub("/", "_")) }
  for _, taken in ipairs { ... } do
    lines[#lines + 1] = ("%s%s U         \n"):format(at, taken:gsub("/", "_"))
  end
  return table.concat(lines)
end

local CLEAN = object("base/err", "malloc") .. object("store/a", "base/err", "store/b") .. object("store/b")
  .. object("net/a", "net/b", "store/a") .. object("net/b", "net/a") .. object("net/c", "net/a")

local ALLOWED = { { "net", "a b", WHY } }

local function problems_of(text, allowed)
  return calls.check(tree.of {}, objects.parse(text), FLOORS, allowed or ALLOWED)
end

-- name; objects beside the clean ones; the list of circles, where it is another; what is told, in order.
local PLANTED = {
  { "calls as they may be", "" },
  { "a call upwards", object("base/x", "store/a"), false, "core/base/x.c:1: takes store_a from store/a of floor 2" },
  { "a call to a neighbour", object("sys/x") .. object("wire/x", "sys/x"), false,
    "core/wire/x.c:1: takes sys_x from sys/x of floor 1" },
  { "a new circle of two", object("store/c", "store/d") .. object("store/d", "store/c"), false,
    "core/store/c.c:1: a new circle of calls: store/c -> store/d (store_d) -> store/c (store_c)" },
  { "a new circle of three",
    object("store/c", "store/d") .. object("store/d", "store/e") .. object("store/e", "store/c"),
    false, "a new circle of calls: store/c -> store/d (store_d) -> store/e (store_e) -> store/c (store_c)" },
  { "a new circle of two that touch", object("store/c", "store/d", "store/e") .. object("store/d", "store/c")
    .. object("store/e", "store/c"), false,
    "store/c -> store/d (store_d) -> store/c (store_c); all of it: store/c store/d store/e" },
  { "a new circle in folders of a folder", object("store/x/a", "store/y/a") .. object("store/y/a", "store/x/a"), false,
    "core/store/x/a.c:1: a new circle of calls: store/x/a -> store/y/a (store_y_a) -> store/x/a (store_x_a)" },
  { "an object that joins a circle", object("net/d", "net/a") .. object("net/e", "net/d")
    .. object("net/b", "net/e"), false, "core/net/d.c:1: joins a circle of calls: net/d -> net/a (net_a)",
    "core/net/e.c:1: joins a circle of calls: net/e -> net/d" },
  { "a circle without a sentence", "", { { "net", "a b", "knots" } }, "the reason of a circle is a whole sentence" },
  { "a circle that has shrunk", "", { { "net", "a b c", WHY } }, "this circle of net has shrunk: take net/c out" },
  { "a circle that is gone", "", { ALLOWED[1], { "store", "a b", WHY } }, "this circle of store is gone" },
  { "a circle that fell in two", object("net/c", "net/d") .. object("net/d", "net/c"),
    { { "net", "a b c d", WHY } }, "core/net/c.c:1: a new circle of calls: net/c -> net/d",
    "this circle of net has shrunk: take net/c, net/d out" },
}

local function told_as_planted(plant)
  local problems = problems_of(CLEAN .. plant[2], plant[3] or nil)
  local ok = #problems == math.max(#plant - 3, 0)
  for i = 4, #plant do
    ok = ok and problems[i - 3]:find(plant[i], 1, true) ~= nil
  end
  return ok, problems
end

local SOURCES = {
  ["core/store/a.c"] = "void store_b(void);\nvoid store_a(void);\nvoid store_a(void)\n{\n    store_b();\n}\n",
  ["core/store/b.c"] = "void store_a(void);\nvoid store_b(void);\nvoid store_b(void)\n{\n    store_a();\n}\n",
}

--- Objects of a compiler, with machine code beside what the linker optimizes, or with that alone.
local function reads_objects(flags)
  local root = os.tmpname()
  os.remove(root)
  for path, text in pairs(SOURCES) do
    local dir = root .. "/CMakeFiles/rt_store.dir/" .. path:match "^(.*)/"
    local source, to = root .. "/" .. path:match "[^/]+$", dir .. path:match "/[^/]+$" .. ".o"
    os.execute(("mkdir -p '%s'"):format(dir))
    local f = assert(io.open(source, "w"))
    f:write(text)
    f:close()
    os.execute(("gcc -O1 %s -c '%s' -o '%s'"):format(flags, source, to))
  end
  local files = tree.of(SOURCES)
  local found, problems = objects.read(root, files)
  for _, text in ipairs(calls.check(files, found, FLOORS, {})) do problems[#problems + 1] = text end
  os.execute("rm -r '" .. root .. "'")
  local circle = "store/a -> store/b (store_b) -> store/a (store_a)"
  return #problems == 1 and problems[1]:find(circle, 1, true) ~= nil, problems
end

local function misses_objects()
  local _, problems = objects.read("/nowhere", tree.of(SOURCES))
  return #problems == 2 and problems[1]:find("core/store/a.c:1: no names can be read", 1, true) == 1, problems
end

---@param count fun(name: string, ok: boolean, problems: string[])
function M.run(count)
  for _, plant in ipairs(PLANTED) do count(plant[1], told_as_planted(plant)) end
  count("a circle in objects", reads_objects "")
  count("a circle in objects for an optimizing linker", reads_objects "-flto -ffat-lto-objects")
  count("objects that are not there", misses_objects())
end

return M
