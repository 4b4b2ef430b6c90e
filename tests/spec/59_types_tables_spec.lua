-- The tables of types in docs/loaders.md are what servers say; SQLite by affinity; parameters arrive as
-- they were given.

local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local files = require "spec.support.files"
local raw = require "spec.support.raw"

-- What a script sees, in words: the middle column of the tables.
local SHOW = [=[
local function show(v)
  if v == rtcache.null then return "rtcache.null" end
  if type(v) == "string" then return '"' .. v:gsub("[^ -~]", function(c) return "\\" .. c:byte() end) .. '"' end
  if type(v) ~= "table" then
    return type(v) == "number" and ("%.15g"):format(v) or tostring(v)
  end
  local parts = {}
  for i, item in ipairs(v) do parts[i] = show(item) end
  if #v == 0 then
    for key in pairs(v) do parts[#parts + 1] = key end
    table.sort(parts, function(a, b) return a > b end)
    for i, key in ipairs(parts) do parts[i] = key .. " = " .. show(v[key]) end
  end
  return "{" .. table.concat(parts, ", ") .. "}"
end
]=]

-- The same by a row and as packed; "in Lua" of the row.
local LUA = SHOW .. [=[
return { load = function(_, ctx)
  local row = ctx.db:row(ctx.match[1])
  return show(row.v)
end }]=]

local function way(method) return ([=[
return { load = function(_, ctx) return ctx.db:%s(ctx.match[1]) end }]=]):format(method) end

-- The lines of the table whose heading begins so: arrays of cells.
local function lines_of(heading)
  local text = assert(files.read "docs/loaders.md")
  local from = assert(text:find("| " .. heading, 1, true), heading)
  local lines = {}
  for line in text:sub(from):gmatch "([^\n]*)\n" do
    if line:sub(1, 1) ~= "|" then break end
    local cells = {}
    for cell in (line:sub(3, -2) .. "| "):gmatch "(.-) | " do cells[#cells + 1] = cell end
    lines[#lines + 1] = cells
  end
  return { unpack(lines, 3) }
end

local function plain(cell) return (cell:gsub("^`", ""):gsub("`$", "")) end

-- What stands in a line, as it came.
local function line_as_run(cache, cells, sql)
  local seen, problem = raw.get(cache, "lua:" .. sql)
  if not seen then
    local text = plain(cells[4])
    return ("| %s | %s | error | `%s` |"):format(cells[1], cells[2], problem:find(text, 1, true) and text or problem)
  end
  local packed = assert(raw.get(cache, "packed_row:" .. sql))
  assert.equal(packed, raw.get(cache, "row:" .. sql))
  assert.equal(packed:sub(4), raw.get(cache, "value:" .. sql))
  return ("| %s | %s | `%s` | `%s` |"):format(cells[1], cells[2],
    raw.show(seen):gsub('^str "(.*)"$', "%1"), (raw.show(packed, 4)))
end

local function options(more)
  local scripts, loaders = { ["lua.lua"] = LUA }, {}
  for _, method in ipairs { "row", "packed_row", "value", "rows", "packed_rows" } do scripts[method
    .. ".lua"] = way(method) end
  for name, text in pairs(more or {}) do scripts[name .. ".lua"] = text end
  for name in pairs(scripts) do
    name = name:gsub("%.lua$", "")
    loaders[#loaders + 1] = { pattern = name .. (name == "param" and ":*:*" or ":*"), script = name .. ".lua" }
  end
  return { scripts = scripts, loaders = loaders }
end

-- Parameters by name: the Lua value, and the type that it is sent as.
local PARAM = SHOW .. [=[
local values = {
  int = 42, tiny = -5, half = 3.5, ["2^63"] = 2 ^ 63, ["2^53"] = 2 ^ 53, int64 = 9007199254740993LL,
    uint64 = 18446744073709551615ULL,
  tenth = 0.1, sum = 0.1 + 0.2, ["-0"] = -0.0, nan = 0 / 0, inf = math.huge, yes = true, ["nil"] = rtcache.null,
    large = 1e300,
  text = "Grüße", ["007"] = "007", abc = "abc", backslash = "\\x41", bytes = "\255\0", bin = rtcache.bin "abc",
    empty = "",
  list = { 1, 2 }, texts = { "a", 'b "c"', rtcache.null }, map = { b = { 1 }, a = rtcache.null }, none = {},
  wide = { 9007199254740993LL, rtcache.null }, halves = { 0.5, 0.1 }, moods = { "glad", "sad" }, two = { { 1, 2 }, { 3,
    4 } },
  blobs = { "\\x41", "\255", rtcache.bin "b" }, long = ("x"):rep(64), boxes = { "((1,1),(0,0))", "((2,2),(1,1))" },
}
return { load = function(_, ctx)
  return ctx.db:value(ctx.match[2], values[ctx.match[1]])
end }]=]

describe("the tables of types", function()
  describe("of PostgreSQL", function()
    local server, source, cache

    setup(function()
      server, source = Source.postgres(options { param = PARAM })
      source.db:exec [[
        CREATE TYPE an_enum AS ENUM ('glad', 'sad');
        CREATE DOMAIN a_domain_over_bytea AS bytea;
        CREATE DOMAIN a_domain_over_ints AS int[];
        CREATE DOMAIN a_domain_over_json AS jsonb;]]
      cache = server:connect { keep_bin = true }
    end)

    teardown(function()
      if cache then cache:close() end
      if server then server:stop() end
    end)

    for _, cells in ipairs(lines_of "type | SQL") do
      it("say what the server says: " .. cells[1], function()
        local sql = ("SELECT %s AS v"):format(plain(cells[2]))
        assert.equal("| " .. table.concat(cells, " | ") .. " |", line_as_run(cache, cells, sql))
      end)
    end

    -- value: as psql writes it; or a code and a text of the error.
    for name, cases in pairs {
      int = { int4 = "42", int8 = "42", text = "42", numeric = "42", float8 = "42", jsonb = "42" },
      tiny = { int2 = "-5", oid = { "BAD_VALUE", "parameter $1: -5 has no exact form as oid" } },
      half = { float8 = "3.5", numeric = "3.5", int8 = { "BACKEND_ERROR",
        '22P02 invalid input syntax for type bigint: "..."' } },
      ["2^63"] = { int8 = { "BACKEND_ERROR", "22P02" }, float8 = "9.223372036854776e+18" },
      ["2^53"] = { int8 = "9007199254740992", float8 = "9.007199254740992e+15" },
      int64 = { int8 = "9007199254740993", numeric = "9007199254740993", int4 = { "BACKEND_ERROR", "22003" },
        float8 = { "BAD_VALUE", "parameter $1: 9007199254740993 has no exact form as float8" } },
      uint64 = { numeric = "18446744073709551615", int8 = { "BACKEND_ERROR", "22003" },
        jsonb = "18446744073709551615" },
      tenth = { float8 = "0.1", numeric = "0.1", text = "0.1", jsonb = "0.1", float4 = "0.1" },
      sum = { float8 = "0.30000000000000004", numeric = "0.30000000000000004" },
      ["-0"] = { float8 = "-0", int4 = "0", numeric = "0" },
      nan = { float8 = "NaN", numeric = "NaN", int4 = { "BACKEND_ERROR", "22P02" }, jsonb = { "BACKEND_ERROR",
        "22P02" } },
      inf = { float8 = "Infinity", int8 = { "BACKEND_ERROR", "22P02" } },
      large = { float8 = "1e+300" },
      yes = { bool = "true", text = "true", int4 = { "BACKEND_ERROR", "22P02" }, bytea = { "BAD_VALUE",
        "boolean cannot be sent as bytes" } },
      text = { text = "Grüße", name = "Grüße", bytea = "\\x4772c3bcc39f65" },
      ["007"] = { int4 = "7", text = "007", numeric = "7", bytea = "\\x303037" },
      abc = { text = "abc", int4 = { "BACKEND_ERROR", "22P02" }, uuid = { "BACKEND_ERROR", "22P02" },
        ['"char"'] = { "BAD_VALUE", 'a "char" of 3 bytes' } },
      backslash = { text = "\\x41", bytea = "\\x5c783431", a_domain_over_bytea = "\\x5c783431" },
      bytes = { bytea = "\\xff00", text = { "BAD_VALUE", "NUL" }, a_domain_over_bytea = "\\xff00" },
      bin = { bytea = "\\x616263", text = "abc" },
      empty = { text = "", bytea = "\\x" },
      long = { text = ("x"):rep(64), name = { "BAD_VALUE", "a name of 64 bytes" } },
      list = { ["int4[]"] = "{1,2}", ["text[]"] = "{1,2}", jsonb = "[1, 2]", text = "[1,2]", int4 = { "BACKEND_ERROR",
        "22P02" },
        ["float8[]"] = "{1,2}", bytea = { "BAD_VALUE", "a table cannot be sent as bytes" },
          a_domain_over_ints = "{1,2}",
        a_domain_over_json = "[1, 2]" },
      texts = { ["text[]"] = [[{a,"b \"c\"",NULL}]], ["int4[]"] = { "BACKEND_ERROR", "22P02" } },
      map = { jsonb = '{"a": null, "b": [1]}', json = '{"a":null,"b":[1]}', text = '{"a":null,"b":[1]}' },
      none = { ["int8[]"] = "{}", jsonb = "[]", ["text[]"] = "{}" },
      wide = { ["int8[]"] = "{9007199254740993,NULL}", ["float8[]"] = { "BAD_VALUE",
        "9007199254740993 has no exact form" } },
      halves = { ["float8[]"] = "{0.5,0.1}", ["numeric[]"] = "{0.5,0.1}", ["int4[]"] = { "BACKEND_ERROR", "22P02" } },
      moods = { ["an_enum[]"] = "{glad,sad}" },
      two = { ["int4[]"] = "{{1,2},{3,4}}" },
      blobs = { ["bytea[]"] = [[{"\\x5c783431","\\xff","\\x62"}]],
        ["a_domain_over_bytea[]"] = [[{"\\x5c783431","\\xff","\\x62"}]] },
      boxes = { ["box[]"] = "{(1,1),(0,0);(2,2),(1,1)}" },
    } do
      it("reach the database as the script gave them, or are refused by name: " .. name, function()
        for kind, expected in pairs(cases) do
          local key = ("param:%s:SELECT ($1::%s)::text AS v"):format(name, kind)
          if type(expected) == "table" then
            expect.error(expected[1], expected[2], cache:get(key))
          else
            assert.equal(expected, expect.value(cache:get(key)), kind)
          end
        end
      end)
    end

    it("give NULL for nil, of every type", function()
      for _, kind in ipairs { "int4", "text", "bytea", "jsonb", "int4[]", "an_enum[]", "a_domain_over_bytea" } do
        assert.equal("\195", raw.get(cache, ("param:nil:SELECT ($1::%s) IS NULL AS v"):format(kind)))
      end
    end)

    it("know types that are made while the server runs", function()
      source.db:exec "CREATE TYPE later AS ENUM ('x', 'y'); CREATE DOMAIN later_bytes AS bytea"
      for _, method in ipairs { "row", "packed_row" } do
        assert.equal('{v: [str "x", nil], w: [bin 61]}', (raw.show(assert(raw.get(cache,
          method .. [[:SELECT '{x,NULL}'::later[] AS v, '{a}'::later_bytes[] AS w]])))))
      end
    end)
  end)

  describe("of SQLite", function()
    local server, source, cache

    setup(function()
      server, source = Source.sqlite(options { param = PARAM })
      source.db:exec [[
        CREATE TABLE declared (yes BOOLEAN, two BOOLEAN, price DECIMAL(10, 2), doc JSON);
        INSERT INTO declared VALUES (1, 2, 12.50, '{"b": 1, "a": []}');
        CREATE TABLE affinity (id INTEGER PRIMARY KEY, i INTEGER, r REAL, t TEXT, b BLOB, n NUMERIC, f BOOL, d DATE,
          j JSON);
        INSERT INTO affinity (i, r, t, b, n, f, d, j) VALUES
          (9007199254740993, 1, 12, 7, 1.0, 0, '2024-02-29', '[1]'),
          ('9223372036854775807', 1e400, 1.5, 1.5, '1e400', 1, 20240229, 'null'),
          ('text', -1e400, x'00ff', 'text', 'text', 'true', 1.5, '{"z":1,"a":9223372036854775808}'),
          (1.5, 'text', CAST(x'6100' AS TEXT), x'', '123456789012345678901234567890', -1, x'61', '"x"'),
          (x'616263', x'61', CAST(x'fffe' AS TEXT), NULL, -0.0, 1.5, NULL, 7),
          (-9223372036854775808, -0.0, '', '', 9007199254740993, NULL, '', 1.5)]]
      cache = server:connect { keep_bin = true }
    end)

    teardown(function()
      if cache then cache:close() end
      if source then source:close() end
      if server then server:stop() end
    end)

    for _, cells in ipairs(lines_of "value, column | SQL") do
      it("say what the library says: " .. cells[1], function()
        assert.equal("| " .. table.concat(cells, " | ") .. " |", line_as_run(cache, cells, plain(cells[2])))
      end)
    end

    for id, expected in ipairs {
      'i: int 9007199254740993, r: int 1, t: str "12"'
        .. ', b: int 7, n: str "1", f: bool false, d: str "2024-02-29", j: [int 1]',
      'i: int 9223372036854775807, r: float inf, t: str "1.5"'
        .. ', b: float 1.5, n: str "Infinity", f: bool true, d: int 20240229, j: nil',
      'i: str "text", r: float -inf, t: bin 00ff, b: str "text", n: str "text", f: str "true", d: float 1.5, '
        .. "j: {z: int 1, a: int 9223372036854775808}",
      'i: float 1.5, r: str "text", t: str "a\0"'
        .. ', b: bin , n: str "1.2345678901234568e+29", f: int -1, d: bin 61, j: str "x"',
      'i: bin 616263, r: bin 61, t: bin fffe, b: nil, n: str "0", f: float 1.5, d: nil, j: int 7',
      'i: int -9223372036854775808, r: int 0, t: str ""'
        .. ', b: str "", n: str "9007199254740993", f: nil, d: str "", j: float 1.5',
    } do
      it("hold for every affinity, by every way: " .. id, function()
        local sql = "SELECT i, r, t, b, n, f, d, j FROM affinity WHERE id = " .. id
        local packed = assert(raw.get(cache, "packed_row:" .. sql))
        assert.equal("{" .. expected .. "}", (raw.show(packed)))
        assert.equal(packed, raw.get(cache, "row:" .. sql))
        for _, method in ipairs { "rows", "packed_rows" } do
          assert.equal("\145" .. packed, raw.get(cache, method .. ":" .. sql))
        end
      end)
    end

    for name, expected in pairs {
      int = "integer 42", half = "real 3.5", int64 = "integer 9007199254740993", ["2^63"] = "real 9.22337203685478e+18",
      uint64 = { "BACKEND_ERROR", "parameter 1: 18446744073709551615 is past the largest integer" }, yes = "integer 1",
      nan = { "BACKEND_ERROR", "parameter 1: nan has no form" }, text = "text Grüße", ["007"] = "text 007",
        bin = "blob abc",
      list = "text [1,2]", map = 'text {"a":null,"b":[1]}', wide = "text [9007199254740993,null]", tenth = "real 0.1",
      none = "text []", empty = "text ",
    } do
      it("reach the database as the script gave them, or are refused by name: " .. name, function()
        local value, err = cache:get("param:" .. name .. ":SELECT typeof($1) || ' ' || $1 AS v")
        if type(expected) == "table" then
          expect.error(expected[1], expected[2], value, err)
        else
          assert.equal(expected, expect.value(value, err))
        end
      end)
    end
  end)
end)
