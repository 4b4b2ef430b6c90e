local Server = require "spec.support.server"
local Source = require "spec.support.source"
local expect = require "spec.support.expect"
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
