local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local files = require "spec.support.files"
local lfs = require "lfs"
local restart = require "spec.support.restart"

local WRITER = [[
return {
  load = function(key, ctx) return ctx.db:value("SELECT value FROM source WHERE key = $1", key) end,
  save = function(key, value, ctx) return value, { version = 5 } end,
  remove = function(key, ctx) return true, { version = 6 } end,
}]]

local function options(more)
  local o = { state = "state", snapshot_every = "0s" }
  for name, v in pairs(more or {}) do o[name] = v end
  return {
    options = o,
    scripts = { ["writer.lua"] = WRITER },
    loaders = {
      { pattern = "user:*", ttl = "1h", stale_ttl = "1h", load_timeout = "1s" },
      { pattern = "mine:*", script = "writer.lua", ttl = "1h" },
    },
  }
end

-- All bytes of the journal, as they lie there now.
local function journal(server)
  local texts = {}
  for name in lfs.dir(server.folder .. "/state") do
    if name:match "^journal%." then texts[#texts + 1] = files.read(server.folder .. "/state/" .. name) end
  end
  return table.concat(texts)
end

local function numbers(cache) return expect.value(cache:stats()).journal end

describe("the journal", function()
  local server, source, cache

  local function start(more)
    server, source = Source.sqlite(options(more))
    cache = server:connect()
  end
  after_each(function()
    source:close()
    server:stop()
  end)

  -- method, what stands before the name, what comes behind it
  local CHANGES = {
    { "invalidate", "user:", {} },
    { "invalidate", "user:", { { version = 9 } } },
    { "expire", "user:", {} },
    { "set", "free:", { "x" } },
    { "invalidate_tag", "tag:", {} },
    { "expire_tag", "tag:", {} },
    { "invalidate_match", "some:", {} },
    { "put", "mine:", { "x" } },
    { "delete", "mine:", {} },
  }

  for _, how in ipairs { "on", "sync" } do
    it("has a change before its acknowledgement is there: " .. how, function()
      start { journal = how, io_threads = 2, loader_threads = 2 }
      local others = { cache, server:connect(), server:connect { tcp = true }, server:connect { tcp = true } }
      for round = 1, how == "on" and 40 or 4 do
        for i, change in ipairs(CHANGES) do
          local sent = {}
          for n, client in ipairs(others) do -- all at once
            local name = ("%s%d-%d-%d."):format(change[2], round, i, n)
            sent[n] = { client = client, name = name, id = assert(client:send(change[1], name, unpack(change[3]))) }
          end
          for _, s in ipairs(sent) do
            expect.value(s.client:receive(s.id) ~= nil)
            assert.truthy(journal(server):find(s.name, 1, true), change[1] .. " " .. s.name)
          end
        end
      end
      local n = numbers(cache)
      -- A delete says two things: that the version is gone, and that what is stored goes. It and a put say
      -- beforehand that they are under way.
      assert.equal((#CHANGES + 3) * #others * (how == "on" and 40 or 4), n.records)
      assert.is_true(n.writes > 0 and n.writes <= n.records)
      assert.equal(0, n.failures)
      assert.is_false(n.broken)
      assert.equal(#journal(server), n.file_bytes)
    end)
  end

  it("takes what one turn has changed with one write", function()
    start { io_threads = 1, loader_threads = 1 }
    local tags = {}
    for i = 1, 200 do tags[i] = "tag" .. i end
    expect.value(cache:call("invalidate_tag", tags))
    local n = numbers(cache)
    assert.equal(200, n.records)
    assert.is_true(n.writes < 20)
  end)

  it("is read after a crash: floors hold, and what it names is gone", function()
    start()
    for i = 1, 3 do
      source:put("user:" .. i, "old", { version = 3 })
      expect.value(cache:get("user:" .. i))
    end
    expect.value(cache:call "snapshot")
    expect.value(cache:invalidate("user:1", { version = 9 }) ~= nil)
    expect.value(cache:invalidate "user:2" ~= nil)
    for round = 1, 2 do -- the second time without a snapshot
      cache = restart.crash(server)
      if round == 1 then
        assert.equal(2, restart.numbers(cache).journal_records)
        expect.status("hit", cache:get_entry "user:3")
        expect.status("miss", cache:get_entry "user:2")
      end
      expect.error("STALE_SOURCE", "user:1", cache:get "user:1")
      expect.error("VERSION_CONFLICT", "user:1", cache:set("user:1", "x", { version = 8 }))
    end
  end)

  it("past its bound is given up with the snapshot, and acknowledgements still go out", function()
    start { journal_bytes = "1mb" }
    expect.value(cache:call "snapshot")
    assert.truthy(files.read(restart.snapshot(server)))
    local long = ("k"):rep(4000)
    for i = 1, 300 do expect.value(cache:invalidate(long .. i) ~= nil) end
    local n = numbers(cache)
    assert.is_true(n.broken)
    assert.equal(1, n.failures)
    assert.is_true(n.records < 300)
    assert.equal("", journal(server))
    assert.is_nil(files.read(restart.snapshot(server)))
    local _, lines = server:log():gsub("journal%.broken", "")
    assert.equal(1, lines)
    expect.value(cache:call "snapshot") -- from here on it counts again
    expect.value(cache:invalidate "user:1" ~= nil)
    assert.is_false(numbers(cache).broken)
    cache = restart.crash(server)
    assert.equal(1, restart.numbers(cache).journal_records)
  end)

  it("is none where it is off", function()
    start { journal = "off" }
    expect.value(cache:invalidate "user:1" ~= nil)
    assert.is_nil(numbers(cache))
    assert.equal("", journal(server))
  end)
end)
