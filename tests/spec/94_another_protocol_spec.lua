local Server = require "spec.support.server"
local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local files = require "spec.support.files"
local process = require "spec.support.process"
local unix = require "socket.unix"
local wait = require "spec.support.wait"

local GATE = 94
local BINARY = Server.binary:gsub("rtcached$", "rtcached_line")

-- tests/seams/line.c: one file beside the server's own, which core knows only by its table.
describe("a protocol beside the server's own", function()
  local server, source, cache, folder, path, lines

  setup(function()
    folder = process.temporary_folder()
    path = folder .. "/lines.line"
    server, source = Source.postgres({
      binary = BINARY,
      loaders = { { pattern = "k:*", ttl = "60s", negative_ttl = "60s", wait_timeout = "60s" } },
      options = { listen = { "127.0.0.1:0", "unix:" .. path } },
    })
    cache = server:connect { tcp = true }
  end)
  teardown(function()
    source:close()
    server:stop()
    files.remove(folder)
  end)
  before_each(function()
    lines = assert(unix())
    assert(lines:connect(path))
    lines:settimeout(60)
  end)
  after_each(function() lines:close() end)

  local function send(text) assert(lines:send(text)) end
  local function line() return assert(lines:receive "*l") end
  local function value()
    local size = tonumber(assert(line():match "^VALUE (%d+)$"))
    return (assert(lines:receive(size + 1)):sub(1, -2))
  end

  it("answers a hit, a load and an absence in its own bytes", function()
    source:put("k:1", "one")
    send "GET k:1\n"
    assert.equal("\163one", value()) -- a str of three bytes, as MessagePack has it
    assert.equal("one", expect.value(cache:get "k:1"))
    send "GET k:1\nGET k:none\n"
    assert.equal("\163one", value())
    assert.equal("NIL", line())
  end)

  it("answers one request after the other, whatever waits", function()
    source:put("k:2", "two")
    source:put("k:3", "three", { gate = GATE })
    assert.equal("two", expect.value(cache:get "k:2"))
    source.db:shut(GATE)
    send "GET k:3\nGET k:2\nGET k:none\n"
    source:await_gate(GATE)
    assert.equal("two", expect.value(cache:get "k:2")) -- others are served meanwhile
    source.db:open(GATE)
    assert.equal("\165three", value())
    assert.equal("\163two", value())
    assert.equal("NIL", line())
  end)

  it("sends errors in its own words, of what is parked, too", function()
    send "GET nowhere\nHOP\n"
    assert.truthy(line():find("^ERROR NO_LOADER nowhere: "))
    assert.equal("ERROR UNKNOWN_METHOD there are GET key and QUIT", line())
    send(("x"):rep(5000))
    assert.equal("ERROR TOO_LARGE a line", line())
    assert.is_nil((lines:receive "*l"))
  end)

  it("says in its own words that the server goes down, and ends behind the last answer", function()
    local other = Server.start {
      binary = BINARY, options = { drain_timeout = "1h", listen = { "unix:" .. folder .. "/other.line" } },
      loaders = { { pattern = "k:*", script = "nap.lua", wait_timeout = "60s", load_timeout = "60s" } },
      scripts = { ["nap.lua"] = "return { load = function() rtcache.sleep(1) return 'napped' end }" },
    }
    local sock = assert(unix())
    assert(sock:connect(folder .. "/other.line"))
    sock:settimeout(60)
    assert(sock:send "GET k:1\nGET k:2\n")
    other:signal "TERM"
    other:wait_log "server.draining"
    assert(sock:send "GET k:3\n")
    local text = assert(sock:receive "*a")
    assert.truthy(text:find("ERROR SHUTTING_DOWN the server is going down\n", 1, true), text)
    sock:close()
    other:stop()
  end)

  it("leaves nothing behind when its client goes while it waits", function()
    source:put("k:4", "four", { gate = GATE })
    source.db:shut(GATE)
    send "GET k:4\n"
    source:await_gate(GATE)
    local open = expect.value(cache:stats()).counters.connections_closed
    lines:close()
    wait.until_true("it is closed", function()
      return expect.value(cache:stats()).counters.connections_closed > open
    end)
    source.db:open(GATE)
    assert.equal("four", expect.value(cache:get "k:4"))
    lines = assert(unix())
    assert(lines:connect(path))
    send "GET k:4\nQUIT\n"
    assert.equal("\164four", value())
    assert.is_nil((lines:receive "*l"))
  end)
end)
