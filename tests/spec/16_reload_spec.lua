local Source = require "spec.support.source"
local Server = require "spec.support.server"
local expect = require "spec.support.expect"
local files = require "spec.support.files"
local wait = require "spec.support.wait"

local GATE = 16

local function script(text) return "return { load = function(key, ctx) return '" .. text .. "' end }\n" end

describe("a reload", function()
  local server, cache

  before_each(function()
    server = Server.start {
      loaders = { { pattern = "user:*", script = "user.lua", ttl = "60s" } },
      scripts = { ["user.lua"] = script "one" },
    }
    cache = server:connect()
  end)
  after_each(function() server:stop() end)

  local asked = 0

  -- What the loader says now, by a key that was never asked for.
  local function now()
    asked = asked + 1
    return cache:get("user:fresh " .. asked)
  end

  it("takes over a changed script when the method is called", function()
    assert.equal("one", now())
    server:write_script("user.lua", script "two")
    assert.equal("one", now())
    local answer = expect.value(cache:reload())
    assert.equal("number", type(answer.generation))
    assert.equal(1, answer.loaders)
    assert.equal("two", now())
    assert.truthy(expect.value(cache:reload()).generation > answer.generation)
  end)

  it("takes it over on SIGHUP", function()
    server:write_script("user.lua", script "two")
    server:signal "HUP"
    wait.until_true("the new script", function() return now() == "two" end)
  end)

  it("keeps the entries, and their connections", function()
    expect.value(cache:get "user:kept")
    server:write_script("user.lua", script "two")
    expect.value(cache:reload())
    assert.equal("one", expect.value(cache:get "user:kept"))
    assert.equal("two", now())
  end)

  it("takes over loaders that came and went", function()
    server:write_script("team.lua", script "team")
    server.options.loaders = { { pattern = "team:*", script = "team.lua", ttl = "60s" } }
    server:write_conf(server.options)
    expect.value(cache:reload())
    assert.equal("team", expect.value(cache:get "team:1"))
    expect.error("NO_LOADER", "user:1", cache:get "user:1")
    assert.equal(1, #expect.value(cache:loaders()))
  end)

  it("takes over another policy", function()
    server.options.loaders[1].ttl = "5s"
    server:write_conf(server.options)
    expect.value(cache:reload())
    now()
    assert.truthy(expect.value(cache:get_entry "user:short").ttl_ms <= 5000)
  end)

  it("takes over another bound of memory, less what the process takes", function()
    local MB = 2 ^ 20
    local function limit() return expect.value(cache:stats()).store.memory_limit end
    for _, megabytes in ipairs { 256, 1024, 64, 16 } do
      server.options.options = { memory = megabytes .. "mb" }
      server:write_conf(server.options)
      expect.value(cache:reload())
      assert.truthy(limit() < megabytes * MB)
      assert.truthy(limit() >= megabytes * MB * 15 / 16 - MB)
    end
    local beside = 16 * MB - limit()
    server.options.options = { memory = "4096mb" }
    server:write_conf(server.options)
    expect.value(cache:reload())
    assert.truthy(4096 * MB - limit() >= beside) -- no more is taken off where memory is short
  end)

  it("of a broken script changes nothing, and says file and line", function()
    server:write_script("user.lua", "return {\n  load = function(key, ctx\n}\n")
    expect.error("RELOAD_FAILED", { "user.lua:3" }, cache:reload())
    assert.equal("one", now())
    server:write_script("user.lua", script "two")
    expect.value(cache:reload())
    assert.equal("two", now())
  end)

  it("of a broken configuration changes nothing, and says file and line", function()
    for _, broken in ipairs {
      { "memory = \"64mb\";\nlisten = ;\n", "rtcache.conf:2" },
      { "memory = \"64mb\";\n\nmemroy = \"1mb\";\n", "rtcache.conf:3" },
      { "memory = \"plenty\";\n", "rtcache.conf:1" },
    } do
      files.replace(server.conf, broken[1])
      expect.error("RELOAD_FAILED", broken[2], cache:reload())
      assert.equal("one", now())
    end
    files.replace(server.conf, "memory = \"64mb\";\n\nmemroy = \"1mb\";\n")
    expect.error("RELOAD_FAILED", "memory", cache:reload())
  end)

  it("of something broken on SIGHUP leaves a line in the log", function()
    server:write_script("user.lua", "return nonsense nonsense\n")
    server:signal "HUP"
    server:wait_log "user%.lua:1"
    assert.equal("one", now())
  end)

  it("names an option that needs a restart, and changes nothing", function()
    server.options.options = { listen = { "127.0.0.1:0" } }
    server.options.loaders[1].ttl = "5s"
    server:write_conf(server.options)
    expect.error("CONFIG", "listen", cache:reload())
    local entry = expect.value(cache:get_entry "user:policy")
    assert.truthy(entry.ttl_ms > 5000)
    assert.equal("pong", expect.value(server:connect():ping()))
  end)

  it("many times under load fails no request", function()
    local ids, sent = {}, 0
    for round = 1, 40 do
      for _ = 1, 20 do
        sent = sent + 1
        ids[sent] = cache:send("get", "user:load " .. sent)
      end
      server:write_script("user.lua", round % 4 == 0 and "return broken broken" or script("round " .. round))
      cache:send("reload")
    end
    for i = 1, sent do
      local value = expect.value(cache:receive(ids[i]))
      assert.truthy(value == "one" or value:match "^round %d+$", value)
    end
  end)
end)

describe("a change of a file", function()
  it("is noticed where the configuration watches its files", function()
    local server = Server.start {
      options = { watch = true },
      loaders = { { pattern = "user:*", script = "user.lua", ttl = "1ms" } },
      scripts = { ["user.lua"] = script "one" },
    }
    local cache = server:connect()
    assert.equal("one", expect.value(cache:get "user:1"))
    server:write_script("user.lua", script "two")
    wait.until_true("the new script", function() return cache:get "user:1" == "two" end)
    server.options.loaders[1].pattern = "member:*"
    server:write_conf(server.options)
    wait.until_true("the new configuration", function() return cache:get "member:1" == "two" end)
    server:write_script("user.lua", "return broken broken")
    server:wait_log "user%.lua:1"
    assert.equal("two", expect.value(cache:get "member:2"))
    server:stop()
  end)

  it("is not noticed where it does not", function()
    local server = Server.start {
      loaders = { { pattern = "user:*", script = "user.lua", ttl = "1ms" } },
      scripts = { ["user.lua"] = script "one" },
    }
    server:write_script("user.lua", script "two")
    local cache = server:connect()
    local deadline = wait.now() + 0.5
    while wait.now() < deadline do assert.equal("one", expect.value(cache:get "user:1")) end
    server:stop()
  end)
end)

describe("a load in flight during a reload", function()
  it("ends on the script it began with", function()
    local server, source = Source.postgres {
      loaders = { { pattern = "user:*", ttl = "60s", wait_timeout = "60s", load_timeout = "60s" } },
    }
    source:put("user:1", "from the old script", { gate = GATE })
    source.db:shut(GATE)
    local cache = server:connect()
    local id = cache:send("get", "user:1")
    source:await_gate(GATE)
    server:write_script("source.lua", script "from the new script")
    expect.value(cache:reload())
    assert.equal("from the new script", expect.value(cache:get "user:2"))
    source.db:open(GATE)
    assert.equal("from the old script", expect.value(cache:receive(id)))
    source:close()
    server:stop()
  end)
end)
