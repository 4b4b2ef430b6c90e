-- A name may have several addresses: `localhost` is ::1 and 127.0.0.1 on most machines.
--
-- What the name means is told to each process by nss_wrapper (cwrap.org), which answers from a
-- file instead of /etc/hosts.

local Server = require "spec.support.server"
local client = require "rtcache.client"
local expect = require "spec.support.expect"
local files = require "spec.support.files"
local process = require "spec.support.process"

local BOTH = "::1 localhost\n127.0.0.1 localhost\n"

local function hosts_env(folder, text)
  files.write(folder .. "/hosts", text)
  return {
    LD_PRELOAD = "libnss_wrapper.so",
    NSS_WRAPPER_HOSTS = folder .. "/hosts",
    ASAN_OPTIONS = "detect_leaks=1:verify_asan_link_order=0",
  }
end

local function has_ipv6()
  local socket = require "socket"
  local s = socket.tcp6 and socket.tcp6()
  local ok = s and s:bind("::1", 0)
  if s then s:close() end
  return ok ~= nil and ok ~= false
end

describe("an address by name", function()
  local server

  local function start(listen, hosts)
    server = Server.prepare {
      options = { listen = listen },
      loaders = { { pattern = "k:*", script = "k.lua" } },
      scripts = { ["k.lua"] = "return { load = function(key) return key end }" },
    }
    server.options.env = hosts_env(server.folder, hosts)
    server:launch()
  end

  local function tool(address, hosts, ...)
    return process.run({ Server.tool, "--server", address, ... }, {
      env = hosts_env(server.folder, hosts), stderr = server.folder .. "/errors",
    })
  end

  after_each(function()
    server:stop()
    server = nil
  end)

  it("listens on each of its addresses, on one port", function()
    if not has_ipv6() then pending "this machine has no IPv6" end
    start("localhost:0", BOTH)
    assert.equal(2, #server.addresses)
    table.sort(server.addresses)
    local port = server.addresses[1]:match "^127%.0%.0%.1:(%d+)$"
    assert.equal("[::1]:" .. port, server.addresses[2])
    for _, host in ipairs { "127.0.0.1", "::1" } do
      local c = assert(client.connect { host = host, port = tonumber(port) })
      assert.equal("k:1", expect.value(c:get "k:1"))
      c:close()
    end
  end)

  it("is listened on once where the name says the same address twice", function()
    start("localhost:0", "127.0.0.1 localhost\n127.0.0.1 localhost\n")
    assert.equal(1, #server.addresses)
  end)

  it("is tried address by address by the tool", function()
    start("127.0.0.1:0", BOTH) -- nobody is at ::1
    local status, text = tool("localhost:" .. server.port, BOTH, "get", "k:1")
    assert.equal(0, status, files.read(server.folder .. "/errors"))
    assert.equal('"k:1"\n', text)
  end)

  it("is refused by the tool where nobody is at any of them, and named", function()
    start("127.0.0.1:0", BOTH)
    local status = tool("localhost:1", BOTH, "get", "k:1")
    assert.equal(4, status)
    local errors = files.read(server.folder .. "/errors")
    assert.truthy(errors:find("cannot connect to localhost:1: Connection refused", 1, true), errors)
  end)
end)

describe("rtcached --check", function()
  local folder

  before_each(function()
    folder = process.temporary_folder()
    files.make_folder(folder .. "/scripts")
  end)
  after_each(function() files.remove(folder) end)

  -- What the check says and what the start says, without the time of a line of the log.
  local function both(text)
    files.write(folder .. "/rtcache.conf", text)
    local checked, check = process.run({ Server.binary, "-c", folder .. "/rtcache.conf", "--check" }, {})
    local started, start = process.run({ "timeout", "20", Server.binary, "-c", folder .. "/rtcache.conf" }, {})
    return checked, check, started, start
  end

  local function postgres(rest)
    return 'listen = ":0"  backends = { a = { driver = "postgres", url = "host=x' .. rest .. " } }"
  end

  local REFUSED = {
    { 'listen = "::1:0"', "an IPv6 address stands in brackets" },
    { 'listen = "unix:run.sock"', "unix: takes an absolute path" },
    { 'listen = "unix:@name"', "unix: takes an absolute path" },
    { 'listen = "[]:1"', "the brackets are empty" },
    { 'listen = ("127.0.0.1:17411", ":17411")', "are the same address" },
    { 'listen = ":0"  user = "nobody at all"', 'there is no user "nobody at all"', root = true },
    { 'listen = "unix:/nonexistent/s"', "listen: cannot listen on unix:/nonexistent/s: No such file or directory" },
    { 'listen = "unix:/etc/passwd"', "listen: cannot listen on unix:/etc/passwd: the file exists and is no socket" },
    { 'listen = "203.0.113.7:0"  open_to_all = true',
      "listen: cannot listen on 203.0.113.7:0: Cannot assign requested address" },
    { 'listen = ":0"  log_file = "/nonexistent/log"', "log_file: " },
    { 'listen = ":0"  log_file = "/tmp"', "log_file: /tmp: Is a directory" },
    { 'listen = ":0"  tag_slots = 1000', '"tag_slots" is 1000; it must be a power of two' },
    { postgres ' foo=bar"', 'invalid connection option "foo"' },
    { postgres ' port=http"', 'the port "http" is no number' },
    { postgres ',y port=1,2,3"', "it has 3 ports for 2 hosts" },
    { postgres '", primary = "a"', '"a" names itself' },
    { postgres('", feed = "' .. ("n"):rep(64) .. '"'), "longer than the 63 bytes" },
    { '\239\187\191listen = ":0"', "begins with a byte order mark (BOM)" },
  }

  for _, case in ipairs(REFUSED) do
    it("says what the start says of " .. case[1]:gsub("^\239\187\191", "<BOM> "):sub(1, 90), function()
      if case.root and not process.is_root then pending "only root becomes another user" end
      local checked, check, started, start = both('memory = "16mb"\nshards = 1\n' .. case[1] .. "\n")
      if case[1]:find("\239", 1, true) then checked, check, started, start = both(case[1] .. "\n") end
      assert.equal(1, checked, check)
      assert.truthy(check:find(case[2], 1, true), check)
      assert.equal(1, started, start)
      assert.truthy(start:gsub('\\"', '"'):find(case[2], 1, true), start)
    end)
  end

  it("names a byte order mark in a script", function()
    files.write(folder .. "/scripts/k.lua", "\239\187\191return { load = function() end }")
    local checked, check, started, start = both('memory = "16mb"\nshards = 1\nlisten = ":0"\n'
      .. 'loaders = ( { pattern = "k:*", script = "k.lua" } )\n')
    assert.equal(1, checked)
    assert.equal(1, started)
    for _, text in ipairs { check, start } do
      assert.truthy(text:find("k.lua:1: the file begins with a byte order mark (BOM)", 1, true), text)
    end
  end)
end)
