-- Loaders out of a table: what a row is, who wins, what is refused and by what words, and when a change
-- of the table, or of rtcache.conf, is in force. The same on SQLite and on PostgreSQL.

local Server = require "spec.support.server"
local Sqlite = require "spec.support.sqlite"
local expect = require "spec.support.expect"
local files = require "spec.support.files"
local postgres = require "spec.support.postgres"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

local function script(name)
  return ([[return { load = function(key, ctx) return { by = "%s", match = ctx.match[1] } end }]]):format(name)
end

local function sql(...)
  local status, text = process.run { Server.tool, "registry-sql", ... }
  assert(status == 0, text)
  return text
end

-- A server whose `main` has the table; it is not started.
local function prepare(kind, o)
  local path = "main.db"
  local db
  if kind == "postgres" then
    db = postgres.database()
    db:exec(sql())
  end
  local c = {
    options = {
      registry = { backend = "main", every = "100ms" },
      loader_types = {
        user = { script = "user.lua", stale_ttl = "5s", jitter = 0 },
        team = { script = "team.lua", ttl = "7s", jitter = 0 },
        page = { sql = "SELECT 'page ' || $slug AS text", backend = "main" },
      },
    },
    backends = { main = db and { driver = "postgres", url = db.url, pool = 1 } or { driver = "sqlite", path = path } },
    scripts = { ["user.lua"] = script "user", ["team.lua"] = script "team", ["file.lua"] = script "file" },
  }
  for name, v in pairs(o or {}) do c[name] = v end
  local server = Server.prepare(c)
  db = db or Sqlite.open(server.folder .. "/" .. path, sql "--sqlite")
  return server, db, c
end

-- A server of these specs' own: what differs from the one above is written into its options.
local function with(c, options)
  local o = {}
  for name, v in pairs(c) do o[name] = v end
  o.options = {}
  for name, v in pairs(c.options) do o.options[name] = v end
  for name, v in pairs(options) do o.options[name] = v ~= "none" and v or nil end
  return o
end

for _, kind in ipairs { "sqlite", "postgres" } do
  describe("loaders from a table, on " .. kind, function()
    local server, db, conf, cache

    local function start(rows, o)
      server, db, conf = prepare(kind, o)
      if rows then db:exec("INSERT INTO cache_loader VALUES " .. rows) end
      server:launch()
      cache = server:connect()
    end

    local function registry() return expect.value(cache:stats()).registry end
    local function by(key) return expect.value(cache:get(key)).by end
    local function count(pattern)
      local n = 0
      for _ in server:log():gmatch(pattern) do n = n + 1 end
      return n
    end
    local function await(what, expected)
      wait.until_true(("%s is %s"):format(what, tostring(expected)), function()
        return registry()[what] == expected
      end)
    end
    -- Two further looks, so that one of them has begun after now.
    local function await_looks()
      local looks = registry().looks
      wait.until_true("it has looked", function() return registry().looks > looks + 1 end)
    end
    -- The rows that are refused: pattern and text of each.
    local function refused()
      local list = {}
      for _, l in ipairs(expect.value(cache:loaders())) do
        if l.error then list[#list + 1] = { l.pattern, l.error } end
      end
      return list
    end

    after_each(function()
      if server then server:stop() end
      if db then db:close() end
      server, db = nil, nil
    end)

    it("a row is a loader of its type, with its pattern and its times", function()
      start "('user:{id:int}', 'user', 60, 300), ('team:*', 'team', NULL, NULL), ('page:{slug:text}', 'page', 0, NULL)"
      assert.same({ by = "user", match = "42" }, expect.value(cache:get "user:42"))
      assert.equal("page about", expect.value(cache:get "page:about").text)
      local l = server:loader "user:{id:int}"
      assert.same({ "table", "user", "user.lua", 60000, 300000 }, { l.from, l.type, l.script, l.ttl_ms, l.stale_ttl_ms })
      l = server:loader "team:*"
      assert.same({ "table", "team", 7000, 0 }, { l.from, l.type, l.ttl_ms, l.stale_ttl_ms })
      l = server:loader "page:{slug:text}"
      assert.same({ "table", "page", 0 }, { l.from, l.type, l.ttl_ms })
      local r = registry()
      assert.same({ "cache_loader", "ok", 3, 0, 1 }, { r.table, r.state, r.rows, r.given_way, r.taken })
      assert.not_equal("string", type(r.error))
      assert.is_true(r.read_at > 1e9)
      assert.same({}, refused())
    end)

    it("the stale time counts from the end of the ttl", function()
      start "('user:*', 'user', 60, 300)"
      local e = expect.value(cache:get_entry "user:1")
      assert.is_true(e.ttl_ms > 50000 and e.ttl_ms <= 60000)
      db:exec "UPDATE cache_loader SET ttl_seconds = 1, stale_ttl_seconds = 300"
      wait.until_true("it is taken over", function() return server:loader("user:*").ttl_ms == 1000 end)
      expect.value(cache:refresh "user:1")
      wait.until_true("it is stale", function() return cache:peek("user:1").status == "stale" end)
      assert.is_true(expect.value(cache:peek "user:1").status == "stale")
    end)

    it("numbers of any type will do, as long as they are whole", function()
      server, db = prepare(kind)
      db:exec "DROP TABLE cache_loader"
      db:exec(kind == "postgres"
        and "CREATE TABLE cache_loader (key_pattern varchar, loader_type name, ttl_seconds numeric, stale_ttl_seconds float8)"
        or "CREATE TABLE cache_loader (key_pattern, loader_type, ttl_seconds NUMERIC, stale_ttl_seconds REAL)")
      db:exec "INSERT INTO cache_loader VALUES ('user:*', 'user', 60.000, 300), ('team:*', 'team', 1.0, NULL)"
      server:launch()
      cache = server:connect()
      local l = server:loader "user:*"
      assert.same({ 60000, 300000 }, { l.ttl_ms, l.stale_ttl_ms })
      assert.equal(1000, server:loader("team:*").ttl_ms)
    end)

    it("what is inserted, changed and deleted is in force within `every`, and entries stay", function()
      start()
      expect.error("NO_LOADER", "no loader's pattern matches", cache:get "user:1")
      db:exec "INSERT INTO cache_loader VALUES ('user:*', 'user', 60, NULL)"
      await("rows", 1)
      assert.equal("user", by "user:1")
      db:exec "UPDATE cache_loader SET loader_type = 'team'"
      wait.until_true("it is another type", function() return server:loader("user:*").type == "team" end)
      assert.equal("user", by "user:1") -- it is fresh
      assert.equal("team", by "user:2")
      db:exec "DELETE FROM cache_loader"
      await("rows", 0)
      assert.equal("user", by "user:1")
      expect.error("NO_LOADER", {}, cache:get "user:3")
      assert.equal(4, count "registry%.taken") -- the first at the start, of no rows
    end)

    it("the file wins over a row of the same pattern, whatever its stars are called", function()
      start("('user:{id:int}', 'user', 60, NULL), ('team:*', 'team', NULL, NULL)",
        { loaders = { { pattern = "user:{number:int}", script = "file.lua", ttl = "1s" } } })
      assert.equal("file", by "user:1")
      assert.equal("team", by "team:1")
      local r = registry()
      assert.same({ 2, 1 }, { r.rows, r.given_way })
      assert.same({ "file", 1000 }, { server:loader("user:{number:int}").from, server:loader("user:{number:int}").ttl_ms })
      assert.equal(2, #expect.value(cache:loaders()))
    end)

    it("the most specific pattern wins, of the file's and of the table's", function()
      start("('user:vip:*', 'user', 60, NULL), ('*', 'team', NULL, NULL)",
        { loaders = { { pattern = "user:*", script = "file.lua", ttl = "1s" } } })
      assert.equal("user", by "user:vip:1")
      assert.equal("file", by "user:1")
      assert.equal("team", by "other")
    end)

    -- Each is put into a table that is all right, at once with another change, and changes nothing.
    local LONG = ("a"):rep(257)
    for _, row in ipairs {
      { "an unknown type", "('x:*', 'tean', 60, NULL)", "x:*", 'there is no loader type "tean"; did you mean "team"?' },
      { "a pattern that is none", "('x:{id:number}', 'user', 60, NULL)", "x:{id:number}", "number" },
      { "a pattern that is too long", "('" .. LONG .. "', 'user', 60, NULL)", LONG:sub(1, 256), "256" },
      { "an equal pattern", "('USER:*', 'user', 60, NULL), ('x:{a:int}', 'user', 1, NULL), ('x:{b:int}', 'user', 1, NULL)",
        "x:{b:int}", 'it matches the same keys as that of another row, "x:{a:int}"' },
      { "a parameter without a star", "('x:*', 'page', NULL, NULL)", "x:*",
        'loader_type "page": "sql" has $slug, but the pattern "x:*" has no star of that name' },
      { "a negative time", "('x:*', 'user', -1, NULL)", "x:*", "ttl_seconds is -1; it must be at least 0 and at most 315360000" },
      { "a time that is too long", "('x:*', 'user', NULL, 315360001)", "x:*",
        "stale_ttl_seconds is 315360001; it must be at least 0 and at most 315360000" },
      { "a time beyond all integers", "('x:*', 'user', 99999999999999999999, NULL)", "x:*",
        "ttl_seconds is 99999999999999999999; it must be at least 0 and at most 315360000", "numeric" },
      { "a fraction", "('x:*', 'user', 1.5, NULL)", "x:*", "ttl_seconds is 1.5; it must be whole seconds", "numeric" },
      { "no number", "('x:*', 'user', 'soon', NULL)", "x:*", 'ttl_seconds is "soon"; it must be a number of seconds', "text" },
      { "no type", "('x:*', NULL, 1, NULL)", "x:*", "loader_type is NULL", "text" },
      { "no pattern", "(NULL, 'user', 1, NULL)", nil, "there is a row without a key_pattern", "text" },
      { "an empty pattern", "('', 'user', 1, NULL)", nil, "pattern", "text" },
      { "one pattern twice", "('x:*', 'user', 1, NULL), ('x:*', 'team', 1, NULL)", "x:*", "it is that of two rows", "text" },
    } do
      it("a row with " .. row[1] .. " is refused by name, and nothing changes", function()
        local kind_of_number = row[5] or "bigint"
        server, db, conf = prepare(kind)
        db:exec "DROP TABLE cache_loader"
        db:exec(("CREATE TABLE cache_loader (key_pattern text, loader_type text, ttl_seconds %s, stale_ttl_seconds %s)")
          :format(kind_of_number, kind_of_number))
        db:exec "INSERT INTO cache_loader VALUES ('user:*', 'user', 60, NULL)"
        server:launch()
        cache = server:connect()
        db:exec(("BEGIN; INSERT INTO cache_loader VALUES ('fine:*', 'user', 60, NULL), %s; COMMIT"):format(row[2]))
        await("state", "refused")
        assert.equal("user", by "user:1")
        expect.error("NO_LOADER", {}, cache:get "fine:1")
        expect.error("NO_LOADER", {}, cache:get "x:1")
        local list = refused()
        assert.equal(1, #list)
        assert.equal(row[3], list[1][1])
        local text = row[4]
        if kind == "sqlite" and row[1] == "a time beyond all integers" then -- SQLite makes a float of it
          text = 'ttl_seconds is "1.0e+20"; it must be a number of seconds'
        end
        assert.truthy(list[1][2]:find(text, 1, true), list[1][2])
        assert.truthy(registry().error:find(text, 1, true), registry().error)
        assert.truthy(registry().error:find("cache_loader: ", 1, true))
        -- It is not tried again, and not told again; and a reload says it too.
        await_looks()
        assert.equal(1, count "registry%.refused [^\n]*error=")
        assert.equal(1, count "reload%.refused")
        if row[3] then
          assert.truthy(server:log():find('registry.refused key_pattern="' .. row[3]:sub(1, 20), 1, true))
        end
        expect.error("RELOAD_FAILED", text, cache:reload())
        -- Once it is right it is taken.
        db:exec "DELETE FROM cache_loader WHERE coalesce(key_pattern, '') NOT IN ('user:*', 'fine:*')"
        await("state", "ok")
        await("rows", 2)
        assert.equal("user", by "fine:1")
        assert.same({}, refused())
      end)
    end

    it("all that is wrong is told, the first sixteen of it to clients", function()
      start "('user:*', 'user', 60, NULL)"
      local rows = {}
      for i = 1, 20 do rows[i] = ("('x%02d:*', 'none', 1, NULL)"):format(i) end
      db:exec("INSERT INTO cache_loader VALUES " .. table.concat(rows, ", "))
      await("state", "refused")
      local list = refused()
      assert.equal(16, #list)
      assert.same({ "x01:*", "x16:*" }, { list[1][1], list[16][1] })
      assert.equal(1, registry().refused)
    end)

    it("a table that goes back to what is in force is right again", function()
      start "('user:*', 'user', 60, NULL)"
      db:exec "INSERT INTO cache_loader VALUES ('x:*', 'none', 1, NULL)"
      await("state", "refused")
      db:exec "DELETE FROM cache_loader WHERE key_pattern = 'x:*'"
      await("state", "ok")
      assert.same({}, refused())
      assert.same({ 1, 1 }, { registry().taken, registry().refused })
    end)

    it("is read by `reload`, at once", function()
      server, db, conf = prepare(kind)
      server:write_conf(with(conf, { registry = { backend = "main", every = "1h" } }))
      server:launch()
      cache = server:connect()
      db:exec "INSERT INTO cache_loader VALUES ('user:*', 'user', 60, NULL)"
      local answer = expect.value(cache:reload())
      assert.same({ 1, true }, { answer.loaders, answer.changed })
      assert.equal("user", by "user:1")
      assert.is_false(expect.value(cache:reload()).changed)
      db:exec "UPDATE cache_loader SET loader_type = 'team'"
      server:signal "HUP"
      wait.until_true("SIGHUP reads it", function() return server:loader("user:*").type == "team" end)
    end)

    it("that is not there is looked for again, and is told of once", function()
      server, db, conf = prepare(kind)
      db:exec "DROP TABLE cache_loader"
      server:write_conf(with(conf, { registry = { backend = "main", every = "100ms", timeout = "300ms" } }))
      server:launch()
      cache = server:connect()
      assert.equal("unread", registry().state)
      assert.equal(1, #refused())
      assert.is_nil(refused()[1][1])
      assert.truthy(refused()[1][2]:find "cache_loader")
      local failures = registry().failures
      wait.until_true("it looks again", function() return registry().failures > failures + 2 end)
      assert.equal(1, count "registry%.unread")
      db:exec(sql(kind == "sqlite" and "--sqlite" or nil))
      db:exec "INSERT INTO cache_loader VALUES ('user:*', 'user', 60, NULL)"
      await("state", "ok")
      assert.equal("user", by "user:1")
      assert.equal(1, count "registry%.read ")
      -- And when it goes away, what is in force stays.
      db:exec "ALTER TABLE cache_loader RENAME TO away"
      await("state", "down")
      assert.equal("user", by "user:2")
      expect.value(cache:reload())
      assert.equal("user", by "user:3")
      db:exec "ALTER TABLE away RENAME TO cache_loader"
      await("state", "ok")
      assert.equal(1, registry().taken)
    end)

    it("as long as it was never read, nothing that it may have is an absence", function()
      server, db, conf = prepare(kind, {
        loaders = { { pattern = "user:{id:int}", script = "file.lua", ttl = "60s" } },
      })
      db:exec "ALTER TABLE cache_loader RENAME TO away"
      server:write_conf(with(conf, { registry = { backend = "main", every = "100ms", timeout = "100ms" } }))
      server:launch()
      cache = server:connect()
      assert.equal("file", by "user:1")
      expect.error("NO_LOADER", {}, cache:get "user:anna")
      expect.error("NO_LOADER", {}, cache:get "team:1")
      db:exec "INSERT INTO away VALUES ('user:a*', 'user', 60, NULL)"
      db:exec "ALTER TABLE away RENAME TO cache_loader"
      await("state", "ok")
      assert.equal("user", by "user:anna")
      expect.absent(cache:get "user:bert") -- a misfit now
      expect.error("NO_LOADER", {}, cache:get "team:1")
    end)

    it("a change of rtcache.conf keeps the rows, gives them its types, and may take the registry away", function()
      start "('user:*', 'user', 60, NULL)"
      server:write_conf(with(conf, { loader_types = { user = { script = "team.lua" } } }))
      expect.value(cache:reload())
      assert.equal("team", by "user:1")
      assert.equal(1, registry().taken)
      -- One that a row has cannot go.
      server:write_conf(with(conf, { loader_types = { other = { script = "team.lua" } } }))
      expect.error("RELOAD_FAILED", { "cache_loader", "user:*", 'there is no loader type "user"' }, cache:reload())
      assert.equal("team", by "user:2")
      await("state", "ok")
      assert.same({}, refused())
      server:write_conf(with(conf, { registry = "none", loader_types = "none" }))
      expect.value(cache:reload())
      expect.error("NO_LOADER", {}, cache:get "user:3")
      assert.is_nil(registry())
      assert.is_nil(expect.value(cache:loaders())[1])
      server:write_conf(conf)
      expect.value(cache:reload())
      await("rows", 1)
      assert.equal("user", by "user:3")
    end)

    it("may be another one after a reload, with other types", function()
      start "('user:*', 'user', 60, NULL)"
      db:exec "CREATE TABLE others AS SELECT 'team:*' AS key_pattern, 'new' AS loader_type, 5 AS ttl_seconds, NULL AS stale_ttl_seconds"
      server:write_conf(with(conf, {
        registry = { backend = "main", table = "others", every = "100ms" },
        loader_types = { new = { script = "team.lua" } },
      }))
      expect.value(cache:reload())
      wait.until_true("its row is there", function()
        return registry().table == "others" and registry().rows == 1 and registry().state == "ok"
      end)
      assert.equal("team", by "team:1")
      expect.error("NO_LOADER", {}, cache:get "user:9")
    end)

    it("a script that has changed on disk comes with a reload, not with a row", function()
      start "('user:*', 'user', 60, NULL)"
      server:write_script("user.lua", script "changed")
      db:exec "INSERT INTO cache_loader VALUES ('other:*', 'user', 60, NULL)"
      await("rows", 2)
      assert.equal("user", by "other:1")
      expect.value(cache:reload())
      assert.equal("changed", by "other:2")
    end)

    it("a script of a type that is wrong is found at the start, though no row names it", function()
      server, db = prepare(kind)
      server:write_script("team.lua", "return {")
      local ok, err = pcall(server.launch, server)
      assert.is_false(ok)
      assert.truthy(tostring(err):find("team.lua:1", 1, true), tostring(err))
      server.process = nil
    end)

    it("a start with rows that are wrong goes on with the file alone", function()
      start("('user:*', 'none', 60, NULL)", { loaders = { { pattern = "f:*", script = "file.lua", ttl = "1s" } } })
      assert.equal("file", by "f:1")
      assert.equal("refused", registry().state)
      assert.same({ { "user:*", 'there is no loader type "none"' } }, refused())
      db:exec "UPDATE cache_loader SET loader_type = 'user'"
      await("state", "ok")
      assert.equal("user", by "user:1")
    end)
  end)
end

describe("a table of loaders", function()
  local server, db
  after_each(function()
    server:stop()
    db:close()
  end)

  it("may stand in a schema, and be called by a name that has to be quoted", function()
    local conf
    server, db, conf = prepare "postgres"
    db:exec 'CREATE SCHEMA "My Shop"'
    db:exec(sql '"My Shop"."Loa""ders"')
    db:exec [[INSERT INTO "My Shop"."Loa""ders" VALUES ('user:*', 'user', 60, NULL)]]
    server:write_conf(with(conf, { registry = { backend = "main", table = '"My Shop"."Loa""ders"' } }))
    server:launch()
    assert.equal("user", expect.value(server:connect():get "user:1").by)
  end)

  it("may be a view, of more than 4096 rows none are taken", function()
    local conf
    server, db, conf = prepare "postgres"
    db:exec "CREATE VIEW many AS SELECT 'user:' || i || ':*' AS key_pattern, 'user' AS loader_type, 60 AS ttl_seconds, NULL::int AS stale_ttl_seconds FROM generate_series(1, (SELECT count(*)::int + 4095 FROM cache_loader)) i"
    server:write_conf(with(conf, { registry = { backend = "main", table = "many", every = "100ms" } }))
    server:launch()
    local cache = server:connect()
    local function stats() return expect.value(cache:stats()).registry end
    assert.equal(4095, stats().rows)
    assert.equal("user", expect.value(cache:get "user:4095:1").by)
    db:exec "INSERT INTO cache_loader VALUES ('x', 'user', 1, 1)"
    wait.until_true("one more is taken", function() return stats().rows == 4096 end)
    db:exec "INSERT INTO cache_loader VALUES ('y', 'user', 1, 1)"
    wait.until_true("it is refused", function() return stats().state == "refused" end)
    assert.truthy(stats().error:find("there are 4097 loaders; at most 4096 are taken", 1, true), stats().error)
    assert.equal(4096, stats().rows)
  end)

  it("that does not answer is waited for as long as `timeout`", function()
    local conf
    server, db, conf = prepare "postgres"
    db:exec "INSERT INTO cache_loader VALUES ('user:*', 'user', 60, NULL)"
    server:write_conf(with(conf, { registry = { backend = "main", every = "100ms", timeout = "200ms" } }))
    server:launch()
    local cache = server:connect()
    local function stats() return expect.value(cache:stats()).registry end
    db:exec "BEGIN; LOCK TABLE cache_loader IN ACCESS EXCLUSIVE MODE"
    wait.until_true("it is down", function() return stats().state == "down" end)
    assert.equal("no answer within 200 ms (timeout)", stats().error)
    assert.equal("user", expect.value(cache:get "user:1").by)
    expect.value(cache:reload()) -- it goes on with what is in force
    db:exec "COMMIT"
    wait.until_true("it is well", function() return stats().state == "ok" end)
    assert.equal(1, stats().taken)
  end)
end)

describe("`rtcached --check`", function()
  local server, db
  after_each(function()
    server:stop()
    db:close()
  end)

  it("looks at loader types and at the registry, and asks no database", function()
    local conf
    server, db, conf = prepare "sqlite"
    db:exec "INSERT INTO cache_loader VALUES ('user:*', 'none', 60, NULL)"
    local function check(options)
      server:write_conf(with(conf, options))
      local status, text = process.run(server:command "--check")
      return status, text
    end
    assert.same({ 0, server.conf .. ": ok\n" }, { check {} })
    server:write_script("team.lua", "return {")
    local status, text = check {}
    assert.equal(1, status)
    assert.truthy(text:find("team.lua:1", 1, true))
    status, text = check { registry = { backend = "mian", table = "a.b.c" } }
    assert.equal(1, status)
    assert.truthy(text:find('there is no backend "mian"; did you mean "main"?', 1, true))
    assert.truthy(text:find('"table": "a.b.c" is not NAME or SCHEMA.NAME', 1, true))
    files.remove(server.folder .. "/main.db")
    server:write_script("team.lua", script "team")
    assert.equal(0, (check {}))
  end)
end)
