local Server = require "spec.support.server"
local expect = require "spec.support.expect"
local faulty = require "faults.faulty"
local figures = require "faults.figures"
local postgres = require "spec.support.postgres"
local wait = require "spec.support.wait"

local NONE = 2 ^ 60 -- more than there are
local LAST = 60 -- allocations of a reload that are all tried: those around its commit

local SCRIPT = "return { load = function(key) return key end }"

describe("a reload without one of the allocations that it asks for", function()
  local server, control, cache, db, current, reloads

  -- Two configurations: the first one has a feed, and each a loader that the other has not; one pattern has a type in
  -- the first only.
  local function configuration(which)
    local function loader(pattern) return { pattern = pattern, script = "key.lua", backend = "main", ttl = "1h" } end
    local backend = { driver = "postgres", url = db.url, pool = 1, reconnect_base = "10ms", reconnect_cap = "20ms",
      feed = which == 1 and "changes" or nil }
    return {
      options = { watch = false },
      backends = { main = backend },
      scripts = { ["key.lua"] = SCRIPT },
      loaders = { loader "both:*", loader(which == 1 and "fed:*" or "unfed:*"),
        loader(which == 1 and "num:{n:int}" or "num:*") },
    }
  end

  local function generation() return expect.value(cache:stats()).server.generation end

  local function patterns()
    local list = {}
    for _, l in ipairs(expect.value(cache:loaders())) do list[#list + 1] = l.pattern end
    return list
  end

  -- The database is heard by the configuration in force.
  local function check_feed(what)
    wait.until_true("the feed is up " .. what, function()
      local f = cache:stats().feeds.main
      return f.connected and not f.cut
    end)
    expect.value(cache:set("fed:1", "old"))
    db:exec [[NOTIFY changes, '{"k":"fed:1"}']]
    wait.until_true("it is told of " .. what, function() return cache:peek "fed:1" == nil end)
  end

  -- Another configuration, taken over while the nth allocation fails, and so many after it. All of it is in force
  -- afterwards, or none.
  local function try(nth, more)
    local wanted = 3 - current
    local before = generation()
    if current == 2 then expect.value(cache:set("num:x", "no number")) end
    server:write_conf(configuration(wanted))
    control:fail_allocation(nth, more)
    local ok, err = cache:reload()
    local seen, fell = control:calm()
    local what = ("without allocation %d and %d more: %s"):format(nth, more or 0, tostring(err))
    if not cache:ping() then cache = server:connect() end
    local after = generation()
    if after ~= before then current = wanted end
    assert.truthy(not ok or after == before + 1, what)
    assert.equal(current == 1 and "fed:*" or "unfed:*", patterns()[2], what)
    assert.equal(current == 1, expect.value(cache:stats()).feeds.main ~= nil, what)
    if current == 1 then
      check_feed(what)
      wait.until_true("what its types do not take is gone " .. what, function() return cache:peek "num:x" == nil end)
    end
    reloads = reloads + 1
    return seen, fell, not ok
  end

  setup(function()
    db = postgres.database()
    local options = configuration(1)
    options.binary = faulty.binary
    server = Server.prepare(options)
    control = faulty.control(server.folder)
    server.options.env = control:env()
    server:launch()
    cache, current, reloads = server:connect(), 1, 0
  end)
  teardown(function()
    control:close()
    server:stop()
    db:close()
  end)

  local function try_each(more)
    for _ = 1, 6 do try(NONE) end
    local total = math.max((try(NONE)), (try(NONE)))
    local fell, refused, nth = 0, 0, 1
    while nth <= total + LAST do
      local _, count, no = try(nth, more)
      fell, refused = fell + count, refused + (no and 1 or 0)
      nth = nth + (nth > total - LAST and 1 or figures.pick(math.max(1, math.floor(total / 60)), 1))
    end
    assert.truthy(fell > 0, "no allocation failed")
    figures.print(("of %d reloads without allocations, refused"):format(reloads), refused, "", "all or nothing")
  end

  it("is taken over whole, or not at all", function() try_each(0) end)
  it("is taken over whole, or not at all, where all that follow fail too", function() try_each(NONE) end)
end)
