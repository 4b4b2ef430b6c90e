-- ./dev mutants random, checked without a build: all of core is read, a seed draws the same each time, and
-- sources that are known make the mutants that are known.

local cover = require "mutants.cover"
local draw = require "mutants.draw"
local explained = require "mutants.explained"
local operators = require "mutants.operators"
local work = require "mutants.work"

local passed, failed = 0, 0

local function check(ok, text)
  if ok then
    passed = passed + 1
  else
    failed = failed + 1
    io.stderr:write("mutants random: ", text, "\n")
  end
end

-- Each source, and all mutants of it: kind, what is replaced, what by.
local KNOWN = {
  { "int f(void)\n{\n    return g(a, b) < 2 && !h;\n}\n", {
    "operator < | <=", "operator < | >=", "operator && | ||", "operator ! | ",
    "constant 2 | (2 + 1)", "constant 2 | (2 - 1)", "constant 2 | 0",
    "arguments a, b | b, a",
    "deletion return g(a, b) < 2 && !h; | while (false) return g(a, b) < 2 && !h;",
  } },
  { "static void f(struct x *p)\n{\n    char text[64], *p, more[N + 1] = {0};\n    if (*p)\n        p->n += 1;\n}\n", {
    "operator += | -=", "operator += | =", "constant 1 | 0", "constant 1 | 2",
    "constant 0 | 1", "condition *p | !(*p)", "deletion *p | (*p) && false", "deletion { | { return;",
    "deletion p->n += 1; | while (false) p->n += 1;",
  } },
  { "int f(int n)\n{\n    for (int i = 0; i < n; i++)\n        g();\n    return n;\n}\n", {
    "operator < | <=", "operator < | >=", "operator ++ | --", "constant 0 | 1", "condition i < n | !(i < n)",
    "deletion g(); | while (false) g();", "deletion return n; | while (false) return n;",
  } },
  { "int f(bool b)\n{\n    if (b)\n        g();\n    else\n        h(1, 0);\n}\n", {
    "constant 1 | 0", "constant 1 | 2", "constant 0 | 1", "condition b | !(b)", "arguments 1, 0 | 0, 1",
    "deletion g(); | while (false) g();", "deletion h(1, 0); | while (false) h(1, 0);",
  } },
  { "#define MOST 10 /* 20 */\n#define TWICE(x) ((x) * 2)\nint a[MOST];\n", {
    "constant 10 | (10 + 1)", "constant 10 | (10 - 1)", "constant 10 | 0",
  } },
  { "static const struct x t[] = {{1, true}, {0x10, false}};\n", {
    "constant 1 | 0", "constant 1 | 2", "constant true | false", "constant 0x10 | (0x10 + 1)",
    "constant 0x10 | (0x10 - 1)", "constant 0x10 | 0", "constant false | true",
  } },
  { "struct x {\n    int n : 3;\n    char s[4];\n};\nint f(int n);\n/* if (n < 3) g(); */\n", {} },
  { 'int f(void)\n{\n    (void)n;\n    assert(n);\n    FIELDS(X)\n}\n', {} },
  { 'int f(void)\n{\n    do\n        n--;\n    while (n);\n    return "a < 1"[0];\n}\n', {
    "operator -- | ++", "constant 0 | 1", "condition n | !(n)", "deletion n--; | while (false) n--;",
    'deletion return "a < 1"[0]; | while (false) return "a < 1"[0];',
  } },
}

local function shown(text, m)
  return ("%s %s | %s"):format(m.kind, text:sub(m.at, m.last), m.to)
end

local function known_sources()
  for n, case in ipairs(KNOWN) do
    local text, want, got = case[1], {}, {}
    for _, line in ipairs(case[2]) do want[#want + 1] = line end
    for _, m in ipairs(operators.of("x.c", text)) do got[#got + 1] = shown(text, m) end
    table.sort(want)
    table.sort(got)
    check(table.concat(want, "\n") == table.concat(got, "\n"),
      ("source %d makes\n%s\nand not\n%s"):format(n, table.concat(got, "\n"), table.concat(want, "\n")))
  end
end

local function lines_in(text) return select(2, text:gsub("\n", "")) end

-- The body of an `if` is run where its first statement is, a macro where it is used.
local function lines_that_are_run()
  local text = "#define N 7\nint f(void)\n{\n    if (a) {\n        /* why */\n        g(N);\n    }\n}\n"
  local runs = {}
  for _, m in ipairs(operators.of("x.c", text)) do
    if m.run_at then runs[#runs + 1] = ("%s %d %s"):format(m.kind, m.line, table.concat(m.run_at, ",")) end
  end
  check(table.concat(runs, "; ") == "constant 1 6; constant 1 6; constant 1 6; deletion 4 6", table.concat(runs, "; "))
end

-- What is equal is so in either order; what is less is not.
local function arguments_that_may_change_places()
  local function is_same(call)
    for _, m in ipairs(operators.of("x.c", ("int f(void)\n{\n    return %s;\n}\n"):format(call))) do
      if m.kind == "arguments" then return m.is_same end
    end
  end
  local same = { "strcmp(a, b) == 0", "memcmp(a, b, n) != 0", "!strcmp(a, b)", "slice_eq(a, b)", "calloc(n, s)",
    "least(a, b)", "options_equal(a, b)" }
  for _, call in ipairs(same) do
    check(is_same(call) == true, call .. " is not the same in either order")
  end
  for _, call in ipairs { "strcmp(a, b) < 0", "strcmp(a, b)", "g(a, b) == 0", "lua_createtable(a, b)" } do
    check(is_same(call) == false, call .. " is the same in either order")
  end
end

-- Every file is read, has the mutants of its kind, and none of them changes its lines.
local function all_of_core()
  local kinds = {}
  for _, file in ipairs(draw.sources {}) do
    local text = work.read(file)
    local ok, list = pcall(operators.of, file, text)
    check(ok, ("%s: %s"):format(file, tostring(list)))
    local bad = 0
    for _, m in ipairs(ok and list or {}) do
      kinds[m.kind] = (kinds[m.kind] or 0) + 1
      if lines_in(text:sub(m.at, m.last)) ~= lines_in(m.to) or text:sub(m.at, m.last) == m.to then bad = bad + 1 end
    end
    check(bad == 0, ("%s: %d mutants change lines, or nothing"):format(file, bad))
  end
  for _, kind in ipairs(operators.KINDS) do
    check((kinds[kind] or 0) > 1000, ("only %d of kind %s"):format(kinds[kind] or 0, kind))
  end
end

local function drawn(seed, count)
  local list, by_kind = {}, draw.shuffled(draw.sources { "core/load" }, seed)
  for number = 1, count do
    local next_one = draw.candidates(by_kind, number, count)
    for _ = 1, 3 do
      local m = next_one()
      list[#list + 1] = ("%s %s %d %d %s"):format(m.kind, m.file, m.at, m.last, m.to)
    end
  end
  return list
end

local function a_seed_draws_the_same()
  local one, again, other = drawn(7, 20), drawn(7, 20), drawn(8, 20)
  check(table.concat(one, "\n") == table.concat(again, "\n"), "a seed draws others the second time")
  check(table.concat(one, "\n") ~= table.concat(other, "\n"), "another seed draws the same")
  local seen = {}
  for _, line in ipairs(one) do
    check(not seen[line], "drawn twice: " .. line)
    seen[line] = true
  end
end

-- Lines 2, 3 and 5 of x.c are counted, `near` runs 2 and 3, `far` runs 2 alone and is as quick.
local function tests_of_a_line()
  local near = { name = "near", seconds = 1, files = { ["x.c"] = { [2] = true, [3] = true } } }
  local far = { name = "far", seconds = 1, files = { ["x.c"] = { [2] = true } } }
  local function places(word) return word == "USED" and { { file = "x.c", line = 3 } } or {} end
  local cov = cover.new({ far, near }, { ["x.c"] = { [2] = true, [3] = true, [5] = true } }, places)
  local function names(m)
    m.file = m.file or "x.c"
    local list = {}
    for _, test in ipairs(cov:tests_of(m)) do list[#list + 1] = test.name end
    return table.concat(list, " ")
  end
  check(names { line = 2 } == "near far", "the test that runs most of a file does not come first")
  check(names { line = 4 } == "near", "a line belongs to the counted one above it")
  check(names { line = 5 } == "", "a line that nothing runs has tests")
  check(names { line = 1, run_at = { 3 }, is_loose = true } == "near", "a macro is not run where it is used")
  check(names { line = 9, is_loose = true } == "near far", "a table is not run where its file is")
  check(names { file = "x.h", line = 1, run_at = {}, is_loose = true, macro = "USED" } == "near",
    "a header's macro is not run where other files use it")
  check(names { file = "x.h", line = 1, run_at = {}, is_loose = true, macro = "ELSE" } == "",
    "a macro that nobody uses has tests")
end

-- What is explained stands in its file still.
local function explanations()
  for _, e in ipairs(explained) do
    local text = " " .. work.read(e.file):gsub("%s+", " ") .. " "
    check(text:find(" " .. e.from .. " ", 1, true) and e.from ~= e.to and #e.reason > 0,
      ("%s: what is explained is not there: %s"):format(e.file, e.from))
  end
end

known_sources()
lines_that_are_run()
arguments_that_may_change_places()
all_of_core()
a_seed_draws_the_same()
tests_of_a_line()
explanations()
io.write(("%d passed, %d failed\n"):format(passed, failed))
os.exit(failed == 0 and 0 or 1)
