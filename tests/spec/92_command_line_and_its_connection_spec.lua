local Server = require "spec.support.server"
local files = require "spec.support.files"
local process = require "spec.support.process"
local socket = require "socket"
local wait = require "spec.support.wait"

local CONNECTION = 4 -- its exit code

describe("the command line tool", function()
  local listener, port

  before_each(function()
    listener = assert(socket.bind("127.0.0.1", 0))
    listener:settimeout(wait.PATIENCE)
    port = select(2, listener:getsockname())
  end)
  after_each(function() listener:close() end)

  -- The tool, and its connection once it has asked for something.
  local function start(scheme, ...)
    local p = process.spawn { Server.tool, "--server", scheme .. "127.0.0.1:" .. port, ... }
    local peer = assert(listener:accept())
    peer:settimeout(wait.PATIENCE)
    assert(peer:receive(1))
    return p, peer
  end

  -- All that has come goes first: an end with input unread is a reset by itself.
  local function drain(peer)
    peer:settimeout(0)
    repeat local _, err = peer:receive(4096) until err
  end

  local function ended(p)
    local text = p:read_all(wait.PATIENCE)
    local status = p:wait(wait.PATIENCE)
    p:finish()
    return status, text
  end

  for scheme, name in pairs { [""] = "in the clear", ["tls:"] = "by TLS" } do
    it("tells a connection that was reset from one that was closed, " .. name, function()
      local p, peer = start(scheme, "get", "k")
      drain(peer)
      peer:setoption("linger", { on = true, timeout = 0 })
      peer:close()
      local status, text = ended(p)
      assert.equal(CONNECTION, status, text)
      assert.truthy(text:find("connection lost: Connection reset by peer", 1, true), text)

      p, peer = start(scheme, "get", "k")
      drain(peer)
      peer:close()
      status, text = ended(p)
      assert.equal(CONNECTION, status, text)
      assert.truthy(text:find("the server closed the connection", 1, true), text)
    end)
  end

  local function state_of(p) return (files.read("/proc/" .. p.pid .. "/stat") or ""):match "^%d+ %(.*%) (%a)" end

  it("goes on with its request once it was stopped and continued", function()
    local p, peer = start("", "get", "k")
    for _ = 1, 3 do
      p:signal "STOP"
      wait.until_true("it is stopped", function() return state_of(p) == "T" end)
      p:signal "CONT"
      wait.until_true("it waits again", function() return state_of(p) == "S" end)
    end
    assert(peer:send "\148\1\1\192\165value") -- the answer to request 1
    local status, text = ended(p)
    peer:close()
    assert.equal(0, status, text)
    assert.truthy(text:find("value", 1, true), text)
  end)
end)
