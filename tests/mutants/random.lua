-- ./dev mutants random [N] [SEED] [PATH...]: N small mistakes (150) in core, or in the folders and files of
-- core that are named, drawn by the seed (the day, as 20261130). Each is put into a copy of the sources, and
-- the tests that run its line are run until one fails. Exit code 0: enough of them were noticed.
--
--   --floor P    how many of a hundred must be noticed; 90
--   --seconds S  stops after tests that take so long without a mutant; 900
--   --again      only those of the last draw that survived: N, SEED and PATH as they were, and its sources
--
-- A mutant that does not compile without a warning, or of which the optimizing compiler makes the same code,
-- is none: another is drawn. Those that survive and are in explained.lua are shown apart.

local cover = require "mutants.cover"
local draw = require "mutants.draw"
local explained = require "mutants.explained"
local map = require "mutants.map"
local operators = require "mutants.operators"
local trial = require "mutants.trial"
local work = require "mutants.work"

local FOLDER = "build-mutants"

local function options_of(words)
  local o = { numbers = {}, paths = {}, floor = 90, seconds = 900 }
  local i = 1
  while words[i] do
    local word = words[i]
    local option = word:match "^%-%-(%a+)$"
    if option == "floor" or option == "seconds" or option == "worker" then
      i = i + 1
      o[option] = tonumber(words[i]) or error(word .. " wants a number", 0)
    elseif option == "measure" or option == "again" then
      o[option] = true
    elseif word:find "^%d+$" and #o.numbers < 2 then
      o.numbers[#o.numbers + 1] = tonumber(word)
    elseif word == "core" or word:find "^core/" then
      if not work.run(("[ -e '%s' ]"):format(word)) then error(("there is no %s"):format(word), 0) end
      o.paths[#o.paths + 1] = word
    else
      error(("what is %q? [N] [SEED] [core/PATH...] [--floor P] [--seconds S] [--again]"):format(word), 0)
    end
    i = i + 1
  end
  o.count, o.seed = o.numbers[1] or 150, o.numbers[2] or tonumber(os.date "%Y%m%d")
  return o
end

-- One of the workers takes the number or the name; no other does.
local function claim(name) return work.run(("mkdir '%s/claims/%s' 2>/dev/null"):format(FOLDER, name)) end

local function explanation_of(text, m)
  local from, to = operators.shown(text, m)
  for _, e in ipairs(explained) do
    if e.file == m.file and e.from == from and e.to == to then return e.reason end
  end
end

-- The word of a mutant's end, and the line that tells it.
local function judge(worker, cov, m, seconds)
  local tests = cov:tests_of(m)
  if #tests == 0 then return "survived", "no test runs it" end
  local by, ran, more = worker:notice(tests, seconds)
  if ran == "no build" then return "no compile" end
  if by then return "noticed", by end
  local reason = explanation_of(worker.original, m)
  if reason then return "explained", reason end
  return "survived", ("%d tests run it%s"):format(ran, more and ", and more that did not get their turn" or "")
end

-- The first valid mutant among a number's candidates: how it ended, and how many were none before it.
local function try_number(worker, cov, next_candidate, seconds)
  local counts = { ["no compile"] = 0, ["same code"] = 0 }
  for m in next_candidate do
    local verdict = worker:put(m)
    if verdict == "valid" then
      local word, text = judge(worker, cov, m, seconds)
      worker:take_out()
      if word ~= "no compile" then return word, text, m, counts end
      verdict = word
    end
    counts[verdict] = counts[verdict] + 1
  end
  return "none", "no further mutant of this kind", nil, counts
end

local function tell(number, word, text, m, counts, source)
  local line = ("%4d  %-9s %s\n"):format(number, word, text)
  if m then
    local from, to = operators.shown(source, m)
    line = ("%4d  %-9s %s:%d  %s\n      - %s\n      + %s\n      %s\n")
      :format(number, word, m.file, m.line, m.kind, from, to, text)
  end
  work.write(("%s/results/%d"):format(FOLDER, number),
    ("%s %d %d\n"):format(word, counts["no compile"], counts["same code"]))
  io.write(line)
  io.flush()
end

local function temporary()
  local tmp = work.output("mktemp -d /tmp/rtm-XXXXXX"):match "%S+"
  work.run("chmod 711 " .. tmp)
  return tmp
end

local function work_on(o)
  local tmp = temporary()
  local ok, err = pcall(function()
    if o.measure then
      for _, test in ipairs(map.missing()) do
        if claim(test.key) then map.measure(test, tmp) end
      end
      return
    end
    local cov = cover.new(map.load(), map.counted(tmp), draw.places)
    local by_kind = draw.shuffled(draw.sources(o.paths), o.seed)
    local worker = trial.new(o.worker, tmp)
    for number = 1, o.count do
      if claim(number) then
        local word, text, m, counts =
          try_number(worker, cov, draw.candidates(by_kind, number, o.count), o.seconds)
        tell(number, word, text, m, counts, worker.original)
      end
    end
  end)
  work.run("rm -rf " .. tmp)
  if not ok then error(err, 0) end
end

local function forget_all() work.run(("rm -rf '%s/claims' '%s/results'"):format(FOLDER, FOLDER)) end

-- Those that survived are there to be claimed again.
local function forget_survivors(o)
  for number = 1, o.count do
    local path = ("%s/results/%d"):format(FOLDER, number)
    if not work.is_there(path) then error("there is no draw of so many that came to its end", 0) end
    if work.read(path):find "^survived" then
      work.run(("rm -rf '%s' '%s/claims/%d'"):format(path, FOLDER, number))
    end
  end
end

-- Runs a worker for each processor, at a low priority.
local function start_workers(words)
  work.run(("mkdir -p '%s/claims' '%s/results' '%s/sound'"):format(FOLDER, FOLDER, FOLDER))
  local commands, processors = {}, tonumber(work.output "nproc")
  for n = 1, processors do
    commands[n] = ("nice luajit tests/mutants/random.lua %s --worker %d & pids=\"$pids $!\"; "):format(words, n)
  end
  if not work.run(table.concat(commands) .. "rc=0; for p in $pids; do wait $p || rc=1; done; exit $rc") then
    error("a worker ended", 0)
  end
end

local function summary(o)
  local sums = { noticed = 0, survived = 0, explained = 0, none = 0, ["no compile"] = 0, ["same code"] = 0 }
  for number = 1, o.count do
    local word, refused, same = work.read(("%s/results/%d"):format(FOLDER, number)):match "^(%a+) (%d+) (%d+)"
    sums[word] = sums[word] + 1
    sums["no compile"], sums["same code"] = sums["no compile"] + refused, sums["same code"] + same
  end
  local all = o.count - sums.none
  local share = all > 0 and 100 * sums.noticed / all or 0
  io.write(("\n%d mutants, %d noticed (%.1f %%), %d explained, %d survived\n")
    :format(all, sums.noticed, share, sums.explained, sums.survived))
  io.write(("%d invalid: %d do not compile, %d are the same code\n")
    :format(sums["no compile"] + sums["same code"], sums["no compile"], sums["same code"]))
  return all > 0 and share >= o.floor
end

-- Tests that fail in the builds for mutants without one, and so can notice none.
local function tell_unsound()
  for _, path in ipairs(work.lines(("grep -lx broken '%s'/sound/*"):format(FOLDER))) do
    io.write(("fails without a mutant, and notices none: %s.log\n"):format(path))
  end
end

local function main(words)
  local good, o = pcall(options_of, words)
  if not good then
    io.stderr:write("mutants random: ", o, "\n")
    return 2
  end
  if o.worker then
    work_on(o)
    return 0
  end
  local missing = #map.missing()
  if missing > 0 then
    io.write(("finding out which lines %d tests run\n"):format(missing))
    io.flush()
    if not o.again then forget_all() end
    start_workers "--measure"
  end
  for _, test in ipairs(map.load()) do
    if test.broken then
      io.write(("%s fails in the build with coverage: %s/%s.log\n"):format(test.name, FOLDER, test.name:gsub("/", "-")))
    end
  end
  io.write(("mutants %d of seed %d\n"):format(o.count, o.seed))
  io.flush()
  if o.again then forget_survivors(o) else forget_all() end
  start_workers(table.concat(words, " "))
  tell_unsound()
  return summary(o) and 0 or 1
end

os.exit(main(arg))
