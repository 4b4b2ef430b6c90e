-- A feed that reads a log table instead of listening: the same server, direct, behind a PgBouncer that
-- gives each transaction another session, and beside a standby that it reads.

local Server = require "spec.support.server"
local expect = require "spec.support.expect"
local pgbouncer = require "spec.support.pgbouncer"
local postgres = require "spec.support.postgres"
local process = require "spec.support.process"
local restart = require "spec.support.restart"
local wait = require "spec.support.wait"

local TABLE = [[
  CREATE TABLE members (id bigint PRIMARY KEY, name text NOT NULL, team text, version bigint NOT NULL DEFAULT 1);
  INSERT INTO members SELECT i, 'm' || i, 'red' FROM generate_series(1, 20) i;
]]

local function tool(...)
  local status, text = process.run { Server.tool, "watch-sql", ... }
  assert(status == 0, text)
  return text
end

local WATCH = { "members", "--key", "member:{id}", "--version", "version", "--tag", "team:{team}", "--log" }

for _, place in ipairs { "the primary", "a pooler", "a standby" } do
  describe("a feed that reads a log, at " .. place, function()
    local primary, standby, pooler, db, server, cache

    local function url()
      if pooler then return pooler:url(db.name) end
      return ("postgresql://postgres@/%s?host=%s"):format(db.name, (standby or primary).folder)
    end

    -- The standby has all that is committed now.
    local function await_replayed()
      if not standby then return end
      local at = db:value "SELECT pg_current_wal_insert_lsn()"
      local copy = standby:open "postgres"
      wait.until_true("the standby has it all", function()
        return copy:value(("SELECT pg_last_wal_replay_lsn() >= '%s'"):format(at)) == "t"
      end)
      copy:close()
    end

    local function feed() return expect.value(cache:stats()).feeds.main end

    local function await_up(gaps)
      wait.until_true("the feed is up", function()
        local f = feed()
        return f.connected and f.lag_ms and f.gaps >= (gaps or 0)
      end)
    end

    local function start(backend)
      await_replayed()
      local b = {
        driver = "postgres", url = url(), feed = "rtcache", feed_log = "rtcache_log", feed_heartbeat = "1s",
        feed_poll = "5ms", feed_poll_idle = "20ms", reconnect_base = "20ms", reconnect_cap = "50ms", pool = 2,
      }
      for name, v in pairs(backend or {}) do b[name] = v end
      server = Server.start {
        options = { state = "state", snapshot_every = "0s" },
        backends = { main = b },
        loaders = { {
          pattern = "member:*", backend = "main", version = "version", ttl = "1h", stale_ttl = "1h",
          sql = "SELECT id, name, version FROM members WHERE id = CAST($1 AS bigint)",
        } },
      }
      cache = server:connect()
      await_up()
    end

    local told_markers = 0

    -- Everything that is visible in the database now has been told of: the marker is told of after it.
    local function await_told()
      told_markers = told_markers + 1
      expect.value(cache:set("marker", 1))
      db:exec [[INSERT INTO rtcache_log (e) VALUES ('{"k": "marker"}')]]
      wait.until_true("the marker", function() return cache:peek "marker" == nil end)
      await_replayed()
    end

    local function rows() return db:number "SELECT count(*) FROM rtcache_log" end

    -- In another session of its own, which the test can leave open.
    local function session() return primary:open(db.name) end

    local TERMINATE = [[SELECT pg_terminate_backend(pid) FROM pg_stat_activity WHERE pid <> pg_backend_pid()
      AND datname = '%s' AND query LIKE 'BEGIN TRANSACTION%%']]

    local function cut(admin)
      local copy = admin or (standby or primary):open "postgres"
      copy:exec(TERMINATE:format(db.name))
      if not admin then copy:close() end
    end

    -- Runs body while nobody but the sessions that are there gets in.
    local function closed(body)
      local reader, admin = (standby or primary):open "postgres", primary:open "postgres"
      admin:exec(("ALTER DATABASE %s ALLOW_CONNECTIONS false"):format(db.name))
      wait.until_true("it is cut", function()
        cut(reader)
        return not feed().connected
      end)
      body()
      admin:exec(("ALTER DATABASE %s ALLOW_CONNECTIONS true"):format(db.name))
      reader:close()
      admin:close()
      await_replayed()
    end

    setup(function()
      primary = postgres.start()
      if place == "a standby" then standby = primary:standby() end
    end)

    before_each(function()
      db = primary:database()
      db:exec(TABLE)
      db:exec(tool(unpack(WATCH)))
      if place == "a pooler" then pooler = pgbouncer.start(primary, "transaction", { default_pool_size = 2 }) end
    end)

    after_each(function()
      if server then server:stop() end
      if pooler then pooler:stop() end
      server, pooler = nil, nil
      db:close()
    end)

    teardown(function()
      if standby then standby:stop() end
      primary:stop()
    end)

    it("tells of insert, update, delete and truncate, and of nothing that is rolled back", function()
      start()
      assert.equal("m1", expect.value(cache:get "member:1").name)
      expect.value(cache:set("board", "b", { tags = { "team:blue" } }))
      db:exec "UPDATE members SET name = 'Anna', version = 2 WHERE id = 1"
      await_told()
      assert.equal(2, expect.value(cache:get_entry "member:1").version)
      assert.equal("b", expect.value(cache:peek "board").value)
      local events = feed().events
      db:exec "BEGIN; UPDATE members SET team = 'blue', version = 3 WHERE id = 1; ROLLBACK"
      await_told()
      assert.equal(events + 1, feed().events) -- the marker
      expect.status("hit", cache:get_entry "member:1")
      db:exec "UPDATE members SET team = 'blue', version = 4 WHERE id = 1"
      await_told()
      expect.absent(cache:peek "board")
      db:exec "DELETE FROM members WHERE id = 1"
      await_told()
      expect.absent(cache:get "member:1")
      assert.equal("m2", expect.value(cache:get "member:2").name)
      db:exec "TRUNCATE members"
      await_told()
      expect.absent(cache:get "member:2")
      assert.same({ 0, 0 }, { feed().gaps, feed().bad })
    end)

    it("of more than a thousand keys as their pattern, and of another channel's not at all", function()
      start()
      expect.value(cache:get "member:1")
      db:exec(tool("members", "--key", "x:{id}", "--log", "--channel", "another"))
      db:exec "INSERT INTO members SELECT i, 'x' FROM generate_series(101, 1101) i"
      await_told()
      expect.absent(cache:peek "member:1")
      assert.equal(2, feed().events) -- with the marker
      assert.equal(3, rows())
    end)

    it("waits for a transaction that began before others, and commits after them", function()
      start()
      local slow = session()
      slow:exec "BEGIN; SAVEPOINT a; UPDATE members SET name = 'late', version = 2 WHERE id = 1"
      for id = 1, 3 do expect.value(cache:get("member:" .. id)) end
      db:exec "UPDATE members SET name = 'soon', version = 2 WHERE id = 2"
      await_told()
      assert.equal("soon", expect.value(cache:get "member:2").name)
      expect.status("hit", cache:get_entry "member:1")
      slow:exec "SAVEPOINT b; UPDATE members SET version = 9 WHERE id = 3; ROLLBACK TO b"
      await_told()
      cut() -- its place knows of the one that is under way
      await_told()
      slow:exec "RELEASE a; COMMIT"
      slow:close()
      await_told()
      assert.equal("late", expect.value(cache:get "member:1").name)
      expect.status("hit", cache:get_entry "member:3")
      local f = feed()
      assert.same({ rows(), 0, 0 }, { f.events, f.gaps, f.bad })
    end)

    it("misses nothing and hears nothing twice of writers with savepoints that commit when they like", function()
      start()
      local open, done = {}, 0
      math.randomseed(7)
      for step = 1, 200 do
        local slot = math.random(6)
        if open[slot] then
          open[slot]:exec(math.random(4) == 1 and "ROLLBACK" or "COMMIT")
          open[slot]:close()
          open[slot] = nil
          done = done + 1
        elseif step < 190 then
          open[slot] = session()
          local id = math.random(20) + 100 * step
          open[slot]:exec(([[BEGIN; INSERT INTO members VALUES (%d, 'x'); SAVEPOINT s;
            UPDATE members SET version = 2 WHERE id = %d; %s SAVEPOINT s;
            UPDATE members SET version = 3 WHERE id = %d]]):format(id, id,
            math.random(2) == 1 and "ROLLBACK TO" or "RELEASE", id)
            :gsub("RELEASE SAVEPOINT s;", "RELEASE s;"):gsub("ROLLBACK TO SAVEPOINT s;", "ROLLBACK TO s;"))
        end
      end
      for _, s in pairs(open) do
        s:exec "COMMIT"
        s:close()
      end
      assert.is_true(done > 50)
      await_told()
      local f = feed()
      assert.same({ rows(), 0, 0 }, { f.events, f.gaps, f.bad })
    end)

    it("race 6: a cut leaves no gap: what came meanwhile is told of, and nothing goes stale", function()
      start()
      for id = 1, 2 do expect.value(cache:get("member:" .. id)) end
      closed(function() db:exec "UPDATE members SET name = 'Anna', version = 2 WHERE id = 1" end)
      await_up()
      assert.equal("Anna", expect.value(cache:get "member:1").name)
      expect.status("hit", cache:get_entry "member:2")
      local f = feed()
      assert.same({ rows(), 0 }, { f.events, f.gaps })
    end)

    it("race 6: whoever empties the log, or takes rows out of it, makes a gap", function()
      start()
      for gaps, sql in ipairs { "TRUNCATE rtcache_log", "DELETE FROM rtcache_log" } do
        expect.value(cache:get "member:1")
        db:exec(sql)
        await_up(gaps)
        await_told()
        assert.equal(gaps, feed().gaps)
        wait.until_true("it is loaded again", function()
          return expect.value(cache:get_entry "member:1").status == "hit"
        end)
      end
    end)

    it("race 6: what could not be logged is a gap, until its writer is done, and no reason to fail", function()
      start()
      expect.value(cache:get "member:1")
      local slow = session()
      slow:exec "BEGIN; SET rtcache.notify = off; UPDATE members SET name = 'Anna', version = 2 WHERE id = 1"
      await_up(1)
      assert.equal("m1", expect.value(cache:get "member:1").name)
      local gaps = feed().gaps
      wait.until_true("it goes on", function() return feed().gaps > gaps end)
      slow:exec "COMMIT"
      slow:close()
      wait.until_true("it is loaded again", function() return cache:get("member:1").name == "Anna" end)
      -- The log is gone, and comes again.
      db:exec "DROP TABLE rtcache_log; UPDATE members SET name = 'Ann', version = 3 WHERE id = 1"
      wait.until_true("it is down", function() return not feed().connected end)
      wait.until_true("it says why", function()
        return server:log():find('relation \\"rtcache_log\\" does not', 1, true)
      end)
      gaps = feed().gaps
      db:exec(tool(unpack(WATCH)))
      await_up(gaps + 1)
      wait.until_true("it is loaded again", function() return cache:get("member:1").name == "Ann" end)
      db:exec "UPDATE members SET name = 'Anne', version = 4 WHERE id = 1"
      await_told()
      assert.equal("Anne", expect.value(cache:get "member:1").name)
    end)

    it("race 6: a restart leaves no gap: what came meanwhile is told of before the first answer", function()
      start()
      for id = 1, 2 do expect.value(cache:get("member:" .. id)) end
      local events
      cache = restart.clean(server, function()
        db:exec "UPDATE members SET name = 'Anna', version = 2 WHERE id = 1"
        events = rows()
        await_replayed()
      end)
      expect.status("hit", cache:get_entry "member:2")
      assert.equal("Anna", expect.value(cache:get "member:1").name)
      local f = feed()
      assert.same({ events, 0 }, { f.events, f.gaps })
      -- What was purged meanwhile is lost to it, and nothing that it feeds is proven.
      expect.value(cache:get "member:1")
      cache = restart.clean(server, function()
        db:exec "UPDATE members SET name = 'Anne', version = 3 WHERE id = 1; SELECT rtcache_log_purge('0 s', 1000)"
        await_replayed()
      end)
      assert.equal("Anne", expect.value(cache:get "member:1").name)
      expect.status("miss", cache:get_entry "member:2")
    end)

    it("race 6: what was purged while it was cut is a gap", function()
      start()
      expect.value(cache:get "member:1")
      closed(function()
        db:exec "UPDATE members SET name = 'Anna', version = 2 WHERE id = 1"
        assert.equal("1", db:value "SELECT rtcache_log_purge('0 s', 1000)")
        assert.equal(0, rows())
      end)
      await_up(1)
      wait.until_true("it is loaded again", function() return cache:get("member:1").name == "Anna" end)
    end)
  end)
end
