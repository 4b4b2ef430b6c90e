-- The tables of docs/operations.md name every line of the log and every number of `stats`, and
-- nothing besides. docs/restarts.md names nothing that is not there.

local Source = require "spec.support.source"
local files = require "spec.support.files"
local lfs = require "lfs"

local page = assert(files.read "docs/operations.md")

-- The text from one heading to the next of the same kind.
local function section(title)
  local from = assert(page:find("\n## " .. title .. "\n", 1, true), "no heading " .. title)
  local to = page:find("\n## ", from + 1, true) or #page
  return page:sub(from, to)
end

local function sources(folder, visit)
  for name in lfs.dir(folder) do
    local path = folder .. "/" .. name
    if lfs.attributes(path, "mode") == "directory" then
      if not name:match "^%." then sources(path, visit) end
    elseif name:match "%.[ch]$" then
      visit(assert(files.read(path)))
    end
  end
end

-- What is in one set and not in the other.
local function beyond(set, other)
  local list = {}
  for name in pairs(set) do
    if not other[name] then list[#list + 1] = name end
  end
  table.sort(list)
  return list
end

local function assert_told(there, told)
  assert.same({}, beyond(there, told), "there and not told of")
  assert.same({}, beyond(told, there), "told of and not there")
end

-- "event level" of each call that logs.
local function events_of_core()
  local written = {}
  sources("core", function(text)
    for level, event in text:gmatch 'log_(%l+)%(%s*"([%l_]+%.[%l_]+)"' do written[event .. " " .. level] = true end
  end)
  return written
end

describe("docs/operations.md", function()
  it("names every event of the log with its levels, and no other", function()
    local written, told = events_of_core(), {}
    for events, levels in section("The log"):gmatch "\n| (`[^|]+) | ([%l, ]+) |" do
      for event in events:gmatch "`([^`]+)`" do
        for level in levels:gmatch "%l+" do told[event .. " " .. level] = true end
      end
    end
    -- A script chooses the level of its own lines.
    for level in ("debug info warn error"):gmatch "%l+" do written["script.log " .. level] = true end
    assert_told(written, told)
  end)

  it("names every number of stats, and no other", function()
    local server, source = Source.postgres({
      options = { state = "state", snapshot_every = "0s", tier = { backend = "main" } },
      loaders = { { pattern = "user:*", ttl = "60s" } },
    }, nil, { feed = "rtcache" })
    local stats = assert(server:connect():stats())
    source:close()
    server:stop()

    local there, told = {}, {}
    local function collect(group, fields)
      for name in pairs(fields) do there[group .. "." .. name] = true end
    end
    for group, value in pairs(stats) do
      if group == "backends" or group == "feeds" or group == "times" then
        for _, fields in pairs(value) do collect(group, fields) end
      elseif type(value) == "table" then
        collect(group, value)
      end
    end
    local text = section "stats"
    local groups = text:match "^(.-)<!%-%- counters:begin"
    for group, fields in groups:gmatch "\n| `([%l_]+)` | ([^\n]+) |" do
      for name in fields:gmatch "`([%l%d_]+)`" do told[group .. "." .. name] = true end
    end
    for name in text:match("<!%-%- counters:begin %-%->(.-)<!%-%-"):gmatch "\n| `([%l_]+)` |" do
      told["counters." .. name] = true
    end
    -- Not fields: the names of the histograms, and options and groups that the text speaks of.
    for name in pairs(stats.times) do told["times." .. name] = nil end
    for name in ("script_cpu script_memory script_calls backends"):gmatch "[%l_]+" do told["scripts." .. name] = nil end
    for _, name in ipairs { "get_many", "put", "delete" } do told["client_memory." .. name] = nil end
    assert_told(there, told)
  end)
end)

describe("docs/restarts.md", function()
  local restarts = assert(files.read "docs/restarts.md")

  it("names events that are logged, options that there are, and conditions that are counted", function()
    local there, told = {}, {}
    for event in pairs(events_of_core()) do there[event:match "^%S+"] = true end
    for name in assert(files.read "docs/configuration.md"):gmatch "\n| `([%l_]+)` |" do there[name] = true end
    for _, name in ipairs { "rtcache.conf", "rtcache.unchanged", "ctx.value", "ctx.version" } do there[name] = true end
    for name in page:match("\n| `restart` | ([^\n]+)"):gmatch "`(P%d)`" do there["missing." .. name] = true end
    for name in page:match("\n| `journal` | ([^\n]+)"):gmatch "`([%l_]+)`" do there[name] = true end
    for name in restarts:gmatch "`([%l_]+[%._][%l_]*P?%d?)`" do told[name] = true end
    assert.same({}, beyond(told, there))
    assert.truthy(told["restart.restored"] and told["snapshot_every"] and told["missing.P1"])
  end)

  it("calls the tool by commands and options that it has", function()
    local tool = assert(files.read "docs/cli.md")
    local commands, count = tool:match "Commands:\n(.-)\n\n", 0
    for command, rest in restarts:gmatch "\n%$? ?rtcache (%l[%l-]*)([^\n]*)" do
      count = count + 1
      assert.truthy(commands:find("\n  " .. command .. " ", 1, true), command)
      for option in rest:gmatch " (%-%-%l+)" do assert.truthy(tool:find("`" .. option .. "`", 1, true), option) end
    end
    assert.is_true(count >= 4)
  end)

  it("shows numbers of the last restart as the tool prints them", function()
    local block = restarts:match "%$ rtcache stats restart[^\n]*\n(.-)```"
    local row, last = page:match "\n| `restart` | ([^\n]+)", 0
    for line in block:gmatch "[^\n]+" do
      local name = line:match "^([%l_]+) +%d+$"
      local at = row:find("`" .. tostring(name) .. "`", last + 1, true)
      assert.truthy(at, line)
      last = at
    end
  end)
end)
