-- run.lua [MINUTES [SEED]]: ./dev chaos. A server with a sanitizer (RTCACHED) among clients that do all they can,
-- an operator that reloads and restarts it, and proxies that spoil what passes. See README.md.

local Server = require "spec.support.server"
local account = require "chaos.account"
local crowd = require "chaos.crowd"
local files = require "spec.support.files"
local lfs = require "lfs"
local loop = require "chaos.loop"
local operator = require "chaos.operator"
local process = require "spec.support.process"
local random = require "chaos.random"
local setup = require "chaos.setup"
local socket = require "socket"

local minutes, seed = tonumber(arg[1] or 10), tonumber(arg[2] or os.time())
if not minutes or not seed then
  io.stderr:write "usage: run.lua [MINUTES [SEED]]\n"
  os.exit(2)
end

-- A copy, so that a build meanwhile changes nothing; all temporary folders are made within ours.
local function prepare()
  local folder = process.temporary_folder()
  assert(0 == process.run { "chmod", "755", folder })
  require("ffi").C.setenv("TMPDIR", folder, 1)
  assert(0 == process.run { "cp", Server.binary, folder .. "/rtcached" })
  Server.binary = folder .. "/rtcached"
  account.open(folder .. "/steps.log")
  return folder
end

local function sanitizer()
  local program = files.read(Server.binary) or ""
  return program:find("__tsan_init", 1, true) and "tsan" or program:find("__asan_init", 1, true) and "asan" or "none"
end

local folder = prepare()
local kind = sanitizer()
local slow = kind == "tsan"
local world = {
  seed = seed, folder = folder, random = random, r = random.new(seed, 0), patience = slow and 120 or 60,
  margin = slow and 60 or 40, memory_bound = slow and 1000 or 600, most = slow and 24 or 40, life = 0, disturbed = 0,
  sessions = 0, number = 0, steps = 0, open = {}, worst_ping = 0, worst_stop = 0, most_resident = 0, spoiled = {},
  harsh = true,
  env = { ASAN_OPTIONS = "detect_leaks=1:quarantine_size_mb=32",
    LSAN_OPTIONS = "suppressions=" .. lfs.currentdir() .. "/tests/lsan.supp",
    UBSAN_OPTIONS = "print_stacktrace=1:halt_on_error=1" },
}

local function print_report()
  for _, line in ipairs(account.lines(setup.read_proxies(world))) do print(line) end
  print(("%d sessions, %d steps of the operator, %d lives; worst ping %.2f s, worst stop %.2f s, "
    .. "%d MiB resident at most without clients"):format(world.number, world.steps, world.life, world.worst_ping,
    world.worst_stop, world.most_resident))
end

-- What did not happen yet.
local function missing()
  local spoiled = setup.read_proxies(world)
  return account.missing(crowd.expected(world), spoiled)
end

-- The time is over, and every kind has happened; on a slow machine that may take longer, up to three times.
local function is_over(began)
  local past = (socket.gettime() - began) / (60 * minutes)
  return past >= 3 or past >= 1 and #missing() == 0
end

local function run()
  setup.make(world, world.r)
  operator.launch(world)
  world.client_hello = crowd.client_hello()
  local began = socket.gettime()
  loop.spawn(function() operator.watch(world) end)
  loop.spawn(function() operator.run(world) end)
  loop.spawn(function() crowd.run(world) end)
  loop.run(function() return is_over(began) end)
  world.over = true
  loop.run(function() return world.operator_ended end)
  local done = false
  loop.spawn(function()
    operator.stop(world)
    done = true
  end)
  loop.run(function() return done end)
end

-- Where the threads of a server are that is still there, by gdb where the machine has it.
local function keep_stacks()
  local p = world.server and world.server.process
  if not p or p:wait(0) then return end
  local command = "command -v gdb >/dev/null && gdb -p %d -batch -ex 'thread apply all bt' 2>&1"
  local _, text = process.run { "sh", "-c", command:format(p.pid) }
  files.write(folder .. "/stacks.txt", text)
end

print(("chaos: %s, %.1f minutes, seed %d, in %s"):format(kind, minutes, seed, folder))
io.stdout:flush()
local ok, err = xpcall(run, function(e)
  return tostring(e):match "^finding: " and e or debug.traceback(tostring(e), 2)
end)
if not ok then keep_stacks() end
print_report()
local never = ok and missing() or {}
if #never > 0 then
  ok, err = false, "did not happen: " .. table.concat(never, ", ")
end
setup.stop(world)
if ok then
  files.remove(folder)
else
  print(("%s\nseed %d, session %d, step %d; all is kept in %s"):format(err, seed, world.number, world.steps, folder))
end
print(("%d passed, %d failed"):format(ok and 1 or 0, ok and 0 or 1))
os.exit(ok and 0 or 1)
