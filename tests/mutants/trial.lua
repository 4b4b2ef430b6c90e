--- One worker of `./dev mutants random`: a copy of the sources with two builds of it, one mutant after the
--- other put into it, and the tests that run its line, until one of them fails.
---
--- Unit tests and specs run under AddressSanitizer and UBSan, the simulator and the faults without.

local map = require "mutants.map"
local operators = require "mutants.operators"
local work = require "mutants.work"

local M = {}
M.__index = M

local SEEDS = 3000
local BATCH = 6 -- specs that share a PostgreSQL
local BUILD_OF = { unit = "build-asan", spec = "build-asan", sim = "build-plain", faults = "build-plain" }
local TARGETS = {
  spec = { "rtcached", "rtcache", "rtcached_line" },
  faults = { "rtcached", "rtcache", "rtcached_faulty" },
}

---@param number integer  of the worker
---@param tmp string      a folder of its own for what tests write, which another user may enter
function M.new(number, tmp)
  local self = setmetatable({ copy = "build-mutants/copy" .. number, tmp = tmp, log = tmp .. "/log", known = {} }, M)
  work.copy_sources(self.copy)
  local options = "-DCMAKE_BUILD_TYPE=Debug -DCMAKE_C_FLAGS_DEBUG=-O1 -DCMAKE_C_COMPILER=gcc "
  work.configure(self.copy, "build-plain", options, self.log)
  work.configure(self.copy, "build-asan", options .. "-DRTCACHE_SANITIZE=address,undefined", self.log)
  if not work.build(self.copy, "build-asan", self.log, { "rtcached", "rtcache" }) then
    error("the copy does not build: " .. work.read(self.log), 0)
  end
  self.root = work.output("cd " .. self.copy .. " && pwd"):match "[^\n]+"
  self.commands = self:read_commands()
  return self
end

-- For each source, what makes assembler of it as it is released, with all warnings.
function M:read_commands()
  local commands = {}
  local text = work.read(self.copy .. "/build-asan/compile_commands.json")
  for command, file in text:gmatch '"command": "(.-)",%s*"file": "(.-)"' do
    local name = file:sub(#self.root + 2)
    if name:find "^core/" then
      commands[name] = command:gsub('\\"', '"'):gsub("\\\\", "\\"):gsub(" %-o .*$", "")
        .. (" -fno-sanitize=all -O2 -DNDEBUG -S -o - '%s'"):format(file)
    end
  end
  return commands
end

-- What the compiler makes of a source, as a sum; nil: it refuses it.
function M:assembler(file)
  local out = self.tmp .. "/out.s"
  local command = self.commands[file]:gsub("%-o %- ", "-o '" .. out .. "' ")
  if not work.run(("cd '%s/build-asan' && %s >'%s' 2>&1"):format(self.copy, command, self.log)) then return nil end
  return work.output(("sha1sum <'%s'"):format(out))
end

-- The sources that a change of a file is compiled in.
function M:compiled_in(file)
  if file:find "%.c$" then return { file } end
  local list = {}
  local including = ("cd '%s' && grep -rlF --include='*.c' '\"%s\"' core | sort"):format(self.copy, file:sub(6))
  for _, path in ipairs(work.lines(including)) do
    if self.commands[path] then list[#list + 1] = path end
  end
  return list
end

--- Puts a mutant into the copy. "valid", "no compile" or "same code"; only after the first it stays.
function M:put(m)
  local sources = self:compiled_in(m.file)
  if #sources == 0 or m.is_same then return "same code" end
  local path = self.copy .. "/" .. m.file
  self.original = work.read(path)
  self.mutated, self.path = operators.apply(self.original, m), path
  local verdict = "same code"
  for _, source in ipairs(sources) do
    work.write(path, self.mutated)
    local after = self:assembler(source)
    work.write(path, self.original)
    if not after then return "no compile" end
    self.known[source] = self.known[source] or self:assembler(source)
    if self.known[source] ~= after then
      verdict = "valid"
      break
    end
  end
  if verdict == "valid" then work.write(path, self.mutated) end
  return verdict
end

function M:take_out() work.write(self.path, self.original) end

function M:build(test)
  return work.build(self.copy, BUILD_OF[test.kind], self.log, TARGETS[test.kind] or { test.target })
end

-- Runs tests that one command can run; "passed", "failed" or "hung".
function M:run(tests)
  local test, paths, seconds = tests[1], {}, 0
  for _, t in ipairs(tests) do
    paths[#paths + 1], seconds = t.path, seconds + t.seconds
  end
  local command = map.command(test, BUILD_OF[test.kind], SEEDS)
  if #tests > 1 then command = command:gsub("%S+$", "") .. table.concat(paths, " ") end
  local place = self.tmp .. "/t"
  work.run(("mkdir -p '%s' && chmod 777 '%s'"):format(place, place))
  local limits = "ulimit -c 0; ulimit -f 8000000;"
  local code = work.code(("cd '%s' && %s TMPDIR='%s' %s timeout -k 5 %d sh -c '%s' >'%s' 2>&1")
    :format(self.copy, limits, place, map.environment(test), 60 + 8 * seconds, command, self.log))
  work.end_left(place)
  work.run(("rm -rf '%s'"):format(place))
  if code == 0 then return "passed" end
  return (code == 124 or code == 137) and "hung" or "failed"
end

-- Which test failed: the place in the list of its file, and its name.
function M:failed_of(tests)
  local text = work.read(self.log)
  if #tests == 1 and tests[1].kind == "unit" then
    return 1, text:match "%[  FAILED  %] ([%w_]+)\n" or text:match "ERROR: (%w+Sanitizer: [%w_-]+)"
      or text:match "(runtime error: [^\n]+)" or "it ends"
  end
  local path, name = text:match "\nFailure %S+ (%S+) @ %d+\n([^\n]+)"
  if not path then path, name = text:match "\nError %S+ (%S+) @ %d+\n([^\n]+)" end
  for i, test in ipairs(tests) do
    if test.path == path then return i, name end
  end
  return 1, text:match "seed %d+" or "it ends"
end

-- Whether the test passes on the sources as they are, in this build. Asked once of all workers.
function M:is_sound(test)
  local mark = "build-mutants/sound/" .. test.key
  if not work.is_there(mark) then
    self:take_out()
    local ok = self:build(test) and self:run { test } == "passed"
    if not ok then work.run(("cp '%s' '%s.log'"):format(self.log, mark)) end
    work.write(mark, ok and "passed" or "broken")
    work.write(self.path, self.mutated)
    self:build(test)
  end
  return work.read(mark) == "passed"
end

-- The tests from place `from` on that are run in one command.
local function batch_at(tests, from)
  local batch = { tests[from] }
  while tests[from].kind == "spec" and #batch < BATCH do
    local next_one = tests[from + #batch]
    if not next_one or next_one.kind ~= "spec" then break end
    batch[#batch + 1] = next_one
  end
  return batch
end

-- A failure counts where it comes again, and the test passes without the mutant.
function M:confirm(test, word, name)
  if word == "failed" and test.kind ~= "unit" and self:run { test } == "passed" then return nil end
  if not self:is_sound(test) then return nil end
  return word == "hung" and test.name .. " hangs" or ("%s: %s"):format(test.name, name)
end

--- Runs the tests until one fails: what noticed it; nil: nothing did. Second: "no build" where the other
--- builds' compiler refuses it, else how many tests ran, and whether there were more than `seconds` allows.
function M:notice(tests, seconds)
  local at, spent = 1, 0
  while at <= #tests and spent < seconds do
    local batch = batch_at(tests, at)
    if not self:build(batch[1]) then return nil, "no build" end
    local word = self:run(batch)
    local ran = #batch
    if word ~= "passed" then
      local place, name = 1, "it hangs"
      if word == "failed" then place, name = self:failed_of(batch) end
      local by = self:confirm(batch[place], word, name)
      if by then return by, at + place - 1 end
      ran = place
    end
    for i = 1, ran do spent = spent + batch[i].seconds end
    at = at + ran
  end
  return nil, at - 1, at <= #tests
end

return M
