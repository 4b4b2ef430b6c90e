-- One odd key of a batch fails alone, whoever asked: what was answered is answered, and the rest is
-- asked for again apart.

local Source = require "spec.support.source"
local expect = require "spec.support.expect"

local TABLE = [[
CREATE TABLE small (id INT PRIMARY KEY, name TEXT NOT NULL);
INSERT INTO small SELECT i, 'n' || i FROM generate_series(1, 100) AS i;
CREATE TABLE batches (n SERIAL, keys TEXT NOT NULL, attempt INT NOT NULL);]]

local HEAD = [[
local function note(keys, ctx)
  ctx.db:exec("INSERT INTO batches (keys, attempt) VALUES ($1, $2)", table.concat(keys, " "), ctx.attempt)
end
]]

local SCRIPTS = {
  -- PostgreSQL fails the query for all where one id is past an integer of four bytes
  ["range.lua"] = HEAD .. [[return { load_many = function(keys, ctx)
    note(keys, ctx)
    return ctx:answer(ctx.db:packed_rows("SELECT id, name FROM small WHERE id = ANY($1::int[])", ctx.ids), "id")
  end }]],
  -- ... or is no integer at all; the texts are given as they are
  ["text.lua"] = HEAD .. [[return { load_many = function(keys, ctx)
    note(keys, ctx)
    local ids = {}
    for i = 1, #keys do ids[i] = ctx.match[i][1] end
    return ctx:answer(ctx.db:packed_rows("SELECT id, name FROM small WHERE id = ANY($1::int[])", ids), "id")
  end }]],
  -- a fault of Lua's for one key; both functions
  ["fault.lua"] = [[
    local function find(ctx, matched)
      return ctx.db:value("SELECT name FROM small WHERE id = $1", tonumber(matched) + 0)
    end
    return {
      load = function(_, ctx) return find(ctx, ctx.match[1]) end,
      load_many = function(keys, ctx)
        local values = {}
        for i, key in ipairs(keys) do values[key] = find(ctx, ctx.match[i][1]) end
        return values
      end,
    }]],
  -- answers by ids that it reads itself, so for keys that nobody asked for
  ["alias.lua"] = HEAD .. [[return { load_many = function(keys, ctx)
    note(keys, ctx)
    local ids, values = {}, {}
    for i = 1, #keys do ids[i] = tonumber(ctx.match[i][1]) end
    for _, row in ipairs(ctx.db:rows("SELECT id, name FROM small WHERE id = ANY($1)", ids)) do
      values["alias:" .. row.id] = row.name
    end
    return values
  end }]],
}

describe("one odd key of a batch", function()
  local server, source, cache

  setup(function()
    local loaders = {}
    for _, name in ipairs { "range", "text", "fault", "alias" } do
      loaders[#loaders + 1] = { pattern = name .. ":*", script = name .. ".lua" }
    end
    loaders[5] = { pattern = "pair:*", script = "text.lua", batch_window = "1s", batch_max = 2 }
    loaders[6] = { pattern = "sql:*", sql = "SELECT id, name FROM small WHERE id = $1" }
    for _, l in ipairs(loaders) do
      l.negative_ttl, l.backoff_base, l.backoff_cap, l.breaker_failures = "60s", "1ms", "1ms", 0
      l.retries = 0
    end
    server, source = Source.postgres {
      options = { loader_threads = 1, retry_budget = 0 }, scripts = SCRIPTS, loaders = loaders,
    }
    source.db:exec(TABLE)
    cache = server:connect()
  end)
  teardown(function()
    source:close()
    server:stop()
  end)
  before_each(function() source.db:exec "DELETE FROM batches" end)

  local function batches() return source.db:number "SELECT count(*) FROM batches" end

  -- Asks for prefix .. 1 to 40 but for the odd ones, which stand among them; the items by key.
  local function ask(prefix, odd)
    local keys, items = {}, {}
    for i = 1, 40 do keys[i] = prefix .. (odd[i] or i) end
    for i, item in ipairs(expect.value(cache:get_many(keys))) do items[keys[i]] = item end
    return items
  end

  local function others_are_answered(prefix, items, odd)
    for i = 1, 40 do
      local item = items[prefix .. i]
      if not odd[i] then
        local value = item.value and (item.value.name or item.value)
        assert.equal("n" .. i, value, item.error and tostring(item.error.message))
      end
    end
  end

  for _, case in ipairs {
    { "range:", "99999999999", "22003" }, { "text:", "99999999999", "22003" }, { "text:", "abc", "22P02" },
    { "text:", "1e3", "22P02" }, { "text:", "\217\161", "22P02" }, { "text:", "a\0b", "NUL" },
    { "text:", "\255", "UTF-8" }, { "text:", "9223372036854775808", "22003" },
    { "sql:", "99999999999", "22003" }, { "sql:", "abc", "22P02" }, { "sql:", "a\0b", "NUL" },
    { "fault:", "abc", "perform arithmetic on a nil value" },
  } do
    local prefix, odd, text = unpack(case)
    it(("fails alone: %s%q"):format(prefix, odd), function()
      expect.value(cache:invalidate_match(prefix .. "*"))
      local items = ask(prefix, { [17] = odd })
      local err = items[prefix .. odd].error
      assert.is_truthy(err, "the odd key has no error")
      assert.truthy(err.message:find(text, 1, true), err.message)
      others_are_answered(prefix, items, { [17] = true })
      expect.absent(cache:peek(prefix .. odd)) -- nothing is remembered of it
    end)
  end

  it("fails alone when another client asked for the rest", function()
    local other = server:connect()
    local one, two = cache:send("get", "pair:1"), other:send("get", "pair:abc")
    assert.equal("n1", expect.value(cache:receive(one)).name)
    expect.error("BACKEND_ERROR", { "pair:abc", "22P02" }, other:receive(two))
    other:close()
  end)

  it("costs fewer than two runs a key, even where all are odd", function()
    local odd = {}
    for i = 1, 40 do odd[i] = "x" .. i end
    local items = ask("text:", odd)
    for i = 1, 40 do expect.error("BACKEND_ERROR", "22P02", nil, items["text:x" .. i].error) end
    assert.equal(79, batches())
  end)

  it("race 40: a key that another one was answered for is asked for apart, and nothing is absent for it", function()
    source.db:exec "DELETE FROM small WHERE id = 20"
    local items = ask("alias:", { [17] = "0017" })
    others_are_answered("alias:", items, { [17] = true, [20] = true })
    -- Which of the two it was is not known until each has been asked for alone.
    expect.error("SCRIPT_ERROR", { 'a value for "alias:17", which was not asked for', 'nothing for "alias:0017"' },
      nil, items["alias:0017"].error)
    assert.is_nil(items["alias:20"].error)
    assert.is_nil(items["alias:20"].value)
    assert.equal("negative", cache:get_entry("alias:20").status)
    assert.equal(3, batches())
    assert.equal("alias:0017 | alias:20", source.db:value(
      "SELECT string_agg(keys, ' | ' ORDER BY n) FROM (SELECT * FROM batches ORDER BY n OFFSET 1) AS b"))
    source.db:exec "INSERT INTO small VALUES (20, 'n20')"
  end)

  it("race 40: several of them are found by halves, and all others are answered or absent", function()
    expect.value(cache:invalidate_match "alias:*")
    source.db:exec "DELETE FROM small WHERE id BETWEEN 21 AND 36"
    local items = ask("alias:", { [3] = "03", [18] = "018" })
    expect.error("SCRIPT_ERROR", 'nothing for "alias:03"', nil, items["alias:03"].error)
    expect.error("SCRIPT_ERROR", 'nothing for "alias:018"', nil, items["alias:018"].error)
    for i = 1, 40 do
      if i >= 21 and i <= 36 then
        assert.is_nil(items["alias:" .. i].value)
        assert.is_nil(items["alias:" .. i].error)
        assert.equal("negative", cache:get_entry("alias:" .. i).status)
      end
    end
    assert.is_true(batches() <= 2 * 18, batches() .. " runs")
  end)
end)
