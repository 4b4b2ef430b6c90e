local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local postgres = require "spec.support.postgres"
local wait = require "spec.support.wait"

local GATE = 28

-- The value decides what happens; the database decides what is stored.
local WRITER = [[
local load = ...
local function pass_gate(ctx, key)
  local gate = ctx.db:value("SELECT gate FROM source WHERE key = $1", key)
  if gate and gate ~= 0 then
    ctx.db:value("SELECT 1 AS passed FROM pg_advisory_xact_lock_shared($1)", gate)
  end
end

local UPSERT = "INSERT INTO source (key, value, version) VALUES ($1, upper($2), 1) "
  .. "ON CONFLICT (key) DO UPDATE SET value = upper($2), version = source.version + 1 RETURNING value, version"

return {
  load = function(key, ctx)
    ctx.db:exec("INSERT INTO loads (key) VALUES ($1)", key)
    local row = ctx.db:row("SELECT value, version FROM source WHERE key = $1", key)
    if not row then return nil end
    if key ~= "user:race" then return row.value, { version = row.version, tags = { "all" } } end
    pass_gate(ctx, key)
    return row.value, { tags = { "all" } } -- no version, by which it would be known to be older
  end,
  save = function(key, value, ctx)
    if value == "refuse at once" then return nil, "not today" end
    if value ~= "past the gate" then pass_gate(ctx, key) end
    if ctx.version then
      local row = ctx.db:row("UPDATE source SET value = upper($2), version = version + 1 "
        .. "WHERE key = $1 AND version = $3 RETURNING value, version", key, value, ctx.version)
      if not row then return nil, { code = "VERSION_CONFLICT", message = "somebody was faster" } end
      return row.value, { version = row.version, tags = { "all" } }
    end
    local row = ctx.db:row(UPSERT, key, value)
    if value == "fail after" then error "after the query" end
    if value == "tell nothing" then return end
    if value == "tell a version" then return true, { version = row.version } end
    return row.value, { version = row.version, tags = { "all" } }
  end,
  remove = function(key, ctx)
    local row = ctx.db:row("DELETE FROM source WHERE key = $1 RETURNING version", key)
    return true, { version = row and row.version + 1 or nil }
  end,
}
]]

describe("a write", function()
  local cluster, server, source, cache

  setup(function()
    cluster = postgres.start()
    server, source = Source.postgres({
      scripts = { ["writer.lua"] = WRITER },
      loaders = {
        { pattern = "user:*", script = "writer.lua", ttl = "60s", negative_ttl = "60s", write_timeout = "60s" },
        { pattern = "inv:*", script = "writer.lua", ttl = "60s", write = "invalidate" },
        { pattern = "none:*", script = "writer.lua", ttl = "60s", write = "none" },
        { pattern = "brief:*", script = "writer.lua", ttl = "60s", write_timeout = "1s" },
        { pattern = "read:*", ttl = "60s" },
      },
      options = { defaults = { retries = 0, backoff_base = "1ms", backoff_cap = "1ms" } },
    }, cluster)
    cache = server:connect()
  end)
  teardown(function()
    source:close()
    server:stop()
    cluster:stop()
  end)
  after_each(function() source:open_gates() end)

  local function stored_value(key) return source.db:value("SELECT value FROM source WHERE key = '" .. key .. "'") end

  local function counter(name) return expect.value(cache:stats()).counters[name] end

  it("goes to the source, and the row that came back is what the next get finds", function()
    local outcome = expect.value(cache:put("user:1", "ann"))
    assert.same({ version = 1, stored = true }, outcome)
    assert.equal("ANN", stored_value "user:1")
    local entry = expect.status("hit", cache:get_entry "user:1")
    assert.equal("ANN", entry.value)
    assert.equal(1, entry.version)
    assert.equal(0, source:loads "user:1")
    assert.same({ version = 2, stored = true }, expect.value(cache:put("user:1", "bob")))
    assert.equal("BOB", expect.value(cache:get "user:1"))
  end)

  it("kills what is known to be absent", function()
    expect.absent(cache:get "user:absent")
    expect.value(cache:put("user:absent", "here"))
    assert.equal("HERE", expect.value(cache:get "user:absent"))
  end)

  it("without a row or a version drops the entry, so that the next get loads it", function()
    expect.value(cache:put("user:2", "ann"))
    assert.same({ stored = false }, expect.value(cache:put("user:2", "tell nothing")))
    expect.absent(cache:peek "user:2")
    assert.equal("TELL NOTHING", expect.value(cache:get "user:2"))
    assert.same({ version = 3, stored = false }, expect.value(cache:put("user:2", "tell a version")))
    assert.equal("TELL A VERSION", expect.value(cache:get "user:2"))
  end)

  it("of a binding with write = invalidate drops the entry, with none leaves it", function()
    for _, key in ipairs { "inv:1", "none:1" } do
      source:put(key, "OLD", { version = 1 })
      assert.equal("OLD", expect.value(cache:get(key)))
      assert.same({ version = 2, stored = false }, expect.value(cache:put(key, "new")))
    end
    assert.equal("NEW", expect.value(cache:get "inv:1"))
    assert.equal("OLD", expect.value(cache:get "none:1"))
  end)

  it("carries the tags of its row", function()
    expect.value(cache:put("user:tagged", "ann"))
    expect.value(cache:invalidate_tag "all")
    expect.absent(cache:peek "user:tagged")
  end)

  it("can ask for the version that its client has seen", function()
    expect.value(cache:put("user:seen", "one"))
    assert.same({ version = 2, stored = true }, expect.value(cache:put("user:seen", "two", { version = 1 })))
    expect.error("VERSION_CONFLICT", { "user:seen", "somebody was faster" },
      cache:put("user:seen", "three", { version = 1 }))
    assert.equal("TWO", stored_value "user:seen")
  end)

  it("of a delete leaves nothing, and the absence is kept", function()
    expect.value(cache:put("user:gone", "ann"))
    assert.same({ version = 2, stored = false }, expect.value(cache:delete "user:gone"))
    expect.absent(cache:get "user:gone")
    assert.equal(1, source:loads "user:gone")
    expect.absent(cache:get "user:gone")
    assert.equal(1, source:loads "user:gone")
  end)

  it("race 13: two on one key are one after the other, and the last version is what stays", function()
    source:put("user:turn", "ZERO", { version = 1, gate = GATE })
    source.db:shut(GATE)
    local a, b = server:connect(), server:connect()
    local first = a:send("put", "user:turn", "first")
    source:await_gate(GATE)
    local second = b:send("put", "user:turn", "second")
    -- The second has come (its connection answers later requests) and has not begun.
    expect.value(b:put("user:after the second", "x"))
    assert.equal(1, source.db:waiting(GATE))
    assert.equal("ZERO", expect.value(cache:get "user:turn"))
    source.db:open(GATE)
    assert.equal(2, expect.value(a:receive(first)).version)
    assert.equal(3, expect.value(b:receive(second)).version)
    assert.equal("SECOND", expect.value(cache:get "user:turn"))
  end)

  it("race 12: does not lose to a load that began before it", function()
    source:put("user:race", "OLD", { version = 1, gate = GATE })
    source.db:shut(GATE)
    local reader = server:connect()
    local id = reader:send("get", "user:race")
    source:await_gate(GATE) -- it has read the row
    assert.equal(2, expect.value(cache:put("user:race", "past the gate")).version)
    source.db:open(GATE)
    assert.truthy(({ OLD = true, ["PAST THE GATE"] = true })[expect.value(reader:receive(id))])
    server:await_loader("user:*", "in_flight", 0)
    assert.equal("PAST THE GATE", expect.status("hit", cache:get_entry "user:race").value)
    expect.error("VERSION_CONFLICT", "user:race", cache:set("user:race", "older", { version = 1 }))
    assert.equal("PAST THE GATE", expect.value(cache:get "user:race"))
  end)

  it("that was refused before anything was sent leaves the entry", function()
    expect.value(cache:put("user:kept", "ann"))
    expect.error("LOAD_FAILED", "not today", cache:put("user:kept", "refuse at once"))
    assert.equal("ANN", expect.status("hit", cache:get_entry "user:kept").value)
  end)

  it("that fails after a query drops the entry: the query may have taken effect", function()
    expect.value(cache:put("user:half", "ann"))
    expect.error("LOAD_FAILED", "after the query", cache:put("user:half", "fail after"))
    assert.equal("FAIL AFTER", expect.value(cache:get "user:half"))
  end)

  it("race 14: with an unknown outcome drops the entry, and says that nobody knows", function()
    source:put("brief:1", "OLD", { version = 1, gate = GATE })
    assert.equal("OLD", expect.value(cache:get "brief:1"))
    source.db:shut(GATE)
    expect.error("WRITE_UNKNOWN", { "brief:1", "write_timeout" }, cache:put("brief:1", "new"))
    expect.absent(cache:peek "brief:1")
    -- It may still take place: what is loaded meanwhile is answered, and not kept.
    assert.equal("OLD", expect.value(cache:get "brief:1"))
    expect.absent(cache:peek "brief:1")
    source.db:open(GATE)
    wait.until_true("the key is kept again", function()
      expect.value(cache:get "brief:1")
      return cache:peek "brief:1" ~= nil
    end)
    assert.equal(1, counter "writes_unknown")
  end)

  it("goes on without its client, and after its client's deadline", function()
    source:put("user:slow", "OLD", { version = 1, gate = GATE })
    source.db:shut(GATE)
    expect.error("WRITE_UNKNOWN", "it goes on", cache:put("user:slow", "new", { timeout_ms = 50 }))
    local other = server:connect()
    other:send("put", "user:slow", "newer")
    expect.value(other:ping())
    other:close()
    source.db:open(GATE)
    wait.until_true("both have taken place", function() return stored_value "user:slow" == "NEWER" end)
    wait.until_true("the cache has the last", function() return cache:get "user:slow" == "NEWER" end)
  end)

  it("is bounded: past max_writes and max_write_queue it is refused", function()
    local narrow, rows = Source.postgres({
      scripts = { ["writer.lua"] = WRITER },
      loaders = { { pattern = "few:*", script = "writer.lua", ttl = "60s", max_writes = 1, max_write_queue = 2,
        write_timeout = "60s" } },
      options = { loader_threads = 1 },
    }, cluster)
    local client = narrow:connect()
    rows:put("few:1", "OLD", { version = 1, gate = GATE })
    rows.db:shut(GATE)
    local ids = { client:send("put", "few:1", "a") }
    rows:await_gate(GATE)
    ids[2] = client:send("put", "few:1", "b")
    ids[3] = client:send("put", "few:2", "c")
    expect.error("OVERLOADED", "1 writes in the air and 2 waiting", client:put("few:3", "d"))
    rows.db:open(GATE)
    for _, id in ipairs(ids) do expect.value(client:receive(id)) end
    assert.equal("B", expect.value(client:get "few:1"))
    assert.equal("C", expect.value(client:get "few:2"))
    rows:close()
    narrow:stop()
  end)

  it("needs a loader, and one that can write", function()
    expect.error("NO_LOADER", "thing:1", cache:put("thing:1", "x"))
    expect.error("BAD_REQUEST", { "read:1", "source.lua", '"save"' }, cache:put("read:1", "x"))
    expect.error("BAD_REQUEST", { "read:1", "source.lua", '"remove"' }, cache:delete "read:1")
    expect.error("BAD_REQUEST", "put", cache:call("put", "user:1"))
    expect.error("BAD_REQUEST", "unknown option", cache:put("user:1", "x", { ttl_ms = 1 }))
  end)

  it("to a database that is down is an error, and leaves nothing behind", function()
    expect.value(cache:put("brief:down", "ann"))
    cluster:kill()
    local _, err = cache:put("brief:down", "bob")
    assert.is_true(err.code == "WRITE_UNKNOWN" or err.code == "BACKEND_DOWN", err.code)
    cluster:launch()
    source.db:reconnect()
    wait.until_true("writes again", function() return cache:put("brief:down", "carl") ~= nil end)
    wait.until_true("kept again", function()
      return cache:get "brief:down" == "CARL" and cache:peek "brief:down" ~= nil
    end)
  end)
end)
