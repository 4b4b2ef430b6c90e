local Server = require "spec.support.server"
local client = require "rtcache.client"
local expect = require "spec.support.expect"
local figures = require "faults.figures"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

describe("a crowd of clients", function()
  it("that idle or send a byte at a time costs others nothing", function()
    local server = Server.start { options = { max_connections = 20000 } }
    local idle, trickling = {}, {}
    local count = figures.pick(600, 10000)
    local first = server:connect()
    assert.equal("pong", expect.value(first:ping()))
    local before = process.resident(server.pid)
    for i = 1, count do
      idle[i] = server:connect()
      assert.equal("pong", expect.value(idle[i]:ping()))
    end
    local each = (process.resident(server.pid) - before) / count / 1024
    figures.print(("resident memory of each of %d idle connections"):format(count), each, "KiB", "16")
    if not Server.is_sanitized() then assert.truthy(each <= 16, each .. " KiB") end
    for i = 1, figures.pick(100, 1000) do trickling[i] = server:connect({ tcp = true }) end
    local request = client.encode_request(1, "ping")
    local eager = server:connect()
    for at = 1, #request do
      for _, c in ipairs(trickling) do c:write(request:sub(at, at)) end
      assert.equal("pong", expect.value(eager:ping()))
    end
    for _, c in ipairs(trickling) do assert.equal("pong", expect.value(c:receive(1))) end
    for _, c in ipairs(idle) do assert.equal("pong", expect.value(c:ping())) end
    server:stop()
  end)

  it("that idle past idle_timeout is sent away, the busy are not", function()
    local server = Server.start { options = { idle_timeout = "300ms" } }
    local idle, busy = server:connect(), server:connect()
    wait.until_true("the idle one is closed", function()
      assert.equal("pong", expect.value(busy:ping()))
      local _, err = idle:read_message(0.01)
      return err and err.code == "CLOSED"
    end)
    assert.equal("pong", expect.value(busy:ping()))
    server:stop()
  end)

  it("that comes and goes leaves no descriptor behind", function()
    local server = Server.start {}
    local witness = server:connect()
    expect.value(witness:ping())
    local before = process.descriptors(server.pid)
    for _ = 1, 500 do
      local c = client.connect { path = server.socket_path }
      c:send "ping"
      c:close()
    end
    wait.until_true("the descriptors are back", function()
      return process.descriptors(server.pid) <= before
    end)
    assert.equal("pong", expect.value(witness:ping()))
    server:stop()
  end)
end)
