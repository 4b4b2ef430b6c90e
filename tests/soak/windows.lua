--- What a soak measures: every so often the mixed load stops for a moment, and in that quiet a load
--- generator asks for hits, and one client for ping. Windows of the second quarter of the time are
--- compared with those of the last; the first quarter is the warm-up.

local process = require "spec.support.process"
local wait = require "spec.support.wait"

local M = {}

local function median(list)
  table.sort(list)
  return list[math.floor((#list + 1) / 2)]
end

local function p99(list)
  table.sort(list)
  return list[math.ceil(#list * 0.99)]
end

-- The control: it does next to nothing in the server, so what moves it is the machine.
local function ping_p99_us(cache)
  local times = {}
  for i = 1, 300 do
    local began = wait.now()
    assert(cache:ping())
    times[i] = (wait.now() - began) * 1e6
  end
  return p99(times)
end

--- One window, of about two seconds.
function M.measure(server, cache)
  local ping = ping_p99_us(cache)
  local status, text = process.run { "build/bench_load", "--protocol", "rtcache", "--connect",
    "127.0.0.1:" .. server.port, "--pid", tostring(server.pid), "--connections", "4", "--depth", "4", "--keys", "100",
    "--fill", "--warmup", "0.1", "--seconds", "1.5" }
  if status ~= 0 then error("bench_load failed: " .. text, 0) end
  return {
    at = wait.now(),
    ping_p99_us = ping,
    p99_us = tonumber(text:match "p99_us=([%d.]+)"),
    cpu_us = tonumber(text:match "server_cpu_us=([%d.]+)"),
    bytes = process.resident(server.pid),
    descriptors = process.descriptors(server.pid),
  }
end

function M.line(w, began, steps)
  return ("%5d s  %9d steps  %6.1f MB  %3d descriptors  p99 %6.0f us  %.2f us CPU a hit  ping's p99 %6.0f us"):format(
    w.at - began, steps, w.bytes / 1048576, w.descriptors, w.p99_us, w.cpu_us, w.ping_p99_us)
end

local function medians(windows, from, to)
  local result = { count = 0 }
  for _, name in ipairs { "bytes", "descriptors", "p99_us", "cpu_us", "ping_p99_us" } do
    local list = {}
    for _, w in ipairs(windows) do
      if w.at >= from and w.at < to then list[#list + 1] = w[name] end
    end
    result[name], result.count = median(list), #list
  end
  return result
end

local function figure(what, first, last, bound)
  print(("  %-34s %12.2f -> %12.2f   %+7.2f %%   bound %s"):format(what, first, last,
    (last / first - 1) * 100, bound))
end

--- Prints each figure beside its bound. Only memory and descriptors can fail: time is the machine's, too.
---@return string|nil @what is past its bound
function M.judge(windows, began, ends, growth_bound)
  local quarter = (ends - began) / 4
  local first = medians(windows, began + quarter, began + 2 * quarter)
  local last = medians(windows, ends - quarter, math.huge)
  if first.count < 3 or last.count < 3 then return "too short to compare" end
  print(("\nmedians of %d windows of the second quarter and %d of the last:"):format(first.count, last.count))
  figure("resident memory, MB", first.bytes / 1048576, last.bytes / 1048576, ("%+g %%"):format(growth_bound * 100))
  figure("descriptors", first.descriptors, last.descriptors, "0")
  figure("p99 of hits, us", first.p99_us, last.p99_us, "+10 % (printed only)")
  figure("p99 of ping, us: the control", first.ping_p99_us, last.ping_p99_us, "none")
  figure("server CPU of a hit, us", first.cpu_us, last.cpu_us, "+10 % (printed only)")
  if last.bytes > first.bytes * (1 + growth_bound) then return "memory grew" end
  if last.descriptors ~= first.descriptors then return "the number of descriptors changed" end
  return nil
end

return M
