local Source = require "spec.support.source"
local Server = require "spec.support.server"
local expect = require "spec.support.expect"
local postgres = require "spec.support.postgres"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

local TEAMS = [[
return {
  load = function(key, ctx)
    local row = ctx.db:row("SELECT id, name, team, version FROM members WHERE id = $1::text::bigint", ctx.match[1])
    if not row then return nil end
    return row.name, { version = row.version, tags = { "team:" .. row.team } }
  end,
}
]]

local TABLE = [[
CREATE TABLE members (id BIGINT PRIMARY KEY, name TEXT NOT NULL, team TEXT, version BIGINT NOT NULL DEFAULT 1);
]]

local function watch_sql(...)
  local status, text = process.run { Server.tool, "watch-sql", ... }
  assert(status == 0, text)
  return text
end

describe("the feed of a database", function()
  local cluster, server, source, cache, db

  local function start(backend, loader)
    local l = { pattern = "member:*", script = "teams.lua", ttl = "1h", negative_ttl = "1h", stale_ttl = "1h" }
    for name, v in pairs(loader or {}) do l[name] = v end
    local b = { feed = "changes", feed_heartbeat = "50ms", reconnect_base = "20ms", reconnect_cap = "50ms" }
    for name, v in pairs(backend or {}) do b[name] = v end
    server, source = Source.postgres({
      scripts = { ["teams.lua"] = TEAMS },
      loaders = { l },
      options = { defaults = { backoff_base = "1ms", backoff_cap = "5ms" } },
    }, cluster, b)
    db = source.db
    db:exec(TABLE)
    db:exec(watch_sql("members", "--key", "member:{id}", "--version", "version", "--tag", "team:{team}",
      "--channel", "changes"))
    cache = server:connect()
  end

  local function feed() return expect.value(cache:stats()).feeds.main end

  local function await_up()
    wait.until_true("the feed is up", function()
      local f = feed()
      return f.connected and f.lag_ms
    end)
  end

  -- Everything that was committed before this has been told of: the marker is told of last.
  local function await_told()
    expect.value(cache:set("marker", 1))
    db:exec "NOTIFY changes, '{\"k\":\"marker\"}'"
    wait.until_true("the marker", function() return cache:peek "marker" == nil end)
  end

  local function listener()
    return db:number [[SELECT pid FROM pg_stat_activity WHERE datname = current_database() AND
      (query LIKE 'LISTEN%' OR query LIKE '%pg_notify($1%' OR query LIKE '%pg_control_system%')
      AND pid <> pg_backend_pid() LIMIT 1]]
  end

  -- Between two of its queries it may have asked another one.
  local function await_listener()
    local pid
    wait.until_true("it is seen", function()
      pid = listener()
      return pid ~= nil
    end)
    return pid
  end

  setup(function() cluster = postgres.start() end)
  teardown(function() cluster:stop() end)
  after_each(function()
    source:close()
    server:stop()
  end)

  it("race 5: tells of insert, update and delete, each visible to the load after it", function()
    start()
    await_up()
    expect.absent(cache:get "member:1")
    db:exec "INSERT INTO members VALUES (1, 'Ann', 'red')"
    await_told()
    assert.equal("Ann", expect.value(cache:get "member:1"))
    db:exec "UPDATE members SET name = 'Anna', version = version + 1 WHERE id = 1"
    await_told()
    assert.equal("Anna", expect.value(cache:get "member:1"))
    assert.equal(2, expect.status("hit", cache:get_entry "member:1").version)
    db:exec "DELETE FROM members WHERE id = 1"
    await_told()
    expect.absent(cache:get "member:1")
  end)

  it("tells nothing of a transaction that is rolled back", function()
    start()
    await_up()
    db:exec "INSERT INTO members VALUES (1, 'Ann', 'red')"
    await_told()
    assert.equal("Ann", expect.value(cache:get "member:1"))
    local events = feed().events
    db:exec "BEGIN; UPDATE members SET name = 'x', version = 2 WHERE id = 1; ROLLBACK"
    await_told()
    assert.equal(events + 1, feed().events) -- the marker
    expect.status("hit", cache:get_entry "member:1")
  end)

  it("tells of both keys where a key changes, and of the tags before and after", function()
    start()
    await_up()
    db:exec "INSERT INTO members VALUES (1, 'Ann', 'red'), (2, 'Bob', 'blue'), (3, 'Cem', 'green')"
    await_told()
    for i = 1, 3 do expect.value(cache:get("member:" .. i)) end
    expect.value(cache:set("board:red", "r", { tags = { "team:red" } }))
    expect.value(cache:set("board:blue", "b", { tags = { "team:blue" } }))
    expect.value(cache:set("board:green", "g", { tags = { "team:green" } }))
    db:exec "UPDATE members SET id = 9, team = 'blue', version = 2 WHERE id = 1"
    await_told()
    expect.absent(cache:get "member:1")
    assert.equal("Ann", expect.value(cache:get "member:9"))
    expect.absent(cache:peek "board:red")
    expect.absent(cache:peek "board:blue")
    assert.equal("g", expect.value(cache:peek "board:green").value)
    expect.status("hit", cache:get_entry "member:3")
  end)

  it("tells of a truncate, and of a change that forgets the version", function()
    start()
    await_up()
    db:exec "INSERT INTO members VALUES (1, 'Ann', NULL), (2, 'Bob', NULL)"
    await_told()
    db:exec "UPDATE members SET team = 'red' WHERE id = 1"
    db:exec "UPDATE members SET team = 'red' WHERE id = 2"
    await_told()
    assert.equal("Ann", expect.value(cache:get "member:1"))
    db:exec "UPDATE members SET name = 'Anna' WHERE id = 1"
    await_told()
    assert.equal("Anna", expect.value(cache:get "member:1"))
    db:exec "TRUNCATE members"
    await_told()
    expect.absent(cache:get "member:1")
    expect.absent(cache:get "member:2")
  end)

  it("can be made of odd names, and its SQL may run twice", function()
    start()
    await_up()
    db:exec [[CREATE SCHEMA "Odd"; CREATE TABLE "Odd"."a ""b""" ("The Id" TEXT, "it's" TEXT);]]
    local sql = watch_sql([["Odd"."a ""b"""]], "--key", "x{{*}}'{The Id}\\{it's}", "--channel", "changes")
    db:exec(sql)
    db:exec(sql)
    local key = "x{*}'1\\2"
    expect.value(cache:set(key, "v"))
    expect.value(cache:set("x{*}'other", "v"))
    db:exec [[INSERT INTO "Odd"."a ""b""" VALUES ('1', '2'), (NULL, '3')]]
    await_told()
    expect.absent(cache:peek(key))
    expect.value(cache:set(key, "v"))
    db:exec [[TRUNCATE "Odd"."a ""b"""]]
    await_told()
    expect.absent(cache:peek(key))
    assert.equal("v", expect.value(cache:peek "x{*}'other").value)
  end)

  it("says all keys where one is too long for NOTIFY", function()
    start()
    await_up()
    db:exec [[CREATE TABLE long (id TEXT)]]
    db:exec(watch_sql("long", "--key", "long:{id}", "--tag", "t:{id}", "--channel", "changes"))
    expect.value(cache:set("long:short", "v"))
    db:exec "INSERT INTO long VALUES (repeat('x', 9000))"
    await_told()
    expect.absent(cache:peek "long:short")
    assert.equal(0, feed().bad)
  end)

  it("race 6: is cut: what was loaded before is not fresh once it is back", function()
    start { reconnect_base = "300ms", reconnect_cap = "300ms", feed_heartbeat = "1s" }
    await_up()
    db:exec "INSERT INTO members VALUES (1, 'Ann', 'red')"
    await_told()
    assert.equal("Ann", expect.value(cache:get "member:1"))
    db:exec("SELECT pg_terminate_backend(" .. await_listener() .. ")")
    wait.until_true("it is cut", function() return not feed().connected end)
    db:exec "UPDATE members SET name = 'Anna', version = 2 WHERE id = 1" -- nobody hears it
    wait.until_true("it is back", function() return feed().connected end)
    assert.equal(1, feed().gaps)
    local entry = expect.value(cache:get_entry "member:1")
    assert.is_true(entry.status == "stale" or entry.value == "Anna", entry.status)
    wait.until_true("it is loaded again", function() return cache:get "member:1" == "Anna" end)
    expect.status("hit", cache:get_entry "member:1")
  end)

  it("race 7: is half open: its heartbeats stay away, and it connects again", function()
    start()
    await_up()
    db:exec "INSERT INTO members VALUES (1, 'Ann', 'red')"
    await_told()
    assert.equal("Ann", expect.value(cache:get "member:1"))
    local pid = await_listener()
    process.run { "kill", "-STOP", tostring(pid) }
    wait.until_true("it has given that connection up", function() return feed().gaps > 0 end)
    assert.is_true(feed().connected)
    process.run { "kill", "-CONT", tostring(pid) }
    db:exec "UPDATE members SET name = 'Anna', version = 2 WHERE id = 1"
    wait.until_true("the new one hears of changes", function() return cache:get "member:1" == "Anna" end)
  end)

  it("beyond feed_grace lets nothing count as fresh, also what is loaded then", function()
    start { feed_grace = "0s", reconnect_base = "10min", reconnect_cap = "10min" }
    await_up()
    db:exec "INSERT INTO members VALUES (1, 'Ann', 'red'), (2, 'Bob', 'red')"
    await_told()
    assert.equal("Ann", expect.value(cache:get "member:1"))
    expect.status("hit", cache:get_entry "member:1")
    db:exec("SELECT pg_terminate_backend(" .. await_listener() .. ")")
    wait.until_true("it counts as cut", function() return feed().cut end)
    assert.equal("Ann", expect.status("stale", cache:get_entry "member:1").value)
    expect.status("miss", cache:get_entry "member:2")
    assert.equal("Bob", expect.status("stale", cache:get_entry "member:2").value)
    -- A client that brings a value cannot know more than a load.
    expect.value(cache:set("member:3", "Cem"))
    assert.equal("Cem", expect.status("stale", cache:get_entry "member:3").value)
    expect.value(cache:touch "member:1")
    expect.status("stale", cache:get_entry "member:1")
    -- What is not fed by it is as it was.
    expect.value(cache:set("other", "v"))
    expect.status("hit", cache:get_entry "other")
  end)

  it("does not trust what it hears", function()
    start()
    await_up()
    expect.value(cache:set("member:7", "v", { version = 3 }))
    local bad = {
      "garbage", "", "[]", "{}", '{"k":7}', '{"k":""}', '{"k":"member:7","v":1.5}', '{"k":"member:7","v":"9"}',
      '{"k":"member:7","v":99999999999999999999}', '{"k":"member:7","t":"x"}', '{"k":"member:7","t":[7]}',
      '{"k":"member:7","d":1}', '{"k":"member:7","x":1}', '{"k":"member:7","m":"*"}', '{"m":"a\\\\b"}',
      '{"m":"*********"}', '{"hb":7}', '{"hb":"x","n":"y"}',
      '{"k":"' .. ("x"):rep(5000) .. '"}', '{"t":["' .. ("x"):rep(256) .. '"]}',
    }
    for _, payload in ipairs(bad) do db:exec("NOTIFY changes, '" .. payload .. "'") end
    wait.until_true("all were refused", function() return feed().bad == #bad end)
    db:exec [[NOTIFY changes, '{"hb":"0000000000000000","n":1000000}']] -- another server's, or a joke
    await_told()
    assert.equal(0, feed().gaps)
    assert.equal("v", expect.value(cache:peek "member:7").value)
    assert.is_true(feed().connected)
    db:exec [[NOTIFY changes, '{"k":"member:7","v":4}']]
    await_told()
    expect.absent(cache:peek "member:7")
  end)

  it("goes on over a reload, and ends when it is configured away", function()
    start()
    await_up()
    local pid = await_listener()
    expect.value(cache:reload())
    await_told()
    assert.equal(pid, await_listener())
    server.options.backends.main.feed = nil
    server:write_conf(server.options)
    expect.value(cache:reload())
    assert.is_nil(expect.value(cache:stats()).feeds.main)
    wait.until_true("the connection has ended", function() return listener() == nil end)
  end)

  it("is told to subscribers", function()
    start()
    await_up()
    local near = server:connect()
    expect.value(near:subscribe { keys = { "member:1" } })
    db:exec "INSERT INTO members VALUES (1, 'Ann', 'red', 7)"
    local seen = {}
    repeat
      local _, params = near:notification()
      seen[params[1].key or params[1].tag] = params[1]
    until seen["member:1"]
    assert.same({ key = "member:1", cause = "feed", version = 7 }, seen["member:1"])
    assert.same({ tag = "team:red", cause = "feed" }, seen["team:red"])
  end)
end)
