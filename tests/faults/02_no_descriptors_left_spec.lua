local Server = require "spec.support.server"
local client = require "rtcache.client"
local expect = require "spec.support.expect"
local wait = require "spec.support.wait"

describe("a server without descriptors", function()
  it("refuses new clients, serves the old ones, and recovers when some leave", function()
    local server = Server.start { descriptors = 64, options = { max_connections = 1000 } }
    local witness = server:connect()
    local crowd = {}
    for i = 1, 100 do crowd[i] = client.connect { path = server.socket_path, timeout = 5 } end
    wait.until_true("one of them is refused", function()
      for i = #crowd, 1, -1 do
        local _, err = crowd[i]:read_message(0.001)
        if err and err.code == "CLOSED" then return true end
      end
    end)
    for i = 1, 50 do expect.value(witness:set("key:" .. i, i)) end
    for _, c in pairs(crowd) do c:close() end
    wait.until_true("a new client is served", function()
      local c = client.connect { path = server.socket_path, timeout = 1 }
      local pong = c and c:ping()
      if c then c:close() end
      return pong == "pong"
    end)
    server:stop()
  end)

  it("refuses connections past max_connections, and only those", function()
    local server = Server.start { options = { max_connections = 10, reserved_connections = 0 } }
    local kept = {}
    for i = 1, 10 do
      kept[i] = server:connect()
      assert.equal("pong", expect.value(kept[i]:ping()))
    end
    local extra = client.connect { path = server.socket_path, timeout = wait.PATIENCE }
    local value, err = nil, { code = "CLOSED" }
    if extra then
      value, err = extra:ping()
      extra:close()
    end
    assert.is_nil(value)
    assert.truthy(err.code == "CLOSED" or err.code == "IO" or err.code == "OVERLOADED", tostring(err))
    for i = 1, 10 do assert.equal("pong", expect.value(kept[i]:ping())) end
    kept[1]:close()
    wait.until_true("there is room again", function()
      local c = client.connect { path = server.socket_path, timeout = wait.PATIENCE }
      local pong = c and c:ping()
      if c then c:close() end
      return pong == "pong"
    end)
    server:stop()
  end)
end)
