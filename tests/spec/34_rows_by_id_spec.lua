-- ctx.ids and ctx:answer: a load_many that is one query by ids.

local Source = require "spec.support.source"
local expect = require "spec.support.expect"

local TABLE = [[
CREATE TABLE people (id BIGINT PRIMARY KEY, name TEXT NOT NULL, version BIGINT NOT NULL);
INSERT INTO people VALUES (1, 'Ada', 7), (2, 'Bob', 8), (-3, 'Cy', 9), (9007199254740993, 'Di', 10)]]

-- method: rows or packed_rows; where: how the database takes the ids
local function script(method, where)
  return ([[
return { load_many = function(_, ctx)
  local rows = ctx.db:%s("SELECT id, name, version FROM people WHERE id %s", ctx.ids)
  return ctx:answer(rows, "id", "version")
end }]]):format(method, where)
end

local OF_TEXTS = [[
return { load_many = function(keys, ctx)
  local names, options = {}, {}
  for i, match in ipairs(ctx.match) do
    names[i], options[keys[i] ] = match[1], { tags = { "all" } }
  end
  return ctx:answer(ctx.db:packed_rows("SELECT name, id FROM people WHERE name %s", names), "name"), options
end }]]

local WRONG = [[
return { load_many = function(_, ctx)
  return ctx:answer(ctx.db:packed_rows("SELECT id + 100 AS id FROM people"), "id")
end }]]

local function loaders(where)
  return {
    scripts = {
      ["rows.lua"] = script("rows", where),
      ["packed.lua"] = script("packed_rows", where),
      ["texts.lua"] = OF_TEXTS:format(where),
      ["wrong.lua"] = WRONG,
    },
    loaders = {
      { pattern = "rows:*", script = "rows.lua", negative_ttl = "60s" },
      { pattern = "packed:*", script = "packed.lua", negative_ttl = "60s" },
      { pattern = "name:*", script = "texts.lua", negative_ttl = "60s" },
      { pattern = "wrong:*", script = "wrong.lua", retries = 0 },
    },
  }
end

local function behaves(start, where)
  local server, source, cache

  setup(function()
    server, source = start(loaders(where))
    source.db:exec(TABLE)
    cache = server:connect()
  end)

  teardown(function()
    if cache then cache:close() end
    if server then server:stop() end
  end)

  for _, prefix in ipairs { "rows:", "packed:" } do
    it("gives each row to its key, and the others nothing: " .. prefix, function()
      local items = expect.value(cache:get_many {
        prefix .. "2", prefix .. "abc", prefix .. "1", prefix .. "99", prefix .. "-3", prefix .. "" })
      assert.same({ id = 2, name = "Bob", version = 8 }, items[1].value)
      assert.same({ id = 1, name = "Ada", version = 7 }, items[3].value)
      assert.same({ id = -3, name = "Cy", version = 9 }, items[5].value)
      for _, i in ipairs { 2, 4, 6 } do
        assert.is_nil(items[i].value)
        assert.is_nil(items[i].error)
      end
      assert.equal(8, cache:get_entry(prefix .. "2").version)
      assert.equal("negative", cache:get_entry(prefix .. "abc").status)
    end)

    it("loads one key alone: " .. prefix, function()
      expect.value(cache:invalidate(prefix .. "2"))
      assert.equal("Bob", expect.value(cache:get(prefix .. "2")).name)
    end)
  end

  it("goes by texts too, and takes options by key beside the rows", function()
    local items = expect.value(cache:get_many { "name:Bob", "name:Eve", "name:Ada" })
    assert.same({ id = 2, name = "Bob" }, items[1].value)
    assert.is_nil(items[2].value)
    assert.same({ id = 1, name = "Ada" }, items[3].value)
    expect.value(cache:invalidate_tag "all")
    assert.equal("miss", cache:get_entry("name:Bob").status)
  end)

  it("says which row belongs to no key", function()
    expect.error("SCRIPT_ERROR",
      { "wrong.lua:", "row 1 of ctx:answer, whose \"id\" is ", "which was not asked for" }, cache:get "wrong:1")
  end)
end

describe("rows by id of PostgreSQL", function() behaves(Source.postgres, "= ANY($1)") end)

describe("rows by id of SQLite", function()
  behaves(Source.sqlite, "IN (SELECT value FROM json_each($1))")
end)
