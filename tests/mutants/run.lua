-- ./dev mutants [RACE...]: takes each rule of rules.lua, answers.lua, restarts.lua and tier.lua out of a copy of the
-- sources,
-- builds the tests that are named for its race, and shows that one of them fails; and how many seeds the
-- simulator needs to find it out. Exit code 0: every one was caught.
--
--   RACE         a number, or the word that stands for one; more than one may be named
--   --self-test  builds nothing: whether each text that is to be replaced stands once in its file, and
--                each test that is named is there

local rules = {}
for _, file in ipairs { "mutants.rules", "mutants.answers", "mutants.restarts",
                         "mutants.tier" } do
  for _, rule in ipairs(require(file)) do rules[#rules + 1] = rule end
end

local work = require "mutants.work"

local read, write, run = work.read, work.write, work.run

local SEEDS = 20000

-- Whether the simulator drives what the rule is about, and its checker has a promise for it.
local function is_simulated(rule)
  for _, prefix in ipairs { "store/", "serve/", "load/flight", "load/load_end", "load/write", "load/outcome",
                            "load/admission" } do
    if rule.file:find("core/" .. prefix, 1, true) == 1 then return true end
  end
  return false
end

local function targets(rule)
  local list = { is_simulated(rule) and "sim" or nil }
  for _, name in ipairs(rule.tests) do list[#list + 1] = "unit_" .. name .. "_test" end
  if rule.specs then list[#list + 1] = "rtcached" end
  return list
end

-- The first seed whose history breaks a promise; nil: none does.
local function failing_seed(copy, log)
  if run(("timeout 300 '%s/build-mutants/sim' --seeds %d >%s 2>&1"):format(copy, SEEDS, log)) then return nil end
  return tonumber(read(log):match "(%d+) seeds passed, 1 failed") + 1
end

-- Adds the names of a spec's tests that failed. The copy has no build of the tool, which these do not call.
local function fail_specs(copy, log, name, failed)
  if run(([[cd '%s' && TMPDIR='%s' RTCACHED=build-mutants/rtcached LC_ALL=C.UTF-8 timeout 300 \
    luajit /usr/bin/busted -o plainTerminal tests/spec/%s_spec.lua >%s 2>&1]]):format(copy, copy, name, log)) then
    return
  end
  local found = false
  for test in read(log):gmatch "\n[EF][%a]+ %-> tests/[^\n]+\n([^\n]+)" do
    failed[test], found = true, true
  end
  if not found then failed[name .. " (ended)"] = true end
end

-- The names of the tests that failed; nil where all of them passed.
local function failing(copy, log, names, specs)
  local failed = {}
  for _, name in ipairs(names) do
    if name:find "^unit_" and not run(("cd '%s' && TMPDIR='%s' timeout 120 build-mutants/%s >%s 2>&1")
      :format(copy, copy, name, log)) then
      local output = read(log)
      for test in output:gmatch "%[  FAILED  %] ([%w_]+)\n" do failed[test] = true end
      if not next(failed) then failed[name .. " (ended)"] = true end
    end
  end
  for _, name in ipairs(specs) do fail_specs(copy, log, name, failed) end
  local list = {}
  for test in pairs(failed) do list[#list + 1] = test end
  table.sort(list)
  return #list > 0 and list or nil
end

-- The test that is named for the race, if it is among them.
local function named(list, race)
  for number in race:gmatch "%d+" do
    for _, test in ipairs(list) do
      if test:find(("race_%02d_"):format(number), 1, true) then return test end
    end
  end
end

local function try(copy, log, rule)
  local path = copy .. "/" .. rule.file
  local original = read(path)
  write(path, work.replace_once(original, rule.from, rule.to, rule.file))
  local names, caught, seed = targets(rule), nil, nil
  if work.build(copy, "build-mutants", log, names) then
    caught = failing(copy, log, names, rule.specs or {})
    seed = is_simulated(rule) and failing_seed(copy, log)
  else
    io.write(read(log))
    io.stderr:write(("mutants: race %s, %s: it does not build\n"):format(rule.race, rule.rule))
  end
  write(path, original)
  return caught, seed
end

-- Whether it is one of the races that were asked for.
local function is_wanted(rule, races)
  for _, race in ipairs(races) do
    if rule.race:find("%f[%w]" .. race .. "%f[%W]") then return true end
  end
  return #races == 0
end

local function self_test()
  local failed = 0
  local function check(ok, text)
    if ok then return end
    failed = failed + 1
    io.stderr:write("mutants: ", text, "\n")
  end
  local there = {}
  for _, path in ipairs(work.lines "find tests/unit -name '*_test.c'") do
    local name = path:match "tests/unit/(.*)_test%.c$":gsub("/", "_")
    there[name] = true
  end
  for _, rule in ipairs(rules) do
    local ok, err = pcall(work.replace_once, read(rule.file), rule.from, rule.to, rule.file)
    check(ok, ("race %s, %s: %s"):format(rule.race, rule.rule, tostring(err)))
    for _, name in ipairs(rule.tests) do
      check(there[name], ("race %s: there is no unit test %s"):format(rule.race, name))
    end
    for _, name in ipairs(rule.specs or {}) do
      local path = ("tests/spec/%s_spec.lua"):format(name)
      check(work.is_there(path), ("race %s: there is no %s"):format(rule.race, path))
    end
  end
  io.write(("%d passed, %d failed\n"):format(#rules - failed, failed))
  return failed == 0 and 0 or 1
end

local function main(races)
  local pipe = io.popen "mktemp -d"
  local copy = pipe:read "*l"
  pipe:close()
  run("chmod 711 " .. copy) -- a test's PostgreSQL runs as another user, in a folder below
  local log, missed, count = copy .. "/log", 0, 0
  local ok, err = pcall(function()
    work.copy_sources(copy)
    work.configure(copy, "build-mutants", "-DCMAKE_BUILD_TYPE=Debug", log)
    io.write "| race | rule that is taken out | caught by | the simulator's seed |\n| --- | --- | --- | --- |\n"
    for _, rule in ipairs(rules) do
      if is_wanted(rule, races) then
        local caught, seed = try(copy, log, rule)
        local expected = is_simulated(rule) and not rule.unseen
        count = count + 1
        missed = missed + ((caught and (seed or not expected)) and 0 or 1)
        local by = caught and (named(caught, rule.race) or caught[1]) or "NOTHING"
        if caught and #caught > 1 then by = by .. (" and %d more"):format(#caught - 1) end
        local word = seed or (expected and "NONE" or rule.unseen and "none: " .. rule.unseen or "")
        io.write(("| %s | %s | %s | %s |\n"):format(rule.race, rule.rule, by, word))
        io.flush()
      end
    end
  end)
  work.end_left(copy)
  run("rm -rf '" .. copy .. "'")
  if not ok then error(err, 0) end
  io.write(("\n%d rules, %d not caught\n"):format(count, missed))
  return missed == 0 and count > 0 and 0 or 1
end

os.exit(arg[1] == "--self-test" and self_test() or main(arg))
