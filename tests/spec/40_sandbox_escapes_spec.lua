local lfs = require "lfs"
local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local files = require "spec.support.files"

local FOLDER = "tests/sandbox/escapes/"

-- Every trick of the folder: its name, what it is, and what must come of it.
local function read_tricks()
  local tricks = {}
  for file in lfs.dir(FOLDER) do
    local name = file:match "^(.+)%.lua$"
    if name then
      local text = assert(files.read(FOLDER .. file))
      local what, kind, answer = text:match "^%-%- (.-)\n%-%- (%l+): (.-)\n"
      assert(kind == "refused" or kind == "harmless", file .. " does not say what must come of it")
      tricks[#tricks + 1] = { name = name, text = text, what = what, kind = kind, answer = answer }
    end
  end
  table.sort(tricks, function(a, b) return a.name < b.name end)
  return tricks
end

-- What every other script relies on; any change of it by a trick is an escape.
local CANARY = [[
local names = {}
for name in pairs(_G) do names[#names + 1] = name end
for _, lib in ipairs { "string", "table", "math", "os", "bit", "coroutine", "rtcache" } do
  for name, v in pairs(_G[lib]) do names[#names + 1] = lib .. "." .. name .. ":" .. type(v) end
end
table.sort(names)
local before = table.concat(names, " ")

return {
  load = function(key, ctx)
    local now = {}
    for name in pairs(_G) do now[#now + 1] = name end
    for _, lib in ipairs { "string", "table", "math", "os", "bit", "coroutine", "rtcache" } do
      for name, v in pairs(_G[lib]) do now[#now + 1] = lib .. "." .. name .. ":" .. type(v) end
    end
    table.sort(now)
    assert(table.concat(now, " ") == before, "the globals have changed")
    assert(("Ab"):upper():lower():rep(2):find("bab") == 2, "strings have changed")
    assert(("a b"):gsub("%w", { a = "x" }) == "x b" and ("%d"):format(7) == "7")
    assert(getmetatable("") == nil and getmetatable(1) == nil and getmetatable(print) == nil)
    assert(leaked == nil and kept == nil and ran == nil and shared_by_accident == nil)
    assert(rtcache.json.encode { 1 } == "[1]" and ctx.db:value("SELECT 5") == 5)
    return "sings"
  end,
}
]]

describe("a way out of the sandbox", function()
  local tricks = read_tricks()
  local server, source, cache

  setup(function()
    local scripts = {
      ["canary.lua"] = CANARY,
      ["bytecode.lua"] = string.dump(function() return 1 end),
      ["marked.lua"] = "\239\187\191" .. string.dump(function() return 1 end),
      ["counter.lua"] = "return { n = 0 }",
      ["spinning.lua"] = "while true do end",
    }
    local loaders = { { pattern = "canary:*", script = "canary.lua" } }
    for _, trick in ipairs(tricks) do
      assert(not scripts[trick.name .. ".lua"], trick.name .. " is the name of a module too")
      scripts[trick.name .. ".lua"] = trick.text
      loaders[#loaders + 1] = { pattern = trick.name .. ":*", script = trick.name .. ".lua" }
    end
    server, source = Source.sqlite {
      options = {
        defaults = { retries = 0, breaker_failures = 0, ttl = "60s", load_timeout = "60s", wait_timeout = "60s" },
        script_cpu = "200ms",
        loader_threads = 1,
      },
      loaders = loaders, scripts = scripts,
    }
    cache = server:connect()
  end)
  teardown(function()
    source:close()
    server:stop()
  end)

  it("is known by many names", function() assert.truthy(#tricks >= 80) end)

  for _, trick in ipairs(tricks) do
    -- Twice, since some tricks need something left behind by a load before.
    it("leads nowhere: " .. trick.name .. " (" .. trick.what .. ")", function()
      cache:get(trick.name .. ":1")
      local value, err = cache:get(trick.name .. ":2")
      if trick.kind == "harmless" then
        assert.equal(trick.answer, value, tostring(err))
      else
        assert.truthy(err, "it returned " .. tostring(value))
        assert.truthy(err.message:find(trick.answer, 1, true), tostring(err))
        assert.truthy(err.message:find(trick.name .. ".lua:", 1, true)
          or err.message:find("spinning.lua:", 1, true), "no position in " .. tostring(err))
      end
      assert.equal("sings", expect.value(cache:get("canary:" .. trick.name)))
    end)
  end

  it("is not paved by lines of the log that a script forges", function()
    local log = server:log()
    assert.truthy(log:find("server.stopped", 1, true), "the forged text must be there, quoted")
    for line in log:gmatch "[^\n]+" do
      assert.falsy(line:find("^2026%-01%-01T00:00:00Z info server.stopped"), line)
      assert.falsy(line:find("[\27\r]"), line)
    end
  end)
end)
