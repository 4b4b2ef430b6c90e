local unix = require "socket.unix"
local Server = require "spec.support.server"
local process = require "spec.support.process"
local files = require "spec.support.files"
local wait = require "spec.support.wait"

describe("a server that a service manager started", function()
  local folder, manager

  before_each(function()
    folder = process.temporary_folder()
    manager = assert(unix.dgram())
    assert(manager:bind(folder .. "/notify"))
    manager:settimeout(wait.PATIENCE)
  end)
  after_each(function()
    manager:close()
    files.remove(folder)
  end)

  it("says when it is ready, and when it stops", function()
    local server = Server.start { env = { NOTIFY_SOCKET = folder .. "/notify" } }
    assert.equal("READY=1", manager:receive())
    assert.equal("pong", server:connect():ping())
    server:stop()
    assert.equal("STOPPING=1", manager:receive())
  end)

  it("keeps the watchdog quiet while its main thread runs", function()
    local server = Server.start {
      env = { NOTIFY_SOCKET = folder .. "/notify", WATCHDOG_USEC = "50000" },
    }
    assert.equal("READY=1", manager:receive())
    for _ = 1, 5 do assert.equal("WATCHDOG=1", manager:receive()) end
    server:signal "STOP"
    repeat -- what was on its way
      manager:settimeout(0.5)
      local text = manager:receive()
    until not text
    server:signal "CONT"
    manager:settimeout(wait.PATIENCE)
    assert.equal("WATCHDOG=1", manager:receive())
    server:stop()
  end)

  it("leaves the watchdog of another process alone", function()
    local server = Server.start {
      env = { NOTIFY_SOCKET = folder .. "/notify", WATCHDOG_USEC = "1000", WATCHDOG_PID = "1" },
    }
    assert.equal("READY=1", manager:receive())
    local cache = server:connect()
    for _ = 1, 20 do assert(cache:reload()) end -- by the main thread, whose timer would be over long since
    server:stop()
    assert.equal("STOPPING=1", manager:receive())
  end)

  it("does not start where it is told of a socket that is none", function()
    local server = Server.prepare { env = { NOTIFY_SOCKET = "nonsense" } }
    local ok, err = pcall(server.launch, server)
    server:remove()
    assert.is_false(ok)
    assert.truthy(err:find("NOTIFY_SOCKET is \"nonsense\"", 1, true), err)
  end)
end)
