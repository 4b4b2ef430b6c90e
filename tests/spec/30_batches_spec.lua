local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local wait = require "spec.support.wait"

local GATE = 30

-- Every call leaves its keys in `batches`, and waits at the gate that one of its rows names.
local SCRIPT = [[
local function load_many(keys, ctx)
  ctx.db:exec("INSERT INTO batches (keys, attempt) VALUES ($1, $2)", table.concat(keys, " "), ctx.attempt)
  local sql = "SELECT key, value, version, fail, gate FROM source WHERE key = ANY($1)"
  local rows = ctx.db:rows(sql, keys)
  for _, row in ipairs(rows) do
    if row.gate ~= 0 then
      ctx.db:value("SELECT 1 AS passed FROM pg_advisory_xact_lock_shared($1)", row.gate)
      rows = ctx.db:rows(sql, keys)
      break
    end
  end
  local values, options = {}, {}
  for _, row in ipairs(rows) do
    if row.fail == "batch" then error "the batch fails" end
    if row.fail == "poison" then error(rtcache.poison(row.key)) end
    if row.fail == "some key" then error(rtcache.poison()) end
    values[row.key] = row.value
    options[row.key] = {
      version = row.version ~= 0 and row.version or nil,
      tags = { "tag:" .. row.value },
      error = row.fail == "key" and "this key fails" or nil,
    }
  end
  return values, options
end
]]

describe("batches", function()
  local server, source, cache

  setup(function()
    local function loader(pattern, fields)
      local l = { pattern = pattern, script = "many.lua", retries = 0, ttl = "60s", load_timeout = "60s",
        wait_timeout = "60s", backoff_base = "1ms", backoff_cap = "1ms", breaker_failures = 0 }
      for name, v in pairs(fields or {}) do l[name] = v end
      return l
    end
    server, source = Source.postgres {
      options = { loader_threads = 1 },
      scripts = {
        ["many.lua"] = SCRIPT .. "return { load_many = load_many }",
        ["both.lua"] = SCRIPT .. [[return { load_many = load_many, load = function(key, ctx)
          ctx.db:exec("INSERT INTO batches (keys, attempt) VALUES ($1, 0)", "one " .. key)
          return "alone"
        end }]],
      },
      loaders = {
        loader("plain:*"),
        loader("ten:*", { batch_max = 10 }),
        loader("window:*", { batch_window = "1s", batch_max = 4 }),
        loader("short:*", { batch_window = "100ms" }),
        loader("retried:*", { retries = 1, retry_base = "1ms", retry_cap = "1ms" }),
        loader("narrow:*", { max_loads = 1, batch_max = 10 }),
        loader("late:*", { load_timeout = "100ms" }),
        loader("both:*", { script = "both.lua" }),
        loader("stale:*", { max_loads = 1, batch_max = 1, ttl = "20ms", stale_ttl = "10min" }),
      },
    }
    source.db:exec "CREATE TABLE batches (n SERIAL, keys TEXT NOT NULL, attempt INT NOT NULL)"
    cache = server:connect()
  end)
  teardown(function()
    source:close()
    server:stop()
  end)
  after_each(function()
    source:open_gates()
    source.db:exec "DELETE FROM batches"
  end)

  local function batches() return source.db:number "SELECT count(*) FROM batches" end

  -- The keys of each call, in the order of the calls.
  local function batched()
    return source.db:value "SELECT coalesce(string_agg(keys, ' | ' ORDER BY n), '') FROM batches"
  end

  local function keys_of(prefix, count)
    local keys = {}
    for i = 1, count do keys[i] = prefix .. i end
    return keys
  end

  it("loads the keys of a get_many together, and answers in their order", function()
    for i = 1, 250 do
      if i % 3 ~= 0 then source:put("plain:" .. i, "value " .. i) end
    end
    local items = expect.value(cache:get_many(keys_of("plain:", 250)))
    assert.equal(250, #items)
    for i, item in ipairs(items) do
      assert.is_nil(item.error)
      assert.equal(i % 3 ~= 0 and "value " .. i or nil, item.value)
    end
    assert.equal(3, batches())
    expect.value(cache:get_many(keys_of("plain:", 250)))
    assert.equal(3, batches())
    assert.equal("negative", cache:get_entry("plain:3").status)
  end)

  it("takes batch_max keys at most", function()
    expect.value(cache:get_many(keys_of("ten:", 95)))
    assert.equal(10, batches())
    assert.equal(10, source.db:number "SELECT max(cardinality(string_to_array(keys, ' '))) FROM batches")
  end)

  it("gathers what several clients ask for within the window", function()
    local other = server:connect()
    source:put("short:1", "one")
    source:put("short:2", "two")
    local first = cache:send("get", "short:1")
    local second = other:send("get", "short:2")
    assert.equal("one", expect.value(cache:receive(first)))
    assert.equal("two", expect.value(other:receive(second)))
    assert.equal(1, batches())
    other:close()
  end)

  it("does not wait for the window when the batch is full", function()
    for i = 1, 4 do source:put("window:" .. i, "v" .. i) end
    local ids = {}
    for i = 1, 4 do ids[i] = cache:send("get", "window:" .. i, { timeout_ms = 900 }) end
    for i = 1, 4 do assert.equal("v" .. i, expect.value(cache:receive(ids[i]))) end
    assert.equal(1, batches())
  end)

  it("uses load for one key, where the script has it", function()
    assert.equal("alone", expect.value(cache:get "both:1"))
    assert.equal("one both:1", batched())
    source:put("both:2", "two")
    source:put("both:3", "three")
    local items = expect.value(cache:get_many { "both:2", "both:3" })
    assert.equal("two", items[1].value)
    assert.equal("three", items[2].value)
  end)

  it("gives each key its own value, version, tags, absence or error", function()
    source:put("plain:versioned", "a", { version = 7 })
    source:put("plain:failing", "b", { fail = "key" })
    source:put("plain:tagged", "c")
    local items = expect.value(cache:get_many {
      "plain:versioned", "plain:failing", "plain:tagged", "plain:missing" })
    assert.equal("a", items[1].value)
    expect.error("LOAD_FAILED", { "plain:failing", "this key fails" }, nil, items[2].error)
    assert.equal("c", items[3].value)
    assert.is_nil(items[4].value)
    assert.is_nil(items[4].error)
    assert.equal(1, batches())
    assert.equal(7, cache:get_entry("plain:versioned").version)
    expect.value(cache:invalidate_tag "tag:c")
    assert.equal("miss", cache:get_entry("plain:tagged").status)
    assert.equal("hit", cache:get_entry("plain:versioned").status)
  end)

  it("proves nothing when it fails: each key fails, and none is absent", function()
    source:put("plain:bad", "x", { fail = "batch" })
    source:put("plain:good", "y")
    local items = expect.value(cache:get_many { "plain:bad", "plain:good", "plain:none" })
    for i = 1, 3 do expect.error("LOAD_FAILED", "the batch fails", nil, items[i].error) end
    expect.absent(cache:peek "plain:good")
    expect.absent(cache:peek "plain:none")
    source:remove "plain:bad"
    -- Each key is in a backoff of its own, for a millisecond or two.
    wait.until_true("the one is found again", function() return cache:get "plain:good" == "y" end)
    local none = wait.until_true("the other is asked for again", function() return cache:get_entry "plain:none" end)
    assert.equal("negative", none.status)
  end)

  it("is tried again as a whole", function()
    source:put("retried:1", "x", { fail = "batch" })
    source:put("retried:2", "y")
    local items = expect.value(cache:get_many { "retried:1", "retried:2" })
    expect.error("LOAD_FAILED", "the batch fails", nil, items[1].error)
    assert.equal("retried:1 retried:2 | retried:1 retried:2", batched())
    assert.equal(2, source.db:number "SELECT max(attempt) FROM batches")
  end)

  it("runs a key apart that the script names as poisonous", function()
    source:put("plain:p1", "x")
    source:put("plain:p2", "y", { fail = "poison" })
    source:put("plain:p3", "z")
    local items = expect.value(cache:get_many { "plain:p1", "plain:p2", "plain:p3" })
    assert.equal("x", items[1].value)
    assert.is_truthy(items[2].error)
    assert.equal("z", items[3].value)
    assert.equal("plain:p1 plain:p2 plain:p3 | plain:p1 plain:p3 | plain:p2", batched())
  end)

  it("halves a batch until the poisonous key is alone, where the script cannot name it", function()
    for i = 1, 8 do source:put("plain:h" .. i, "v" .. i, { fail = i == 6 and "some key" or "" }) end
    local items = expect.value(cache:get_many(keys_of("plain:h", 8)))
    for i = 1, 8 do
      if i == 6 then
        assert.is_truthy(items[i].error)
      else
        assert.equal("v" .. i, items[i].value)
      end
    end
    assert.equal(7, batches())
  end)

  it("fails each key when it takes too long, and cancels its query", function()
    source:put("late:1", "x", { gate = GATE })
    source:put("late:2", "y")
    source.db:shut(GATE)
    local items = expect.value(cache:get_many { "late:1", "late:2" })
    expect.error("LOAD_TIMEOUT", "late:1", nil, items[1].error)
    expect.error("LOAD_TIMEOUT", "late:2", nil, items[2].error)
    wait.until_true("the query is cancelled", function() return source.db:waiting(GATE) == 0 end)
  end)

  it("race 22: an invalidation voids its key of a batch in the air, and no other", function()
    source:put("plain:i1", "old", { gate = GATE })
    source:put("plain:i2", "kept")
    source.db:shut(GATE)
    local id = cache:send("get_many", { "plain:i1", "plain:i2" })
    source:await_gate(GATE)
    local other = server:connect()
    expect.value(other:ping())
    assert.equal(false, (other:invalidate "plain:i1"))
    source.db:open(GATE)
    local items = expect.value(cache:receive(id))
    assert.equal("old", items[1].value) -- asked for before the invalidation
    assert.is_nil((cache:peek "plain:i1"))
    assert.equal("hit", cache:get_entry("plain:i2").status)
    other:close()
  end)

  it("asks again for a key below its floor, and for no other", function()
    source:put("plain:f1", "old", { version = 1 })
    source:put("plain:f2", "fine", { version = 1 })
    expect.value(cache:get_many { "plain:f1" })
    cache:invalidate("plain:f1", { version = 2 })
    source.db:exec "DELETE FROM batches"
    local id = cache:send("get_many", { "plain:f1", "plain:f2" })
    wait.until_true("it is asked for again", function() return batches() > 1 end)
    source:put("plain:f1", "new", { version = 2 })
    local items = expect.value(cache:receive(id))
    assert.equal("new", items[1].value)
    assert.equal("fine", items[2].value)
    assert.equal(1, source.db:number "SELECT count(*) FROM batches WHERE keys LIKE '%plain:f2%'")
  end)

  it("does not let a large get_many hold up a single get", function()
    for i = 1, 200 do source:put("narrow:" .. i, "v") end
    source:put("narrow:first", "v", { gate = GATE })
    source:put("narrow:single", "single")
    source.db:shut(GATE)
    local first = cache:send("get", "narrow:first")
    source:await_gate(GATE)
    local bulk = cache:send("get_many", keys_of("narrow:", 200))
    server:await_loader("narrow:*", "queued", 200)
    local other = server:connect()
    local single = other:send("get", "narrow:single")
    server:await_loader("narrow:*", "queued", 201)
    source.db:open(GATE)
    assert.equal("single", expect.value(other:receive(single)))
    expect.value(cache:receive(first))
    expect.value(cache:receive(bulk))
    -- In the first batch after the one that held them up.
    assert.equal(2, source.db:number [[
      SELECT rank FROM (SELECT row_number() OVER (ORDER BY n) AS rank, keys FROM batches) AS b
      WHERE keys LIKE '%narrow:single%']])
    other:close()
  end)

  it("loads what somebody waits for before what is only stale", function()
    source:put("stale:held", "v", { gate = GATE })
    source:put("stale:a", "v")
    source:put("stale:b", "v")
    expect.value(cache:get "stale:a")
    expect.value(cache:get "stale:b")
    wait.until_true("both are stale", function()
      return cache:peek("stale:a").status == "stale" and cache:peek("stale:b").status == "stale"
    end)
    source.db:exec "DELETE FROM batches"
    source.db:shut(GATE)
    local held = cache:send("get", "stale:held")
    source:await_gate(GATE)
    assert.equal("stale", cache:get_entry("stale:a").status)
    assert.equal("stale", cache:get_entry("stale:b").status)
    server:await_loader("stale:*", "queued", 2)
    local missed = cache:send("get", "stale:missed")
    server:await_loader("stale:*", "queued", 3)
    -- Somebody waits for b too, from now on.
    local waited = cache:send("get", "stale:b", { stale_wait_ms = 60000 })
    assert.equal("pong", expect.value(cache:ping()))
    source.db:open(GATE)
    expect.value(cache:receive(held))
    expect.absent(cache:receive(missed))
    expect.value(cache:receive(waited))
    wait.until_true("all have been loaded", function() return batches() == 4 end)
    assert.equal("stale:held | stale:missed | stale:b | stale:a", batched())
  end)

  it("shows each loader's batches, times and failures", function()
    local l = server:loader "ten:*"
    assert.equal(10, l.batches)
    assert.equal(95, l.batch_keys)
    assert.equal(95, l.loads)
    assert.equal(95, l.loads_miss)
    assert.equal(95, l.misses)
    assert.equal(95, l.absent)
    assert.is_truthy(l.load_us > 0 and l.queue_us >= 0)
    assert.same({}, l.failures)
    assert.same({ LOAD_TIMEOUT = 2 }, server:loader("late:*").failures)
    assert.equal(2, server:loader("retried:*").failures.LOAD_FAILED)
    assert.equal(1, server:loader("retried:*").retried)
  end)

  it("answers a partial get_many at once, and loads the rest in the background", function()
    source:put("plain:there", "here")
    source:put("plain:later", "later", { gate = GATE })
    expect.value(cache:get "plain:there")
    source.db:shut(GATE)
    local items = expect.value(cache:get_many({ "plain:there", "plain:later" }, { partial = true }))
    assert.equal("here", items[1].value)
    assert.same({ pending = true }, items[2])
    source:await_gate(GATE)
    source.db:open(GATE)
    assert.equal("later", expect.value(cache:get "plain:later"))
    assert.equal(2, batches())
    expect.error("BAD_REQUEST", "partial", cache:get("plain:there", { partial = true }))
  end)
end)
