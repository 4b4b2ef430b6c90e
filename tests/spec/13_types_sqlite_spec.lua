local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local msgpack = require "rtcache.msgpack"

local bin, null = msgpack.bin, msgpack.null
local LEAST = -9223372036854775807LL - 1

describe("values of SQLite", function()
  local server, source, cache

  setup(function()
    server, source = Source.sqlite {
      loaders = {
        { pattern = "sql:*", script = "sql.lua", negative_ttl = "60s" },
        { pattern = "rows:*", script = "rows.lua", negative_ttl = "60s" },
        { pattern = "value:*", script = "value.lua", negative_ttl = "60s" },
        { pattern = "param:*", script = "param.lua" },
        { pattern = "any:*", script = "any.lua" },
        { pattern = "bad param:*", script = "bad_param.lua" },
      },
      scripts = {
        ["sql.lua"] = [[
          return { load = function(_, ctx) return ctx.db:row("SELECT " .. ctx.match[1]) end }
        ]],
        ["rows.lua"] = [[
          return { load = function(_, ctx) return ctx.db:rows("SELECT " .. ctx.match[1]) end }
        ]],
        ["value.lua"] = [[
          return { load = function(_, ctx) return ctx.db:value("SELECT " .. ctx.match[1]) end }
        ]],
        ["any.lua"] = [=[
          local wanted = { numbers = { 1, 3, 99 }, texts = { "1", "3" }, none = {} }
          return {
            load = function(_, ctx)
              local rows = ctx.db:packed_rows("SELECT id, name FROM several "
                .. "WHERE id IN (SELECT value FROM json_each($1)) ORDER BY id", wanted[ctx.match[1]])
              return { rows = rows, count = #rows, last = #rows > 0 and rows[#rows] or nil }
            end,
          }
        ]=],
        ["param.lua"] = [=[
          local values = {
            integer = 42, large = 9007199254740993LL, least = -9223372036854775807LL - 1,
            real = 1.5, text = "Grüße", empty = "", yes = true, no = false, null = rtcache.null,
            bytes = "\255\0\254", list = { 1, 2, 3 }, map = { a = 1 },
          }
          return {
            load = function(_, ctx)
              return ctx.db:row("SELECT typeof($1) AS type, $1 AS v", values[ctx.match[1]])
            end,
          }
        ]=],
        ["bad_param.lua"] = [=[
          local values = { nul = "a\0b", ["function"] = print, count = 1 }
          return {
            load = function(_, ctx)
              local what = ctx.match[1]
              if what == "count" then return ctx.db:row("SELECT $1 AS a, $2 AS b", 1) end
              return ctx.db:row("SELECT $1 AS v", values[what])
            end,
          }
        ]=],
      },
    }
    source.db:exec [[
      CREATE TABLE kinds (j JSON, b BOOLEAN, d DECIMAL(10, 2), n INTEGER);
      INSERT INTO kinds VALUES ('{"a": [1, 2.5, "x", null, true], "big": 9007199254740993}', 1, 12.5, NULL);
      CREATE TABLE several (id INTEGER PRIMARY KEY, name TEXT);
      INSERT INTO several VALUES (1, 'one'), (2, NULL), (3, 'three');
    ]]
    cache = server:connect({ keep_bin = true })
  end)
  teardown(function()
    source:close()
    server:stop()
  end)

  -- What a get brings twice: loaded, and from memory.
  local function got(key)
    local first = expect.value(cache:get(key))
    assert.same(first, expect.value(cache:get(key)))
    return first
  end

  for sql, expected in pairs {
    ["0"] = 0, ["-1"] = -1, ["255"] = 255, ["65536"] = 65536, ["4294967296"] = 4294967296,
    ["9007199254740992"] = 9007199254740992,
    ["9007199254740993"] = 9007199254740993LL,
    ["9223372036854775807"] = 9223372036854775807LL,
    ["-9223372036854775807 - 1"] = LEAST,
    ["1.5"] = 1.5, ["-0.25"] = -0.25, ["1e300"] = 1e300, ["2.0"] = 2,
    ["'text'"] = "text", ["''"] = "", ["'Grüße 漢字'"] = "Grüße 漢字",
    ["x'00ff10'"] = bin "\0\255\16",
    ["CAST(x'ff41' AS TEXT)"] = bin "\255A",
    ["NULL"] = null,
  } do
    it("reach the client exactly: " .. sql, function()
      assert.same({ v = expected }, got("sql:" .. sql .. " AS v"))
    end)
  end

  it("of a column declared as JSON are decoded", function()
    assert.same({ j = { a = { 1, 2.5, "x", null, true }, big = 9007199254740993LL } }, got "sql:j FROM kinds")
  end)

  it("of a column declared as boolean are booleans, of decimal exact text", function()
    assert.same({ b = true }, got "sql:b FROM kinds")
    assert.same({ d = "12.5" }, got "sql:d FROM kinds")
  end)

  it("are asked for by an array, and come packed", function()
    local one, three = { id = 1, name = "one" }, { id = 3, name = "three" }
    assert.same({ rows = { one, three }, count = 2, last = three }, got "any:numbers")
    assert.same({ rows = {}, count = 0 }, got "any:none")
  end)

  it("come as a row, as rows, as one value, or not at all", function()
    assert.same({ id = 1, name = "one" }, got "sql:* FROM several WHERE id = 1")
    assert.same({
      { id = 1, name = "one" }, { id = 2, name = null }, { id = 3, name = "three" },
    }, got "rows:* FROM several ORDER BY id")
    assert.equal(3, got "value:count(*) FROM several")
    assert.same({}, got "rows:* FROM several WHERE id = 99")
    expect.absent(cache:get "sql:* FROM several WHERE id = 99")
    expect.absent(cache:get "value:name FROM several WHERE id = 99")
  end)

  for name, expected in pairs {
    integer = { "integer", 42 }, large = { "integer", 9007199254740993LL }, least = { "integer", LEAST },
    real = { "real", 1.5 }, text = { "text", "Grüße" }, empty = { "text", "" },
    yes = { "integer", 1 }, no = { "integer", 0 }, null = { "null", null },
    bytes = { "blob", bin "\255\0\254" }, list = { "text", "[1,2,3]" }, map = { "text", '{"a":1}' },
  } do
    it("go into a query exactly: " .. name, function()
      local row = expect.value(cache:get("param:" .. name))
      if type(row.v) == "string" then row.v = row.v:gsub("[ \n]", "") end
      assert.same({ type = expected[1], v = expected[2] }, row)
    end)
  end

  it("that no query can take are refused, and the error says where", function()
    expect.error("BACKEND_ERROR", { "bad_param.lua:6", "NUL" }, cache:get "bad param:nul")
    local _, err = cache:get "bad param:function"
    assert.truthy(err and err.message:find("bad_param.lua:6", 1, true), tostring(err))
    local _, miscounted = cache:get "bad param:count"
    assert.truthy(miscounted and miscounted.message:find("bad_param.lua:5", 1, true), tostring(miscounted))
  end)

  it("of a wrong query are an error with the database's words, script and line", function()
    expect.error("BACKEND_ERROR", { "sql.lua:1", "no such table: nowhere" }, cache:get "sql:* FROM nowhere")
    expect.error("BACKEND_ERROR", { "sql.lua:1", "syntax error" }, cache:get "sql:FROM WHERE")
  end)
end)
