-- Every type of PostgreSQL, each way that a row can come, against what psql says of the same value.

local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local msgpack = require "rtcache.msgpack"
local raw = require "spec.support.raw"

local null = msgpack.null

-- Edge values of every base type, as SQL. kind: what MessagePack's type is; str where nothing is said.
local EDGES = {
  bool = { kind = "bool", "true", "false" },
  bytea = { kind = "bin", [=['\x'::bytea]=], [=['\x00ff10']=], "'abc'", [=['\x5c78343142']=],
    "decode(repeat('fe', 300), 'hex')" },
  char = { "'a'", [=['\377']=], "''" },
  name = { "'n'", "''", "repeat('ü', 31)" },
  int8 = { kind = "int", "0", "-1", "9007199254740993", "9223372036854775807", "-9223372036854775808",
    "9007199254740992" },
  int2 = { kind = "int", "-32768", "32767", "127", "128", "-32", "-33" },
  int4 = { kind = "int", "-2147483648", "2147483647", "65535", "65536", "-129" },
  float4 = { kind = "number", "0", "'-0'", "3", "0.1", "'NaN'", "'-Infinity'", "3.4028235e38", "1e-45" },
  float8 = { kind = "number", "3", "'-0'", "0.1", "'NaN'", "'Infinity'", "'-Infinity'", "9007199254740992",
    "9007199254740994",
    "1.7976931348623157e308", "5e-324", "-7" },
  numeric = { "0", "'NaN'", "'Infinity'", "'-Infinity'", "1.50", "123456789012345678901234567890.000001", "'1e-30'",
    "-0.0" },
  money = { "'-12.34'", "'92233720368547758.07'" },
  oid = { kind = "int", "0", "4294967295" },
  text = { "''", "'Grüße 漢字 😀'", "'NULL'", [=['"a", {b} \c']=], "E'line\\nfeed\\ttab'", "repeat('x', 70000)", "'123'",
    "'true'" },
  varchar = { "''", "'a'", "' a '" },
  bpchar = { "'ab'", "'ab  '", "''" },
  json = { kind = "json", [=['{"z": 1, "a": [1, 2.5, null, true, {}], "m": {"z": "", "b": -1}}']=], "'3'", [=['"s"']=],
    "'null'",
    [=['[9007199254740993, 18446744073709551615, 1e300, -0.0, 1.0, 3.50]']=], [=['{"a": 1, "a": 2}']=] },
  jsonb = { kind = "json", [=['{"zz": 1, "a": [1, 2.5, null, true, {}], "ü": {"z": "", "bb": -1}}']=], "'1e25'",
    [=['"s\u00e9"']=], "'{}'",
    [=['[9007199254740993, 18446744073709551615, 1.7976931348623157e308, -0.0, 1.0]']=] },
  jsonpath = { [=['$.a[*] ? (@ > 1)']=] },
  xml = { "'<a b=\"c\">d</a>'" },
  uuid = { "'00112233-4455-6677-8899-AABBCCDDEEFF'" },
  date = { "'infinity'", "'-infinity'", "'4713-01-01 BC'", "'5874897-12-31'", "'2024-02-29'" },
  time = { "'00:00'", "'24:00'", "'12:34:56.789012'" },
  timetz = { "'12:34:56.5-07:30'", "'00:00+15:59:59'" },
  timestamp = { "'infinity'", "'-infinity'", "'4713-11-24 BC'", "'294276-12-31 23:59:59.999999'",
    "'2024-02-29 12:34:56.7'" },
  timestamptz = { "'infinity'", "'-infinity'", "'0044-03-15 12:00 BC'", "'294276-12-31 23:59:59.999999+00'",
    "'2024-02-29 12:34:56+05:30'" },
  interval = { "'1 year -2 mons +3 days -04:05:06.7'", "'0'", "'178000000 years'" },
  bit = { type = "bit(3)", "'101'" }, varbit = { "''", "'10101'" },
  inet = { "'10.0.0.1/8'", "'::1'", "'255.255.255.255'" }, cidr = { "'10.0.0.0/8'", "'2001:db8::/32'" },
  macaddr = { "'08:00:2b:01:02:03'" }, macaddr8 = { "'08:00:2b:01:02:03:04:05'" },
  point = { "'(1.5,-2)'", "'(NaN,Infinity)'" }, lseg = { "'[(1,2),(3,4)]'" }, line = { "'{1,2,3}'" },
  box = { delimiter = ";", "'((3,4),(1,2))'", "'((0,0),(0,0))'" },
  path = { "'((1,2),(3,4))'", "'[(1,2),(3,4)]'" }, polygon = { "'((1,2),(3,4),(5,6))'" }, circle = { "'<(1,2),3>'" },
  tsvector = { [=['''a b'':1A,2 c:3']=], "''" }, tsquery = { "'a & !b <-> c'" },
  pg_lsn = { "'16/B374D848'" }, xid = { "'4294967295'" }, xid8 = { "'18446744073709551615'" }, cid = { "'7'" },
    tid = { "'(4294967295,65535)'" },
  pg_snapshot = { "'10:20:10,14,15'" }, txid_snapshot = { "'10:20:10,14,15'" },
  regclass = { "'pg_class'", "'0'" }, regtype = { "'int4'" }, regproc = { "'now'" }, regprocedure = { "'abs(int4)'" },
  regoper = { "'||/'" }, regoperator = { "'+(int4,int4)'" }, regconfig = { "'simple'" }, regdictionary = { "'simple'" },
  regnamespace = { "'public'" }, regrole = { "'postgres'" }, regcollation = { [=['"C"']=] },
  refcursor = { "'c'" }, aclitem = { "'postgres=r/postgres'" },
  int2vector = { array = false, "'1 2 3'" }, oidvector = { array = false, "'1 4294967295'" },
  -- Not base types, but read like them.
  int4range = { "'[1,5)'", "'empty'", "'(,)'" }, int8range = { "'[1,)'" }, numrange = { "'(1.5,2.50]'" },
  daterange = { "'[2024-01-01,infinity)'" }, tsrange = { [=['["2024-01-01 00:00:00","2024-01-02 00:00:00")']=] },
  tstzrange = { [=['["2024-01-01 00:00:00+00",)']=] },
  int4multirange = { "'{[1,2),[5,7)}'", "'{}'" }, int8multirange = { "'{[1,2)}'" }, nummultirange = { "'{(1.5,2]}'" },
  datemultirange = { "'{[2024-01-01,2024-01-03)}'" }, tsmultirange = { "'{}'" }, tstzmultirange = { "'{}'" },
  -- Of the user's making.
  mood = { user = true, "'glad'", "'so, {so}'" }, pair = { user = true, [=['(1,"a ""b"", c")']=], "'(,)'" },
  floats = { user = true, "'[1.5,2.5)'" },
  small = { user = true, kind = "int", "7", "-7" }, bytes = { user = true, kind = "bin", "'abc'", [=['\x00ff']=] },
  label = { user = true, "'x'", "''" }, doc = { user = true, kind = "json", [=['{"b": [1], "aa": 1.5}']=] },
  exact = { user = true, kind = "number", "3", "0.5" },
  ids = { user = true, kind = "array", of = "int8", array_kind = "array", "'{1,9007199254740993,NULL}'", "'{}'" },
}

-- Types that no column holds: their input refuses every text, and what they are for is inside the server.
local LEFT_OUT = {
  pg_node_tree = true, pg_ndistinct = true, pg_dependencies = true, pg_mcv_list = true, gtsvector = true,
  pg_brin_bloom_summary = true, pg_brin_minmax_multi_summary = true,
}

local USER = [[
CREATE TYPE mood AS ENUM ('glad', 'sad', 'so, {so}');
CREATE TYPE pair AS (n int, t text);
CREATE TYPE floats AS RANGE (subtype = float8);
CREATE DOMAIN small AS int2 CHECK (VALUE < 100);
CREATE DOMAIN bytes AS bytea;
CREATE DOMAIN label AS varchar(10);
CREATE DOMAIN doc AS jsonb;
CREATE DOMAIN exact AS float8;
CREATE DOMAIN ids AS int8[];
]]

local function sorted_names(t)
  local names = {}
  for name in pairs(t) do names[#names + 1] = name end
  table.sort(names)
  return names
end

local TYPES = sorted_names(EDGES)

local function quote(s) return "'" .. s:gsub("'", "''") .. "'" end

local function sql_type(name) return EDGES[name].type or ('"%s"'):format(name) end

-- What PostgreSQL reads as the value that came; nil for NULL.
local function literal(v, delimiter, inner)
  if v == null or v == nil then return nil end
  if type(v) == "boolean" then return tostring(v) end
  if type(v) == "cdata" then return (tostring(v):gsub("U?LL$", "")) end
  if type(v) == "number" then
    if v ~= v then return "NaN" end
    if v == math.huge or v == -math.huge then return v > 0 and "Infinity" or "-Infinity" end
    local short = ("%.16g"):format(v)
    return tonumber(short) == v and short or ("%.17g"):format(v)
  end
  if msgpack.is_bin(v) then return "\\x" .. v.bytes:gsub(".", function(c) return ("%02x"):format(c:byte()) end) end
  if type(v) == "string" then return v end
  local parts = {}
  for i, item in ipairs(v) do
    local text = literal(item, delimiter)
    if text and (type(item) ~= "table" or msgpack.is_bin(item) or inner) then
      text = '"' .. text:gsub('[\\"]', "\\%0") .. '"'
    end
    parts[i] = text or "NULL"
  end
  return "{" .. table.concat(parts, delimiter or ",") .. "}"
end

-- JSON is compared by jsonb, which has one form of everything.
local function json(v)
  if v == null then return "null" end
  if type(v) == "string" then
    return '"' .. v:gsub('[%c"\\]', function(c) return ("\\u%04x"):format(c:byte()) end) .. '"'
  end
  if type(v) ~= "table" then return literal(v) end
  local parts = {}
  if #v > 0 then
    for i, item in ipairs(v) do parts[i] = json(item) end
    return "[" .. table.concat(parts, ",") .. "]"
  end
  for key, item in pairs(v) do parts[#parts + 1] = json(key) .. ":" .. json(item) end
  return "{" .. table.concat(parts, ",") .. "}"
end

local function check_kind(column, wanted, bytes, at)
  local kind = raw.kind(bytes, at)
  if kind == "nil" or wanted == "json" then return end
  if wanted == "number" and (kind == "int" or kind == "float") then return end
  assert.equal(wanted or "str", kind, column)
end

-- The statements about each column of a row that came: name, what came, what the database has.
local function compare(bytes, id, columns)
  local rows, at = {}, 2
  local first = bytes:byte(1)
  if first == 0xde then at = 4 elseif first == 0xdf then at = 6 end
  for i, column in ipairs(columns) do
    local name, value
    name, at = msgpack.decode(bytes, at)
    assert.equal(column.name, name)
    check_kind(name, column.kind, bytes, at)
    value, at = msgpack.decode(bytes, at, true)
    if value == nil then value = null end
    local text, theirs
    if column.json then
      text = value ~= null and json(value) or nil
      if text == "{}" then text = nil end -- or [], for Lua has one empty table
      theirs = ('to_jsonb("%s")'):format(name)
      local other = ("(SELECT %s FROM edges WHERE id = %d)"):format(theirs, id)
      text = not text and other -- 1.0 and 1 are one number
        or ("CASE WHEN %s::jsonb = %s THEN %s::text ELSE %s END"):format(quote(text), other, other, quote(text))
    else
      text = literal(value, column.delimiter, column.name == "a_ids")
      text = text and ("(%s::%s)::text"):format(quote(text), column.type) or "NULL"
      -- An array's lower bounds, where they are not 1, have no place in MessagePack.
      theirs = ([=[regexp_replace("%s"::text, '^(\[-?\d+:-?\d+\])+=', '')]=]):format(name)
    end
    rows[i] = ("(%s, (%s)::text, (SELECT (%s)::text FROM edges WHERE id = %d))"):format(quote(name), text, theirs, id)
  end
  return "SELECT name || ': ' || right(coalesce(ours, 'NULL'), 100) || ' instead of ' "
    .. "|| right(coalesce(theirs, 'NULL'), 100) "
    .. "FROM (VALUES " .. table.concat(rows, ", ") .. ") v(name, ours, theirs) WHERE ours IS DISTINCT FROM theirs"
end

local function of(method) return ([=[
  return { load = function(_, ctx) return ctx.db:%s("SELECT * FROM edges WHERE id = $1", ctx.match[1]) end }
]=]):format(method) end

local function many(method, answer) return ([=[
  return { load_many = function(keys, ctx)
    local ids = {}
    for i, match in ipairs(ctx.match) do ids[i] = match[1] end
    local rows = ctx.db:%s("SELECT * FROM edges WHERE id = ANY($1::int[])", ids)
    %s
  end }
]=]):format(method, answer) end

local BY_KEY = [=[
    local found = {}
    for i = 1, #rows do found[keys[1]:match "^[^:]*:" .. rows[i].id] = rows[i] end
    return found]=]
local BY_ID = [[return ctx:answer(rows, "id")]]

local WAYS = {
  row = of "row", packed_row = of "packed_row", rows = of "rows", packed_rows = of "packed_rows",
  many_rows = many("rows", BY_ID), many_packed = many("packed_rows", BY_ID),
  key_rows = many("rows", BY_KEY), key_packed = many("packed_rows", BY_KEY),
  first = [=[
    return { load = function(_, ctx) return ctx.db:rows("SELECT * FROM edges WHERE id = $1", ctx.match[1])[1] end }
  ]=],
  unpacked = [=[
    return { load = function(_, ctx)
      return rtcache.unpack(ctx.db:packed_row("SELECT * FROM edges WHERE id = $1", ctx.match[1]))
    end }
  ]=],
  inside = [=[
    return { load = function(_, ctx)
      return { ctx.db:row("SELECT * FROM edges WHERE id = $1", ctx.match[1]) }
    end }
  ]=],
  again = [=[
    return { load = function(_, ctx)
      if ctx.value then return ctx.value end
      return ctx.db:packed_row("SELECT * FROM edges WHERE id = $1", ctx.match[1])
    end }
  ]=],
}

local ONE = [=[
  return { load = function(_, ctx)
    return ctx.db:%s('SELECT "' .. ctx.match[1] .. '" AS v FROM edges WHERE id = $1', ctx.match[2])
  end }
]=]

local function loaders()
  local scripts, list = {}, {}
  for name, text in pairs(WAYS) do
    scripts[name .. ".lua"] = text
    list[#list + 1] = { pattern = name .. ":*", script = name .. ".lua" }
  end
  for _, method in ipairs { "row", "packed_row", "value" } do
    scripts["one_" .. method .. ".lua"] = ONE:format(method)
    list[#list + 1] = { pattern = "one " .. method .. ":*:*", script = "one_" .. method .. ".lua" }
  end
  list[#list + 1] = { pattern = "sql:*", sql = "SELECT * FROM edges WHERE id = CAST($1 AS int)" }
  list[#list + 1] = { pattern = "wide:*", sql = "SELECT repeat('x', CAST($1 AS int)) AS v" }
  list[#list + 1] = { pattern = "numbered:*", sql = "SELECT * FROM numbered WHERE rtcache_i = CAST($1 AS int)",
    version = "rtcache_k" }
  scripts["eval.lua"] = [=[
    return { load = function(_, ctx) return ctx.db[ctx.match[1]](ctx.db, "SELECT " .. ctx.match[2]) end }
  ]=]
  list[#list + 1] = { pattern = "eval:*:*", script = "eval.lua" }
  return { loaders = list, scripts = scripts, options = { max_value = "32mb", max_frame = "33mb", memory = "512mb",
    shards = 1 } }
end

describe("types of PostgreSQL", function()
  local server, source, cache, columns, rows

  local function create()
    local parts = { "id int PRIMARY KEY" }
    columns = { { name = "id", kind = "int", type = "int" } }
    for _, name in ipairs(TYPES) do
      local edges, type_name = EDGES[name], sql_type(name)
      columns[#columns + 1] = { name = "c_" .. name, kind = edges.kind, type = type_name, json = edges.kind == "json" }
      parts[#parts + 1] = ('"c_%s" %s'):format(name, type_name)
      if edges.array ~= false then
        columns[#columns + 1] = { name = "a_" .. name, kind = edges.array_kind or "array", type = type_name .. "[]",
          json = edges.kind == "json", delimiter = edges.delimiter }
        parts[#parts + 1] = ('"a_%s" %s[]'):format(name, type_name)
      end
      rows = math.max(rows or 4, #edges)
    end
    source.db:exec(USER)
    source.db:exec("CREATE TABLE edges (" .. table.concat(parts, ", ") .. ")")
  end

  -- Row i has the i-th edge value of each type; its arrays are all of them, none, nested, and NULL.
  local function fill()
    for id = 1, rows + 1 do
      local names, values = { "id" }, { tostring(id) }
      local function set(column, value)
        names[#names + 1], values[#values + 1] = '"' .. column .. '"', value
      end
      for _, name in ipairs(TYPES) do
        local edges, type_name = EDGES[name], sql_type(name)
        if edges[id] then set("c_" .. name, ("(%s)::%s"):format(edges[id], type_name)) end
        if edges.array ~= false then
          local items = {}
          for i, edge in ipairs(edges) do items[i] = ("(%s)::%s"):format(edge, type_name) end
          local all = table.concat(items, ", ")
          local array = ({ ("ARRAY[%s, NULL]"):format(all), "'{}'", ("ARRAY[ARRAY[%s], ARRAY[%s]]"):format(all, all),
            ("'[0:1]={NULL%sNULL}'"):format(edges.delimiter or ",") })[id]
          if name == "ids" and id == 3 then array = nil end -- the arrays of the domain have no common size
          if array then set("a_" .. name, ("%s::%s[]"):format(array, type_name)) end
        end
      end
      source.db:exec(("INSERT INTO edges (%s) VALUES (%s)"):format(table.concat(names, ", "), table.concat(values,
        ", ")))
    end
  end

  setup(function()
    server, source = Source.postgres(loaders(), nil, { pool = 2, pipeline = 64, max_result = "64mb" })
    create()
    fill()
    source.db:exec [[
      CREATE TABLE numbered (rtcache_i int, rtcache_k int, rtcache_p1 text, rtcache text, "RTCACHE_Q" text);
      INSERT INTO numbered SELECT i, i + 100, 'p' || i, 'r', 'q' FROM generate_series(1, 5) i]]
    cache = server:connect { keep_bin = true }
  end)

  teardown(function()
    if cache then cache:close() end
    if server then server:stop() end
  end)

  it("are all here, but those that no column holds", function()
    local missing = {}
    for _, name in ipairs(source.db:exec [[
      SELECT typname FROM pg_type WHERE typnamespace = 'pg_catalog'::regnamespace AND typtype IN ('b', 'r', 'm')
        AND NOT (typcategory = 'A' AND typname LIKE '\_%')]]) do
      if not EDGES[name] and not LEFT_OUT[name] then missing[#missing + 1] = name end
    end
    assert.same({}, missing)
  end)

  local function row(way, id)
    local bytes = assert(raw.get(cache, way .. ":" .. id))
    if way == "rows" or way == "packed_rows" or way == "inside" then
      assert.equal(0x91, bytes:byte(1))
      bytes = bytes:sub(2)
    end
    return bytes
  end

  it("say what psql says, for every edge value, alone and in arrays", function()
    for id = 1, rows + 1 do
      assert.same({}, source.db:exec(compare(row("packed_row", id), id, columns)))
    end
  end)

  for _, way in ipairs(sorted_names(WAYS)) do
    it("are the same bytes by " .. way .. " as by a packed row", function()
      for id = 1, rows + 1 do
        local bytes = row(way, id)
        if bytes ~= row("packed_row", id) then
          assert.same({}, source.db:exec(compare(bytes, id, columns)))
          error("other bytes, of the same values")
        end
      end
    end)
  end

  it("are the same bytes when what is stored goes through a script again", function()
    for id = 1, rows + 1 do
      expect.value(cache:refresh("again:" .. id))
      assert.equal(row("packed_row", id), row("again", id))
    end
  end)

  it("are the same bytes from SQL without a script, alone and in a batch", function()
    assert.equal(row("packed_row", 1), row("sql", 1))
    local keys = {}
    for id = 2, rows + 1 do keys[#keys + 1] = "sql:" .. id end
    expect.value(cache:get_many(keys))
    for id = 2, rows + 1 do assert.equal(row("packed_row", id), row("sql", id)) end
  end)

  it("are the same bytes where a batch of a script brings them", function()
    for _, way in ipairs { "many_rows", "many_packed", "key_rows", "key_packed" } do
      local keys = {}
      for id = 1, rows + 1 do keys[id] = way .. ":" .. id end
      expect.value(cache:invalidate_many(keys))
      expect.value(cache:get_many(keys))
      for id = 1, rows + 1 do assert.equal(row("packed_row", id), row(way, id), way) end
    end
  end)

  it("are the same bytes as one value, as one column and packed", function()
    for _, column in ipairs(columns) do
      for id = 1, 2 do
        local packed = assert(raw.get(cache, ("one packed_row:%s:%d"):format(column.name, id)))
        assert.equal(packed, (raw.get(cache, ("one row:%s:%d"):format(column.name, id))), column.name)
        assert.equal(packed:sub(4), (raw.get(cache, ("one value:%s:%d"):format(column.name, id))), column.name)
      end
    end
  end)

  for sql, words in pairs {
    ["pg_sleep(0) AS v"] = '{v: str ""}', ["ROW(1, 'a b') AS v"] = [[{v: str "(1,"a b")"}]],
      ["'x' AS v"] = '{v: str "x"}',
    ["NULL AS v"] = "{v: nil}", ["1"] = "{?column?: int 1}", ["1 AS \"\"\"quoted\"\"\""] = '{"quoted": int 1}',
    ["3::float8 AS __index, 1 AS __metatable, 2 AS \"1\", 3 AS __len, 4 AS __gc"]
      = "{__index: int 3, __metatable: int 1, 1: int 2, __len: int 3, __gc: int 4}",
    ["'' AS zz, '\\x61'::bytea AS a, 0.5::float8 AS m"] = '{zz: str "", a: bin 61, m: float 0.5}',
    ["ARRAY['\\x'::bytea, '\\x61', NULL] AS v"] = "{v: [bin , bin 61, nil]}",
    [ [=['{"z": [], "a": {}, "m": [{}, []]}'::json AS v]=] ] = "{v: {z: [], a: {}, m: [{}, []]}}",
    ["'ab'::char(4) AS v"] = '{v: str "ab  "}', ["ARRAY[ROW(1, 2)] AS v"] = [[{v: str "{"(1,2)"}"}]],
  } do
    it("come in the order of the query, whatever the columns are called: " .. sql, function()
      for _, method in ipairs { "row", "packed_row" } do
        assert.equal(words, (raw.show(assert(raw.get(cache, "eval:" .. method .. ":" .. sql)))))
      end
    end)
  end

  it("come also from columns that are called like the server's own names in a batch", function()
    local items = expect.value(cache:get_many { "numbered:1", "numbered:2", "numbered:9" })
    for id = 1, 2 do
      assert.same({ rtcache_i = id, rtcache_k = id + 100, rtcache_p1 = "p" .. id, rtcache = "r", RTCACHE_Q = "q" },
        items[id].value)
      assert.equal(id + 100, cache:get_entry("numbered:" .. id).version)
    end
    assert.is_nil(items[3].value)
    assert.is_nil(items[3].error)
    expect.value(cache:invalidate "numbered:1")
    for id = 1, 2 do
      assert.equal(('{rtcache_i: int %d, rtcache_k: int %d, rtcache_p1: str "p%d", '
          .. 'rtcache: str "r", RTCACHE_Q: str "q"}')
        :format(id, id + 100, id), (raw.show(raw.get(cache, "numbered:" .. id))))
    end
  end)

  it("may be a text of 16 MiB, each way", function()
    local size = 16 * 2 ^ 20
    local expected = "\129\161v\219\1\0\0\0" .. ("x"):rep(size)
    assert.is_true(expected == assert(raw.get(cache, ("wide:%d"):format(size), #expected)))
    for _, method in ipairs { "row", "packed_row" } do
      assert.is_true(expected == assert(raw.get(cache, ("eval:%s:repeat('x', %d) AS v"):format(method, size),
        #expected)))
    end
    assert.is_true(expected:sub(4) == assert(raw.get(cache, ("eval:value:repeat('x', %d) AS v"):format(size), size)))
  end)

  for number, shown in pairs {
    ["123456789012345678901234567890"] = "123456789012345678901234567890",
      ["18446744073709551617"] = "18446744073709551617",
    ["-9223372036854775809"] = "-9223372036854775809",
  } do
    it("refuse a number in JSON that they cannot give exactly, by name: " .. number, function()
      for _, kind in ipairs { "json", "jsonb" } do
        for _, method in ipairs { "row", "packed_row", "value" } do
          expect.error("BACKEND_ERROR", { 'column "doc"', shown }, cache:get(
            ("eval:%s:'{\"a\": [1, %s]}'::%s AS doc"):format(method, number, kind)))
        end
      end
    end)
  end

  it("refuse a number in JSON past the largest float, by name", function()
    expect.error("BACKEND_ERROR", { 'column "doc"', "1e400" }, cache:get "eval:row:'[1e400]'::json AS doc")
    expect.error("BACKEND_ERROR", { 'column "doc"', "100000" }, cache:get "eval:row:'[1e400]'::jsonb AS doc")
  end)
end)
