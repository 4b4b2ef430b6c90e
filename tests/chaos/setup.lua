--- What a run stands on: a PostgreSQL with two databases, certificates, ports, and the configuration in its
--- plain form. `shop` reaches its database directly, `wild` and `replica` through the proxy that spoils.

local Certificates = require "spec.support.certificates"
local Server = require "spec.support.server"
local Sqlite = require "spec.support.sqlite"
local files = require "spec.support.files"
local postgres = require "spec.support.postgres"
local process = require "spec.support.process"
local requests = require "chaos.requests"
local socket = require "socket"

local M = {}

-- "other", hashed at the least cost there is
local HASH = "$argon2id$v=19$m=8192,t=1,p=1$dMoaTKxrUTzGwdGXZgwEuw$LasVO8KoMTADkX1NpsRNndVnt/i1l1inqZQiq6N7UOM"

-- Values of many types, so that what is spoiled meets every reader.
local PEOPLE = ([==[
CREATE TABLE people (id bigint PRIMARY KEY, name text, version bigint NOT NULL DEFAULT 1, team int,
  price numeric, blob bytea, tags text[], grid int[], doc jsonb, born date, at timestamptz, share float8, ok boolean,
  uid uuid, little smallint, real_one real, span interval, nothing text);
INSERT INTO people SELECT i, 'row ' || i, 1, i %% 9 + 1, i * 1.25, decode(md5(i::text), 'hex'),
  ARRAY['a', 'b"c', NULL, i::text], ARRAY[[i, 2], [3, 4]], jsonb_build_object('a', i, 'b', ARRAY[1, 2.5, NULL]),
  DATE '2020-01-01' + i, TIMESTAMPTZ '2020-01-01 00:00Z' + i * INTERVAL '1 hour', i / 3.0, i %% 2 = 0,
  md5(i::text)::uuid, i %% 100, i / 7.0, i * INTERVAL '1 minute', NULL FROM generate_series(1, %d) AS i;
]==]):format(requests.ROWS)

local SQLITE = ("CREATE TABLE people (id INTEGER PRIMARY KEY, name TEXT, version INTEGER, team INTEGER);"
  .. "WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < %d)"
  .. " INSERT INTO people SELECT i, 'row ' || i, 1, i %% 9 + 1 FROM n;"):format(requests.ROWS)

--- A port that is free, and that no outgoing connection is given.
local function free_port(r)
  for _ = 1, 200 do
    local port = r:between(20000, 31000)
    local s = socket.bind("127.0.0.1", port)
    if s then
      s:close()
      return port
    end
  end
  error "no free port"
end

local function database(cluster, pattern)
  local db = cluster:database()
  db:exec(PEOPLE)
  local status, text = process.run { Server.tool, "watch-sql", "people", "--key", pattern, "--version", "version",
    "--tag", "team:{team}", "--channel", "changes" }
  assert(status == 0, text)
  db:exec(text)
  return db
end

local function script(name) return assert(files.read("tests/chaos/scripts/" .. name .. ".lua")) end

local function loader(pattern, more)
  local l = {
    pattern = pattern, ttl = "400ms", stale_ttl = "400ms", negative_ttl = "200ms", stale_if_error = "1s", jitter = 0.2,
    wait_timeout = "2s", load_timeout = "1s", write_timeout = "1s", refresh_ahead = 0.5, prefetch_min_reads = 1,
    early_beta = 1, backoff_base = "5ms", backoff_cap = "50ms", retry_base = "1ms", retry_cap = "50ms",
    breaker_failures = 20, breaker_open = "300ms", batch_window = "500us", batch_max = 16, max_loads = 50,
    max_queue = 200, max_waiters = 100, max_writes = 20, max_write_queue = 100,
  }
  for name, v in pairs(more) do l[name] = v end
  return l
end

local SELECT = "SELECT * FROM people WHERE id = $id"

local function loaders()
  return {
    loader("row:{id:int}", { script = "row_sqlite.lua", backend = "main" }),
    loader("pg:{id:int}", { script = "row.lua", backend = "shop", versioned = true, ttl = "2s" }),
    loader("sq:{id:int}", { sql = SELECT, version = "version", backend = "shop" }),
    loader("w:{id:int}", { script = "row.lua", backend = "wild" }),
    loader("ws:{id:int}", { sql = SELECT, version = "version", backend = "wild" }),
    loader("rp:{id:int}", { script = "row.lua", backend = "replica", write = "invalidate" }),
    loader("t:*:*", { script = "trouble.lua", backend = "shop", ttl = "150ms", retries = 2 }),
    loader("j:*", { script = "junk.lua" }),
  }
end

local function postgres_backend(url, more)
  local b = { driver = "postgres", url = url, pool = 4, reconnect_base = "10ms", reconnect_cap = "200ms",
    connect_timeout = "2s", connection_age = "5s", statement_age = "1s", max_result = "1mb", max_queue = 500 }
  for name, v in pairs(more or {}) do b[name] = v end
  return b
end

local function user(name, rights, keys)
  return { name = name, password_hash = HASH, rights = rights, keys = keys }
end

local WIDE = { "j:*", "m:*", "w:*", "ws:*", "rp:*", "t:*" }

local function users()
  local all = { "read", "write", "invalidate", "admin" }
  return {
    user("app", all),
    user("junk", { "read", "write", "invalidate" }, WIDE),
    user("reader", { "read", "invalidate" }),
    user("victim", { "read" }),
    -- who comes over the Unix socket before it says another name: nothing that makes a value untrue
    { name = "ops", unix_user = tostring(require("ffi").C.getuid()), rights = { "read", "invalidate", "admin" } },
  }
end

--- The options of a server, in their plain form.
function M.options(world)
  local direct, spoiled = world.shop.url, "host=127.0.0.1 sslmode=disable user=postgres port=" .. world.ports.pg
  local listen = { "127.0.0.1:" .. world.ports.tcp, "tls:127.0.0.1:" .. world.ports.tls, "" }
  return {
    tls = { certificate = "server.pem", key = "server.key", handshake_timeout = "2s" },
    options = {
      listen = listen, log_file = "rtcached.log", io_threads = 2, loader_threads = 2, shards = 2, memory = "4mb",
      script_memory = "16mb", script_cpu = "100ms", floor_ttl = "3s", floors = 300, tag_slots = 256,
      max_parked = 600, max_output = "16mb", max_connections = 300, max_batch = 500, max_subscriptions = 200,
      max_notices = 2000, failed_keys = 100, output_timeout = "20s", drain_timeout = "2s",
      auth_delay = "5ms", auth_delay_cap = "100ms", auth_timeout = "20s", max_auth_failures = 4, auth_cache = "2s",
      users = users(), retry_budget = 0.5,
    },
    backends = {
      main = { driver = "sqlite", path = "source.db" },
      shop = postgres_backend(direct, { feed = "changes", feed_heartbeat = "200ms", feed_grace = "1s" }),
      wild = postgres_backend(spoiled .. " dbname=" .. world.wild.name,
        { feed = "changes", feed_heartbeat = "200ms", feed_grace = "500ms" }),
      replica = postgres_backend(spoiled .. " dbname=" .. world.shop.name, { primary = "shop", pool = 2 }),
    },
    scripts = world.scripts,
    loaders = loaders(),
    files = {
      ["server.pem"] = world.certificates:text "server.pem", ["server.key"] = world.certificates:text "server.key",
      ["ca.pem"] = world.certificates:text "ca.pem", ["other.pem"] = world.certificates:text "other.pem",
      ["other.key"] = world.certificates:text "other.key",
    },
    env = world.env,
  }
end

-- rate: the share of pieces that is spoiled in a burst.
local function spawn_proxy(world, name, rate, port, target)
  local p = process.spawn({ "luajit", "tests/chaos/proxy.lua", tostring(world.seed), tostring(rate), tostring(port),
    tostring(target) }, { stdin = true, stderr = world.folder .. "/" .. name .. ".log" })
  assert(p:line(10) == "ready", "the proxy does not start")
  world.proxies[name] = p
end

local function start_proxies(world)
  world.proxies = {}
  spawn_proxy(world, "postgres", 0.15, world.ports.pg, world.cluster.folder .. "/.s.PGSQL.5432")
  spawn_proxy(world, "tcp", 0.3, world.ports.tcp_spoiled, world.ports.tcp)
  spawn_proxy(world, "tls", 0.3, world.ports.tls_spoiled, world.ports.tls)
end

local function places(world, server)
  local p = world.ports
  return {
    { name = "unix", path = server.socket_path }, { name = "tcp", port = p.tcp },
    { name = "tls", port = p.tls, tls = true },
    { name = "tcp_spoiled", port = p.tcp_spoiled, spoiled = true },
    { name = "tls_spoiled", port = p.tls_spoiled, tls = true, spoiled = true },
  }
end

--- Databases, certificates, a server that is not started yet, and the proxies.
---@param r chaos.Random
function M.make(world, r)
  world.ports = { tcp = free_port(r), tls = free_port(r), pg = free_port(r), tcp_spoiled = free_port(r),
    tls_spoiled = free_port(r) }
  world.cluster = postgres.start "max_connections = 150\n"
  world.shop, world.wild = database(world.cluster, "pg:{id}"), database(world.cluster, "w:{id}")
  world.certificates = Certificates.make()
  world.certificates:issue("server", "DNS:localhost,IP:127.0.0.1")
  world.certificates:issue("other", "DNS:localhost,IP:127.0.0.1")
  world.scripts = {
    ["row.lua"] = script("row"):gsub("id MANY", "id = ANY($1)"),
    ["row_sqlite.lua"] = script("row"):gsub("id MANY", "id IN (SELECT value FROM json_each($1))"),
    ["trouble.lua"] = script "trouble", ["junk.lua"] = script "junk",
  }
  local o = M.options(world)
  local server = Server.prepare(o)
  o.options.listen[3] = "unix:" .. server.socket_path
  server:write_conf(o)
  Sqlite.open(server.folder .. "/source.db", SQLITE):close()
  world.server, world.plain = server, o
  world.tls_port = world.ports.tls
  world.places = places(world, server)
  start_proxies(world)
end

-- What a proxy has done by kind and by way, over all that it told: sums that a run must not miss.
local function sum_up(spoiled)
  local sums = {}
  for name, n in pairs(spoiled) do
    local proxy, way, kind = name:match "^proxy (%l+)%.(%l+)_(%l+)$"
    if way then
      for _, sum in ipairs { ("spoiled.%s_%s"):format(proxy, way), "spoiled." .. kind } do
        sums[sum] = (sums[sum] or 0) + n
      end
    end
  end
  for name, n in pairs(sums) do spoiled[name] = n end
  return spoiled
end

--- What the proxies have told last, by name; and sums of it, `spoiled.PROXY_WAY` and `spoiled.KIND`.
---@return table<string, integer>
function M.read_proxies(world)
  for name, p in pairs(world.proxies or {}) do
    local last
    repeat
      local line = p:line(0)
      last = line or last
    until not line
    for what, n in (last or ""):gmatch "([%w_]+)=(%d+)" do
      world.spoiled[("proxy %s.%s"):format(name, what)] = tonumber(n)
    end
  end
  return sum_up(world.spoiled)
end

--- Ends all of it, in any state.
function M.stop(world)
  for _, p in pairs(world.proxies or {}) do p:finish() end
  if world.server and world.server.process then world.server.process:finish() end
  for _, db in ipairs { world.shop or false, world.wild or false } do
    if db then db:close() end
  end
  if world.cluster then world.cluster:stop() end
  if world.certificates then world.certificates:remove() end
end

return M
