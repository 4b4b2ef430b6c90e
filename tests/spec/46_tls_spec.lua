local Certificates = require "spec.support.certificates"
local Server = require "spec.support.server"
local client = require "rtcache.client"
local expect = require "spec.support.expect"
local files = require "spec.support.files"
local process = require "spec.support.process"
local socket = require "socket"
local ssl = require "ssl"
local wait = require "spec.support.wait"

local NAMES = "DNS:localhost,IP:127.0.0.1"
-- "other", cheaply hashed (8 MiB, one pass)
local PASSWORD_OTHER =
  "$argon2id$v=19$m=8192,t=1,p=1$dMoaTKxrUTzGwdGXZgwEuw$LasVO8KoMTADkX1NpsRNndVnt/i1l1inqZQiq6N7UOM"
local PYTHON_CLIENT = "tests/spec/support/tls_client.py"

describe("TLS", function()
  local certificates, server

  setup(function()
    certificates = Certificates.make()
    certificates:ca "stranger-ca"
    certificates:issue("server", NAMES)
    certificates:issue("renewed", NAMES)
    certificates:issue("elsewhere", "DNS:elsewhere.example")
    certificates:issue("past", NAMES, { days = -1 })
    certificates:issue("client", "DNS:client")
    certificates:issue("stranger", "DNS:stranger", { ca = "stranger-ca" })
  end)
  teardown(function() certificates:remove() end)
  after_each(function()
    if server then server:stop() end
    server = nil
  end)

  -- fields: further options of the group; name: of the certificate.
  local function options(fields, name, top)
    local group = { certificate = "server.pem", key = "server.key" }
    for k, v in pairs(fields or {}) do group[k] = v end
    return {
      tls = group,
      options = top,
      files = {
        ["server.pem"] = certificates:text((name or "server") .. ".pem"),
        ["server.key"] = certificates:text((name or "server") .. ".key"),
        ["ca.pem"] = certificates:text "ca.pem",
      },
    }
  end

  local function start(...)
    server = Server.start(options(...))
    return server
  end

  -- A client over TLS that trusts the CA. fields: of its `tls`.
  local function connect(fields)
    local tls = { ca = certificates:path "ca.pem" }
    for k, v in pairs(fields or {}) do tls[k] = v end
    local c, err = client.connect { port = server.tls_port, tls = tls, timeout = wait.PATIENCE }
    if c then server.clients[#server.clients + 1] = c end
    return c, err
  end

  local function python(what, ...)
    local status, text = process.run({
      "/usr/bin/python3", PYTHON_CLIENT, what, tostring(server.tls_port), certificates:path "ca.pem", ...,
    }, { timeout = 2 * wait.PATIENCE })
    assert.equal(0, status, text)
    assert.truthy(text:find "ok\n$", text)
    return text
  end

  local function tool(...)
    return process.run { Server.tool, "-s", "tls:127.0.0.1:" .. server.tls_port, ... }
  end

  local function counters()
    server.observer = server.observer or server:connect()
    return expect.value(server.observer:stats()).counters
  end

  local function await_counter(name, value)
    wait.until_true(name .. " is " .. value, function() return counters()[name] == value end)
  end

  -- Whose certificate a new connection gets.
  local function certificate_now()
    local c = assert(connect())
    local subject = c.sock:getpeercertificate():subject()
    c:close()
    return subject[1].value
  end

  local function install(name)
    files.replace(server.folder .. "/server.key", certificates:text(name .. ".key"))
    files.replace(server.folder .. "/server.pem", certificates:text(name .. ".pem"))
  end

  describe("a server", function()
    it("says where it listens, and talks to LuaSec's and Python's clients and to the tool", function()
      start()
      assert.equal("tls:127.0.0.1:" .. server.tls_port, server.addresses[3])
      local cache = assert(connect())
      assert.is_true(cache:set("a:1", { name = "Ann" }))
      assert.equal("Ann", expect.value(cache:get "a:1").name)
      local text = python "versions"
      assert.truthy(text:find("TLSv1.2 ECDHE-ECDSA-AES", 1, true), text)
      assert.truthy(text:find("TLSv1.3 TLS_AES", 1, true), text)
      local status, said = tool("--ca", certificates:path "ca.pem", "get", "py:1")
      assert.equal('"TLSv1.3"\n', said)
      assert.equal(0, status)
      assert.equal(4, tonumber(counters().tls_handshakes))
      assert.equal(0, tonumber(counters().tls_failed))
    end)

    it("speaks 1.3 alone where it is told to", function()
      start { min_version = "1.3" }
      local status, text = process.run {
        "openssl", "s_client", "-connect", "127.0.0.1:" .. server.tls_port, "-tls1_2",
      }
      assert.not_equal(0, status)
      assert.truthy(text:find "alert", text)
      assert.equal("pong", assert(connect()):ping())
      assert.truthy(server:wait_log "conn.tls_failed [^\n]*unsupported protocol")
    end)

    it("takes and gives 10 MB, and thousands of requests at once", function()
      start(nil, nil, { shards = 1, max_value = "16mb", max_frame = "32mb" })
      python "large"
      python "pipeline"
      assert.equal(0, tonumber(counters().protocol_errors))
    end)

    it("answers what was asked before close_notify, and says goodbye itself", function()
      start()
      python "half_close"
    end)

    it("does so for a client whose password is still being looked at", function()
      start({}, nil, { auth_delay = "0s", users = {
        { name = "app", password_hash = PASSWORD_OTHER, rights = { "read" } },
      } })
      python "half_close_in_auth"
    end)

    it("serves 500 that come at once", function()
      start()
      python "crowd"
      assert.equal(500, tonumber(counters().tls_handshakes))
    end)

    it("goes on with a few handshakes in a turn, so that others are answered between", function()
      start()
      local plain = server:connect()
      expect.value(plain:set("k", "v"))
      server:signal "STOP" -- so that all of them are there at once
      local shaking = {}
      for i = 1, 40 do
        local s = assert(socket.connect("127.0.0.1", server.tls_port))
        s = assert(ssl.wrap(s, { mode = "client", protocol = "any", verify = "none" }))
        s:settimeout(0)
        assert.is_false((s:dohandshake()))
        shaking[i] = s
      end
      server:signal "CONT"
      for _, s in ipairs(shaking) do
        assert.equal("v", expect.value(plain:get "k"))
        s:settimeout(wait.PATIENCE)
        assert(s:dohandshake())
        s:close()
      end
      await_counter("tls_handshakes", 40) -- the last of a handshake may be read after its client has left
      assert.is_true(tonumber(counters().tls_put_off) > 0)
    end)

    it("closes a connection whose record was changed on its way", function()
      start()
      python "broken_record"
      await_counter("protocol_errors", 1)
      expect.absent(server:connect():peek "py:forged")
    end)
  end)

  describe("clients that are no good", function()
    it("do not speak TLS: they are closed without an answer, and counted", function()
      start()
      local plain = assert(client.connect { port = server.tls_port, timeout = wait.PATIENCE })
      expect.error("CLOSED", "closed", plain:ping())
      plain:close()
      for _, garbage in ipairs { "GET / HTTP/1.1\r\n\r\n", ("\255"):rep(100000), "\22\3\1\0\8no hello" } do
        local tcp = assert(socket.connect("127.0.0.1", server.tls_port))
        tcp:settimeout(wait.PATIENCE)
        tcp:send(garbage)
        local all, err, before_reset = tcp:receive "*a"
        assert.is_not.equal("timeout", err)
        local said = all or before_reset
        assert.truthy(said == "" or said:find "^\21\3" and #said == 7, said) -- an alert of TLS at most
        tcp:close()
      end
      await_counter("tls_failed", 4)
      assert.truthy(server:wait_log 'conn.tls_failed id=%d+ error="the client does not speak TLS"')
      assert.equal("pong", assert(connect()):ping())
    end)

    it("speak TLS where it is not spoken: that is malformed", function()
      start()
      local c, err = client.connect {
        port = server.port, tls = { ca = certificates:path "ca.pem" }, timeout = wait.PATIENCE,
      }
      assert.is_nil(c)
      assert.equal("IO", err.code)
      await_counter("protocol_errors", 1)
      local status, text = process.run {
        Server.tool, "-s", "tls:127.0.0.1:" .. server.port, "--ca", certificates:path "ca.pem", "ping",
      }
      assert.equal(4, status)
      assert.equal("rtcache: the server does not speak TLS at this address\n", text)
    end)

    it("take too long for the handshake: they are cut", function()
      start { handshake_timeout = "1s" }
      python "trickle"
      await_counter("tls_failed", 1)
      assert.truthy(server:wait_log "conn.tls_failed [^\n]*handshake_timeout")
    end)

    it("send a record more slowly than frame_rate: they are cut", function()
      start({}, nil, { frame_grace = "200ms", frame_rate = "1kb" })
      python "trickle_record"
      await_counter("connections_slow", 1)
    end)

    it("say nothing at all: they are cut as well", function()
      start { handshake_timeout = "1s" }
      local tcp = assert(socket.connect("127.0.0.1", server.tls_port))
      tcp:settimeout(wait.PATIENCE)
      local _, err = tcp:receive(1)
      assert.equal("closed", err)
      tcp:close()
      await_counter("tls_failed", 1)
    end)

    it("reset in the middle of it: others are served", function()
      start()
      python "reset"
      await_counter("tls_failed", 8)
      assert.equal("pong", assert(connect()):ping())
    end)

    it("are too many in the handshake: one more is closed at once", function()
      start({ max_handshakes = 2 }, nil, { io_threads = 1 })
      local silent = {}
      for i = 1, 2 do silent[i] = assert(socket.connect("127.0.0.1", server.tls_port)) end
      await_counter("tls_started", 2)
      local c = connect()
      assert.is_nil(c)
      await_counter("tls_refused", 1)
      for i = 1, 2 do silent[i]:close() end
      await_counter("tls_failed", 2)
      assert.equal("pong", assert(connect()):ping())
    end)

    it("do not read their answers: they have to, and are closed after output_timeout", function()
      start(nil, nil, { max_output = "2mb", output_timeout = "500ms" })
      local cache = assert(connect())
      assert.is_true(cache:set("big", ("b"):rep(1000000)))
      local requests = {}
      for i = 1, 100 do requests[i] = client.encode_request(i, "get", "big") end
      assert(cache:write(table.concat(requests)))
      for i = 1, 30 do assert.equal(1000000, #expect.value(cache:receive(i))) end
      assert.truthy(counters().paused >= 1)
      await_counter("connections_unread", 1)
      assert.equal(0, counters().connections_cut)
    end)
  end)

  describe("certificates of clients", function()
    it("must be of the CA", function()
      start { client_ca = "ca.pem" }
      local own = { cert = certificates:path "client.pem", key = certificates:path "client.key" }
      assert.equal("pong", assert(connect(own)):ping())
      python("versions", own.cert, own.key)
      local status, text = tool("--ca", certificates:path "ca.pem", "--cert", own.cert, "--key", own.key, "ping")
      assert.equal('"pong"\n', text)
      assert.equal(0, status)
    end)

    it("that are missing or of another CA are refused, and the tool says why", function()
      start { client_ca = "ca.pem" }
      local status, text = tool("--ca", certificates:path "ca.pem", "ping")
      assert.equal(4, status)
      assert.truthy(text:find("certificate required", 1, true), text)
      status, text = tool("--ca", certificates:path "ca.pem", "--cert", certificates:path "stranger.pem",
        "--key", certificates:path "stranger.key", "ping")
      assert.equal(4, status)
      assert.truthy(text:find("unknown ca", 1, true), text)
      await_counter("tls_failed", 2)
      assert.equal(0, tonumber(counters().tls_handshakes))
      assert.truthy(server:wait_log "peer did not return a certificate")
      assert.truthy(server:wait_log "the client's certificate is not accepted: ")
    end)
  end)

  describe("the tool", function()
    it("refuses a server of another CA, and one with another name", function()
      start()
      local status, text = tool("--ca", certificates:path "stranger-ca.pem", "ping")
      assert.equal(4, status)
      assert.truthy(text:find("the server's certificate is not accepted: ", 1, true), text)
      install "elsewhere"
      expect.value(server:connect():reload())
      status, text = tool("--ca", certificates:path "ca.pem", "ping")
      assert.equal(4, status)
      assert.truthy(text:find("not accepted: IP address mismatch", 1, true), text)
      status, text = process.run {
        Server.tool, "--tls", "-s", "localhost:" .. server.tls_port, "--ca", certificates:path "ca.pem", "ping",
      }
      assert.equal(4, status)
      assert.truthy(text:find("not accepted: hostname mismatch", 1, true), text)
    end)

    it("takes the address from the environment too, and options that go together", function()
      start()
      local function run(env, ...) return process.run({ Server.tool, ... }, { env = env }) end
      local address = "localhost:" .. server.tls_port
      local ca = certificates:path "ca.pem"
      local status, text = run({ RTCACHE_SERVER = "tls:" .. address }, "--ca", ca, "ping")
      assert.equal('"pong"\n', text)
      assert.equal(0, status)
      status, text = run({ RTCACHE_SERVER = address, SSL_CERT_FILE = ca }, "--tls", "ping")
      assert.equal('"pong"\n', text)
      assert.equal(0, status)
      status, text = run({ RTCACHE_SERVER = address }, "--ca", ca, "ping")
      assert.equal(2, status)
      assert.truthy(text:find("go with --tls", 1, true), text)
      status, text = run({ RTCACHE_SERVER = "tls:" .. address }, "--cert", ca, "ping")
      assert.equal(2, status)
      assert.truthy(text:find("--cert and --key go together", 1, true), text)
      status, text = run({ RTCACHE_SERVER = "tls:" .. address }, "--ca", "/nowhere.pem", "ping")
      assert.equal(2, status)
      assert.truthy(text:find("cannot read /nowhere.pem", 1, true), text)
    end)
  end)

  it("of the Lua client refuses a server of another CA or name", function()
    start()
    local c, err = connect { ca = certificates:path "stranger-ca.pem" }
    expect.error("IO", "certificate verify failed", c, err)
    c, err = connect { name = "elsewhere.example" }
    expect.error("IO", "not for elsewhere.example", c, err)
    assert.equal("pong", assert(connect { name = "LOCALHOST" }):ping())
  end)

  describe("a reload", function()
    it("gives new connections the new certificate, and old ones go on", function()
      start()
      local old = assert(connect())
      assert.equal("server", certificate_now())
      install "renewed"
      expect.value(old:reload())
      assert.equal("renewed", certificate_now())
      assert.is_true(old:set("a", 1))
      assert.equal("server", old.sock:getpeercertificate():subject()[1].value)
    end)

    it("comes by itself where the files are watched", function()
      start(nil, nil, { watch = true })
      install "renewed"
      wait.until_true("the new certificate", function() return certificate_now() == "renewed" end)
    end)

    it("with a broken certificate changes nothing, and says what is wrong", function()
      start()
      local cache = assert(connect())
      local path = server.folder .. "/server.pem"
      files.replace(path, certificates:text "renewed.pem")
      expect.error("RELOAD_FAILED", { "rtcache.conf:", "tls: key: ", "does not belong to the certificate" },
        cache:reload())
      files.replace(path, "nonsense\n")
      expect.error("RELOAD_FAILED", { "rtcache.conf:", "tls: certificate: " .. path }, cache:reload())
      os.remove(path)
      expect.error("RELOAD_FAILED", { "rtcache.conf:", '"certificate": cannot read ' .. path }, cache:reload())
      assert.equal("server", certificate_now())
      install "renewed"
      expect.value(cache:reload())
      assert.equal("renewed", certificate_now())
    end)

    it("can ask clients for certificates from now on", function()
      local o = options()
      server = Server.start(o)
      local old = assert(connect())
      o.tls.client_ca = "ca.pem"
      server:write_conf(o)
      expect.value(old:reload())
      assert.equal("pong", old:ping())
      -- In TLS 1.3 a client hears of it when it reads.
      local c = connect()
      assert.is_nil(c and c:ping())
      local own = { cert = certificates:path "client.pem", key = certificates:path "client.key" }
      assert.equal("pong", assert(connect(own)):ping())
    end)
  end)

  describe("--check", function()
    local function check(fields, name, texts)
      server = Server.prepare(options(fields, name))
      for file, text in pairs(texts or {}) do files.write(server.folder .. "/" .. file, text) end
      local status, text = process.run(server:command "--check")
      server:remove()
      server = nil
      return status, text
    end

    it("says what is wrong with file and line", function()
      assert.equal(0, (check()))
      local status, text = check(nil, nil, { ["server.key"] = certificates:text "renewed.key" })
      assert.equal(1, status)
      assert.truthy(text:find "rtcache%.conf:%d+: tls: key: .*server%.key does not belong to the certificate", text)
      status, text = check { key = "none.key" }
      assert.equal(1, status)
      assert.truthy(text:find 'rtcache%.conf:%d+: "key": cannot read .*none%.key: No such file', text)
      status, text = check { ciphers = "NONSENSE" }
      assert.equal(1, status)
      assert.truthy(text:find('ciphers: "NONSENSE": no cipher match', 1, true), text)
      status, text = check { certificat = "server.pem" }
      assert.equal(1, status)
      assert.truthy(text:find('did you mean "certificate"?', 1, true), text)
    end)

    it("warns of a certificate that is past its time, with which the server starts", function()
      local status, text = check(nil, "past")
      assert.equal(0, status)
      assert.truthy(text:find "rtcache%.conf:%d+: warning: tls: certificate: .*server%.pem: expired at %d", text)
      start(nil, "past")
      assert.truthy(server:wait_log 'warn  tls%.certificate file=[^\n]* doubt="expired at ')
    end)

    it("keeps the key out of the log and out of what it says", function()
      local key = certificates:text "server.key"
      local secret = key:match "\n([%w+/]+)"
      local status, text = check(nil, nil, { ["server.key"] = key:sub(1, 90) .. "!" .. key:sub(91) })
      assert.equal(1, status)
      assert.is_nil(text:find(secret, 1, true), text)
    end)
  end)
end)
