-- ./dev bench hit|large|set|many|mix|zipf|latency|threads|wide [--rounds 3] [--seconds 1]
-- [--pogocache PATH] [--save]: rtcache beside redis, memcached, tarantool, an echo of the same bytes, and
-- pogocache where its binary is named. bench/cases.lua says what each of them asks; `wide` is all of them.

local cases = require "cases"
local peers = require "peers"
local report = require "report"

local CONNECTIONS, WARMUP, KEY_BYTES = 50, 0.3, #"bench:0000000"
local PEERS = { "redis", "memcached", "tarantool" }
local LATENCY_DEPTH, LATENCY_ROOM = 16, 256

local what = table.remove(arg, 1)
local options = report.options(arg, { rounds = 3, seconds = 1, pogocache = "" })

local servers = {}

local function stop_servers()
  for _, server in ipairs(servers) do server:stop() end
  servers = {}
end

local function load_arguments(case, depth, more)
  local list = { "--connections", CONNECTIONS, "--depth", depth, "--value", case.value or 100, "--keys",
    case.keys or 10000, "--many", case.many or 1, "--warmup", WARMUP, "--seconds", options.seconds }
  if (case.sets or 0) > 0 then list[#list + 1], list[#list + 2] = "--sets", case.sets end
  if case.zipf then list[#list + 1] = "--zipf" end
  for _, word in ipairs(more or {}) do list[#list + 1] = word end
  return list
end

local function run(server, arguments, anywhere)
  return peers.start_load(server.protocol, server.address, server.pid, arguments, anywhere)()
end

-- Each key once; the rounds find all of them.
local function fill(server, case)
  run(server, { "--value", case.value or 100, "--keys", case.keys or 10000, "--fill", "--connections", 1,
    "--requests", 1 })
end

local function start_servers(case)
  servers[1] = peers.rtcache { memory = "1gb" }
  for _, name in ipairs(PEERS) do servers[#servers + 1] = peers[name]() end
  if options.pogocache ~= "" then servers[#servers + 1] = peers.pogocache(options.pogocache) end
  for _, server in ipairs(servers) do fill(server, case) end
  if not case.no_echo then
    servers[#servers + 1] = peers.echo(case.sets == 100, KEY_BYTES, case.value or 100, case.many or 1)
  end
end

-- What a row measures: a server, and keys of a request where that is not the case's.
local function rows_of(case, depth)
  local rows = {}
  for _, server in ipairs(servers) do
    rows[#rows + 1] = { name = server.row or server.name, server = server, case = case, depth = depth,
      keys = case.many or 1 }
    if server.name == "memcached" and case.also_many and depth > 1 then
      local many = setmetatable({ many = depth }, { __index = case })
      rows[#rows + 1] = { name = ("memcached, %d keys a get"):format(depth), server = server, case = many, depth = 1,
        keys = depth }
    end
  end
  return rows
end

-- Rounds go over all servers in turn, so that a machine that slows down does so for all.
local function measure(rows, anywhere, more)
  local runs = {}
  for round = 1, options.rounds do
    for i, row in ipairs(rows) do
      runs[i] = runs[i] or {}
      local f = run(row.server, load_arguments(row.case, row.depth, more and more(row)), anywhere)
      f.rate, f.server_cpu_us = f.rate * row.keys, f.server_cpu_us / row.keys
      runs[i][round] = f
    end
  end
  for i, row in ipairs(rows) do row.figures = report.medians(runs[i]) end
end

local function microseconds(f)
  return ("%.0f"):format(f.p50_us), ("%.0f"):format(f.p99_us), ("%.0f"):format(f.p999_us)
end

local function share(x) return ("%.0f %%"):format(100 * x) end

local function depth_table(case, rows)
  local ours, lines = rows[1].figures, {}
  for i, row in ipairs(rows) do
    local f = row.figures
    local p50, p99, p999 = microseconds(f)
    lines[i] = { row.name, report.whole(f.rate), p50, p99, p999, ("%.3f"):format(f.server_cpu_us),
      ("%.2f"):format(ours.server_cpu_us / f.server_cpu_us), ("%.2f"):format(ours.rate / f.rate),
      share(f.load_cpu) }
  end
  return report.table({ "", case.what .. "s/s", "p50 us", "p99 us", "p99.9 us", "server CPU us/" .. case.what,
    "rtcache CPU : its", "rtcache rate : its", "generator CPU" }, lines)
end

local function list_servers()
  local lines = {}
  for _, s in ipairs(servers) do
    lines[#lines + 1] = ("- %s: %s"):format((s.name .. " " .. s.version):match "^(.-)%s*$", s.settings)
  end
  return table.concat(lines, "\n") .. "\n"
end

local function head(case, where)
  return ("## %s\n\n%d connections, values of %d bytes, %s keys%s, TCP on loopback, one load generator for all.\n%s\n"
    .. "Median of %d rounds of %g s, the servers in turn. %s.\n\n"):format(case.title, CONNECTIONS,
    case.value or 100, report.whole(case.keys or 10000), case.zipf and " by Zipf's law with exponent 1" or "", where,
    options.rounds, options.seconds, report.machine()) .. list_servers()
end

local PINNED = "The generator has one core, the server another; where the generator's is full, it sets the rate, and "
  .. "the server's CPU counts."

local function one_case(name)
  local case = cases.cases[name]
  start_servers(case)
  local text = { head(case, PINNED) }
  for _, depth in ipairs(case.depths) do
    local rows = rows_of(case, depth)
    measure(rows)
    text[#text + 1] = ("%d in flight on each connection:\n\n%s"):format(depth, depth_table(case, rows))
  end
  return table.concat(text, "\n")
end

-- At half of its own peak, and at half of the lowest of all.
local function latency()
  local case = { title = "Latency at a fixed rate" }
  start_servers(case)
  local rows, lowest = rows_of(case, LATENCY_DEPTH), math.huge
  measure(rows)
  for _, row in ipairs(rows) do
    row.peak, row.depth = row.figures.rate, LATENCY_ROOM
    lowest = math.min(lowest, row.peak)
  end
  local function at(rate_of)
    local lines = {}
    measure(rows, nil, function(row) return { "--rate", math.floor(rate_of(row)) } end)
    for i, row in ipairs(rows) do
      local p50, p99, p999 = microseconds(row.figures)
      lines[i] = { row.name, report.whole(row.peak), report.whole(rate_of(row)), report.whole(row.figures.rate), p50,
        p99, p999, share(row.figures.load_cpu) }
    end
    return report.table({ "", "peak gets/s", "due/s", "answered/s", "p50 us", "p99 us", "p99.9 us", "generator CPU" },
      lines)
  end
  return head(case, PINNED)
    .. ("\nThe peak is that of %d in flight on each connection. Requests go out when they are due, whether answers "
      .. "come or not, up\nto %d on each connection, and a latency counts from then. Where the generator's core is "
      .. "full, part of it is the generator's.\n\nAt half of each server's own peak:\n\n")
      :format(LATENCY_DEPTH, LATENCY_ROOM)
    .. at(function(row) return row.peak / 2 end)
    .. "\nAt half of the lowest peak:\n\n" .. at(function() return lowest / 2 end)
end

local function threads()
  local case = { title = "One and two threads", what = "get" }
  local function anywhere(command) return command end
  for count = 1, 2 do
    servers[#servers + 1] = peers.rtcache({ memory = "1gb", io_threads = count }, anywhere)
    servers[#servers + 1] = peers.redis { threads = count, wrap = anywhere }
    servers[#servers + 1] = peers.memcached { threads = count, wrap = anywhere }
    if options.pogocache ~= "" then
      servers[#servers + 1] = peers.pogocache(options.pogocache, { threads = count, wrap = anywhere })
    end
  end
  for i, server in ipairs(servers) do
    fill(server, case)
    server.row = ("%s, %d"):format(server.name, i <= #servers / 2 and 1 or 2)
  end
  local text = { head(case, "Nothing is pinned: servers and generator share the cores, so that two threads of a server "
    .. "have what the generator leaves.") }
  for _, depth in ipairs { 1, 16 } do
    local rows, lines = rows_of(case, depth), {}
    measure(rows, true)
    for i, row in ipairs(rows) do
      local f = row.figures
      local p50, p99, p999 = microseconds(f)
      lines[i] = { row.name, report.whole(f.rate), p50, p99, p999, ("%.3f"):format(f.server_cpu_us),
        ("%.2f"):format(f.rate * f.server_cpu_us / 1e6), ("%.2f"):format(f.load_cpu) }
    end
    text[#text + 1] = ("%d in flight on each connection:\n\n"):format(depth) .. report.table({ "threads", "gets/s",
      "p50 us", "p99 us", "p99.9 us", "server CPU us/get", "cores of the server", "of the generator" }, lines)
  end
  return table.concat(text, "\n")
end

local function run_one(name)
  local ok, text = pcall(name == "latency" and latency or name == "threads" and threads or one_case, name)
  stop_servers()
  if not ok then
    io.stderr:write("bench: ", name, ": ", tostring(text), "\n")
    os.exit(1)
  end
  io.write(text, "\n")
  io.flush()
  if options.save then report.save(name, text) end
end

for _, name in ipairs(what == "wide" and cases.order or { what }) do run_one(name) end
