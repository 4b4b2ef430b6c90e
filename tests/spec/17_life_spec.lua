local Server = require "spec.support.server"
local Source = require "spec.support.source"
local client = require "rtcache.client"
local expect = require "spec.support.expect"
local files = require "spec.support.files"
local lfs = require "lfs"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

local GATE = 17

describe("a server's life", function()
  it("begins with a line for every listener, and then it is ready", function()
    local server = Server.start {}
    assert.equal(2, #server.addresses)
    assert.truthy(server.port and server.port > 0)
    local text = table.concat(server.addresses, "\n")
    assert.truthy(text:find(server.socket_path, 1, true), text)
    assert.equal("pong", server:connect({ tcp = true }):ping())
    assert.equal("pong", server:connect():ping())
    server:stop()
  end)

  it("ends with SIGTERM, code 0, and its Unix socket is gone", function()
    local server = Server.start {}
    local path = server.socket_path
    server:signal "TERM"
    assert.equal(0, server.process:wait(wait.PATIENCE))
    assert.is_nil(client.connect { path = path })
    assert.is_nil(lfs.attributes(path, "mode"))
    server:stop()
  end)

  it("becomes another user when root starts it, with its socket", function()
    local function output(command)
      local pipe = assert(io.popen(command))
      local text = pipe:read "*a"
      pipe:close()
      return (text:gsub("%s+$", ""))
    end
    local root = output "id -u" == "0"
    local server = Server.prepare { options = { user = "nobody" } }
    output(("chmod 755 %s %s/scripts"):format(server.folder, server.folder))
    server:launch()
    local wanted = root and "nobody" or output "id -un"
    assert.equal(wanted, output("stat -c %U /proc/" .. server.pid))
    assert.equal(wanted, output("stat -c %U " .. server.socket_path))
    assert.equal("pong", server:connect():ping())
    server:stop()
  end)

  it("ends with SIGINT as well", function()
    local server = Server.start {}
    server:connect():ping()
    server:signal "INT"
    assert.equal(0, server.process:wait(wait.PATIENCE))
    server:stop()
  end)

  it("answers loads in flight before it ends, and takes no new connection", function()
    local server, source = Source.postgres {
      loaders = { { pattern = "user:*", ttl = "60s", wait_timeout = "60s", load_timeout = "60s" } },
      options = { drain_timeout = "60s" },
    }
    source:put("user:1", "just in time", { gate = GATE })
    source.db:shut(GATE)
    local cache = server:connect()
    local id = cache:send("get", "user:1")
    source:await_gate(GATE)
    server:signal "TERM"
    wait.until_true("no connection is taken", function()
      local c = client.connect { path = server.socket_path, timeout = 1 }
      if c then c:close() end
      return not c
    end)
    assert.is_nil(server.process:wait(0))
    source.db:open(GATE)
    assert.equal("just in time", expect.value(cache:receive(id)))
    assert.equal(0, server.process:wait(wait.PATIENCE))
    source:close()
    server:stop()
  end)

  it("ends at the end of drain_timeout, however long a load takes", function()
    local server, source = Source.postgres {
      loaders = { { pattern = "user:*", wait_timeout = "10min", load_timeout = "10min" } },
      options = { drain_timeout = "100ms" },
    }
    source:put("user:1", "never", { gate = GATE })
    source.db:shut(GATE)
    local cache = server:connect()
    local id = cache:send("get", "user:1")
    source:await_gate(GATE)
    server:signal "TERM"
    assert.equal(0, server.process:wait(wait.PATIENCE))
    local _, err = cache:receive(id)
    assert.truthy(err.code == "SHUTTING_DOWN" or err.code == "CLOSED", tostring(err))
    source.db:open(GATE)
    source:close()
    server:stop()
  end)

  it("leaves behind a socket after kill -9, which the next one takes over", function()
    local server = Server.start {}
    server:kill()
    server:close_clients()
    server:launch()
    assert.equal("pong", server:connect():ping())
    server:stop()
  end)

  it("race 27: after kill -9 serves nothing from before", function()
    local server, source = Source.postgres { loaders = { { pattern = "user:*", ttl = "1h", stale_ttl = "1h" } } }
    local cache = server:connect()
    source:put("user:1", "before", { version = 5 })
    assert.equal("before", cache:get "user:1")
    server:kill()
    server:close_clients()
    -- Even a lower version, which a restored backup may have.
    source:put("user:1", "after", { version = 3 })
    server:launch()
    assert.equal("after", server:connect():get "user:1")
    source:close()
    server:stop()
  end)

  it("does not begin twice on one port or one socket", function()
    local first = Server.start {}
    for _, listen in ipairs { "127.0.0.1:" .. first.port, "unix:" .. first.socket_path } do
      local second = Server.prepare { options = { listen = listen } }
      local status, text = process.run(second:command())
      second:remove()
      assert.not_equal(0, status)
      assert.truthy(text:find(listen:match "[^:/]+$", 1, true), text)
      assert.truthy(text:lower():find "in use", text)
      assert.is_nil(text:find("ready\n", 1, true))
    end
    assert.equal("pong", first:connect():ping())
    assert.equal("pong", first:connect({ tcp = true }):ping())
    first:stop()
  end)
end)

describe("the command line of rtcached", function()
  local function run(...) return process.run { Server.binary, ... } end

  it("says its version", function()
    local status, text = run "--version"
    assert.equal(0, status)
    assert.truthy(text:match "rtcached? %d+%.%d+%.%d+", text)
  end)

  it("says how to use it", function()
    local status, text = run "--help"
    assert.equal(0, status)
    for _, word in ipairs { "--check", "--version", "--help", "rtcache.conf" } do
      assert.truthy(text:find(word, 1, true), word)
    end
  end)

  it("refuses what it does not know", function()
    local status, text = run "--frobnicate"
    assert.not_equal(0, status)
    assert.truthy(text:find("frobnicate", 1, true), text)
    assert.not_equal(0, (run "rtcache.conf"))
  end)

  it("says which file it cannot read", function()
    local status, text = run("-c", "/nowhere/rtcache.conf")
    assert.not_equal(0, status)
    assert.truthy(text:find("/nowhere/rtcache.conf", 1, true), text)
  end)

  it("checks configuration and scripts without starting", function()
    local server = Server.prepare {
      loaders = { { pattern = "a:*", script = "a.lua" } },
      scripts = { ["a.lua"] = "return { load = function() return 1 end }" },
    }
    local status, text = process.run(server:command "--check")
    assert.equal(0, status, text)
    files.replace(server.folder .. "/scripts/a.lua", "return {\n  load = function( return 1 end }")
    status, text = process.run(server:command "--check")
    assert.not_equal(0, status)
    assert.truthy(text:find("a.lua:2", 1, true), text)
    server:remove()
  end)

  it("names every mistake in a configuration, with its line and the right name", function()
    local server = Server.prepare {}
    files.replace(server.conf, table.concat({
      'listen = "127.0.0.1:0";', 'memroy = "64mb";', 'io_threads = "many";',
      'loaders = ({ pattern = "a:*"; script = "a.lua"; tll = "5s"; });',
    }, "\n") .. "\n")
    local status, text = process.run(server:command "--check")
    server:remove()
    assert.not_equal(0, status)
    for _, part in ipairs { "rtcache.conf:2", "memory", "rtcache.conf:3", "rtcache.conf:4", "ttl" } do
      assert.truthy(text:find(part, 1, true), part .. " is not in: " .. text)
    end
  end)
end)
