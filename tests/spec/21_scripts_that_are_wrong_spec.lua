local Server = require "spec.support.server"

describe("a loader script that is wrong from the start", function()
  local function refusal(loaders, scripts, backends)
    local server = Server.prepare { loaders = loaders, scripts = scripts, backends = backends }
    local ok, err = pcall(server.launch, server)
    server:remove()
    assert.is_false(ok, "the server must refuse to start")
    assert.equal(1, server.process.status, err)
    return err
  end

  local function says(text, err) assert.truthy(err:find(text, 1, true), text .. " is not in: " .. err) end

  it("keeps the server from starting when it does not compile, with file and line", function()
    local err = refusal({ { pattern = "a:*", script = "a.lua" } },
      { ["a.lua"] = "local x = 1\nreturn { load = function(key end }\n" })
    says("a.lua:2", err)
  end)

  it("keeps the server from starting when it raises while it is read", function()
    local err = refusal({ { pattern = "a:*", script = "a.lua" } },
      { ["a.lua"] = "local x = 1\nerror('not in the mood')\n" })
    says("a.lua:2", err)
    says("not in the mood", err)
  end)

  it("keeps the server from starting when it does not return a table with load", function()
    for _, text in ipairs { "return 42", "return {}", "", "return { load = 1 }" } do
      says("a.lua", refusal({ { pattern = "a:*", script = "a.lua" } }, { ["a.lua"] = text }))
    end
  end)

  it("never leaves the server hanging between start and end", function()
    for _ = 1, 40 do
      refusal({ { pattern = "a:*", script = "a.lua" } }, { ["a.lua"] = "return 42" })
    end
  end)

  it("keeps the server from starting when it is not there", function()
    says("missing.lua", refusal({ { pattern = "a:*", script = "missing.lua" } }))
  end)

  it("keeps the server from starting when it is bytecode", function()
    local code = string.dump(loadstring "return { load = function() return 1 end }")
    says("a.lua", refusal({ { pattern = "a:*", script = "a.lua" } }, { ["a.lua"] = code }))
  end)

  it("keeps the server from starting when its backend is not configured", function()
    says("nowhere", refusal({ { pattern = "a:*", script = "a.lua", backend = "nowhere" } },
      { ["a.lua"] = "return { load = function() return 1 end }" }))
  end)

  it("keeps the server from starting when a pattern stands there twice, or is none", function()
    local scripts = { ["a.lua"] = "return { load = function() return 1 end }" }
    says("a:*", refusal({
      { pattern = "a:*", script = "a.lua" }, { pattern = "a:*", script = "a.lua" },
    }, scripts))
    says("pattern", refusal({ { pattern = "", script = "a.lua" } }, scripts))
  end)
end)

describe("a script with a backend of its own choice", function()
  it("is told which backend there is not, when it asks", function()
    local server = Server.start {
      loaders = { { pattern = "a:*", script = "a.lua" } },
      scripts = {
        ["a.lua"] = [[
          return { load = function(key, ctx) return rtcache.backend("elsewhere"):value("SELECT 1") end }
        ]],
      },
    }
    local _, err = server:connect():get "a:1"
    assert.truthy(err and err.message:find("elsewhere", 1, true), tostring(err))
    assert.truthy(err.message:find("a.lua:1", 1, true), tostring(err))
    server:stop()
  end)
end)
