local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local msgpack = require "rtcache.msgpack"

local bin, null = msgpack.bin, msgpack.null
local LEAST = -9223372036854775807LL - 1

describe("values of PostgreSQL", function()
  local server, source, cache

  setup(function()
    server, source = Source.postgres({
      loaders = {
        { pattern = "sql:*", script = "sql.lua", negative_ttl = "60s" },
        { pattern = "rows:*", script = "rows.lua", negative_ttl = "60s" },
        { pattern = "value:*", script = "value.lua", negative_ttl = "60s" },
        { pattern = "exec:*", script = "exec.lua" },
        { pattern = "param:*", script = "param.lua" },
        { pattern = "any:*", script = "any.lua" },
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
        ["exec.lua"] = [[
          return { load = function(_, ctx) return ctx.db:exec(ctx.match[1]) end }
        ]],
        ["any.lua"] = [=[
          local wanted = { numbers = { 1, 3, 99 }, texts = { "1", "3" }, none = {} }
          return {
            load = function(_, ctx)
              local rows = ctx.db:packed_rows("SELECT id, name FROM several WHERE id = ANY($1) ORDER BY id",
                wanted[ctx.match[1]])
              return { rows = rows, count = #rows, last = #rows > 0 and rows[#rows] or nil,
                name = #rows > 0 and rows[1].name or nil }
            end,
          }
        ]=],
        ["param.lua"] = [=[
          local queries = {
            bool = { "bool", true }, int2 = { "int2", -32768 }, int4 = { "int4", 2147483647 },
            int8 = { "int8", 9007199254740993LL }, least = { "int8", -9223372036854775807LL - 1 },
            float8 = { "float8", 0.1 }, numeric = { "numeric", "12345678901234567890.123" },
            text = { "text", "Grüße" }, bytea = { "bytea", "\0\255\1" }, uuid =
            { "uuid", "00112233-4455-6677-8899-aabbccddeeff" },
            jsonb = { "jsonb", { a = { 1, 2, rtcache.null } } }, null = { "text", rtcache.null },
            ints = { "int8[]", { 1, 9007199254740993LL, rtcache.null } },
            texts = { "text[]", { "a", 'b "c", {d}', "", "NULL" } },
            date = { "date", "2024-02-29" },
            nul = { "text", "a\0b" }, wrong = { "int4", "twelve" },
          }
          return {
            load = function(_, ctx)
              local q = queries[ctx.match[1]]
              return ctx.db:row("SELECT $1::" .. q[1] .. " AS v", q[2])
            end,
          }
        ]=],
      },
    }, nil, { pool = 1, pipeline = 64 })
    source.db:exec [[
      CREATE TABLE several (id int PRIMARY KEY, name text);
      INSERT INTO several VALUES (1, 'one'), (2, NULL), (3, 'three');
      CREATE TYPE mood AS ENUM ('glad', 'sad');
    ]]
    cache = server:connect({ keep_bin = true })
  end)
  teardown(function()
    source:close()
    server:stop()
  end)

  local function got(key)
    local first = expect.value(cache:get(key))
    assert.same(first, expect.value(cache:get(key)))
    return first
  end

  for sql, expected in pairs {
    ["true"] = true, ["false"] = false, ["NULL::text"] = null, ["NULL::int[]"] = null,
    ["(-32768)::int2"] = -32768, ["2147483647::int4"] = 2147483647,
    ["9007199254740992::int8"] = 9007199254740992,
    ["9007199254740993::int8"] = 9007199254740993LL,
    ["9223372036854775807::int8"] = 9223372036854775807LL,
    ["(-9223372036854775808)::int8"] = LEAST,
    ["4294967295::oid"] = 4294967295,
    ["1.5::float8"] = 1.5, ["0.5::float4"] = 0.5, ["'-infinity'::float8"] = -math.huge,
    ["1e300::float8"] = 1e300,
    ["12345678901234567890.123456789::numeric"] = "12345678901234567890.123456789",
    ["1.50::numeric(10, 2)"] = "1.50", ["'NaN'::numeric"] = "NaN",
    ["'text'::text"] = "text", ["''::text"] = "", ["'Grüße 漢字'::varchar"] = "Grüße 漢字",
    ["'ab'::char(4)"] = "ab  ", ["'n'::name"] = "n",
    ["'\\x00ff10'::bytea"] = bin "\0\255\16", ["'\\xfffe'::bytea"] = bin "\255\254",
    ["'00112233-4455-6677-8899-aabbccddeeff'::uuid"] = "00112233-4455-6677-8899-aabbccddeeff",
    ["'2024-02-29'::date"] = "2024-02-29", ["'infinity'::date"] = "infinity",
    ["'2024-02-29 12:34:56.789'::timestamp"] = "2024-02-29 12:34:56.789",
    ["'12:34:56'::time"] = "12:34:56", ["'1 day 02:00'::interval"] = "1 day 02:00:00",
    ["'10.0.0.1/8'::inet"] = "10.0.0.1/8", ["'[1,5)'::int4range"] = "[1,5)", ["'glad'::mood"] = "glad",
    ["'{1,2,NULL,9007199254740993}'::int8[]"] = { 1, 2, null, 9007199254740993LL },
    ["'{}'::text[]"] = {}, ["'{a,\"b c\",\"\",NULL}'::text[]"] = { "a", "b c", "", null },
    ["'{{1,2},{3,4}}'::int[]"] = { { 1, 2 }, { 3, 4 } }, ["'{t,f}'::bool[]"] = { true, false },
    ["'{1.5,2}'::float8[]"] = { 1.5, 2 }, ["'[0:1]={7,8}'::int[]"] = { 7, 8 },
  } do
    it("reach the client exactly: " .. sql, function()
      assert.same({ v = expected }, got("sql:" .. sql .. " AS v"))
    end)
  end

  it("that are not a number come as such", function()
    local v = expect.value(cache:get "sql:'NaN'::float8 AS v").v
    assert.truthy(v ~= v)
  end)

  it("with a time zone come in ISO form", function()
    assert.truthy(got("sql:'2024-02-29 12:34:56+00'::timestamptz AS v").v:match "^2024%-02%-%d%d %d%d:%d%d:56")
  end)

  it("of json and jsonb are decoded, whole numbers exactly", function()
    local text = [['{"a": [1, 2.5, "x", null, true, {}], "big": 9007199254740993, "s": "Grüße"}']]
    local expected = { a = { 1, 2.5, "x", null, true, {} }, big = 9007199254740993LL, s = "Grüße" }
    assert.same({ v = expected }, got("sql:" .. text .. "::json AS v"))
    assert.same({ v = expected }, got("sql:" .. text .. "::jsonb AS v"))
    assert.same({ v = null }, got "sql:'null'::jsonb AS v")
    assert.same({ v = "text" }, got [[sql:'"text"'::jsonb AS v]])
  end)

  it("come as a row, as rows, as one value, as a count, or not at all", function()
    assert.same({ id = 1, name = "one" }, got "sql:* FROM several WHERE id = 1")
    assert.same({
      { id = 1, name = "one" }, { id = 2, name = null }, { id = 3, name = "three" },
    }, got "rows:* FROM several ORDER BY id")
    assert.equal(3, got "value:count(*) FROM several")
    assert.equal(2, expect.value(cache:get "exec:UPDATE several SET name = name WHERE id < 3"))
    assert.same({}, got "rows:* FROM several WHERE id = 99")
    expect.absent(cache:get "sql:* FROM several WHERE id = 99")
    expect.absent(cache:get "value:name FROM several WHERE id = 99")
  end)

  it("are asked for by an array, and come packed", function()
    local one, three = { id = 1, name = "one" }, { id = 3, name = "three" }
    local both = { rows = { one, three }, count = 2, last = three, name = "one" }
    assert.same(both, got "any:numbers")
    assert.same(both, got "any:texts")
    assert.same({ rows = {}, count = 0 }, got "any:none")
  end)

  it("may be many: rows of a few megabytes", function()
    local rows = expect.value(cache:get "rows:i AS id, repeat('x', 100) AS pad FROM generate_series(1, 5000) i")
    assert.equal(5000, #rows)
    assert.equal(5000, rows[5000].id)
  end)

  for name, expected in pairs {
    bool = true, int2 = -32768, int4 = 2147483647, int8 = 9007199254740993LL, least = LEAST,
    float8 = 0.1, numeric = "12345678901234567890.123", text = "Grüße", bytea = bin "\0\255\1",
    uuid = "00112233-4455-6677-8899-aabbccddeeff", jsonb = { a = { 1, 2, null } }, null = null,
    ints = { 1, 9007199254740993LL, null }, texts = { "a", 'b "c", {d}', "", "NULL" },
    date = "2024-02-29",
  } do
    it("go into a query and come back: " .. name, function()
      assert.same({ v = expected }, expect.value(cache:get("param:" .. name)))
    end)
  end

  it("that a query cannot take are refused: a NUL in a text, a text for a number", function()
    local _, err = cache:get "param:nul"
    assert.truthy(err and err.message:find("NUL", 1, true), tostring(err))
    expect.error("BACKEND_ERROR", { "22P02", "type integer" }, cache:get "param:wrong")
  end)

  it("of a wrong query are an error with SQLSTATE, the database's words, script and line", function()
    expect.error("BACKEND_ERROR", { "sql.lua:1", "42P01", "nowhere" }, cache:get "sql:* FROM nowhere")
    expect.error("BACKEND_ERROR", { "sql.lua:1", "42601" }, cache:get "sql:FROM WHERE")
    expect.error("BACKEND_ERROR", { "sql.lua:1", "22012", "division by zero" }, cache:get "sql:1 / 0 AS v")
  end)

  it("are right for the neighbours of a query that fails", function()
    local ids = {}
    for i = 1, 60 do
      ids[i] = cache:send("get", i % 3 == 0 and ("sql:1/0 AS v, " .. i .. " AS w") or ("sql:" .. i .. " AS v"))
    end
    for i = 1, 60 do
      if i % 3 == 0 then
        expect.error("BACKEND_ERROR", "division by zero", cache:receive(ids[i]))
      else
        assert.equal(i, expect.value(cache:receive(ids[i])).v)
      end
    end
  end)
end)
