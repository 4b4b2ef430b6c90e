--- What a database quotes of its rows in errors reaches neither clients nor the log.

local Server = require "spec.support.server"
local Source = require "spec.support.source"
local expect = require "spec.support.expect"

local SCRIPT = [[
return {
  load = function(_, ctx) return ctx.db:value("SELECT name::int AS n FROM people WHERE id = $1", ctx.match.id) end,
  save = function(_, value, ctx)
    ctx.db:exec("INSERT INTO people VALUES ($1, $2, $3)", ctx.match.id, value.name, value.mail)
    return value
  end,
}
]]

local LOADERS = {
  { pattern = "person:{id:int}", script = "person.lua" },
  { pattern = "number:{id:int}", sql = "SELECT name::int AS n FROM people WHERE id = $id" },
}

local function start(errors)
  local server, source = Source.postgres {
    options = { errors = errors, log_level = "debug" }, scripts = { ["person.lua"] = SCRIPT }, loaders = LOADERS,
  }
  source.db:exec [[
    CREATE TABLE people (id bigint PRIMARY KEY, name text CHECK (name <> 'nobody'), mail text UNIQUE);
    INSERT INTO people VALUES (1, 'ann-of-row-one', 'ann@example.com');
  ]]
  return server, source
end

-- What is asked, and the error that comes: what is told in any case, and what in development alone.
local ASKS = {
  { "put", "person:1", { name = "x", mail = "y" }, says = "23505 duplicate key value", quotes = "Key (id)=(1)" },
  { "put", "person:2", { name = "x", mail = "ann@example.com" }, says = "people_mail_key", quotes = "ann@example.com" },
  { "put", "person:3", { name = "nobody", mail = "secret@example.com" }, says = "people_name_check",
    quotes = "secret@example.com" },
  { "get", "person:1", says = "22P02 invalid input syntax for type integer", quotes = "ann-of-row-one" },
  { "get", "number:1", says = "22P02 invalid input syntax for type integer", quotes = "ann-of-row-one" },
}

describe("an error of the database", function()
  local server, source
  after_each(function()
    if source then source:close() end
    if server then server:stop() end
    server, source = nil, nil
  end)

  local function ask(cache, one) return cache:receive(cache:send(unpack(one))) end

  it("quotes no row, to clients and in the log", function()
    server, source = start()
    local cache = server:connect()
    for _, one in ipairs(ASKS) do
      local value, err = ask(cache, one)
      expect.error("BACKEND_ERROR", one.says, value, err)
      assert.is_nil(err.message:find(one.quotes, 1, true), err.message)
    end
    local log = server:log()
    assert.truthy(log:find("people_mail_key", 1, true))
    for _, one in ipairs(ASKS) do assert.is_nil(log:find(one.quotes, 1, true), one.quotes) end
  end)

  it("quotes it where errors = full says so, from a reload on, until another", function()
    server, source = start "full"
    local cache = server:connect()
    for _, one in ipairs(ASKS) do
      expect.error("BACKEND_ERROR", { one.says, one.quotes }, ask(cache, one))
    end
    server.options.options.errors = nil
    server:write_conf(server.options)
    expect.value(cache:reload())
    local _, err = ask(cache, ASKS[2])
    assert.is_nil(err.message:find(ASKS[2].quotes, 1, true), err.message)
  end)
end)

describe("a user without the right to read", function()
  local HASH = "$argon2id$v=19$m=8192,t=1,p=1$dMoaTKxrUTzGwdGXZgwEuw$LasVO8KoMTADkX1NpsRNndVnt/i1l1inqZQiq6N7UOM"
  local server
  local function user(name, rights, keys) return { name = name, password_hash = HASH, rights = rights, keys = keys } end
  setup(function()
    server = Server.start {
      options = { auth_delay = "0s", users = {
        user("reader", { "read", "invalidate" }), user("again", { "invalidate", "read" }),
        user("few", { "read" }, { "k:1*" }), user("jobs", { "invalidate" }),
        user("limited", { "invalidate" }, { "k:*" }),
      } },
      scripts = { ["one.lua"] = "return { load = function(key) return 'secret of ' .. key end }" },
      loaders = { { pattern = "k:*", script = "one.lua", ttl = "60s" } },
    }
  end)
  teardown(function() server:stop() end)
  local function enter(name)
    local c = server:connect { tcp = true }
    expect.value(c:auth(name, "other"))
    return c
  end

  it("may refresh, and is not shown what came", function()
    for _, name in ipairs { "jobs", "limited" } do
      local jobs, reader = enter(name), enter "reader"
      assert.equal(true, expect.value(jobs:refresh("k:" .. name)))
      assert.equal(true, expect.value(jobs:refresh("k:" .. name, { timeout_ms = 100, min_version = 0 })))
      assert.equal("secret of k:" .. name, expect.value(reader:get("k:" .. name)))
      assert.equal("secret of k:" .. name, expect.value(reader:refresh("k:" .. name)).value)
    end
  end)

  it("hears of tags and of others' patterns that something has gone, and not what they are called", function()
    local few, reader, other = enter "few", enter "reader", enter "reader"
    expect.value(few:subscribe { patterns = "k:1*" })
    expect.value(reader:subscribe { patterns = "k:1*" })
    local function hear(c)
      local _, params = c:notification()
      return params[1]
    end
    local ALL = { all = true, cause = "invalidate" }
    expect.value(other:invalidate_tag "customer:ann")
    assert.same({ tag = "customer:ann", cause = "invalidate" }, hear(reader))
    assert.same(ALL, hear(few))
    expect.value(other:invalidate_match "k:*9")
    assert.same({ pattern = "k:*9", cause = "invalidate" }, hear(reader))
    assert.same(ALL, hear(few))
    for _, pattern in ipairs { "k:1*", "k:12*" } do
      expect.value(other:invalidate_match(pattern))
      assert.same({ pattern = pattern, cause = "invalidate" }, hear(few))
    end
    expect.value(other:invalidate("k:1", { version = 7 }))
    assert.same({ key = "k:1", cause = "invalidate", version = 7 }, hear(few))
  end)

  it("hears nothing any more of what somebody else subscribed to on its connection", function()
    local c, other = enter "reader", enter "reader"
    expect.value(c:subscribe { patterns = "k:*" })
    expect.value(c:auth("again", "other")) -- the same rights: all goes on
    assert.equal(2, expect.value(c:subscribe { keys = "x" }))
    expect.value(c:auth("jobs", "other"))
    expect.value(other:invalidate "k:2")
    expect.value(c:auth("few", "other"))
    assert.equal(1, expect.value(c:subscribe { keys = "k:1" }))
    expect.value(other:invalidate "k:1")
    local _, params = c:notification() -- they come in the order of the changes
    assert.same({ key = "k:1", cause = "invalidate" }, params[1])
  end)
end)
