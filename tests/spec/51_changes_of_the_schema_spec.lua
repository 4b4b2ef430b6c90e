local Server = require "spec.support.server"
local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local migrations = require "soak.migrations"
local pgbouncer = require "spec.support.pgbouncer"
local postgres = require "spec.support.postgres"
local wait = require "spec.support.wait"

-- Nothing is kept, so that every get is a load.
local BRIEF = { ttl = "1ms", negative_ttl = "1ms", backoff_base = "1ms", backoff_cap = "1ms", retries = 0,
  breaker_failures = 0 }

describe("a table that is changed under its loaders", function()
  local server, source, cache

  setup(function()
    server, source = Source.postgres({
      options = { defaults = BRIEF },
      loaders = {
        { pattern = "u:*", sql = "SELECT name FROM u WHERE id = $1" },
        { pattern = "ev:*", sql = "SELECT name FROM ev WHERE at = $1" },
        { pattern = "mail:*", sql = "SELECT id FROM acc WHERE email = $1" },
        { pattern = "all:*", sql = "SELECT * FROM u WHERE id = $1" },
      },
    })
    source.db:exec [[
      CREATE EXTENSION citext;
      CREATE TABLE u (id int PRIMARY KEY, name text);
      INSERT INTO u VALUES (1, 'one'), (2, 'two');
      CREATE TABLE ev (at date PRIMARY KEY, name text);
      INSERT INTO ev VALUES ('2024-01-01', 'newyear');
      CREATE TABLE acc (email text PRIMARY KEY, id int);
      INSERT INTO acc VALUES ('bob@x.org', 1);
    ]]
    cache = server:connect()
  end)
  teardown(function()
    source:close()
    server:stop()
  end)

  it("has keys that its old type could not hold", function()
    assert.same({ name = "one" }, expect.value(cache:get "u:1"))
    assert.same({ id = 1, name = "one" }, expect.value(cache:get "all:1"))
    local list = expect.value(cache:get_many { "u:1", "u:2" })
    assert.equal("two", list[2].value.name)
    source.db:exec "ALTER TABLE u ALTER id TYPE bigint; INSERT INTO u VALUES (99999999999, 'big')"
    assert.same({ name = "big" }, expect.value(cache:get "u:99999999999"))
    list = expect.value(cache:get_many { "u:1", "u:99999999999" })
    assert.equal("one", list[1].value.name)
    assert.equal("big", list[2].value.name)
    source.db:exec "ALTER TABLE u ALTER id TYPE text; INSERT INTO u VALUES ('x', 'letter')"
    list = expect.value(cache:get_many { "u:x", "u:1" })
    assert.equal("letter", list[1].value.name)
    assert.equal("one", list[2].value.name)
  end)

  it("never gives the row of a text that its old type would have cut", function()
    assert.same({ name = "newyear" }, expect.value(cache:get "ev:2024-01-01"))
    expect.value(cache:get_many { "ev:2024-01-01", "ev:2024-01-03" })
    source.db:exec [[ALTER TABLE ev ALTER at TYPE timestamp; UPDATE ev SET at = '2024-01-01 10:00';
      INSERT INTO ev VALUES ('2024-01-02 00:00', 'midnight')]]
    expect.absent(cache:get "ev:2024-01-02 17:30")
    assert.same({ name = "newyear" }, expect.value(cache:get "ev:2024-01-01 10:00"))
    local list = expect.value(cache:get_many { "ev:2024-01-02 17:31", "ev:2024-01-02 18:00", "ev:2024-01-02" })
    assert.is_nil(list[1].value or list[2].value or list[1].error or list[2].error)
    assert.equal("midnight", list[3].value.name)
  end)

  it("gives the columns that there are", function()
    source.db:exec "ALTER TABLE u ADD more int DEFAULT 3; ALTER TABLE u RENAME name TO title"
    assert.same({ id = "1", title = "one", more = 3 }, expect.value(cache:get "all:1"))
    local list = expect.value(cache:get_many { "all:1", "all:2" })
    assert.same({ id = "2", title = "two", more = 3 }, list[2].value)
  end)

  it("is read by its new types within statement_age where nothing raises an error", function()
    expect.value(cache:get "mail:bob@x.org")
    source.db:exec "ALTER TABLE acc ALTER email TYPE citext"
    wait.until_true("the other case is the same", function() return (cache:get "mail:Bob@x.org") end)
  end)
end)

describe("changes of the schema under load", function()
  local db, reader, pooler, servers

  setup(function()
    db = postgres.database()
    reader = db.cluster:open(db.name)
    db:exec(migrations.SCHEMA)
    pooler = pgbouncer.start(db.cluster, "transaction", { default_pool_size = 3 })
    servers = {}
    for name, backend in pairs {
      direct = {}, plain = { prepared = false }, pooled = { url = pooler:url(db.name), prepared = false },
    } do
      local main = { driver = "postgres", url = db.url, pool = 4, statement_age = "200ms" }
      for option, v in pairs(backend) do main[option] = v end
      servers[name] = Server.start {
        options = { defaults = BRIEF }, backends = { main = main }, scripts = migrations.SCRIPTS,
        loaders = migrations.LOADERS,
      }
    end
  end)
  teardown(function()
    for _, server in pairs(servers or {}) do server:stop() end
    if pooler then pooler:stop() end
    reader:close()
    db:close()
  end)

  it("give no answer that was not right within statement_age", function()
    local caches = {}
    for name, server in pairs(servers) do caches[name] = server:connect() end
    local m = migrations.new(db, caches, 0.2)
    m.db_reader = reader
    m:run(2)
    assert.same({}, m.wrong)
    assert.truthy(m.checked > 100)
  end)
end)
