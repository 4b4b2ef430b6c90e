-- rtcache.unchanged keeps the value, and takes the tags that the script says; whoever waited is told those too.

local Server = require "spec.support.server"
local expect = require "spec.support.expect"

local SCRIPT = [[
local loads = 0
return { load = function(key)
  loads = loads + 1
  if loads == 1 then return "value", { tags = { "first" } } end
  if loads == 2 then return rtcache.unchanged, { tags = { "second" } } end
  if loads == 3 then return rtcache.unchanged end
  return rtcache.unchanged, { tags = {} }
end }]]

describe("a value that has not changed", function()
  local server, cache

  setup(function()
    server = Server.start {
      options = { loader_threads = 1 },
      scripts = { ["one.lua"] = SCRIPT },
      loaders = { { pattern = "*", script = "one.lua", ttl = "1h" } },
    }
    cache = server:connect()
  end)
  teardown(function() server:stop() end)

  -- What the load's own waiter is told, and what is stored.
  local function assert_tags(tags, answer)
    for _, entry in ipairs { expect.value(answer), expect.value(cache:peek "k") } do
      assert.equal("value", entry.value)
      assert.same(tags, entry.tags or {})
    end
  end

  it("has the tags that came with it last, for who waited as for all others", function()
    assert_tags({ "first" }, cache:get_entry "k")
    assert_tags({ "second" }, cache:refresh "k")
    assert_tags({ "second" }, cache:refresh "k")
    assert_tags({}, cache:refresh "k")
    expect.value(cache:invalidate_tag "second")
    assert.equal("value", expect.value(cache:peek "k").value)
  end)
end)
