local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local raw = require "spec.support.raw"

-- `save` says of tags what the value says: "nothing", "none", or the tags themselves.
local SCRIPT = [[
local function find(ctx, key) return ctx.db:row("SELECT value, version FROM source WHERE key = $1", key) end
return {
  load = function(key, ctx)
    local row = find(ctx, key)
    if not row then return nil end
    if ctx.version == row.version then return rtcache.unchanged end
    return row.value, { version = row.version, tags = not key:find "plain" and { "team:7" } or nil }
  end,
  save = function(key, value, ctx)
    ctx.db:exec("UPDATE source SET value = $2, version = version + 1 WHERE key = $1", key, value)
    local row = find(ctx, key)
    local tags
    if value == "none" then tags = {} elseif value == "tagged" then tags = { "team:7" } end
    return row.value, { version = row.version, tags = tags }
  end,
}]]

describe("the tags of a written value", function()
  local server, source, cache

  local function start(loaders)
    server, source = Source.sqlite { scripts = { ["tagged.lua"] = SCRIPT }, loaders = loaders }
    cache = server:connect()
    finally(function()
      source:close()
      server:stop()
    end)
  end

  local TAGGED = { { pattern = "user:*", script = "tagged.lua", ttl = "1h", stale_ttl = "1h" } }

  -- user:1 is loaded, with its tag.
  local function start_loaded()
    start(TAGGED)
    source:put("user:1", "old", { version = 1 })
    assert.equal("old", expect.value(cache:get "user:1"))
  end

  -- Its tag is enough to find what is stored.
  local function expect_newer_by_tag(version)
    source:put("user:1", "newer", { version = version })
    expect.value(cache:invalidate_tag "team:7")
    assert.equal("newer", expect.value(cache:get "user:1"))
  end

  local function counter(name) return expect.value(cache:stats()).counters[name] end

  it("are found by an invalidation though save said nothing, and no load has begun yet", function()
    start(TAGGED)
    source:put("user:1", "old", { version = 1 })
    assert.is_true(expect.value(cache:put("user:1", "nothing")).stored)
    assert.equal("nothing", expect.status("hit", cache:get_entry "user:1").value)
    assert.is_nil(expect.value(cache:get_entry "user:1").tags)
    expect_newer_by_tag(3)
  end)

  it("are found too where loads have given none so far", function()
    start(TAGGED)
    source:put("user:plain", "a", { version = 1 })
    source:put("user:1", "old", { version = 1 })
    assert.equal("a", expect.value(cache:get "user:plain"))
    assert.is_true(expect.value(cache:put("user:1", "nothing")).stored)
    source:put("user:2", "b", { version = 1 })
    assert.equal("b", expect.value(cache:get "user:2")) -- the first tags
    expect_newer_by_tag(3)
  end)

  it("have to be told once loads give some: the entry is dropped, counted, and that is said", function()
    start_loaded()
    for version = 2, 3 do
      local outcome = expect.value(cache:put("user:1", "nothing"))
      assert.equal(version, outcome.version)
      assert.is_false(outcome.stored)
      assert.truthy(outcome.reason:find "tags")
    end
    expect.absent(cache:peek "user:1")
    assert.equal(2, counter "writes_untagged")
    local _, lines = server:log():gsub("write%.untagged", "")
    assert.equal(1, lines)
    assert.same({ "team:7" }, expect.status("miss", cache:get_entry "user:1").tags)
  end)

  it("may be none, by the word", function()
    start_loaded()
    assert.is_true(expect.value(cache:put("user:1", "none")).stored)
    expect.value(cache:invalidate_tag "team:7")
    assert.same({}, expect.status("hit", cache:get_entry "user:1").tags)
    assert.is_true(expect.value(cache:put("user:1", "tagged")).stored)
    assert.same({ "team:7" }, expect.status("hit", cache:get_entry "user:1").tags)
    expect.value(cache:invalidate_tag "team:7")
    expect.absent(cache:peek "user:1")
  end)

  it("are not asked for where loads carry none", function()
    start { { pattern = "plain:*", script = "tagged.lua", ttl = "1h" } }
    source:put("plain:1", "old", { version = 1 })
    assert.same({}, expect.value(cache:get_entry "plain:1").tags)
    assert.is_true(expect.value(cache:put("plain:1", "nothing")).stored)
    assert.equal("nothing", expect.status("hit", cache:get_entry "plain:1").value)
  end)

  it("are known of a script over a reload that leaves its text as it is, and of a new one anew", function()
    start_loaded()
    server:write_script("other.lua", "return {}")
    expect.value(cache:reload())
    assert.is_false(expect.value(cache:put("user:1", "nothing")).stored)
    server:write_script("tagged.lua", (SCRIPT:gsub("tags = not [^}]*}", "x = nil }")))
    server:write_script("tagged.lua", (SCRIPT:gsub('{ "team:7" } or nil }', "nil or nil }", 1)))
    expect.value(cache:reload())
    assert.is_true(expect.value(cache:put("user:1", "nothing")).stored)
  end)

  it("stay with what is unchanged", function()
    start_loaded()
    assert.same({ "team:7" }, expect.status("miss", cache:refresh "user:1").tags)
    assert.same({ "team:7" }, expect.status("hit", cache:get_entry "user:1").tags)
    expect.value(cache:invalidate_tag "team:7")
    expect.absent(cache:peek "user:1")
  end)

  it("are any of them where what is unchanged had none", function()
    start(TAGGED)
    source:put("user:1", "set", { version = 1 })
    source:put("user:2", "old", { version = 1 })
    expect.value(cache:set("user:1", "set", { version = 1 }))
    assert.same({}, expect.status("hit", cache:get_entry "user:1").tags)
    assert.equal("old", expect.value(cache:get "user:2"))
    expect.status("miss", cache:refresh "user:1")
    expect_newer_by_tag(2)
  end)

  it("are any of them for a client that sets a value and does not say, and what it says otherwise", function()
    start_loaded()
    expect.value(cache:set("user:2", "v"))
    expect.value(cache:set("user:3", "v", { tags = {} }))
    expect.value(cache:set("user:4", "v", { tags = "team:8" }))
    assert.is_nil(expect.status("hit", cache:get_entry "user:2").tags)
    assert.same({}, expect.status("hit", cache:get_entry "user:3").tags)
    assert.same({ "team:8" }, expect.status("hit", cache:get_entry "user:4").tags)
    expect.value(cache:invalidate_tag "another")
    expect.absent(cache:peek "user:2")
    assert.truthy(expect.value(cache:peek "user:3"))
    assert.truthy(expect.value(cache:peek "user:4"))
  end)

  it("are told as texts where they are some and as bytes where they are none, however they came", function()
    start(TAGGED)
    local function set_packed(tag)
      local function edit(request) return (request:gsub("\xa2XX", tag)) end
      assert(raw.call(cache, edit, "set", "user:1", "v", { tags = { "XX" } }))
    end
    set_packed "\xa2\xff\xfe" -- a str that is no UTF-8 would break other clients
    assert.truthy(raw.call(cache, nil, "get_entry", "user:1"):find("\xa4tags\x91\xc4\x02\xff\xfe", 1, true))
    set_packed "\xc4\x03t:1"
    assert.truthy(raw.call(cache, nil, "get_entry", "user:1"):find("\xa4tags\x91\xa3t:1", 1, true))
    expect.value(cache:invalidate_tag "t:1")
    expect.absent(cache:peek "user:1")
  end)

  it("are of a script that was read before a reload, and then not stored", function()
    local GATED = SCRIPT:gsub("local row = find%(ctx, key%)\n    local tags",
      'ctx.db:value "SELECT 1 AS passed FROM pg_advisory_xact_lock_shared(61)"\n%0')
    server, source = Source.postgres { scripts = { ["tagged.lua"] = GATED }, loaders = TAGGED }
    cache = server:connect()
    finally(function()
      source:close()
      server:stop()
    end)
    source:put("user:1", "old", { version = 1 })
    source.db:shut(61)
    local id = cache:send("put", "user:1", "none")
    source:await_gate(61)
    local other = server:connect()
    expect.value(other:reload())
    source.db:open(61)
    local outcome = expect.value(cache:receive(id))
    assert.equal(2, outcome.version)
    assert.is_false(outcome.stored)
    assert.equal("none", expect.value(other:get "user:1"))
  end)
end)
