local Server = require "spec.support.server"
local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local files = require "spec.support.files"
local wait = require "spec.support.wait"

local GATE = 63

-- What the value is decides what the script does; `written` is what the source has taken.
local WRITER = [[
local does = {}
function does.sleep(_, ctx) ctx.db:exec "INSERT INTO written VALUES ('sleep')" rtcache.sleep(60) end
does["sleep first"] = function() rtcache.sleep(60) end
does["spin"] = function() while true do end end
does["throw"] = function() local none; return none.field end
does["say no"] = function() return nil, "not today" end
does["bad table"] = function(_, ctx) ctx.db:exec("UPDATE nowhere SET a = 1") end
does["bad parameter"] = function(_, ctx) ctx.db:exec("INSERT INTO numbers VALUES ($1)", "a\0b") end
does["bad cast"] = function(_, ctx) ctx.db:exec("INSERT INTO numbers VALUES ($1)", "abc") end
does["twice the same"] = function(_, ctx) ctx.db:exec "INSERT INTO numbers VALUES (1), (1)" end
does["deferred"] = function(_, ctx) ctx.db:exec "INSERT INTO child VALUES (77)" end
does["large"] = function(_, ctx)
  return ctx.db:row "INSERT INTO written VALUES ('large') RETURNING repeat('x', 100000) AS x"
end
does["down"] = function() rtcache.backend("down"):exec "UPDATE a SET b = 1" end
does["false"] = function(_, ctx) ctx.db:exec "INSERT INTO written VALUES ('false')" return false end
does["then refused"] = function(_, ctx)
  ctx.db:exec "INSERT INTO written VALUES ('first')"
  ctx.db:exec("INSERT INTO numbers VALUES ($1)", "abc")
end
does["then throw"] = function(_, ctx) ctx.db:exec "INSERT INTO written VALUES ('throw')" error "too late" end
does["unknown by itself"] = function() return nil, { code = "WRITE_UNKNOWN", message = "the bank is silent" } end
does["gate"] = function(_, ctx)
  ctx.db:exec "INSERT INTO written SELECT 'gate' FROM pg_advisory_xact_lock_shared(63)"
end

local function save(key, value, ctx) return does[value](key, ctx) end

return {
  load = function(key, ctx)
    ctx.db:exec("INSERT INTO loads (key) VALUES ($1)", key)
    return ctx.db:value("SELECT value FROM source WHERE key = $1", key)
  end,
  save = save,
  remove = function(key, ctx) ctx.db:exec("DELETE FROM nowhere WHERE key = $1", key) end,
}
]]

describe("a write that failed", function()
  local server, source, cache

  setup(function()
    server, source = Source.postgres({
      scripts = { ["writer.lua"] = WRITER },
      backends = { down = { driver = "postgres", url = "host=/nonexistent" } },
      loaders = {
        { pattern = "w:*", script = "writer.lua", ttl = "60s", write_timeout = "60s" },
        { pattern = "kept:*", script = "writer.lua", ttl = "1ms", stale_if_error = "1h", write_timeout = "60s" },
        { pattern = "brief:*", script = "writer.lua", ttl = "60s", write_timeout = "100ms" },
        -- long enough that a query is answered before it, on a machine that is busy, too
        { pattern = "answered:*", script = "writer.lua", ttl = "60s", write_timeout = "3s" },
        { pattern = "read:*", ttl = "60s" },
      },
      options = {
        defaults = { retries = 0, backoff_base = "1ms", backoff_cap = "1ms" },
        script_cpu = "50ms",
        loader_threads = 1, -- each has a connection of its own, and one write must wait for another's
      },
    }, nil, { max_result = "64kb", pool = 1 })
    source.db:exec [[
      CREATE TABLE written (what text);
      CREATE TABLE numbers (n int PRIMARY KEY);
      CREATE TABLE parent (id int PRIMARY KEY);
      CREATE TABLE child (id int REFERENCES parent (id) DEFERRABLE INITIALLY DEFERRED);
    ]]
    cache = server:connect()
  end)
  teardown(function()
    source:close()
    server:stop()
  end)
  after_each(function() source:open_gates() end)

  local function counter(name) return expect.value(cache:stats()).counters[name] end

  local function stored(key)
    source:put(key, "OLD")
    assert.equal("OLD", expect.value(cache:get(key)))
  end

  local function is_kept(key) assert.equal("OLD", expect.value(cache:peek(key)).value) end

  -- The next load is kept: no doubt is left of the write.
  local function is_dropped(key)
    expect.absent(cache:peek(key))
    expect.value(cache:get(key))
    is_kept(key)
  end

  local nothing = {
    { "say no", "LOAD_FAILED", "not today" },
    { "throw", "SCRIPT_ERROR", "attempt to index" },
    { "spin", "SCRIPT_ERROR", "stopped after 50 ms" },
    { "bad table", "BACKEND_ERROR", "42P01" },
    { "bad parameter", "BAD_VALUE", "$1" },
    { "bad cast", "BACKEND_ERROR", "22P02" },
    { "twice the same", "BACKEND_ERROR", "23505" },
    { "deferred", "BACKEND_ERROR", "23503" },
    { "down", "BACKEND_DOWN", "down" },
  }
  for _, case in ipairs(nothing) do
    it(("(%s) is known not to have happened: the entry stays"):format(case[1]), function()
      local unknown = counter "writes_unknown"
      stored("w:" .. case[1])
      expect.error(case[2], { "w:" .. case[1], case[3] }, cache:put("w:" .. case[1], case[1]))
      is_kept("w:" .. case[1])
      assert.equal(unknown, counter "writes_unknown")
      assert.equal(0, source.db:number "SELECT count(*) FROM written")
    end)
  end

  it("of a delete likewise", function()
    stored "w:gone"
    expect.error("BACKEND_ERROR", "42P01", cache:delete "w:gone")
    is_kept "w:gone"
  end)

  it("leaves the copy that stale_if_error protects, though it is past its time", function()
    stored "kept:1"
    wait.until_true("it is past its time", function() return cache:peek("kept:1").status ~= "hit" end)
    expect.error("BACKEND_DOWN", "kept:1", cache:put("kept:1", "down"))
    is_kept "kept:1"
  end)

  local something = {
    { "then refused", "BACKEND_ERROR", "22P02" },
    { "then throw", "LOAD_FAILED", "too late" },
    { "false", "SCRIPT_ERROR", "save returned false" },
    { "large", "TOO_LARGE", "max_result" },
  }
  for _, case in ipairs(something) do
    it(("(%s) after a query of it took effect has its own error, and drops the entry"):format(case[1]), function()
      local unknown = counter "writes_unknown"
      stored("w:" .. case[1])
      expect.error(case[2], { "w:" .. case[1], case[3] }, cache:put("w:" .. case[1], case[1]))
      is_dropped("w:" .. case[1])
      assert.equal(unknown, counter "writes_unknown")
      assert.equal(1, source.db:number "SELECT count(*) FROM written")
      source.db:exec "DELETE FROM written"
    end)
  end

  it("past write_timeout is known where nothing was sent, and where all was answered", function()
    stored "brief:1"
    expect.error("TIMEOUT", { "brief:1", "write_timeout" }, cache:put("brief:1", "sleep first"))
    is_kept "brief:1"
    stored "answered:1"
    expect.error("TIMEOUT", { "answered:1", "write_timeout" }, cache:put("answered:1", "sleep"))
    is_dropped "answered:1"
    source.db:exec "DELETE FROM written"
  end)

  it("past write_timeout in the queue of the pool was never sent; in the database it is unknown", function()
    stored "brief:2"
    stored "brief:3"
    source.db:shut(GATE)
    local first = cache:send("put", "w:2", "gate") -- has the one connection
    source:await_gate(GATE)
    expect.error("TIMEOUT", { "brief:2", "write_timeout" }, cache:put("brief:2", "gate"))
    is_kept "brief:2"
    source.db:open(GATE)
    expect.value(cache:receive(first))
    source.db:shut(GATE)
    expect.error("WRITE_UNKNOWN", { "brief:3", "TIMEOUT" }, cache:put("brief:3", "gate"))
    expect.absent(cache:peek "brief:3")
    source.db:open(GATE)
    wait.until_true("the one in the air has ended", function()
      return source.db:number [[SELECT count(*) FROM pg_stat_activity
        WHERE datname = current_database() AND state = 'active' AND query LIKE 'INSERT INTO written%']] == 0
    end)
    source.db:exec "DELETE FROM written"
  end)

  it("past its client's deadline before its turn came is not begun any more", function()
    stored "w:turn"
    source.db:shut(GATE)
    local first = cache:send("put", "w:turn", "gate")
    source:await_gate(GATE)
    expect.error("TIMEOUT", { "w:turn", "nothing was written" }, cache:put("w:turn", "gate", { timeout_ms = 20 }))
    expect.error("WRITE_UNKNOWN", "it goes on", server:connect():put("w:air", "gate", { timeout_ms = 20 }))
    source.db:open(GATE)
    expect.value(cache:receive(first))
    wait.until_true("the one in the air has taken place", function()
      return source.db:number "SELECT count(*) FROM written" == 2
    end)
    source.db:exec "DELETE FROM written"
  end)

  it("is unknown where the script says so", function()
    stored "w:bank"
    expect.error("WRITE_UNKNOWN", "the bank is silent", cache:put("w:bank", "unknown by itself"))
    expect.absent(cache:peek "w:bank")
  end)

  it("is not counted where no script could take it", function()
    local failed, begun = counter "writes_failed", counter "writes"
    expect.error("BAD_REQUEST", '"save"', cache:put("read:1", "x"))
    expect.error("BAD_REQUEST", '"remove"', cache:delete "read:1")
    expect.error("NO_LOADER", "nobody:1", cache:put("nobody:1", "x"))
    assert.equal(failed, counter "writes_failed")
    assert.equal(begun, counter "writes")
  end)

  it("of which the connection was cut in the middle is unknown", function()
    stored "w:cut"
    source.db:shut(GATE)
    local id = cache:send("put", "w:cut", "gate")
    source:await_gate(GATE)
    source.db:exec [[SELECT pg_terminate_backend(pid) FROM pg_locks
      WHERE locktype = 'advisory' AND NOT granted
        AND database = (SELECT oid FROM pg_database WHERE datname = current_database())]]
    expect.error("WRITE_UNKNOWN", { "w:cut", "BACKEND_DOWN" }, cache:receive(id))
    expect.absent(cache:peek "w:cut")
  end)

  it("to a table of SQLite that refuses it, or to a file that is busy, is known", function()
    local lite, rows = Source.sqlite {
      scripts = { ["lite.lua"] = [[
        return {
          load = function(key, ctx) return ctx.db:value("SELECT value FROM source WHERE key = $1", key) end,
          save = function(key, value, ctx)
            ctx.db:exec("UPDATE source SET value = $2 WHERE key = $1", key, value)
            ctx.db:exec("INSERT INTO source (key) VALUES ($1)", key)
          end,
        }
      ]] },
      loaders = { { pattern = "u:*", script = "lite.lua", ttl = "60s" } },
    }
    lite.options.backends.main.busy_timeout = "10ms"
    lite:write_conf(lite.options)
    local client = lite:connect()
    expect.value(client:reload())
    rows:put("u:1", "OLD")
    assert.equal("OLD", expect.value(client:get "u:1"))
    expect.error("BACKEND_ERROR", "UNIQUE", client:put("u:1", "NEW")) -- the first has taken place
    expect.absent(client:peek "u:1")
    assert.equal("NEW", expect.value(client:get "u:1"))
    expect.error("BACKEND_ERROR", "NOT NULL", client:put("u:1", require("rtcache.client").null))
    assert.equal("NEW", expect.value(client:peek "u:1").value)
    rows.db:exec "BEGIN IMMEDIATE"
    expect.error("BACKEND_DOWN", { "u:1", "locked" }, client:put("u:1", "newest"))
    assert.equal("NEW", expect.value(client:peek "u:1").value)
    rows.db:exec "ROLLBACK"
    rows:close()
    lite:stop()
  end)
end)

describe("the example of a save in the documentation", function()
  it("tells of a row that is not there, and of one that has changed", function()
    local text = files.read "docs/loaders.md"
    local code = assert(text:match "## Writing.-```lua\n(.-)```", "the example is not there")
    local server, source = Source.postgres {
      scripts = { ["user.lua"] = "return { load = function(_, ctx) return ctx.db:row("
        .. "'SELECT id, name, version FROM users WHERE id = $1 AND NOT deleted', ctx.match[1]) end,\n" .. code .. "}" },
      loaders = { { pattern = "user:*", script = "user.lua", ttl = "60s" } },
    }
    source.db:exec [[CREATE TABLE users (id int PRIMARY KEY, name text, version bigint, deleted boolean DEFAULT false);
      INSERT INTO users VALUES (1, 'ann', 7)]]
    local cache = server:connect()
    assert.same({ version = 8, stored = true }, expect.value(cache:put("user:1", { name = "bob" })))
    assert.equal("bob", expect.status("hit", cache:get_entry "user:1").value.name)
    expect.error("VERSION_CONFLICT", "user:1", cache:put("user:1", { name = "carl" }, { version = 7 }))
    assert.same({ version = 9, stored = true },
      expect.value(cache:put("user:1", { name = "dora" }, { version = 8 })))
    expect.error("NOT_FOUND", "user:2", cache:put("user:2", { name = "nobody" }))
    expect.error("NOT_FOUND", "user:2", cache:delete "user:2")
    expect.value(cache:delete "user:1")
    expect.error("NOT_FOUND", "user:1", cache:delete "user:1")
    source:close()
    server:stop()
  end)
end)

describe("the script user.lua that ships", function()
  it("tells of a user that is not there, and of one that has changed", function()
    local server = Server.start {
      scripts = { ["user.lua"] = files.read "scripts/user.lua" },
      files = { ["demo.sql"] = files.read "scripts/demo.sql" },
      backends = { main = { driver = "sqlite", path = "demo.db", init = "demo.sql" } },
      loaders = { { pattern = "user:{id:int}", script = "user.lua", backend = "main", ttl = "60s" } },
    }
    local cache = server:connect()
    local version = expect.value(cache:get_entry "user:1").version
    local ann = { name = "Ann", email = "ann@example.org" }
    local outcome = expect.value(cache:put("user:1", ann, { version = version }))
    assert.is_true(outcome.stored)
    assert.is_true(outcome.version > version)
    assert.equal("Ann", expect.status("hit", cache:get_entry "user:1").value.name)
    expect.error("VERSION_CONFLICT", "user:1", cache:put("user:1", ann, { version = version }))
    expect.error("VERSION_CONFLICT", "user:1", cache:delete("user:1", { version = version }))
    expect.error("NOT_FOUND", "user:999999", cache:put("user:999999", ann))
    expect.error("NOT_FOUND", "user:999999", cache:delete "user:999999")
    expect.error("BAD_REQUEST", "name and email", cache:put("user:1", "Ann"))
    assert.equal("Ann", expect.value(cache:get "user:1").name)
    expect.value(cache:delete "user:1")
    expect.absent(cache:get "user:1")
    server:stop()
  end)
end)
