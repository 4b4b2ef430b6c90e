-- A service manager binds the sockets, keeps them, and hands them to each server in turn
-- (sd_listen_fds(3)). The test is the manager here.

local Certificates = require "spec.support.certificates"
local Server = require "spec.support.server"
local client = require "rtcache.client"
local expect = require "spec.support.expect"
local ffi = require "ffi"
local files = require "spec.support.files"
local lfs = require "lfs"
local process = require "spec.support.process"
local socket = require "socket"
local unix = require "socket.unix"
local wait = require "spec.support.wait"

describe("a server that is handed its sockets", function()
  local folder, held, server

  before_each(function()
    folder = process.temporary_folder()
    held = {}
  end)
  after_each(function()
    if server then server:stop() end
    server = nil
    for _, s in ipairs(held) do s:close() end
    files.remove(folder)
  end)

  local function tcp(host)
    local s = assert(socket.bind(host or "127.0.0.1", 0, 128))
    held[#held + 1] = s
    return s, tonumber((select(2, s:getsockname())))
  end

  local function at_path(name)
    local s = assert(unix.stream())
    assert(s:bind(folder .. "/" .. name))
    assert(s:listen(128))
    held[#held + 1] = s
    return s, folder .. "/" .. name
  end

  -- sockets: those that it is handed, in their order.
  local function prepare(listen, sockets, names, more)
    local fds = {}
    for i, s in ipairs(sockets) do fds[i] = s:getfd() end
    local o = { handed = fds, env = { LISTEN_FDNAMES = names }, options = { listen = listen } }
    for name, v in pairs(more or {}) do
      if name == "options" then
        for k, option in pairs(v) do o.options[k] = option end
      else
        o[name] = v
      end
    end
    return Server.prepare(o)
  end

  local function start(...)
    server = prepare(...)
    server:launch()
    return server
  end

  local function refuses(text, ...)
    local s = prepare(...)
    local status, said = process.run(s:command(), { handed = s.options.handed, env = s.options.env })
    s:remove()
    assert.equal(1, status)
    assert.truthy(said:find(text, 1, true), said)
  end

  local function to(port) return assert(client.connect { port = port, timeout = wait.PATIENCE }) end

  it("serves on them, as its configuration names their addresses", function()
    local a, port = tcp()
    local b, path = at_path "rt.sock"
    local address = "127.0.0.1:" .. port
    start({ address, "unix:" .. path }, { b, a })
    assert.same({ address, "unix:" .. path }, server.addresses)
    assert.equal("pong", to(port):ping())
    assert.equal("pong", assert(client.connect { path = path }):ping())
    assert.truthy(server:log():find(('listen.handed address="%s" name="unknown" listed=1'):format(address), 1, true))
  end)

  it("knows the file of a Unix socket by any of its paths", function()
    local s, path = at_path "rt.sock"
    assert(lfs.link(folder, folder .. "/other", true))
    start({ "unix:" .. folder .. "/other/rt.sock" }, { s })
    assert.equal("pong", assert(client.connect { path = path }):ping())
  end)

  it("serves on one that its configuration does not name, and says so", function()
    local s, port = tcp()
    start({ "127.0.0.1:0" }, { s }, "extra")
    assert.equal("pong", to(port):ping())
    assert.equal("pong", server:connect({ tcp = true }):ping())
    local line = ('listen.handed address="127.0.0.1:%d" name="extra" listed=0'):format(port)
    assert.truthy(server:log():find(line, 1, true))
  end)

  it("leaves them open when it stops: who connects meanwhile is answered by the next one", function()
    local a, port = tcp()
    local b, path = at_path "rt.sock"
    start({ "127.0.0.1:" .. port, "unix:" .. path }, { a, b })
    assert.equal("pong", to(port):ping())
    server:signal "TERM"
    assert.equal(0, server.process:wait(wait.PATIENCE))
    assert.equal("socket", lfs.attributes(path, "mode"))
    local waiting, ids = {}, {}
    for i = 1, 20 do
      waiting[i] = i % 2 == 0 and to(port) or assert(client.connect { path = path, timeout = wait.PATIENCE })
      ids[i] = waiting[i]:send "ping"
    end
    server:launch()
    for i, c in ipairs(waiting) do assert.equal("pong", expect.value(c:receive(ids[i]))) end
  end)

  it("restarts under load, and nobody is refused or left without an answer", function()
    local a, port = tcp()
    local b, path = at_path "rt.sock"
    local open, answered, lost = {}, { pong = 0, SHUTTING_DOWN = 0 }, {}
    local function ask(i)
      local c = i % 2 == 0 and to(port) or assert(client.connect { path = path, timeout = wait.PATIENCE })
      open[#open + 1] = { c, expect.value(c:send "ping") }
    end
    local function hear(patience)
      local still = {}
      for _, o in ipairs(open) do
        local v, err = o[1]:receive(o[2], patience)
        local what = v or err.code
        if what == "TIMEOUT" then
          still[#still + 1] = o
        else
          if answered[what] then answered[what] = answered[what] + 1 else lost[#lost + 1] = tostring(err) end
          o[1]:close()
        end
      end
      open = still
    end
    start({ "127.0.0.1:" .. port, "unix:" .. path }, { a, b })
    for _ = 1, 4 do
      for i = 1, 200 do
        ask(i)
        hear(0)
      end
      server:signal "TERM"
      local i = 0
      repeat
        i = i + 1
        if #open < 100 then ask(i) end
        hear(0)
      until server.process:wait(0)
      assert.equal(0, server.process.status)
      while #open < 100 do ask(#open) end
      server:launch()
      hear(wait.PATIENCE)
    end
    assert.same({}, lost)
    assert.equal(0, #open)
    assert.truthy(answered.pong > 4 * 200, answered.pong)
  end)

  it("leaves alone what is for another process", function()
    local s, port = tcp()
    start({ "127.0.0.1:0" }, { s }, nil, { env = { LISTEN_PID = "1" } })
    assert.is_nil(server:log():find("listen.handed", 1, true))
    assert.not_equal(port, server.port)
  end)

  it("warns of a Unix socket that everybody may connect to", function()
    local s, path = at_path "rt.sock"
    os.execute("chmod 666 " .. path)
    start({ "unix:" .. path }, { s })
    assert.truthy(server:log():find("its mode lets everybody on this machine in", 1, true))
  end)

  describe("with TLS", function()
    local certificates
    setup(function()
      certificates = Certificates.make()
      certificates:issue("server", "DNS:localhost,IP:127.0.0.1")
    end)
    teardown(function() certificates:remove() end)

    local function group()
      return {
        options = { tls = { certificate = "server.pem", key = "server.key" } },
        files = {
          ["server.pem"] = certificates:text "server.pem",
          ["server.key"] = certificates:text "server.key",
        },
      }
    end
    local function over_tls(port)
      return assert(client.connect { port = port, tls = { ca = certificates:path "ca.pem" }, timeout = wait.PATIENCE })
    end

    it("speaks it where the configuration says so of the address, whatever the name", function()
      local s, port = tcp()
      start({ "tls:127.0.0.1:" .. port }, { s }, "rtcache.socket", group())
      assert.equal("pong", over_tls(port):ping())
    end)

    it("speaks it on one that the configuration does not name, where its name says so", function()
      local a, first = tcp()
      local b, second = tcp()
      start({ "127.0.0.1:0" }, { a, b }, "tls-inside:plain", group())
      assert.equal("pong", over_tls(first):ping())
      assert.equal("pong", to(second):ping())
    end)

    it("does not start where name and address disagree, or there is no certificate", function()
      local s, port = tcp()
      refuses('descriptor 3 ("tls") is to speak TLS by its name, and is without tls: in "listen"',
        { "127.0.0.1:" .. port }, { s }, "tls", group())
      refuses(('127.0.0.1:%d, which was handed over as "tls", needs a group "tls"'):format(port),
        { "127.0.0.1:0" }, { s }, "tls")
      local u = at_path "rt.sock"
      refuses('descriptor 3 ("tls") is a Unix socket', { "127.0.0.1:0" }, { u }, "tls", group())
    end)
  end)

  it("does not serve strangers who need no name, on an address that it does not name", function()
    local s, port = tcp "0.0.0.0"
    refuses(("0.0.0.0:%d, which was handed over, serves everybody who can reach it"):format(port), { "127.0.0.1:0" },
      { s })
    start({ "127.0.0.1:0" }, { s }, nil, { options = { open_to_all = true } })
    assert.equal("pong", to(port):ping())
    server.options.options.open_to_all = nil
    server:write_conf(server.options)
    expect.error("RELOAD_FAILED", { "serves everybody who can reach it" }, server:connect({ tcp = true }):reload())
  end)

  it("says which of them is no socket to listen on, and why", function()
    local good, port = tcp()
    local datagrams = assert(socket.udp())
    assert(datagrams:setsockname("127.0.0.1", 0))
    local connected = assert(socket.connect("127.0.0.1", port))
    held[#held + 1], held[#held + 2] = datagrams, connected
    local file = { getfd = function() return ffi.C.open("/dev/null", 0) end }
    local listen = { "127.0.0.1:0" }
    refuses('descriptor 4 ("b") is a socket of datagrams', listen, { good, datagrams }, "a:b")
    refuses('descriptor 3 ("unknown") does not listen', listen, { connected })
    refuses('descriptor 3 ("unknown") is no socket', listen, { file })
  end)

  it("says what it cannot read of what it is told of them", function()
    local s = tcp()
    local listen = { "127.0.0.1:0" }
    refuses('LISTEN_FDS is "two", no number', listen, { s }, nil, { env = { LISTEN_FDS = "two" } })
    refuses('LISTEN_FDS is "-1", no number', listen, { s }, nil, { env = { LISTEN_FDS = "-1" } })
    refuses("LISTEN_FDS is 65; at most 64", listen, { s }, nil, { env = { LISTEN_FDS = "65" } })
    refuses('LISTEN_PID is "", no number', listen, { s }, nil, { env = { LISTEN_PID = "" } })
    refuses("LISTEN_FDNAMES has 2 names, and LISTEN_FDS is 1", listen, { s }, "a:b")
    refuses('descriptor 4 ("unknown") is no socket', listen, { s }, nil, { env = { LISTEN_FDS = "2" } })
  end)

  it("says what to write where it is handed another address of the port", function()
    local s, port = tcp "0.0.0.0"
    refuses(("a socket for 0.0.0.0:%d was handed over: name that address"):format(port), { "127.0.0.1:" .. port },
      { s }, nil, { options = { open_to_all = true } })
  end)

  it("works under systemd's own tool", function()
    if os.execute "command -v systemd-socket-activate >/dev/null" ~= 0 then
      pending "systemd-socket-activate is not installed"
      return
    end
    local s, port = tcp()
    s:close()
    server = Server.prepare { options = { listen = { "127.0.0.1:" .. port } } }
    local command = { "systemd-socket-activate", "-l", "127.0.0.1:" .. port, unpack(server:command()) }
    local manager = process.spawn(command, { stderr = server.log_path })
    local cache = wait.until_true("it listens", function()
      return client.connect { port = port, timeout = wait.PATIENCE }
    end)
    assert.equal("pong", cache:ping())
    assert.equal("listening on 127.0.0.1:" .. port, manager:line(wait.PATIENCE))
    manager:signal "TERM"
    assert.equal(0, manager:wait(wait.PATIENCE))
    manager:finish()
  end)
end)
