local Server = require "spec.support.server"
local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local null = require("rtcache.client").null
local process = require "spec.support.process"

local SCHEMA = [[
  CREATE TABLE products (id int PRIMARY KEY, name text, version bigint);
  INSERT INTO products VALUES (1, 'mug', 5), (2, 'jar', 9007199254740993), (3, 'pot', NULL);
]]

for name, start in pairs { SQLite = Source.sqlite, PostgreSQL = Source.postgres } do
  describe("a loader without code over " .. name, function()
    local server, source, cache

    setup(function()
      server, source = start {
        loaders = {
          { pattern = "product:*", sql = "SELECT id, name, version FROM products WHERE id = $1",
            version = "version" },
          { pattern = "name:*:*", sql = "SELECT id, '$9' AS text FROM products WHERE name = $2 AND id = $1" },
          { pattern = "all:*", sql = "SELECT id FROM products ORDER BY id" },
          { pattern = "wrong:*", sql = "SELECT id, name FROM products WHERE id = $1", version = "v" },
          { pattern = "broken:*", sql = "SELECT nothing FROM products WHERE id = $1" },
        },
      }
      source.db:exec(SCHEMA)
      cache = server:connect()
    end)
    teardown(function()
      source:close()
      server:stop()
    end)

    it("gives the row with its version", function()
      assert.same({ id = 1, name = "mug", version = 5 }, expect.value(cache:get "product:1"))
      assert.equal(5, expect.value(cache:get_entry "product:1").version)
      assert.equal(9007199254740993LL, expect.value(cache:get_entry "product:2").version)
      expect.absent(cache:get "product:99")
    end)

    it("takes what the stars matched, in their order, and the first row", function()
      assert.same({ id = 2, text = "$9" }, expect.value(cache:get "name:2:jar"))
      expect.absent(cache:get "name:1:jar")
      assert.same({ id = 1 }, expect.value(cache:get "all:x"))
    end)

    it("names the place in the configuration where it goes wrong", function()
      expect.error("SCRIPT_ERROR", { "rtcache.conf:", "no column \"v\"; it has id, name" }, cache:get "wrong:1")
      expect.error("BACKEND_ERROR", { "rtcache.conf:", "nothing" }, cache:get "broken:1")
      expect.error("SCRIPT_ERROR", { "rtcache.conf:", "rtcache.null" }, cache:get "product:3")
    end)
  end)
end

describe("several keys of a loader without code over PostgreSQL", function()
  local server, source, cache

  setup(function()
    local item = "SELECT i.id, i.name, i.version, i.absent FROM items i WHERE i.id = $1"
    server, source = Source.postgres {
      loaders = {
        { pattern = "item:*", sql = item .. " -- $9 of 'them'", version = "version" },
        { pattern = "noted:*", sql = item .. " AND note() > 0", version = "version" },
        { pattern = "two:*:*", sql = "SELECT $q$ $1 $q$ AS text, a.id, b.name FROM items a JOIN items b ON b.id = a.id "
          .. "/* $2 */ WHERE a.name=$2 AND a.id=$1" },
        { pattern = "text:*", sql = "SELECT id FROM items WHERE name = $1" },
        { pattern = "uuid:*", sql = "SELECT id FROM items WHERE u = $1" },
        { pattern = "time:*", sql = "SELECT id FROM items WHERE t = $1" },
        { pattern = "char:*", sql = "SELECT id FROM items WHERE c = $1" },
        { pattern = "last:*", sql = "SELECT id FROM items WHERE id <= $1 ORDER BY id DESC LIMIT 2" },
        { pattern = "named:*", sql = "SELECT id, $1::int FROM items WHERE id = $1" },
        { pattern = "any:*", sql = "SELECT count(*) AS n FROM items WHERE id = ANY($1::bigint[])" },
        { pattern = "write:*", sql = "UPDATE items SET version = 7 WHERE id = $1 RETURNING id, version" },
      },
    }
    source.db:exec [[
      CREATE TABLE items (id bigint PRIMARY KEY, name text, version bigint, absent int, u uuid, t timestamptz,
        c char(5));
      INSERT INTO items SELECT n, 'name ' || n, n, NULL, ('00000000-0000-0000-0000-' || lpad(n::text, 12, '0'))::uuid,
        '2024-01-01 00:00:00+00'::timestamptz + n * interval '1 day', 'c' || n FROM generate_series(1, 300) n;
      CREATE TABLE notes (pid int, at timestamptz, PRIMARY KEY (pid, at));
      CREATE FUNCTION note() RETURNS int LANGUAGE sql VOLATILE AS
        'INSERT INTO notes VALUES (pg_backend_pid(), statement_timestamp()) ON CONFLICT DO NOTHING; SELECT 1';
    ]]
    cache = server:connect()
  end)
  teardown(function()
    source:close()
    server:stop()
  end)

  -- Statements that have called note().
  local function queries() return source.db:number "SELECT count(*) FROM notes" end

  local function ids(...)
    local found = {}
    for i, item in ipairs(expect.value(cache:get_many { ... })) do
      assert.is_nil(item.error)
      found[i] = item.value and item.value.id or false
    end
    return found
  end

  local function check_many(prefix)
    local keys = {}
    for i = 1, 250 do keys[i] = prefix .. i end
    local list = expect.value(cache:get_many(keys))
    for i = 1, 250 do
      assert.same({ id = i, name = "name " .. i, version = i, absent = null }, list[i].value)
    end
    assert.equal(250, expect.value(cache:get_entry(keys[250])).version)
  end

  it("gives each its row and its version", function() check_many "item:" end)

  it("takes a query for each where that may do more than read", function()
    check_many "noted:"
    assert.equal(250, queries())
  end)

  it("lets a key fail alone that its type cannot take, and a missing one be absent", function()
    local list = expect.value(cache:get_many { "item:260", "item:bad", "item:999", "item:261" })
    assert.equal(260, list[1].value.id)
    assert.truthy(list[2].error)
    assert.is_nil(list[3].value)
    assert.is_nil(list[3].error)
    assert.equal(261, list[4].value.id)
  end)

  it("puts two captures, comments, dollar quotes and joins in their places", function()
    local list = expect.value(cache:get_many { "two:1:name 1", "two:2:name 1", "two:3:name 3" })
    assert.same({ id = 1, name = "name 1", text = " $1 " }, list[1].value)
    assert.is_nil(list[2].value)
    assert.same({ id = 3, name = "name 3", text = " $1 " }, list[3].value)
  end)

  it("takes text, uuid, timestamptz and char", function()
    assert.same({ 7, 8, false }, ids("text:name 7", "text:name 8", "text:it's {\"a\\\\,"))
    assert.same({ 9, 10 }, ids("uuid:00000000-0000-0000-0000-000000000009",
      "uuid:00000000-0000-0000-0000-000000000010"))
    assert.same({ 1, 2 }, ids("time:2024-01-02 00:00:00+00", "time:2024-01-03 01:00:00+01"))
    assert.same({ 33, 34 }, ids("char:c33", "char:c34"))
  end)

  it("gives the first row by ORDER BY", function()
    assert.same({ 20, 10, false }, ids("last:20", "last:10", "last:0"))
  end)

  it("gives what one key gives where the SQL cannot be one query for many", function()
    local list = expect.value(cache:get_many { "named:1", "named:2" })
    assert.same({ id = 2, int4 = 2 }, list[2].value)
    list = expect.value(cache:get_many { "any:{1,2}", "any:{3}" })
    assert.equal(2, list[1].value.n)
    assert.equal(1, list[2].value.n)
    list = expect.value(cache:get_many { "write:1", "write:2" })
    assert.same({ id = 1, version = 7 }, list[1].value)
    assert.same({ id = 2, version = 7 }, list[2].value)
  end)
end)

describe("a loader whose SQL has a parameter beyond its pattern", function()
  it("keeps the server from starting, and --check says where", function()
    local server = Server.prepare {
      backends = { main = { driver = "sqlite", path = "x.db" } },
      loaders = { { pattern = "a:*", sql = "SELECT $2", backend = "main" } },
    }
    local ok = pcall(server.launch, server)
    local status, text = process.run(server:command "--check")
    server:remove()
    assert.is_false(ok)
    assert.equal(1, status)
    assert.truthy(text:find "rtcache.conf:%d+: \"sql\" has $2, but the pattern \"a:%*\" has 1 star\n", text)
  end)
end)
