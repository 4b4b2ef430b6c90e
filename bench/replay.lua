-- ./dev bench replay DIR [--shards 16] [--save]: the misses of the real store on recorded traces, with
-- room for 1 % and 10 % of the keys (or of the bytes, where a trace has sizes), beside LRU and FIFO.
-- In one shard, and in as many as --shards says; and what other policies would have missed, and one
-- that knows the future (bench/rivals.h).

local lfs = require "lfs"

local report = require "report"

-- Which format (bench/trace.h) a file below DIR is in: the first that matches its path.
local FORMATS = {
  { "%.lis", "arc" },
  { "cache2k_", "u32" },
  { "scarab_", "u64" },
  { "corda_", "u64" },
  { "adapt_size_request", "sized" },
  { "%.oracleGeneral", "oracle" },
  { "%.trace%.gz$", "lirs" },
}
local PERCENTS = { 1, 10 }
local TO_GAIN = 1 -- %: where even the optimum cuts no more, there is nothing to be had
local RIVALS = {
  { "s3fifo", "S3-FIFO" }, { "arc", "ARC" }, { "gdsf", "GreedyDual-Size-Frequency" },
  { "lirs_1", "LIRS, 1 % for high recency" }, { "lirs_5", "LIRS, 5 %" }, { "lirs_10", "LIRS, 10 %" },
  { "lirs_20", "LIRS, 20 %" },
  { "wtlfu_1", "W-TinyLFU, window of 1 %" }, { "wtlfu_5", "W-TinyLFU, 5 %" }, { "wtlfu_20", "W-TinyLFU, 20 %" },
  { "wtlfu_50", "W-TinyLFU, 50 %" }, { "wtlfu_80", "W-TinyLFU, 80 %" },
}

local function format_of(path)
  for _, f in ipairs(FORMATS) do
    if path:find(f[1]) then return f[2] end
  end
end

-- The traces of a folder and those below it, by path; { path, format } each.
local function traces_in(dir, list)
  list = list or {}
  local names = {}
  for name in lfs.dir(dir) do names[#names + 1] = name end
  table.sort(names)
  for _, name in ipairs(names) do
    local path = dir .. "/" .. name
    local mode = lfs.attributes(path, "mode")
    if mode == "directory" and name:sub(1, 1) ~= "." then
      traces_in(path, list)
    elseif mode == "file" and format_of(name) then
      list[#list + 1] = { path, format_of(name) }
    end
  end
  return list
end

local function quoted(word) return "'" .. word:gsub("'", "'\\''") .. "'" end

-- A figure set for each percentage that there is room for.
local function replay(trace, shards)
  local command = ("build/bench_replay %s %s %d %s"):format(trace[2], quoted(trace[1]), shards,
    table.concat(PERCENTS, " "))
  local f = io.popen(command)
  local text = f:read "*a"
  f:close()
  local sets = {}
  for line in text:gmatch "[^\n]+" do
    local set = {}
    for name, value in line:gmatch "([%w_]+)=(%S+)" do set[name] = tonumber(value) end
    sets[set.percent] = set
  end
  return sets
end

local function name_of(path)
  return (path:match "[^/]+$":gsub("%.oracleGeneral.*", ""):gsub("%.lis.*", ""):gsub("%.trace.*", "")
    :gsub("%.gz$", ""))
end

local function cut(set, name) return (set.lru - set[name or "rtcache"]) / set.lru * 100 end

local function rate(n) return ("%.4f"):format(n) end

-- The mean and the least of the cuts.
local function sum_up(cuts)
  local sum, least = 0, math.huge
  for _, c in ipairs(cuts) do
    sum = sum + c
    least = math.min(least, c)
  end
  return ("mean cut against LRU %.1f %%, least %.1f %%, %d cases"):format(sum / #cuts, least, #cuts)
end

-- A policy's cuts, and those of rtcache, over the cases that the policy knows.
local function rival_row(sets, name, text)
  local own, its = {}, {}
  for _, set in ipairs(sets) do
    if set[name] then
      own[#own + 1], its[#its + 1] = cut(set), cut(set, name)
    end
  end
  local function mean(list)
    local sum = 0
    for _, c in ipairs(list) do sum = sum + c end
    return ("%.1f"):format(sum / #list)
  end
  return { text, tostring(#its), mean(its), ("%.1f"):format(math.min(unpack(its))), mean(own) }
end

-- Of all that are no clairvoyants, rtcache among them, the best for each case.
local function choose_best(sets)
  for _, set in ipairs(sets) do
    set.best = set.rtcache
    for _, rival in ipairs(RIVALS) do set.best = math.min(set.best, set[rival[1]] or set.best) end
  end
end

local function rivals_table(sets)
  local rows = {}
  choose_best(sets)
  for _, rival in ipairs(RIVALS) do rows[#rows + 1] = rival_row(sets, rival[1], rival[2]) end
  rows[#rows + 1] = rival_row(sets, "best", "the best of these and rtcache, case by case")
  rows[#rows + 1] = rival_row(sets, "opt", "Belady's, which knows the future")
  return report.table({ "policy", "cases", "mean cut", "least", "rtcache on these" }, rows)
end

local function measure(dir, shards)
  local rows, sets, one_cuts, gainful, many_cuts = {}, {}, {}, {}, {}
  for _, trace in ipairs(traces_in(dir)) do
    local one, many = replay(trace, 1), replay(trace, shards)
    for _, percent in ipairs(PERCENTS) do
      local o, m = one[percent], many[percent]
      if not o then error(("%s: no figures at %d %%"):format(trace[1], percent)) end
      rows[#rows + 1] = {
        name_of(trace[1]) .. (o.sized == 1 and " (bytes)" or ""), percent .. " %", report.whole(o.room),
        rate(o.lru), rate(o.fifo), o.opt and rate(o.opt) or "-", rate(o.rtcache), ("%.1f"):format(cut(o)),
        m and rate(m.rtcache) or "-", m and ("%.1f"):format(cut(m)) or "-",
      }
      sets[#sets + 1], one_cuts[#one_cuts + 1] = o, cut(o)
      if not o.opt or cut(o, "opt") > TO_GAIN then gainful[#gainful + 1] = cut(o) end
      if m then many_cuts[#many_cuts + 1] = cut(m) end
    end
  end
  if #rows == 0 then error("no traces below " .. dir) end
  return table.concat({
    "## Misses on recorded traces\n",
    ("Part of the requests that missed; room for 1 %% and 10 %% of the keys, or of the bytes where the "
      .. "trace has sizes\n(`bench/replay.c`). The cut is (LRU - rtcache) / LRU, in %%. %s.\n")
      :format(os.date "!%Y-%m-%d"),
    report.table({
      "trace", "size", "room", "LRU", "FIFO", "OPT", "rtcache, 1 shard", "cut",
      ("%d shards"):format(shards), "cut",
    }, rows),
    "One shard: " .. sum_up(one_cuts) .. ".\n",
    ("Of these, where Belady's optimum cuts more than %d %%: %s.\n"):format(TO_GAIN, sum_up(gainful)),
    #many_cuts > 0 and ("%d shards: %s.\n"):format(shards, sum_up(many_cuts)) or "",
    "What others would have cut, with the room counted in keys (`bench/rivals.h`; GreedyDual by bytes, where\n"
      .. "there are sizes):\n",
    rivals_table(sets),
  }, "\n")
end

local dir = table.remove(arg, 1)
if not dir or dir:sub(1, 2) == "--" then
  io.stderr:write "bench: replay DIR: the folder of the traces is wanted\n"
  os.exit(2)
end
local options = report.options(arg, { shards = 16 })
local ok, result = pcall(measure, dir, options.shards)
if not ok then
  io.stderr:write("bench: ", tostring(result), "\n")
  os.exit(1)
end
io.write(result)
if options.save then report.save("replay", result) end
