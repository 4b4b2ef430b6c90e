-- What a watch writes to a log, in the database alone; 29 has a server that reads it.

local Server = require "spec.support.server"
local postgres = require "spec.support.postgres"
local process = require "spec.support.process"

local function tool(...)
  local status, text = process.run { Server.tool, "watch-sql", ... }
  assert(status == 0, text)
  return text
end

describe("watch-sql --log", function()
  local cluster, db

  local function watch(...) return db:exec(tool(...)) end

  -- What a statement told, in the order of its text.
  local function told(sql)
    local payloads = {}
    for _, line in ipairs(db:exec(sql)) do
      payloads[#payloads + 1] = line:match '^Asynchronous notification "rtcache" with payload "(.*)" received from'
    end
    table.sort(payloads)
    return payloads
  end

  local function refused(sql)
    local ok, err = pcall(db.exec, db, sql)
    assert.is_false(ok)
    -- The error, and what the session printed after it; not the statement, which has words of its own.
    return err:match "^[^\n]*" .. "\n" .. table.concat(db:exec "SELECT 1", "\n")
  end

  local function missed() return db:number "SELECT coalesce(sum(last_value), 0) FROM pg_sequences" end

  setup(function() cluster = postgres.start() end)
  teardown(function() cluster:stop() end)
  before_each(function()
    db = cluster:database()
    db:exec [[
      CREATE TABLE users (id bigint PRIMARY KEY, email text, team text, version bigint NOT NULL DEFAULT 1);
      LISTEN rtcache;]]
  end)
  after_each(function() db:close() end)

  local function logged(sql)
    db:exec "DELETE FROM rtcache_log"
    db:exec(sql)
    return db:exec [[SELECT e FROM rtcache_log ORDER BY e::text COLLATE "C"]]
  end

  it("what it would tell of, beside a watch that notifies", function()
    watch("users", "--key", "user:{id}", "--version", "version", "--tag", "team:{team}", "--log")
    watch("users", "--key", "user:{id}")
    assert.same({ '{"k": "user:1", "t": ["team:red"], "v": 1}' }, logged "INSERT INTO users VALUES (1, 'a', 'red')")
    assert.same({ '{"k": "user:1", "t": ["team:red"], "v": 2}' }, logged "UPDATE users SET version = 2")
    assert.same({ '{"k": "user:1", "t": ["team:red", "team:blue"], "v": 3}' },
      logged "UPDATE users SET version = 3, team = 'blue'")
    assert.same({ '{"k": "user:1"}', '{"k": "user:2", "v": 9}', '{"t": ["team:blue"]}' },
      logged "UPDATE users SET id = 2, version = 9")
    assert.same({ '{"k": "user:2"}', '{"k": "user:3", "v": 9}', '{"k": "user:4", "v": 1}', '{"t": ["team:blue"]}' },
      logged [[WITH i AS (INSERT INTO users VALUES (4)) UPDATE users SET id = 3]])
    assert.same({ '{"k":"user:3"}', '{"k":"user:4"}' }, told "DELETE FROM users")
    assert.same({ '{"m": "user:*"}', '{"t": "*"}' }, logged "TRUNCATE users")
    db:exec "SET session_replication_role = replica"
    assert.same({ '{"k": "user:7", "v": 1}' }, logged "INSERT INTO users VALUES (7)")
    db:exec "RESET session_replication_role"
    local list = table.concat(watch "--list", "\n")
    assert.matches("%-%-channel 'rtcache' %-%-log 'rtcache_log'", list)
    watch("users", "--key", "user:{id}", "--log", "--drop")
    assert.same({}, logged "DELETE FROM users")
    assert.same({ '{"k":"user:8"}' }, told "INSERT INTO users VALUES (8)")
  end)

  it("without a transaction id of a statement's own", function()
    watch("users", "--key", "user:{id}", "--log")
    local before = db:number "SELECT pg_snapshot_xmax(pg_current_snapshot())::text"
    db:exec "BEGIN; INSERT INTO users SELECT i FROM generate_series(1, 500) i"
    for i = 1, 100 do db:exec("UPDATE users SET team = 'x' WHERE id = " .. i) end
    db:exec "COMMIT"
    assert.equal(before + 1, db:number "SELECT pg_snapshot_xmax(pg_current_snapshot())::text")
    assert.equal(1, db:number "SELECT count(DISTINCT xid) FROM rtcache_log")
  end)

  it("and no write fails, whatever became of the log: it leaves word", function()
    watch("users", "--key", "user:{id}", "--log")
    local word = missed()
    for _, harm in ipairs {
      "ALTER TABLE rtcache_log RENAME e TO f", "ALTER TABLE rtcache_log RENAME f TO e; DROP TABLE rtcache_log",
    } do
      db:exec(harm)
      db:exec "INSERT INTO users VALUES (1); DELETE FROM users"
      assert.is_true(missed() ~= word)
      word = missed()
    end
    watch("users", "--key", "user:{id}", "--log")
    assert.same({ '{"k": "user:1", "v": 1}' }, (function()
      watch("users", "--key", "user:{id}", "--version", "version", "--log")
      return logged "INSERT INTO users VALUES (1)"
    end)())
    assert.equal(word, missed())
  end)

  it("of one row as of many: what is too long, what did not grow, what is nothing", function()
    watch("users", "--key", "user:{id}", "--version", "version", "--tag", "team:{team}",
      "--tag", "mail:{email}", "--log")
    assert.same({ '{"k": "user:1", "t": ["team:red"], "v": 5}' },
      logged "INSERT INTO users VALUES (1, NULL, 'red', 5)")
    assert.same({ '{"k": "user:1", "t": ["team:red"]}' }, logged "UPDATE users SET version = 4")
    assert.same({}, logged "UPDATE users SET version = 5 WHERE id = 7")
    assert.same({}, logged "DELETE FROM users WHERE id = 7")
    local long = ("x"):rep(200) -- two of them are no one's short tags
    local rows = logged(("INSERT INTO users VALUES (3, '%s', '%s', 6)"):format(long, long))
    assert.equal('{"k": "user:3", "v": 6}', rows[1])
    assert.matches("team:" .. long, rows[2])
    assert.matches("mail:" .. long, rows[2])
    assert.same({ 2, '{"k": "user:3"}' }, (function()
      rows = logged "DELETE FROM users WHERE id = 3"
      return { #rows, rows[1] }
    end)())
    db:exec "DELETE FROM users"
    assert.same({ '{"k": "user:2", "t": ["team:red"], "v": 1}' }, logged "INSERT INTO users VALUES (2, NULL, 'red')")
    assert.same({ '{"k": "user:2", "t": ["team:red"]}' }, logged "DELETE FROM users")
  end)

  it("and no write waits for a log that is locked longer than its lock_timeout", function()
    watch("users", "--key", "user:{id}", "--log")
    local other, word = cluster:open(db.name), missed()
    other:exec "BEGIN; LOCK TABLE rtcache_log IN SHARE MODE"
    for _, sql in ipairs { "INSERT INTO users VALUES (1)", "UPDATE users SET team = 'x'", "DELETE FROM users" } do
      db:exec("SET lock_timeout = '10ms'; " .. sql)
      assert.is_true(missed() ~= word)
      word = missed()
    end
    other:exec "ROLLBACK"
    other:close()
  end)

  it("by a text that no setting changes, whatever became of a column's type", function()
    db:exec "CREATE TABLE days (day timestamptz, n bigint)"
    watch("days", "--key", "day:{day}", "--log")
    watch("users", "--key", "user:{id}", "--log")
    db:exec "SET DateStyle = German; SET TimeZone = 'Asia/Kolkata'; SET extra_float_digits = -15"
    assert.same({ '{"k": "day:2024-02-29 12:30:00+00"}' }, logged "INSERT INTO days VALUES ('2024-02-29 12:30:00+00')")
    assert.same({ '{"k": "user:1"}' }, logged "INSERT INTO users VALUES (1)")
    for _, kind in ipairs { "text", "integer USING 1", "bigint" } do
      db:exec("ALTER TABLE users ALTER id TYPE " .. kind)
      assert.same({ '{"k": "user:1"}' }, logged "UPDATE users SET team = 'x'")
    end
    for _, kind in ipairs { "double precision", "timestamptz USING '2024-02-29 12:30:00+00'" } do
      db:exec("ALTER TABLE users ALTER id TYPE " .. kind)
      assert.same({ '{"m": "user:*"}' }, logged "UPDATE users SET team = 'x'")
      assert.equal(0, missed())
    end
    watch("users", "--key", "user:{id}", "--log")
    assert.same({ '{"k": "user:2024-02-29 12:30:00+00"}' }, logged "UPDATE users SET team = 'y'")
  end)

  it("that is another one once somebody has taken out what may not have been read", function()
    watch("users", "--key", "user:{id}", "--log")
    local function id() return db:value "SELECT id FROM rtcache_log_meta" end
    for i = 1, 4 do db:exec(("INSERT INTO users VALUES (%d)"):format(i)) end
    local was = id()
    assert.equal("2", db:value "SELECT rtcache_log_purge('0 s', 1)") -- with the one that it begins at
    assert.equal("2", db:value "SELECT rtcache_log_purge('0 s', 1)")
    assert.equal("0", db:value "SELECT rtcache_log_purge('0 s', 1)")
    assert.equal(was, id())
    for _, sql in ipairs { "DELETE FROM rtcache_log", "TRUNCATE rtcache_log", "UPDATE rtcache_log SET e = '{}'" } do
      db:exec(sql)
      assert.is_true(id() ~= was)
      was = id()
    end
  end)

  it("whose rows of a transaction that is open are not purged, nor those after it", function()
    watch("users", "--key", "user:{id}", "--log")
    local slow = cluster:open(db.name)
    slow:exec "BEGIN; INSERT INTO users VALUES (1)"
    db:exec "INSERT INTO users VALUES (2)"
    assert.equal("0", db:value "SELECT rtcache_log_purge('0 s', 1000)")
    slow:exec "COMMIT"
    slow:close()
    assert.equal("0", db:value "SELECT rtcache_log_purge('1 h', 1000)")
    assert.equal("2", db:value "SELECT rtcache_log_purge('0 s', 1000)")
  end)

  it("that is no log, or is another's, is refused with a reason", function()
    db:exec "CREATE TABLE other (id int)"
    assert.matches("other is no log of rtcache", refused(tool("users", "--key", "user:{id}", "--log", "other")))
    assert.equal("0", db:value "SELECT count(*) FROM pg_trigger WHERE NOT tgisinternal")
    watch("users", "--key", "user:{id}", "--log")
    db:exec [[CREATE ROLE keeper; CREATE TABLE theirs (id int); ALTER TABLE theirs OWNER TO keeper;
      GRANT USAGE ON SEQUENCE rtcache_missed TO keeper; GRANT CREATE ON SCHEMA public TO keeper; SET ROLE keeper]]
    assert.matches("keeper may not write to the log public.rtcache_log",
      refused(tool("theirs", "--key", "t:{id}", "--log")))
    db:exec "RESET ROLE; GRANT INSERT ON rtcache_log TO keeper; SET ROLE keeper"
    watch("theirs", "--key", "t:{id}", "--log")
    db:exec "INSERT INTO theirs VALUES (1); RESET ROLE"
    assert.equal('{"k": "t:1"}', db:value "SELECT e FROM rtcache_log")
  end)
end)
