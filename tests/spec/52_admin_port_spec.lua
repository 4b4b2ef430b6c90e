-- The admin port: HTTP for whoever looks after a server. docs/monitoring.md

local socket = require "socket"
local unix = require "socket.unix"
local Server = require "spec.support.server"
local expect = require "spec.support.expect"
local files = require "spec.support.files"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

-- Cheap hashes (8 MiB, one pass) of "other".
local OTHER = "$argon2id$v=19$m=8192,t=1,p=1$dMoaTKxrUTzGwdGXZgwEuw$LasVO8KoMTADkX1NpsRNndVnt/i1l1inqZQiq6N7UOM"

local KEY = "return { load = function(key) if key == 'k:bad' then error('bad') end return key end }"

local function with(options)
  local o = { admin = "127.0.0.1:0", defaults = { retries = 0 } }
  for name, v in pairs(options or {}) do o[name] = v end
  return { options = o, loaders = { { pattern = "k:*", script = "k.lua" } }, scripts = { ["k.lua"] = KEY } }
end

local function open(server)
  local path = server.admin:match "^unix:(.+)$"
  local c
  if path then
    c = assert(unix())
    assert(c:connect(path))
  else
    c = assert(socket.connect("127.0.0.1", tonumber(server.admin:match ":(%d+)$")))
  end
  c:settimeout(wait.PATIENCE)
  return c
end

-- One answer: code, body, headers by their names in small letters. nil: it was closed.
local function read(c, method)
  local first = c:receive "*l"
  if not first then return nil end
  local headers = {}
  for line in function() return c:receive "*l" end do
    if line == "" then break end
    local name, value = line:match "^([^:]+): *(.*)$"
    headers[name:lower()] = value
  end
  local size = tonumber(headers["content-length"] or 0)
  local body = method ~= "HEAD" and size > 0 and assert(c:receive(size)) or ""
  return tonumber(first:match "^HTTP/1%.1 (%d+)"), body, headers
end

local function request(path, more)
  more = more or {}
  local text = { (more.method or "GET") .. " " .. path .. " HTTP/1.1" }
  for _, host in ipairs(more.hosts or { "localhost" }) do text[#text + 1] = "Host: " .. host end
  for _, line in ipairs(more) do text[#text + 1] = line end
  return table.concat(text, "\r\n") .. "\r\n\r\n" .. (more.body or "")
end

local function ask(server, path, more)
  local c = open(server)
  c:send(request(path, more))
  local code, body, headers = read(c, more and more.method)
  c:close()
  return code, body, headers
end

local function basic(name, password)
  return "Authorization: Basic " .. require("mime").b64(name .. ":" .. password)
end

-- The families of a page, each once and in one piece, each sample once; and what is wrong with it.
local function examine(page)
  local types, samples, wrong, family = {}, {}, {}, nil
  local function say(...) wrong[#wrong + 1] = string.format(...) end
  local last = {}
  for line in page:gmatch "[^\n]+" do
    local help, typed, kind = line:match "^# HELP ([%w_]+) .+%.?$", line:match "^# TYPE ([%w_]+) (%l+)$"
    local name, labels, value = line:match "^([%w_]+)(%b{}) (%S+)$"
    if not name then name, value = line:match "^([%w_]+) (%S+)$" end
    if typed then kind = line:match "(%l+)$" end
    if help then
      if types[help] then say("%s is in two pieces", help) end
      family, types[help] = help, "untyped"
    elseif typed then
      if typed ~= family then say("TYPE of %s without its HELP", typed) end
      types[typed] = kind
      if kind == "counter" and not typed:match "_total$" then say("%s lacks _total", typed) end
    elseif name and tonumber(value) then
      local of = name
      if types[family] == "histogram" then of = name:gsub("_bucket$", ""):gsub("_sum$", ""):gsub("_count$", "") end
      if of ~= family then say("%s is among the samples of %s", name, family) end
      local whole = name .. (labels or "")
      if samples[whole] then say("%s is there twice", whole) end
      samples[whole] = tonumber(value)
      if name:match "_bucket$" then
        local below = last[family] or 0
        if tonumber(value) < below then say("%s falls", whole) end
        last[family] = tonumber(value)
      end
    elseif line ~= "# EOF" then
      say("what is this: %s", line)
    end
  end
  for name, kind in pairs(types) do
    if kind == "histogram" and samples[name .. '_bucket{le="+Inf"}'] ~= samples[name .. "_count"] then
      say("%s: +Inf is not all", name)
    end
  end
  return wrong, types, samples
end

describe("the admin port", function()
  local server

  local function start(options)
    server = Server.start(with(options))
    return server
  end

  after_each(function()
    if server then server:stop() end
    server = nil
  end)

  it("is not there where the option is absent", function()
    local o = with()
    o.options.admin = nil
    server = Server.start(o)
    assert.is_nil(server.admin)
  end)

  it("answers whether the server lives and serves", function()
    start()
    for _, path in ipairs { "/healthz", "/readyz" } do
      local code, body, headers = ask(server, path)
      assert.equal(200, code)
      assert.equal(path == "/healthz" and "ok\n" or "ready\n", body)
      assert.equal("no-store", headers["cache-control"])
    end
  end)

  it("is not ready while the server drains", function()
    local o = with { drain_timeout = "9min", defaults = { load_timeout = "9min", wait_timeout = "9min" } }
    o.scripts["k.lua"] = "return { load = function() rtcache.sleep(3600) end }"
    server = Server.start(o)
    local waiting = server:connect()
    waiting:send("get", "k:1")
    server:await_loader("k:*", "in_flight", 1)
    server:signal "TERM"
    server:wait_log "server.draining"
    wait.until_true("it says so", function() return ask(server, "/readyz") == 503 end)
    local code, body = ask(server, "/readyz")
    assert.equal(503, code)
    assert.equal("draining\n", body)
    assert.equal(200, (ask(server, "/healthz")))
    local _, page = ask(server, "/metrics")
    assert.truthy(page:find("\nrtcache_ready 0\n", 1, true))
    assert.truthy(page:find('\nrtcache_loader_in_flight{loader="k:*"} 1\n', 1, true))
  end)

  it("shows the numbers of stats as JSON", function()
    start()
    local cache = server:connect()
    expect.value(cache:get "k:1")
    local code, body, headers = ask(server, "/api/stats")
    assert.equal(200, code)
    assert.equal("application/json", headers["content-type"])
    assert.equal(("%d"):format(expect.value(cache:stats()).store.entries), body:match '"entries":(%d+)')
    assert.equal("1", body:match '"misses":(%d+)')
  end)

  it("shows metrics in Prometheus' text", function()
    start()
    local cache = server:connect()
    expect.value(cache:get "k:1")
    expect.value(cache:get "k:1")
    cache:get "k:bad"
    server:await_loader("k:*", "failed", 1)
    local code, body, headers = ask(server, "/metrics")
    assert.equal(200, code)
    assert.equal("text/plain; version=0.0.4; charset=utf-8", headers["content-type"])
    for _, line in ipairs {
      'rtcache_loader_reads_total{loader="k:*",result="hit"} 1',
      'rtcache_loader_reads_total{loader="k:*",result="miss"} 2',
      'rtcache_loader_loads_total{loader="k:*",outcome="found"} 1',
      'rtcache_loader_loads_total{loader="k:*",outcome="failed"} 1',
      'rtcache_loader_breaker_open{loader="k:*"} 0',
      "rtcache_load_duration_seconds_count 2",
      "rtcache_store_entries 1",
      "rtcache_ready 1",
    } do
      assert.truthy(body:find("\n" .. line .. "\n", 1, true), line .. " is not in\n" .. body)
    end
    assert.truthy(body:match '\nrtcache_loader_load_failures_total{loader="k:%*",code="[A-Z_]+"} 1\n')
  end)

  it("shows a page without a fault, under any pattern", function()
    local o = with { state = "state", journal = "on" }
    o.loaders[2] = { pattern = 'q"uote\\\\:*', script = "k.lua" }
    o.backends = { main = { driver = "sqlite", path = "x.db" } }
    server = Server.start(o)
    local cache = server:connect()
    for i = 1, 50 do expect.value(cache:get("k:" .. i)) end
    local code, body = ask(server, "/metrics")
    assert.equal(200, code)
    local wrong, types, samples = examine(body)
    assert.same({}, wrong)
    assert.equal("histogram", types.rtcache_load_duration_seconds)
    assert.equal(50, samples["rtcache_load_duration_seconds_count"])
    assert.truthy(samples["rtcache_load_duration_seconds_sum"] > 0)
    assert.equal(0, samples['rtcache_backend_queries_total{backend="main"}'])
    local twice = "# HELP a_total x\n# TYPE a_total counter\na_total 1\na_total 1\n"
    assert.same({ "a_total is there twice" }, (examine(twice)))
  end)

  it("leaves no number of stats out", function()
    local o = with { state = "state", journal = "on" }
    o.backends = { main = { driver = "sqlite", path = "x.db" } }
    server = Server.start(o)
    local rows, missing = {}, {}
    for path in assert(files.read "core/admin/metric_rows.c"):gmatch '{"([%w_.*]+)", "' do rows[path] = true end
    local elsewhere = { version = true, counters = true, times = true, ["server.pid"] = true }
    local function walk(path, value, stars)
      if elsewhere[path] then return end
      if type(value) ~= "table" then
        if not rows[path] and not rows[stars] then missing[#missing + 1] = path end
        return
      end
      for name, v in pairs(value) do
        local below = path == "backends" and "backends.*" or path == "" and name or path .. "." .. name
        walk(below, v, path .. ".*")
      end
    end
    walk("", expect.value(server:connect():stats()), "")
    table.sort(missing)
    assert.same({ "restart.missing.P1", "restart.missing.P2", "restart.missing.P3", "restart.missing.P4",
      "restart.missing.P5" }, missing)
  end)

  it("speaks OpenMetrics where it is asked for", function()
    start()
    local _, body, headers = ask(server, "/metrics", { "Accept: application/openmetrics-text; version=1.0.0" })
    assert.equal("application/openmetrics-text; version=1.0.0; charset=utf-8", headers["content-type"])
    assert.truthy(body:find("\n# TYPE rtcache_hits counter\nrtcache_hits_total 0\n", 1, true))
    assert.equal("# EOF\n", body:sub(-6))
  end)

  it("takes GET and HEAD, and says what it does not take", function()
    start()
    local code, body, headers = ask(server, "/metrics", { method = "HEAD" })
    assert.equal(200, code)
    assert.equal("", body)
    assert.truthy(tonumber(headers["content-length"]) > 1000)
    for _, method in ipairs { "POST", "PUT", "DELETE", "OPTIONS", "TRACE", "NONSENSE" } do
      code, _, headers = ask(server, "/metrics", { method = method })
      assert.equal(405, code, method)
      assert.equal("GET, HEAD", headers.allow)
    end
    code, body = ask(server, "/nothing")
    assert.equal(404, code)
    assert.truthy(body:find("/metrics", 1, true))
  end)

  it("takes no bodies", function()
    start()
    assert.equal(405, (ask(server, "/metrics", { method = "POST", "Content-Length: 4", body = "abcd" })))
    assert.is_nil((ask(server, "/metrics", { "Content-Length: 4", body = "abcd" })))
    assert.is_nil((ask(server, "/metrics", { "Transfer-Encoding: chunked", body = "4\r\nabcd\r\n0\r\n\r\n" })))
    assert.equal(200, (ask(server, "/healthz", { "Content-Length: 0" })))
  end)

  it("answers to its own names alone", function()
    start { admin_hosts = { "cache.example" } }
    for _, host in ipairs { "127.0.0.1:7412", "[::1]:7412", "localhost", "CACHE.example:1", "10.9.8.7" } do
      assert.equal(200, (ask(server, "/metrics", { hosts = { host } })), host)
    end
    for _, host in ipairs { "evil.example", "localhost.evil.example", "127.0.0.1.evil.example:7412" } do
      local code, body = ask(server, "/metrics", { hosts = { host } })
      assert.equal(421, code, host)
      assert.truthy(body:find("admin_hosts", 1, true))
    end
    assert.equal(400, (ask(server, "/metrics", { hosts = {} })))
    assert.equal(400, (ask(server, "/metrics", { hosts = { "localhost", "evil.example" } })))
  end)

  it("answers requests that come together in their order, on one connection", function()
    start()
    local c = open(server)
    c:send(request "/healthz" .. request("/metrics", { method = "HEAD" }) .. request "/nothing" .. request "/readyz")
    for i, code in ipairs { 200, 200, 404, 200 } do
      assert.equal(code, (read(c, i == 2 and "HEAD" or "GET")), i)
    end
    c:close()
  end)

  it("refuses a head that is too large", function()
    start()
    local code = ask(server, "/healthz", { "X-Much: " .. ("x"):rep(40000) })
    assert.equal(431, code)
    code = ask(server, "/" .. ("x"):rep(40000))
    assert.truthy(code == 414 or code == 431, tostring(code))
    assert.equal(200, (ask(server, "/healthz")))
  end)

  it("makes room for a newcomer by the one that says nothing longest", function()
    start()
    local silent = {}
    for i = 1, 64 do silent[i] = open(server) end
    wait.until_true("64 connections are there", function()
      return process.descriptors(server.pid) >= 64
    end)
    for _ = 1, 3 do assert.equal(200, (ask(server, "/healthz"))) end
    local _, why = silent[1]:receive "*l"
    assert.equal("closed", why)
    for _, c in ipairs(silent) do c:close() end
    assert.truthy(expect.value(server:connect():stats()).counters.admin_cut >= 1)
  end)

  it("cuts a client that sends its head byte by byte", function()
    start()
    local c = open(server)
    c:settimeout(0.2)
    local closed
    local before = socket.gettime()
    for byte in (request "/healthz"):rep(20):gmatch "." do
      if not c:send(byte:gsub("[\r\n]", "x")) then closed = true break end
      local _, why = c:receive "*l"
      if why == "closed" then closed = true break end
      if socket.gettime() - before > wait.PATIENCE then break end
    end
    c:close()
    assert.is_true(closed)
    assert.truthy(socket.gettime() - before >= 4)
    assert.equal(200, (ask(server, "/healthz")))
  end)

  it("keeps users out who may not, and asks for name and password", function()
    start {
      auth_delay = "0s",
      users = {
        { name = "ops", password_hash = OTHER, rights = { "admin" } },
        { name = "app", password_hash = OTHER, rights = { "read", "write" } },
      },
    }
    assert.equal(200, (ask(server, "/healthz")))
    assert.equal(200, (ask(server, "/readyz")))
    local code, body, headers = ask(server, "/metrics")
    assert.equal(401, code)
    assert.truthy(headers["www-authenticate"]:match '^Basic realm="rtcache"')
    assert.is_nil(body:find("rtcache_", 1, true))
    assert.equal(401, (ask(server, "/metrics", { basic("ops", "wrong") })))
    assert.equal(401, (ask(server, "/metrics", { basic("nobody", "other") })))
    assert.equal(401, (ask(server, "/metrics", { basic("", "") })))
    assert.equal(401, (ask(server, "/metrics", { "Authorization: Basic %%%" })))
    assert.equal(401, (ask(server, "/metrics", { basic(("n"):rep(100), "other") })))
    assert.equal(401, (ask(server, "/metrics", { basic("ops", ("p"):rep(600)) })))
    code, body = ask(server, "/metrics", { basic("app", "other") })
    assert.equal(403, code)
    assert.truthy(body:find('no right "admin"', 1, true))
    assert.equal(200, (ask(server, "/metrics", { basic("ops", "other") })))
    assert.equal(200, (ask(server, "/api/stats", { method = "HEAD", basic("ops", "other") })))
    assert.truthy(server:log():find("admin.refused", 1, true))
  end)

  it("lets a uid in over a Unix socket, and takes any Host there", function()
    local o = with { users = { { name = "ops", unix_user = "root", rights = { "admin" } } } }
    server = Server.prepare(o)
    o.options.admin = "unix:" .. server.folder .. "/admin.sock"
    server:write_conf(o)
    server:launch()
    assert.equal("unix:" .. server.folder .. "/admin.sock", server.admin)
    assert.equal(200, (ask(server, "/metrics", { hosts = { "whatever" } })))
  end)

  it("ends with the server while requests wait for their password", function()
    start {
      auth_threads = 1, auth_delay = "60s", auth_delay_cap = "60s",
      users = { { name = "ops", password_hash = OTHER, rights = { "admin" } } },
    }
    assert.equal(401, (ask(server, "/metrics", { basic("ops", "wrong") })))
    local c = open(server)
    c:send(request("/metrics", { basic("ops", "wrong again") }))
    local observer = server:connect { tcp = true }
    expect.value(observer:ping())
    wait.until_true("the password is held back", function()
      return ask(server, "/healthz") == 200
    end)
    server:stop()
    server = nil
    local code = read(c)
    assert.truthy(code == nil or code == 503, tostring(code))
    c:close()
  end)

  it("refuses wrong values at the start, by name", function()
    for value, text in pairs {
      ["127.0.0.1"] = '"admin"', ["tls:127.0.0.1:1"] = 'tls:', ["0.0.0.0:7412"] = "serves everybody",
    } do
      local s = Server.prepare(with { admin = value })
      local status, out = process.run(s:command "--check")
      assert.equal(1, status, value)
      assert.truthy(out:find(text, 1, true), out)
      files.remove(s.folder)
    end
    local o = with { admin_hosts = { "x" } }
    o.options.admin = nil
    local s = Server.prepare(o)
    local _, out = process.run(s:command "--check")
    assert.truthy(out:find('"admin_hosts" goes with "admin"', 1, true), out)
    files.remove(s.folder)
  end)

  it("takes over names and users by a reload, and its address by a restart alone", function()
    local o = with()
    server = Server.start(o)
    local cache = server:connect()
    assert.equal(421, (ask(server, "/metrics", { hosts = { "new.example" } })))
    o.options.admin_hosts = { "new.example" }
    server:write_conf(o)
    expect.value(cache:reload())
    assert.equal(200, (ask(server, "/metrics", { hosts = { "new.example" } })))
    o.options.admin = "127.0.0.1:1"
    server:write_conf(o)
    local _, err = cache:reload()
    assert.truthy(tostring(err and err.message or err):find("admin", 1, true))
    assert.equal(200, (ask(server, "/metrics", { hosts = { "new.example" } })))
  end)
end)
