--- What an operator does to the server while clients are there: reloads, rotations, changes of the database,
--- restarts; and how it looks at the server from outside.

local Peer = require "chaos.peer"
local account = require "chaos.account"
local files = require "spec.support.files"
local leaks = require "chaos.leaks"
local loop = require "chaos.loop"
local msgpack = require "rtcache.msgpack"
local process = require "spec.support.process"
local socket = require "socket"
local variants = require "chaos.variants"

local M = {}

local count, finding, note = account.count, account.finding, account.note

local REPORTS = { "AddressSanitizer", "LeakSanitizer", "ThreadSanitizer", "runtime error:", "Assertion" }

-- What the server has said on standard error: nothing but the log that is no file yet.
local function look_at_stderr(world)
  local text, first = world.server:log(), nil
  for _, report in ipairs(REPORTS) do
    local at = text:find(report, 1, true)
    if at and (not first or at < first) then first = at end
  end
  if first then finding("a report:\n%s", text:sub(math.max(1, first - 80), first + 6000)) end
end

--- One request over a new connection, as the operator.
---@return any result @nil: none
---@return any error
function M.ask(world, seconds, method)
  local peer, err = Peer.connect { path = world.server.socket_path }
  if not peer then return nil, err end
  local ok, message
  ok, err = peer:send(peer:request(method, {}), seconds)
  if ok then message, err = peer:message(seconds) end
  peer:close()
  if not message then return nil, err end
  if message[3] ~= msgpack.null then return nil, message[3] end
  return message[4]
end

-- Results of two requests over one connection; the first is nil where there is none.
local function ask_two(world, one, other)
  local peer = Peer.connect { path = world.server.socket_path }
  if not peer then return nil end
  local first = peer:send(peer:request(one, {})) and peer:message(world.patience)
  local second = first and peer:send(peer:request(other, {})) and peer:message(world.patience)
  peer:close()
  if not second then return nil end
  return first[4], second[4]
end

--- It has ended though nobody told it to.
local function look_for_death(world)
  local status = world.server.process:wait(0)
  if status then
    look_at_stderr(world)
    finding("the server ended by itself with %d; standard error:\n%s", status, world.server:log():sub(-4000))
  end
end

-- Where max_connections is small, the reserved ones may be taken as well: then it is tried again.
local function ping(world)
  local life, began = world.life, socket.gettime()
  while true do
    local answer, err = M.ask(world, world.patience, "ping")
    if life ~= world.life or world.restarting then return end
    look_for_death(world)
    local took = socket.gettime() - began
    if answer == "pong" then
      count "operator.pings"
      world.worst_ping = math.max(world.worst_ping, took)
      return
    end
    if err ~= "closed" or not world.harsh or took > world.patience then
      finding("ping was answered %s after %.1f s", tostring(err), took)
    end
    count "operator.pings_refused"
    loop.sleep(0.1)
  end
end

--- Looks at the server all the time: that it lives, and answers.
function M.watch(world)
  while not world.over do
    loop.sleep(0.5)
    if not world.restarting then
      look_for_death(world)
      -- while all are gone it is asked for its numbers
      if not world.quiet then ping(world) end
    end
  end
end

local function write(world, o)
  for name, text in pairs(o.scripts) do world.server:write_script(name, text) end
  world.server:write_conf(o)
end

local REFUSED = { RELOAD_FAILED = true, CONFIG = true }

-- Tells the server to reload by one of the two ways; the method's answer is looked at. True: it was taken.
local function reload(world, must, what)
  if world.r:chance(0.3) then
    count "operator.hangups"
    world.server:signal "HUP"
    loop.sleep(world.r:share())
    return false
  end
  local answer, err = M.ask(world, world.patience, "reload")
  if err == "closed" and world.harsh then return false end -- no connection was left for it
  count(answer and "operator.reloads_taken" or "operator.reloads_refused")
  if must == "taken" and type(answer) ~= "table" then
    finding("a reload that is right (%s) was answered %s", what, tostring(err))
  elseif must == "refused" and (answer or not REFUSED[tostring(err):match "^[%u_]+"]) then
    finding("a reload that is wrong (%s) was answered %s", what, tostring(answer or err))
  end
  return type(answer) == "table"
end

local steps = {}

function steps.reload_good(world)
  local o, what, harsh = variants.good(world.r, world.plain)
  note("reload, good: %s", what)
  world.disturbed, world.harsh = world.disturbed + 1, true
  write(world, o)
  count "operator.reload_good"
  -- a SIGHUP may take a while: nobody knows then which of the two holds
  if reload(world, "taken", what) then world.harsh = harsh end
  world.disturbed = world.disturbed + 1
end

function steps.reload_broken(world)
  local o, what = variants.broken(world.r, world.plain)
  note("reload, broken: %s", what)
  if world.r:chance(0.2) then
    files.replace(world.server.conf, variants.noise(world.r))
    what = "noise"
  else
    write(world, o)
  end
  count "operator.reload_broken"
  world.disturbed = world.disturbed + 1
  reload(world, what == "noise" and "any" or "refused", what)
  write(world, world.plain)
end

--- Many at once, the files changing under them.
function steps.reload_storm(world)
  note "reloads, many at once"
  world.disturbed, world.harsh = world.disturbed + 1, true
  for _ = 1, world.r:int(10) do
    local o = variants.good(world.r, world.plain)
    write(world, o)
    world.server:signal "HUP"
    loop.spawn(function() M.ask(world, world.patience, "reload") end)
    loop.sleep(world.r:share() * 0.1)
  end
  count "operator.reload_storm"
  write(world, world.plain)
  reload(world, "any", "plain")
  world.disturbed = world.disturbed + 1
end

function steps.rotate(world)
  local path = world.server.folder .. "/rtcached.log"
  os.rename(path .. ".1", path .. ".2")
  os.rename(path, path .. ".1")
  write(world, world.plain)
  world.disturbed, world.harsh = world.disturbed + 1, true
  world.server:signal "HUP"
  count "operator.rotations"
  if not loop.await(function() return world.restarting or files.read(path) end, world.patience) then
    finding "the log was not opened again"
  end
end

--- The rows change, and the feeds tell of it.
function steps.rows(world)
  for _, db in ipairs { world.shop, world.wild } do
    db:exec(("UPDATE people SET name = 'row ' || id, team = team %% 9 + 1, version = version + 1 WHERE id %% 17 = %d")
      :format(world.r:int(17) - 1))
  end
  count "operator.changed_rows"
end

--- The schema changes and changes back.
function steps.schema(world)
  for _, db in ipairs { world.shop, world.wild } do
    db:exec(world.r:pick {
      "ALTER TABLE people ADD COLUMN IF NOT EXISTS extra int", "ALTER TABLE people DROP COLUMN IF EXISTS extra",
      "ALTER TABLE people ALTER COLUMN little TYPE bigint", "ALTER TABLE people ALTER COLUMN little TYPE smallint",
    })
  end
  count "operator.changed_schema"
end

--- Sessions of the database end, as with a failover.
function steps.terminate(world)
  world.shop:exec("SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE application_name <> 'spec' "
    .. "AND backend_type = 'client backend'")
  count "operator.ended_sessions"
end

local function launch(world)
  local o = variants.good(world.r, world.plain)
  variants.restarted(world.r, world.plain)
  variants.restarted(world.r, o)
  for _, name in ipairs { "io_threads", "loader_threads", "shards", "floors", "tag_slots", "max_globs", "max_notices",
    "failed_keys" } do
    o.options[name] = world.plain.options[name]
  end
  world.harsh = true
  write(world, world.r:chance(0.5) and o or world.plain)
  os.remove(world.server.log_path)
  leaks.begin(world)
  world.server:launch()
  world.life = world.life + 1
  world.disturbed = world.disturbed + 1
  world.restarting = false
  note("started, life %d", world.life)
end

M.launch = launch

--- SIGTERM, and sometimes more signals; it has to end well in its time.
function M.stop(world)
  world.restarting, world.disturbed = true, world.disturbed + 1
  note "stopping"
  local began = socket.gettime()
  world.server:signal "TERM"
  if world.r:chance(0.3) then
    loop.sleep(world.r:share() * 0.3)
    for _ = 1, world.r:int(4) do world.server:signal(world.r:pick { "HUP", "TERM", "INT" }) end
    count "operator.stopped_twice"
  end
  local ended = loop.await(function() return world.server.process:wait(0) end, 2 + world.margin)
  if not ended then
    finding("the server did not end within %d s of SIGTERM; its threads:\n%s", 2 + world.margin,
      select(2, process.run { "sh", "-c", "cat /proc/" .. world.server.pid .. "/task/*/wchan" }))
  end
  world.server.process:finish()
  look_at_stderr(world)
  leaks.check(world, world.server:log())
  if ended ~= 0 then finding("the server ended with %d; standard error:\n%s", ended, world.server:log():sub(-4000)) end
  world.worst_stop = math.max(world.worst_stop, socket.gettime() - began)
  count "operator.stopped"
end

function steps.restart(world)
  M.stop(world)
  launch(world)
end

function steps.kill(world)
  world.restarting, world.disturbed = true, world.disturbed + 1
  note "killing"
  look_at_stderr(world)
  world.server:kill()
  count "operator.killed"
  loop.sleep(world.r:share())
  launch(world)
end

function steps.quiet(world) M.quiet(world, require "chaos.quiet") end

--- All clients leave; what was theirs comes back.
function M.quiet(world, quiet)
  note "quiet"
  write(world, world.plain)
  world.harsh, world.disturbed = true, world.disturbed + 1
  M.ask(world, world.patience, "reload")
  quiet.check(world, ask_two)
  count "operator.quiet"
end

local WEIGHTS = {
  { "reload_good", 30 }, { "reload_broken", 12 }, { "reload_storm", 2 }, { "rotate", 3 }, { "rows", 20 },
  { "schema", 3 }, { "terminate", 2 }, { "restart", 4 }, { "kill", 0.7 }, { "quiet", 2 },
}

--- Every step once, in an order of its own, and then by chance.
function M.run(world)
  local first = {}
  for _, item in ipairs(WEIGHTS) do table.insert(first, world.r:int(#first + 1), item[1]) end
  while not world.over do
    local number = world.steps + 1
    world.steps, world.r = number, world.random.new(world.seed, -number)
    loop.sleep(world.r:share() * (#first > 0 and 1.2 or 2.5))
    if world.over then break end
    local name = table.remove(first) or world.r:weighted(WEIGHTS)
    note("step %d: %s", number, name)
    steps[name](world)
  end
  world.operator_ended = true
end

return M
