local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local files = require "spec.support.files"

describe("a loader script", function()
  local server, source, cache

  setup(function()
    server, source = Source.sqlite {
      options = {
        defaults = { retries = 0, breaker_failures = 0, ttl = "60s", load_timeout = "60s", wait_timeout = "60s" },
        script_cpu = "100ms",
      },
      loaders = {
        { pattern = "lines:*", script = "lines.lua" },
        { pattern = "bad:*", script = "bad.lua" },
        { pattern = "sandbox:*", script = "sandbox.lua" },
        { pattern = "hostile:*", script = "hostile.lua" },
        { pattern = "sees:*", script = "sees.lua" },
        { pattern = "module:*", script = "module.lua" },
        { pattern = "context:*:of:*", script = "context.lua" },
        { pattern = "*", script = "any.lua" },
        { pattern = "user:*", script = "user.lua" },
        { pattern = "user:*:posts", script = "posts.lua" },
        { pattern = "user:admin", script = "admin.lua" },
        { pattern = "user:1*", script = "one.lua" },
      },
      scripts = {
        ["any.lua"] = "return { load = function(key, ctx) return 'any ' .. ctx.match[1] end }",
        ["user.lua"] = "return { load = function(key, ctx) return 'user ' .. ctx.match[1] end }",
        ["posts.lua"] = "return { load = function(key, ctx) return 'posts of ' .. ctx.match[1] end }",
        ["admin.lua"] = "return { load = function(key, ctx) return 'admin ' .. #ctx.match end }",
        ["one.lua"] = "return { load = function(key, ctx) return 'one ' .. ctx.match[1] end }",
        ["context.lua"] = [[
          return {
            load = function(key, ctx)
              local value = {
                key = key, first = ctx.match[1], second = ctx.match[2], attempt = ctx.attempt,
                has_db = ctx.db ~= nil, deadline_ms = ctx:deadline_ms(),
              }
              return value, { ttl = 5, version = 42 }
            end,
          }
        ]],
        ["lines.lua"] = [[
          local function deeper(what)
            if what == "error" then
              error("on line three")
            elseif what == "index" then
              local t = nil
              return t.field
            elseif what == "call" then
              return undefined_function()
            elseif what == "arithmetic" then
              return {} + 1
            elseif what == "query" then
              return "no line"
            end
          end
          return {
            load = function(key, ctx)
              if ctx.match[1] == "query" then
                return ctx.db:row("SELECT nothing FROM nowhere")
              end
              return deeper(ctx.match[1])
            end,
          }
        ]],
        ["bad.lua"] = [=[
          local cycle = { name = "snake" }
          cycle.tail = { cycle }
          local values = {
            ["function"] = { list = { 1, { call = print } } },
            thread = { coroutine.create(function() end) },
            cycle = cycle,
            ["fraction key"] = { a = { [1.5] = "x" } },
            ["mixed keys"] = { 1, 2, name = "x" },
            ["boolean key"] = { [true] = 1 },
          }
          local deep = {}
          local at = deep
          for _ = 1, 100 do
            at.down = {}
            at = at.down
          end
          values.deep = deep
          return { load = function(key, ctx) return values[ctx.match[1]] end }
        ]=],
        ["sandbox.lua"] = [[
          local forbidden = {
            "io", "ffi", "jit", "package", "loadstring", "load", "loadfile", "dofile", "newproxy",
            "collectgarbage", "getfenv", "setfenv", "debug", "module",
          }
          return {
            load = function(key, ctx)
              local what = ctx.match[1]
              if what == "names" then
                local found = rtcache.array and rtcache.array {} or {}
                for _, name in ipairs(forbidden) do
                  if _G[name] ~= nil then found[#found + 1] = name end
                end
                if os and (os.execute or os.remove or os.exit or os.getenv or os.rename) then
                  found[#found + 1] = "os"
                end
                if string.dump then found[#found + 1] = "string.dump" end
                return found
              elseif what == "require ffi" then
                return require "ffi"
              elseif what == "require path" then
                return require "../secret"
              elseif what == "string metatable" then
                getmetatable("").__index = nil
                return "changed"
              elseif what == "write global" then
                leaked = (leaked or 0) + 1
                return leaked
              elseif what == "read global" then
                return tostring(leaked)
              elseif what == "change library" then
                string.upper = function() return "hijacked" end
                return ("a"):upper()
              elseif what == "change module" then
                require("shared").greet = function() return "hijacked" end
                return "changed"
              end
            end,
          }
        ]],
        ["sees.lua"] = [[
          return { load = function()
            return { upper = ("a"):upper(), field = string.upper("b"), leaked = tostring(leaked),
              shared = require("shared").greet "you" }
          end }
        ]],
        ["hostile.lua"] = [[
          local hostile = {
            loop = function() while true do end end,
            ["pcall loop"] = function() while true do pcall(function() while true do end end) end end,
            ["tail calls"] = function() local function f() return f() end return f() end,
            recursion = function() local function f() return 1 + f() end return f() end,
            ["string bomb"] = function() local s = "x" while true do s = s .. s end end,
            ["rep bomb"] = function() return #(("x"):rep(2 ^ 31)) end,
            ["table bomb"] = function() local t = {} while true do t[#t + 1] = {} end end,
            pattern = function() return (("a"):rep(500)):find((".-"):rep(20) .. "b") end,
            sort = function()
              local t = {}
              for i = 1, 1000 do t[i] = i end
              table.sort(t, function() while true do end end)
            end,
            ["yield"] = function() return coroutine.yield(1, 2, 3) end,
            ["gsub yield"] = function(ctx)
              return (("a"):gsub("a", function() return ctx.db:value("SELECT 'b'") end))
            end,
          }
          return { load = function(key, ctx) return hostile[ctx.match[1]:gsub(" %d+$", "")](ctx) end }
        ]],
        ["module.lua"] = [[
          local shared = require "shared"
          return { load = function(key, ctx) return shared.greet(ctx.match[1]) end }
        ]],
        ["shared.lua"] = "return { greet = function(name) return 'hello ' .. name end }",
      },
    }
    cache = server:connect()
  end)
  teardown(function()
    source:close()
    server:stop()
  end)

  it("is chosen by the most specific pattern", function()
    for key, expected in pairs {
      ["user:42"] = "user 42",
      ["user:42:posts"] = "posts of 42",
      ["user:admin"] = "admin 0",
      ["user:1"] = "one ",
      ["user:17"] = "one 7",
      ["something else"] = "any something else",
      ["user"] = "any user",
    } do
      assert.equal(expected, expect.value(cache:get(key)))
    end
  end)

  it("is told key, captures, attempt and its backend, and may give version and ttl", function()
    local entry = expect.value(cache:get_entry "context:page:of:book:1")
    assert.equal("context:page:of:book:1", entry.value.key)
    assert.equal("page", entry.value.first)
    assert.equal("book:1", entry.value.second)
    assert.equal(1, entry.value.attempt)
    assert.is_true(entry.value.has_db)
    assert.truthy(entry.value.deadline_ms > 0 and entry.value.deadline_ms <= 60000)
    assert.equal(42, entry.version)
    assert.truthy(entry.ttl_ms > 0 and entry.ttl_ms <= 5000)
  end)

  it("that fails is named in the message, with the line", function()
    for what, line in pairs { error = 3, index = 6, call = 8, arithmetic = 10, query = 18 } do
      local _, err = cache:get("lines:" .. what)
      local place = "lines.lua:" .. line
      assert.truthy(err and err.message:find(place, 1, true), place .. " is not in " .. tostring(err))
      assert.truthy(err.message:find("lines:" .. what, 1, true), tostring(err))
    end
  end)

  for what, path in pairs {
    ["function"] = "list[2].call", thread = "[1]", cycle = "tail", ["fraction key"] = "a",
    ["mixed keys"] = "", ["boolean key"] = "", deep = "down",
  } do
    it("cannot return what no message can hold, and hears where it stands: " .. what, function()
      expect.error("BAD_VALUE", { "bad:" .. what, path }, cache:get("bad:" .. what))
      assert.equal("user 42", expect.value(cache:get "user:42"))
    end)
  end

  it("finds none of the dangerous libraries", function()
    assert.same({}, expect.value(cache:get "sandbox:names"))
  end)

  it("can require neither ffi nor files elsewhere", function()
    files.write(server.folder .. "/secret.lua", "return 'secret'")
    for what, name in pairs { ffi = '"ffi"', path = "takes a module's name" } do
      expect.error("SCRIPT_ERROR", { "sandbox.lua", name }, cache:get("sandbox:require " .. what))
    end
  end)

  it("cannot change what other scripts see", function()
    local seen = { upper = "A", field = "B", leaked = "nil", shared = "hello you" }
    assert.same(seen, expect.value(cache:get "sees:before"))
    for _, what in ipairs { "string metatable", "change library", "write global", "change module" } do
      cache:get("sandbox:" .. what)
      assert.same(seen, expect.value(cache:get("sees:after " .. what)), what)
    end
    assert.equal("user 43", expect.value(cache:get "user:43"))
    assert.equal("hello x", expect.value(cache:get "module:x"))
  end)

  for _, what in ipairs {
    "loop", "pcall loop", "tail calls", "recursion", "string bomb", "rep bomb", "table bomb",
    "pattern", "sort",
  } do
    it("is stopped when it goes out of bounds, and harms no other: " .. what, function()
      local _, err = cache:get("hostile:" .. what)
      assert.truthy(err, what .. " must fail")
      assert.truthy(err.code == "SCRIPT_ERROR" or err.code == "LOAD_FAILED", tostring(err))
      assert.truthy(err.message:find("hostile.lua", 1, true), tostring(err))
      assert.equal("any after " .. what, expect.value(cache:get("after " .. what)))
    end)
  end

  it("does not hold up hits while it runs wild", function()
    expect.value(cache:get "user:quick")
    local wild, ids = server:connect(), {}
    for i = 1, 12 do ids[i] = wild:send("get", "hostile:loop " .. i) end
    expect.error("SCRIPT_ERROR", "hostile.lua", wild:receive(ids[1]))
    for _ = 1, 1000 do assert.equal("user quick", expect.value(cache:get "user:quick")) end
    -- The others run one after the other, 100 ms each: hits that wait for them let them go by.
    expect.waits(wild, ids[10])
    for i = 2, 12 do expect.error("SCRIPT_ERROR", "hostile.lua", wild:receive(ids[i])) end
  end)

  it("cannot yield of its own accord", function()
    expect.error("SCRIPT_ERROR", { "hostile.lua", "yield" }, cache:get "hostile:yield")
    assert.equal("any still here", expect.value(cache:get "still here"))
  end)

  it("may ask its database from within gsub, or is told why not", function()
    local value, err = cache:get "hostile:gsub yield"
    assert.truthy(value == "b" or err.message:find("hostile.lua:1", 1, true), tostring(err))
    assert.equal("any still there", expect.value(cache:get "still there"))
  end)

  it("finds modules beside it", function()
    assert.equal("hello world", expect.value(cache:get "module:world"))
  end)
end)
