--- Which tests run which line of core: by a build with coverage (build-coverage), one test after the
--- other. What a test ran is kept in build-mutants/map until core, or the test, is another.
---
--- A test: { name, kind ("unit", "spec", "faults" or "sim"), target (of the build), path (of its source),
--- seconds (that it took), broken (it failed with coverage), files = { [file] = { [line] = true } } }.

local work = require "mutants.work"

local M = {}

local FOLDER = "build-mutants/map"
M.COVERAGE_SEEDS = 300

--- What a test is run with, as in .ci/stages.sh; specs with two threads each, as under the sanitizers.
--- AddressSanitizer looks after a bound of memory by a thread. What that allocates on its start counts as a
--- leak where allocations are made to fail, so the tests that do so run without the bound.
---@param test table
function M.environment(test)
  return "LC_ALL=C.UTF-8 SPEC_THREADS=2 ASAN_OPTIONS=detect_leaks=1"
    .. (test.name:find "_nomem_test$" and "" or ":hard_rss_limit_mb=8000")
    .. " UBSAN_OPTIONS=print_stacktrace=1:halt_on_error=1"
end

local function tests_of(list, kind, pattern, name_of)
  for _, path in ipairs(work.lines(("ls %s 2>/dev/null"):format(pattern))) do
    local name, target = name_of(path)
    list[#list + 1] = { kind = kind, path = path, name = name, target = target }
  end
end

--- All tests there are.
function M.tests()
  local list = {}
  tests_of(list, "unit", "tests/unit/*/*_test.c tests/unit/*/*/*_test.c", function(path)
    local target = "unit_" .. path:match("unit/(.*)%.c$"):gsub("/", "_")
    return target, target
  end)
  tests_of(list, "spec", "tests/spec/*_spec.lua", function(path) return path:match "([^/]+)%.lua$" end)
  tests_of(list, "faults", "tests/faults/*_spec.lua", function(path) return "faults/" .. path:match "([^/]+)%.lua$" end)
  list[#list + 1] = { kind = "sim", path = "tests/sim/main.c", name = "sim", target = "sim" }
  return list
end

local BESIDE = { -- what a test of a kind is made of, beside its own source
  unit = "tests/unit -name '*.h'", spec = "tests/spec/support -type f",
  faults = "tests/spec/support tests/faults -type f ! -name '*_spec.lua'", sim = "tests/sim -type f",
}

local function sum_of(find)
  return work.output(("find %s | sort | xargs sha1sum | sha1sum"):format(find)):match "^%x+"
end

-- Gives each test the name of the file that its map is kept in.
local function add_keys(tests)
  local core = sum_of "core lua CMakeLists.txt cmake -type f"
  local beside = {}
  for kind, find in pairs(BESIDE) do beside[kind] = sum_of(find) end
  for _, test in ipairs(tests) do
    local own = work.output(("sha1sum '%s'"):format(test.path)):match "^%x+"
    local key = work.output(("echo %s %s %s | sha1sum"):format(core, beside[test.kind], own)):match "^%x+"
    test.key = test.name:gsub("/", "-") .. "-" .. key:sub(1, 16)
  end
end

--- The command of a test in the folder it is called in, for a build there.
function M.command(test, build, seeds)
  if test.kind == "unit" then return ("%s/%s"):format(build, test.target) end
  if test.kind == "sim" then return ("%s/sim --seeds %d"):format(build, seeds) end
  return ("RTCACHED=$PWD/%s/rtcached RTCACHE=$PWD/%s/rtcache luajit /usr/bin/busted -o plainTerminal "
    .. "--no-keep-going %s"):format(build, build, test.path)
end

-- A folder that gcov's counts are written to, with the notes of the build beside them.
local function make_room(room, build)
  work.run(([[rm -rf '%s' && mkdir -p '%s/tmp' && find '%s' -name '*.gcno' -path '*core*' -print0 |
    xargs -0 cp -s --parents -t '%s' && find '%s' -type d -exec chmod 777 {} +]])
    :format(room, room, build, room, room))
end

-- What gcov prints of the files below a folder: [file][line] = true where the count looks like it.
local function lines_of(room, root, suffix, like)
  local files, file = {}, nil
  local pipe = io.popen(("cd '%s' && find . -name '*.%s' -path '*core*' -print0 | xargs -0 -r gcov -t -r -s '%s' 2>&1")
    :format(room, suffix, root))
  for row in pipe:lines() do
    local count, line, rest = row:match "^%s*([^:]+):%s*(%d+):(.*)$"
    if line == "0" then
      local source = rest:match "^Source:(.*)$"
      if source then file = source:match "^core/" and source end
    elseif file and count and count:find(like) then
      files[file] = files[file] or {}
      files[file][tonumber(line)] = true
    end
  end
  pipe:close()
  return files
end

local function keep(test, files)
  local out = { ("%.2f %s"):format(test.seconds, test.broken and "broken" or "passed") }
  for file, lines in pairs(files) do
    local numbers = {}
    for line in pairs(lines) do numbers[#numbers + 1] = line end
    table.sort(numbers)
    out[#out + 1] = file .. " " .. table.concat(numbers, " ")
  end
  work.write(("%s/%s.new"):format(FOLDER, test.key), table.concat(out, "\n") .. "\n")
  assert(os.rename(("%s/%s.new"):format(FOLDER, test.key), ("%s/%s"):format(FOLDER, test.key)))
end

local function recall(test)
  test.files = {}
  for row in work.read(("%s/%s"):format(FOLDER, test.key)):gmatch "[^\n]+" do
    local seconds, word = row:match "^([%d.]+) (%a+)$"
    if seconds then
      test.seconds, test.broken = tonumber(seconds), word == "broken"
    else
      local file, numbers = row:match "^(%S+) (.*)$"
      local lines = {}
      for n in numbers:gmatch "%d+" do lines[tonumber(n)] = true end
      test.files[file] = lines
    end
  end
end

local function now()
  return tonumber(work.output "date +%s.%N")
end

-- Runs one test with coverage and keeps what it ran.
local function measure(test, root, tmp)
  local room = tmp .. "/map"
  make_room(room, root .. "/build-coverage")
  local began = now()
  local command = M.command(test, "build-coverage", M.COVERAGE_SEEDS)
  local ok = work.run(("TMPDIR='%s/tmp' GCOV_PREFIX='%s' %s timeout -k 5 1800 sh -c '%s' >'%s/log' 2>&1")
    :format(room, room, M.environment(test), command, room))
  test.seconds, test.broken = now() - began, not ok
  if not ok then work.run(("cp '%s/log' 'build-mutants/%s.log'"):format(room, test.name:gsub("/", "-"))) end
  work.end_left(room .. "/tmp")
  keep(test, lines_of(room, root, "gcda", "^%d"))
  work.run(("rm -rf '%s'"):format(room))
end

--- Those of the tests whose map is not there yet.
function M.missing()
  work.run("mkdir -p " .. FOLDER)
  local tests, missing = M.tests(), {}
  add_keys(tests)
  for _, test in ipairs(tests) do
    if not work.is_there(FOLDER .. "/" .. test.key) then missing[#missing + 1] = test end
  end
  return missing
end

--- What a worker does for the n-th of those that were missing.
function M.measure(test, tmp)
  measure(test, work.output("pwd"):match "[^\n]+", tmp)
end

--- The lines that the compiler counts, by file.
function M.counted(tmp)
  local room, root = tmp .. "/map", work.output("pwd"):match "[^\n]+"
  make_room(room, root .. "/build-coverage")
  local files = lines_of(room, root, "gcno", "^#")
  work.run(("rm -rf '%s'"):format(room))
  return files
end

--- The tests with what they run; one that came after the map was made is not among them.
function M.load()
  local tests, known = M.tests(), {}
  add_keys(tests)
  for _, test in ipairs(tests) do
    if work.is_there(FOLDER .. "/" .. test.key) then
      recall(test)
      known[#known + 1] = test
    end
  end
  return known
end

return M
