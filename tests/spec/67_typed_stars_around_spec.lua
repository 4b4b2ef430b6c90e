local Server = require "spec.support.server"
local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local files = require "spec.support.files"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

local ECHO = "return { load = function(key) return key end }"

-- Cheap hash (8 MiB, one pass) of "other".
local OTHER = "$argon2id$v=19$m=8192,t=1,p=1$dMoaTKxrUTzGwdGXZgwEuw$LasVO8KoMTADkX1NpsRNndVnt/i1l1inqZQiq6N7UOM"

-- What --check says of a configuration with these loaders.
local function check(loaders)
  local server = Server.prepare {
    scripts = { ["echo.lua"] = ECHO },
    backends = { main = { driver = "sqlite", path = "x.db" } },
    loaders = loaders,
  }
  local status, text = process.run(server:command "--check", { stderr = server.folder .. "/errors" })
  text = text .. (files.read(server.folder .. "/errors") or "")
  files.remove(server.folder)
  return status, text
end

local function assert_check(loaders, ...)
  local status, text = check(loaders)
  assert.equal(select("#", ...) == 0 and 0 or 1, status, text)
  for _, part in ipairs { ... } do assert.truthy(text:find(part, 1, true), part .. "\nis not in\n" .. text) end
end

describe("--check of typed stars", function()
  local function sql(pattern, text) return { pattern = pattern, sql = text, backend = "main" } end
  local function script(pattern) return { pattern = pattern, script = "echo.lua" } end

  it("says where a pattern is wrong, for all of them", function()
    assert_check({ script "user:{id:flaot}", script "team:{id}", script "{" },
      'pattern "user:{id:flaot}" has a star of a type that is none of int, uuid and text at byte 6',
      'pattern "team:{id}" has a star without a type at byte 6', 'pattern "{" has a { without a } at byte 1')
  end)

  it("refuses two patterns that match the same keys", function()
    assert_check({ script "user:{id:int}", script "user:{key:int}" },
      'pattern "user:{key:int}" matches the same keys as that of the loader at')
    assert_check { script "user:{id:int}", script "user:{id:uuid}", script "user:{id:text}", script "user:*" }
  end)

  it("refuses a parameter that no star has, with the nearest", function()
    assert_check({ sql("user:{id:int}", "SELECT 1 WHERE 1 = $idd") },
      '"sql" has $idd, but the pattern "user:{id:int}" has no star of that name; did you mean $id?')
    assert_check({ sql("user:*", "SELECT 1 WHERE 1 = $id") },
      '"sql" has $id, but the pattern "user:*" has no star of that name')
    assert_check({ sql("user:{id:int}", "SELECT 1 WHERE 1 = $2") },
      '"sql" has $2, but the pattern "user:{id:int}" has 1 star')
    assert_check({ sql("user:{id:int}", "SELECT $0") }, "parameters count from $1")
    assert_check { sql("user:{id:int}", "SELECT '$idd', $id, $1 -- $other") }
  end)
end)

describe("a user whose keys have typed stars", function()
  local server, cache

  setup(function()
    server = Server.start {
      options = {
        auth_delay = "0s",
        users = { { name = "app", password_hash = OTHER, rights = { "read", "invalidate", "write" },
          keys = { "user:{id:int}", "page:{slug:text}" } } },
      },
      scripts = { ["echo.lua"] = ECHO },
      loaders = { { pattern = "*", script = "echo.lua" } },
    }
    cache = server:connect { tcp = true }
    expect.value(cache:auth("app", "other"))
  end)
  teardown(function() server:stop() end)

  it("may name the keys that they match", function()
    assert.equal("user:7", expect.value(cache:get "user:7"))
    assert.equal("page:x", expect.value(cache:get "page:x"))
    for _, key in ipairs { "user:07", "user:", "user:7x", "user:7\n", "page:", "page:a\0" } do
      expect.error("DENIED", nil, cache:get(key))
    end
  end)

  it("may name patterns that match no other keys", function()
    for _, pattern in ipairs { "user:{n:int}", "user:7", "page:{a:text}", "page:{a:int}-x", "page:x" } do
      expect.value(cache:invalidate_match(pattern))
      expect.value(cache:subscribe { patterns = pattern })
    end
    for _, pattern in ipairs {
      "user:*", "user:7*", "user:{n:uuid}", "user:{n:text}", "user:07", "page:*", "page:x*", "*",
    } do
      expect.error("DENIED", nil, cache:invalidate_match(pattern))
      expect.error("DENIED", nil, cache:subscribe { patterns = pattern })
    end
  end)
end)

describe("the feed's pattern", function()
  it("has typed stars, and is refused where it is wrong", function()
    local server, source = Source.postgres({
      scripts = { ["echo.lua"] = ECHO },
      loaders = { { pattern = "*", script = "echo.lua", ttl = "1h" } },
    }, nil, { feed = "changes", feed_heartbeat = "50ms" })
    local cache = server:connect()
    local function feed() return expect.value(cache:stats()).feeds.main end
    wait.until_true("the feed is up", function() return feed().connected and feed().lag_ms end)
    for _, key in ipairs { "user:7", "user:07" } do expect.value(cache:get(key)) end
    source.db:exec [[NOTIFY changes, '{"m":"user:{id:flaot}"}']]
    source.db:exec [[NOTIFY changes, '{"m":"user:{id:int}"}']]
    wait.until_true("it is told", function() return cache:peek "user:7" == nil end)
    assert.equal("user:07", expect.value(cache:peek "user:07").value)
    assert.equal(1, feed().bad)
    source:close()
    server:stop()
  end)
end)

describe("the demo", function()
  it("takes one spelling of an id", function()
    local server = Server.prepare {}
    local text = files.read "rtcache.conf"
    files.write(server.conf, (text:gsub('"127.0.0.1:7411"', ('"unix:%s"'):format(server.socket_path), 1)))
    for _, name in ipairs { "user.lua", "product.lua", "demo.sql" } do
      files.write(server.folder .. "/scripts/" .. name, files.read("scripts/" .. name))
    end
    server:launch()
    local cache = server:connect()

    local function tool(...)
      return process.run({ Server.tool, "--server", "unix:" .. server.socket_path, ... }, { stderr = "/dev/null" })
    end

    local _, status, out
    status, out = tool("get", "user:1")
    assert.equal(0, status)
    assert.truthy(out:find '"id":%s*1')
    for _, key in ipairs { "user:01", "user:abc", "user: 1", "product:01" } do
      status, out = tool("get", key)
      assert.equal(1, status)
      assert.equal("null\n", out)
    end
    assert.equal(4, expect.value(cache:stats()).counters.misfits)
    assert.equal(1, expect.value(cache:stats()).counters.loads)
    local items = expect.value(cache:get_many { "user:2", "user:02", "user:3", "user:99999999999999999", "product:5" })
    assert.equal(2, items[1].value.id)
    assert.same({}, items[2])
    assert.equal(3, items[3].value.id)
    assert.same({}, items[4])
    assert.equal(5, items[5].value.id)
    _, out = tool "loaders"
    assert.truthy(out:find("user:{id:int}", 1, true))
    server:stop()
  end)
end)
