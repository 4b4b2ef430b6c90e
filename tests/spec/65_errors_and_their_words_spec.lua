local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local files = require "spec.support.files"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

local Server = require "spec.support.server"

-- What the key says decides how its load fails; `raise` holds what is raised instead, where there is one.
local SCRIPT = [[
local does = {}
does["word"] = function() return nil, { code = "NO_CREDIT", message = "5 are left" } end
does["again"] = function(_, ctx)
  return nil, { code = "BUSY_SHOP", message = "attempt " .. ctx.attempt, retryable = true }
end
does["moved"] = function() return nil, { code = "MOVED", message = "to 10.0.0.1" } end
does["nobody"] = function() return nil, { code = "UNAUTHENTICATED", message = "who are you" } end
does["fault"] = function() local none; return none.field end
does["text"] = function() error "by hand" end
does["unpackable"] = function() return print end
does["large"] = function() return ("x"):rep(2000000) end
does["begin"] = function(_, ctx) ctx.db:exec "BEGIN" end
does["twice"] = function(_, ctx) return ctx.db:row "SELECT 1 AS a, 2 AS a" end
does["nul"] = function(_, ctx) ctx.db:value "SELECT 1\0" end
does["empty"] = function(_, ctx) ctx.db:value "" end
does["count"] = function(_, ctx) ctx.db:value("SELECT $1::int, $2::int", 1) end
does["down"] = function() return nil, { code = "BACKEND_DOWN", message = "closed" } end
does["object"] = function() error(setmetatable({}, { __tostring = function() return "an object's text" end })) end
does["kept"] = function(key, ctx)
  if ctx.db:value("SELECT fail FROM source WHERE key = $1", key) == "" then return "good" end
  return nil, { code = "NO_CREDIT", message = "none is left" }
end
local function load(key, ctx) return does[ctx.match[1]:gsub("^%d+ ", "")](key, ctx) end
return {
  load = load,
  save = function(key, value, ctx) return load(value, { match = { value }, db = ctx.db }) end,
  remove = function(key, ctx) return load(key, ctx) end,
}
]]

local MANY = [[
return { load_many = function(keys, ctx)
  local values, options = {}, {}
  for i, key in ipairs(keys) do
    values[key] = i
    if ctx.match[i][1] == "poor" then options[key] = { error = { code = "NO_CREDIT", message = "poor" } } end
  end
  return values, options
end }
]]

local VERSIONS = [[
return { load_many = function(keys, ctx)
  return ctx:answer(ctx.db:packed_rows("SELECT id, v FROM versions WHERE id = ANY($1)", ctx.ids), "id", "v")
end }
]]

describe("an error", function()
  local server, source, cache, maps

  setup(function()
    local function loader(pattern, script, fields)
      local l = { pattern = pattern, script = script, retries = 0, breaker_failures = 0, ttl = "60s",
        backoff_base = "10min", backoff_cap = "10min" }
      for name, v in pairs(fields or {}) do l[name] = v end
      return l
    end
    server, source = Source.postgres {
      scripts = { ["does.lua"] = SCRIPT, ["many.lua"] = MANY, ["versions.lua"] = VERSIONS },
      loaders = {
        loader("e:*", "does.lua"),
        loader("kept:*", "does.lua", { ttl = "1ms", stale_if_error = "1h" }),
        loader("again:*", "does.lua", { retries = 2, retry_base = "1ms", retry_cap = "1ms" }),
        loader("many:*", "many.lua"),
        loader("sql:*", nil, { sql = "SELECT id, v FROM versions WHERE id = $1", version = "v" }),
        loader("numeric:*", nil, { sql = "SELECT id, n FROM versions WHERE id = $1", version = "n" }),
        loader("float:*", nil, { sql = "SELECT id, f FROM versions WHERE id = $1", version = "f" }),
        loader("ids:*", "versions.lua"),
      },
    }
    source.db:exec [[CREATE TABLE versions (id bigint, v bigint, n numeric, f float);
      INSERT INTO versions VALUES (1, 1, 1, 1.5), (2, NULL, NULL, NULL)]]
    cache, maps = server:connect(), server:connect()
    expect.value(maps:hello { errors = "map" })
  end)
  teardown(function()
    source:close()
    server:stop()
  end)

  it("of a script's own word reaches the client as it is, as a text and as a map", function()
    local err = expect.error("NO_CREDIT", { "e:1 word", "does.lua", "5 are left" }, cache:get "e:1 word")
    assert.is_nil(err.message:find("NO_CREDIT", 1, true))
    expect.error("NO_CREDIT", "5 are left", maps:get "e:1 word")
    local id = cache:send("get", "e:2 word")
    expect.error("NO_CREDIT", {}, cache:receive(id))
  end)

  it("of a word is remembered while its key is in backoff", function()
    for _ = 1, 3 do expect.error("NO_CREDIT", "5 are left", cache:get "e:9 word") end
    assert.is_true(expect.value(cache:stats()).counters.backoff_answers > 0)
  end)

  it("of a word is one key's in a batch, and tells why a value is stale", function()
    local list = expect.value(cache:get_many { "many:poor", "many:rich" })
    assert.equal("NO_CREDIT", list[1].error.code)
    assert.is_nil(list[2].error)
    source:put("kept:kept", "")
    assert.equal("good", expect.value(cache:get "kept:kept"))
    source:put("kept:kept", "", { fail = "yes" })
    local entry = wait.until_true("the load has failed", function()
      local e = expect.value(cache:get_entry "kept:kept")
      return e.status == "stale_error" and e
    end)
    assert.equal("NO_CREDIT", entry.error.code)
  end)

  it("of a word is that of a put and a delete, and of the command line", function()
    expect.error("NO_CREDIT", { "e:put", "5 are left" }, cache:put("e:put", "word"))
    expect.error("NO_CREDIT", "e:3 word", cache:delete "e:3 word")
    local errors = server.folder .. "/tool.err"
    local command = { Server.tool, "-s", "unix:" .. server.socket_path, "get", "e:4 word" }
    local status = process.run(command, { stderr = errors })
    assert.equal(3, status)
    local said = files.read(errors)
    assert.truthy(said:find("rtcache: NO_CREDIT e:4 word", 1, true), said)
  end)

  it("counts all words as SCRIPT", function()
    expect.error("NO_CREDIT", {}, cache:get "e:5 word")
    wait.until_true("they are counted", function()
      local failures = server:loader("e:*").failures
      return failures.SCRIPT and failures.SCRIPT > 0 and not failures.NO_CREDIT
    end)
  end)

  it("of a word is tried again where the script says so", function()
    expect.error("BUSY_SHOP", "attempt 3", cache:get "again:again")
    expect.error("NO_CREDIT", {}, cache:get "again:word")
  end)

  it("with a code that clients of Redis act on, or that is the server's, is refused by name", function()
    expect.error("SCRIPT_ERROR", { "does.lua", '"MOVED"', "Redis", "to 10.0.0.1" }, cache:get "e:moved")
    expect.error("SCRIPT_ERROR", { "does.lua", '"UNAUTHENTICATED"', "who are you" }, cache:get "e:nobody")
  end)

  it("says when to try again only where that may help", function()
    for _, key in ipairs { "word", "moved", "fault", "unpackable", "large" } do
      for _ = 1, 2 do
        local _, err = cache:get("e:6 " .. key)
        assert.is_nil(err.retry_after_ms, tostring(err))
        assert.is_nil(err.message:find("retry after", 1, true), tostring(err))
        _, err = maps:get("e:6 " .. key)
        assert.is_nil(err.retry_after_ms, tostring(err))
      end
    end
    for _, key in ipairs { "text", "down", "again" } do
      expect.error(key == "down" and "BACKEND_DOWN" or key == "again" and "BUSY_SHOP" or "LOAD_FAILED", {},
        cache:get("e:7 " .. key))
      local _, err = maps:get("e:7 " .. key)
      assert.truthy(err.retry_after_ms, tostring(err))
    end
  end)

  it("in a script's SQL is the script's, not the client's", function()
    local lines = { begin = "no transactions", twice = "two columns", nul = "NUL", empty = "empty",
      count = "parameters" }
    for what, text in pairs(lines) do
      local above = SCRIPT:sub(1, SCRIPT:find(('does["%s"]'):format(what), 1, true))
      local line = select(2, above:gsub("\n", "")) + 1
      expect.error("SCRIPT_ERROR", { "does.lua:" .. line .. ":", text }, cache:get("e:8 " .. what))
      expect.error("SCRIPT_ERROR", { "does.lua:" .. line .. ":", text }, cache:put("e:8 " .. what, what))
    end
  end)

  it("of an object is the text that it gives", function()
    expect.error("LOAD_FAILED", "an object's text", cache:get "e:object")
  end)

  it("of a version names the column and what is in it", function()
    assert.equal(1, expect.value(cache:get "sql:1").id)
    expect.error("SCRIPT_ERROR", { '"v"', "NULL" }, cache:get "sql:2")
    expect.error("SCRIPT_ERROR", { '"n"', '"1"', "numeric" }, cache:get "numeric:1")
    expect.error("SCRIPT_ERROR", { '"n"', "NULL" }, cache:get "numeric:2")
    expect.error("SCRIPT_ERROR", { '"f"', "float", "1.5" }, cache:get "float:1")
    local list = expect.value(cache:get_many { "ids:1", "ids:2", "numeric:1", "sql:1", "sql:2" })
    assert.equal(1, list[1].value.id)
    assert.truthy(list[2].error.message:find('"v", is NULL', 1, true), list[2].error.message)
    assert.equal("SCRIPT_ERROR", list[3].error.code)
    assert.equal(1, list[4].value.id)
  end)
end)
