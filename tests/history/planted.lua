-- ./dev history planted [WORD]: runs with a fault each (faults.lua), and whether the checker finds it. Exit
-- code 0: every one was found.
--
--   WORD         only those of which it says what is wrong
--   --scripts    only those that need no other server to be built
--   --self-test  none: whether each text that is to be replaced stands once where it should

local Server = require "spec.support.server"
local Setup = require "history.setup"
local faults = require "history.faults"
local files = require "spec.support.files"
local postgres = require "spec.support.postgres"
local process = require "spec.support.process"

local OPERATIONS = { outside = 20000, inside = 60000 }
local KEYS, EVERY = 400, 5000

-- from -> to, where from stands exactly once.
local function replace_once(text, from, to, where)
  local first, last = text:find(from, 1, true)
  if not first or text:find(from, last + 1, true) then
    error(where .. ": this does not stand there once: " .. from, 0)
  end
  return text:sub(1, first - 1) .. to .. text:sub(last + 1)
end

local function script_of(fault)
  local change = fault.script or (not fault.file and fault.from and fault)
  return change and replace_once(Setup.script, change.from, change.to, "row.lua") or Setup.script
end

---@return table<string, integer>|nil violated @by rule
local function try(cluster, fault, operations)
  local setup = Setup.start { cluster = cluster, script = script_of(fault), change = fault.change,
    restarts = fault.restarts or fault.lives, lives = fault.lives, log = fault.log }
  local path = setup.server.folder .. "/history.bin"
  if fault.prepare then fault.prepare(setup) end
  local how = { seed = 5, keys = fault.keys or KEYS, every = fault.every or EVERY }
  local ran, text = setup:run(fault.operations or operations, path, how)
  local violated = {}
  if ran then
    local _, verdict = process.run { "build/history_check", path }
    for rule, count in verdict:gmatch "FAIL (%w+):[^\n]*violated (%d+)" do violated[rule] = tonumber(count) end
  else
    io.stderr:write(text)
  end
  setup:stop()
  return violated
end

local function found_of(fault, violated)
  local list, found = {}, false
  for rule, count in pairs(violated) do list[#list + 1] = ("%s %d"):format(rule, count) end
  for _, rule in ipairs(fault.rules) do found = found or violated[rule] ~= nil end
  table.sort(list)
  return found, #list > 0 and table.concat(list, ", ") or "NOTHING"
end

local function must(command)
  local status, text = process.run({ "sh", "-c", command }, { timeout = 600 })
  if status ~= 0 then error(command .. " failed:\n" .. text, 0) end
end

local function prepare_copy(copy)
  must(
    ("git ls-files -z --cached --others --exclude-standard | tar --null -T - -cf - | tar -xf - -C '%s'"):format(copy))
  must(("cmake -S '%s' -B '%s/build' -G Ninja -DCMAKE_BUILD_TYPE=Debug -DRTCACHE_TESTS=OFF"):format(copy, copy))
end

-- A server with the fault in its sources, made in the copy, which is put right again.
local function build_server(copy, fault)
  local originals = {}
  for _, change in ipairs { fault, fault.also } do
    local path = copy .. "/" .. change.file
    originals[path] = assert(files.read(path))
    files.write(path, replace_once(originals[path], change.from, change.to, change.file))
  end
  must(("cmake --build '%s/build' --target rtcached -j 2"):format(copy))
  for path, original in pairs(originals) do files.write(path, original) end
  return copy .. "/build/rtcached"
end

-- Whether each text that is to be replaced stands once where it should.
local function self_test()
  local wrong, count = 0, 0
  local function check(text, change, where)
    local ok, err = pcall(replace_once, text, change.from, change.to, where)
    count = count + 1
    if ok then return end
    wrong = wrong + 1
    io.stderr:write("planted: ", err, "\n")
  end
  for _, fault in ipairs(faults.outside) do
    if fault.from then check(Setup.script, fault, "row.lua") end
  end
  for _, fault in ipairs(faults.inside) do
    if fault.script then check(Setup.script, fault.script, "row.lua") end
    for _, change in ipairs { fault, fault.also } do check(assert(files.read(change.file)), change, change.file) end
  end
  print(("%d passed, %d failed"):format(count - wrong, wrong))
  return wrong == 0 and 0 or 1
end

if arg[1] == "--self-test" then os.exit(self_test()) end

local passed, failed = 0, 0

local function tell(fault, violated)
  local found, by = found_of(fault, violated)
  passed, failed = passed + (found and 1 or 0), failed + (found and 0 or 1)
  print(("| %s | %s | %s |"):format(fault.what, table.concat(fault.rules, ", "), by))
  io.flush()
end

local function main(cluster, copy)
  print "| fault | to be found by | violated |\n| --- | --- | --- |"
  local function is_wanted(fault)
    if arg[1] == "--scripts" then return not fault.slow end
    return not arg[1] or fault.what:find(arg[1], 1, true)
  end
  for _, fault in ipairs(faults.outside) do
    if is_wanted(fault) then tell(fault, try(cluster, fault, OPERATIONS.outside)) end
  end
  if arg[1] == "--scripts" then return end
  prepare_copy(copy)
  for _, fault in ipairs(faults.inside) do
    if is_wanted(fault) then
      Server.binary = build_server(copy, fault)
      tell(fault, try(cluster, fault, OPERATIONS.inside))
    end
  end
end

local cluster = postgres.start()
local copy = process.temporary_folder()
local ok, err = pcall(main, cluster, copy)
cluster:stop()
files.remove(copy)
if not ok then io.stderr:write("planted: ", tostring(err), "\n") end
print(("%d passed, %d failed"):format(passed, failed + (ok and 0 or 1)))
os.exit(ok and failed == 0 and 0 or 1)
