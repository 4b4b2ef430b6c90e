-- Ids are exact to 64 bits, whichever way a script takes them and gives its rows back.

local Source = require "spec.support.source"
local expect = require "spec.support.expect"

local WIDE = { "9007199254740993", "1541815603606036480", "9223372036854775807", "-9223372036854775808" }
local LONG = { "123456789012345", "9007199254740991" } -- exact in a number, but not in what `..` makes of it

local TABLE = [[
CREATE TABLE people (id BIGINT PRIMARY KEY, name TEXT NOT NULL, version BIGINT NOT NULL);
INSERT INTO people VALUES (4, 'four', 1), (7, 'seven', 2);
CREATE TABLE codes (code TEXT PRIMARY KEY, name TEXT NOT NULL);
INSERT INTO codes VALUES ('7', 'seven'), ('007', 'agent'), ('123456789012345678901', 'long');]]

-- method: rows or packed_rows; where: how the database takes the ids
local function by_answer(method, where)
  return ([[return { load_many = function(_, ctx)
    return ctx:answer(ctx.db:%s("SELECT id, name, version FROM people WHERE id %s", ctx.ids), "id", "version")
  end }]]):format(method, where)
end

local function scripts(where, of_texts)
  return {
    ["rows.lua"] = by_answer("rows", where),
    ["packed.lua"] = by_answer("packed_rows", where),
    ["texts.lua"] = ([[return { load_many = function(keys, ctx)
      local ids = {}
      for i = 1, #keys do ids[i] = ctx.match[i][1] end
      return ctx:answer(ctx.db:packed_rows("SELECT id, name FROM people WHERE id %s", ids), "id")
    end }]]):format(of_texts),
    ["name.lua"] = ([[return { load_many = function(_, ctx)
      local values, seen = {}, {}
      for _, id in ipairs(ctx.ids) do seen[id] = true end
      for _, row in ipairs(ctx.db:rows("SELECT id, name FROM people WHERE id %s", ctx.ids)) do
        assert(seen[row.id], "equal integers are one key of a table")
        values["name:" .. row.id] = row.name
      end
      return values
    end }]]):format(where),
    ["long.lua"] = ([[return { load_many = function(_, ctx)
      local values = {}
      for _, row in ipairs(ctx.db:rows("SELECT id, name FROM people WHERE id %s", ctx.ids)) do
        values[string.format("long:%%d", row.id)] = row.name
      end
      return values
    end }]]):format(where),
    ["one.lua"] = [[return { load = function(_, ctx)
      local row = ctx.db:row("SELECT id, name FROM people WHERE id = $1", tonumber(ctx.match[1]))
      return row and row.id .. "=" .. row.name
    end }]],
    ["code.lua"] = ([[return { load_many = function(keys, ctx)
      local codes = {}
      for i = 1, #keys do codes[i] = ctx.match[i][1] end
      return ctx:answer(ctx.db:rows("SELECT code, name FROM codes WHERE code %s", codes), "code")
    end }]]):format(where),
  }
end

local function behaves(start, where, of_texts)
  local server, source, cache

  setup(function()
    local loaders = {}
    for _, name in ipairs { "rows", "packed", "texts", "name", "long", "one", "code" } do
      loaders[#loaders + 1] = { pattern = name .. ":*", script = name .. ".lua", negative_ttl = "60s", retries = 0 }
    end
    loaders[4].batch_window = "1s"
    loaders[4].batch_max = 2
    server, source = start { scripts = scripts(where, of_texts), loaders = loaders }
    source.db:exec(TABLE)
    for i, list in ipairs { WIDE, LONG } do
      for _, id in ipairs(list) do
        source.db:exec(("INSERT INTO people VALUES (%s, 'n%s', %d)"):format(id, id, i))
      end
    end
    cache = server:connect()
  end)

  teardown(function()
    if cache then cache:close() end
    if server then server:stop() end
    if source then source:close() end
  end)

  local function keys_of(prefix, ids)
    local keys = {}
    for i, id in ipairs(ids) do keys[i] = prefix .. id end
    return keys
  end

  for _, prefix in ipairs { "rows:", "packed:", "texts:" } do
    it("finds rows past 2^53: " .. prefix, function()
      for _, list in ipairs { WIDE, LONG } do
        local items = expect.value(cache:get_many(keys_of(prefix, list)))
        for i, id in ipairs(list) do
          assert.equal("n" .. id, items[i].value and items[i].value.name)
          assert.equal("hit", expect.value(cache:get_entry(prefix .. id)).status)
        end
      end
    end)

    it("finds one row past 2^53 alone: " .. prefix, function()
      expect.value(cache:invalidate(prefix .. WIDE[2]))
      assert.equal("n" .. WIDE[2], expect.value(cache:get(prefix .. WIDE[2])).name)
    end)
  end

  it("makes keys out of ids past 2^53 with `..`", function()
    local items = expect.value(cache:get_many { "name:" .. WIDE[1], "name:" .. WIDE[2] })
    assert.equal("n" .. WIDE[1], items[1].value)
    assert.equal("n" .. WIDE[2], items[2].value)
  end)

  it("makes keys out of ids of any length with string.format", function()
    for _, list in ipairs { WIDE, LONG } do
      local items = expect.value(cache:get_many(keys_of("long:", list)))
      for i, id in ipairs(list) do assert.equal("n" .. id, items[i].value) end
    end
  end)

  it("says what is wrong where `..` shortens an id", function()
    local items = expect.value(cache:get_many { "name:" .. LONG[1], "name:4" })
    expect.error("SCRIPT_ERROR", { "name:1.2345678901235e+14", "which was not asked for", 'string.format("%d", id)' },
      nil, items[1].error)
    assert.equal("four", items[2].value)
  end)

  it("reads digits past 2^53 with tonumber", function()
    for _, id in ipairs(WIDE) do
      assert.equal(id .. "=n" .. id, expect.value(cache:get("one:" .. id)))
    end
    expect.absent(cache:get "one:9007199254740992")
  end)

  it("takes 007 for no spelling of 7: it is absent, and 4 is answered", function()
    local items = expect.value(cache:get_many { "name:4", "name:007" })
    assert.equal("four", items[1].value)
    assert.is_nil(items[2].value)
    assert.is_nil(items[2].error)
    expect.absent(cache:get "rows:007")
    expect.absent(cache:get "packed:-0")
  end)

  it("takes 007 for no spelling of 7, when two clients ask", function()
    expect.value(cache:invalidate_many { "name:4", "name:007" })
    local other = server:connect()
    local one, two = cache:send("get", "name:4"), other:send("get", "name:007")
    assert.equal("four", expect.value(cache:receive(one)))
    expect.absent(other:receive(two))
    other:close()
  end)

  it("tells texts of digits apart, as their column does", function()
    local items = expect.value(cache:get_many { "code:7", "code:007", "code:07", "code:123456789012345678901" })
    assert.same({ code = "7", name = "seven" }, items[1].value)
    assert.same({ code = "007", name = "agent" }, items[2].value)
    assert.is_nil(items[3].value)
    assert.equal("long", items[4].value.name)
  end)

  it("keeps no id past 64 bits from being absent", function()
    local items = expect.value(cache:get_many { "rows:9223372036854775808", "rows:4", "rows:1e3", "rows:4.0" })
    assert.equal("four", items[2].value.name)
    for _, i in ipairs { 1, 3, 4 } do
      assert.is_nil(items[i].value)
      assert.is_nil(items[i].error)
    end
  end)
end

describe("ids of PostgreSQL", function() behaves(Source.postgres, "= ANY($1)", "= ANY($1::bigint[])") end)

describe("ids of SQLite", function()
  behaves(Source.sqlite, "IN (SELECT value FROM json_each($1))",
    "IN (SELECT CAST(value AS INTEGER) FROM json_each($1))")
end)
