-- Who asks much takes nothing from who asks little, whichever of the two came first, is named first or
-- has the larger key: each case runs both ways round. What shows it is the order in which the source or
-- the server came to things, not a time.

local Server = require "spec.support.server"
local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local socket = require "socket"
local wait = require "spec.support.wait"

-- Cheap hash (8 MiB, one pass) of "other".
local OTHER = "$argon2id$v=19$m=8192,t=1,p=1$dMoaTKxrUTzGwdGXZgwEuw$LasVO8KoMTADkX1NpsRNndVnt/i1l1inqZQiq6N7UOM"

local GATE = 30

-- As the source's own, without a version: each load and each write leaves a line, and waits at its gate.
local SCRIPT = [[
local function pass(key, ctx)
  ctx.db:exec("INSERT INTO loads (key) VALUES ($1)", key)
  local gate = ctx.db:value("SELECT gate FROM source WHERE key = $1", key)
  if gate and gate ~= 0 then ctx.db:value("SELECT 1 AS passed FROM pg_advisory_xact_lock_shared($1)", gate) end
  return "v"
end
return { load = pass, save = function(key, _, ctx) pass(key, ctx) return nil end }
]]

describe("fair both ways:", function()
  local server, source
  after_each(function()
    if source then
      source:open_gates()
      source:close()
    end
    if server then server:stop() end
    server, source = nil, nil
  end)

  local function start(loaders, backend)
    for _, l in ipairs(loaders) do
      l.script, l.retries, l.load_timeout, l.wait_timeout, l.write_timeout = "one.lua", 0, "5min", "5min", "5min"
      l.breaker_failures = 0
    end
    server, source = Source.postgres({
      options = { io_threads = 1, loader_threads = 1 }, scripts = { ["one.lua"] = SCRIPT }, loaders = loaders,
    }, nil, backend)
    source.db:exec "ALTER TABLE loads ADD n SERIAL"
  end

  -- At which place the first key that begins so was loaded or written.
  local function rank(prefix)
    return source.db:number(([[SELECT min(place) FROM
      (SELECT row_number() OVER (ORDER BY n) AS place, key FROM loads) AS l WHERE key LIKE '%s%%']]):format(prefix))
  end

  -- One that holds the only place, till the others have lined up.
  local function hold(c, method, key, ...)
    source:put(key, "v", { gate = GATE })
    source.db:shut(GATE)
    local id = c:send(method, key, ...)
    source:await_gate(GATE)
    return function()
      source.db:open(GATE)
      expect.value(c:receive(id))
    end
  end

  for _, few in ipairs { "a", "b" } do
    local many = few == "a" and "b" or "a"

    it(("loaders of one backend, where %s asks for little"):format(few), function()
      start({ { pattern = "a:*" }, { pattern = "b:*" } }, { max_loads = 1, min_loads = 1 })
      local c, other = server:connect(), server:connect()
      local go = hold(c, "get", many .. ":held")
      local ids = {}
      for i = 1, 50 do ids[i] = c:send("get", ("%s:%d"):format(many, i)) end
      server:await_loader(many .. ":*", "queued", 50)
      local id = other:send("get", few .. ":1")
      server:await_loader(few .. ":*", "queued", 1)
      go()
      expect.value(other:receive(id))
      for i = 1, 50 do expect.value(c:receive(ids[i])) end
      assert.truthy(rank(few .. ":") <= 3, rank(few .. ":"))
    end)

    it(("keys that are written, where %s is written once"):format(few), function()
      start { { pattern = "*", max_writes = 1 } }
      local c, other = server:connect(), server:connect()
      local go = hold(c, "put", many, 0)
      local ids = {}
      for i = 1, 50 do ids[i] = c:send("put", many, i) end
      expect.value(c:ping())
      local id = other:send("put", few, 1)
      expect.value(other:ping())
      go()
      expect.value(other:receive(id))
      for i = 1, 50 do expect.value(c:receive(ids[i])) end
      assert.truthy(rank(few) <= 3, rank(few))
      assert.equal(52, source:loads())
    end)
  end

  it("single loads beside a large get_many, and the large one beside many single ones", function()
    start { { pattern = "*", max_loads = 1 } }
    local c, other = server:connect(), server:connect()
    local bulk, keys = nil, {}
    for i = 1, 40 do keys[i] = "bulk:" .. i end
    for _, first in ipairs { "bulk", "single" } do
      source.db:exec "DELETE FROM loads"
      local go, ids = hold(c, "get", "held:" .. first), {}
      local function ask_bulk()
        bulk = other:send("get_many", keys)
        wait.until_true("it is queued", function() return server:loader("*").queued >= 40 end)
      end
      if first == "bulk" then ask_bulk() end
      for i = 1, 40 do ids[i] = c:send("get", ("single:%s:%d"):format(first, i)) end
      wait.until_true("they are queued",
        function() return server:loader("*").queued >= (first == "bulk" and 80 or 40) end)
      if first == "single" then
        ask_bulk()
        server:await_loader("*", "queued", 80)
      end
      go()
      for i = 1, 40 do expect.value(c:receive(ids[i])) end
      assert.equal(40, #expect.value(other:receive(bulk)))
      assert.truthy(rank "single:" <= 3, rank "single:")
      assert.truthy(rank "bulk:" <= 3, rank "bulk:")
      for _, key in ipairs(keys) do other:invalidate(key) end
    end
  end)

  for _, few in ipairs { "127.0.0.5", "127.0.9.5" } do
    local many = few == "127.0.0.5" and "127.0.9.5" or "127.0.0.5"
    it(("networks that authenticate, where %s logs in once"):format(few), function()
      server = Server.start { options = { auth_cache = "0s", auth_delay = "0s", auth_share_network = 0.9,
        auth_share_address = 0.9, users = {
          { name = "app", password_hash = OTHER, rights = { "read" } },
          { name = "ops", unix_user = "root", rights = { "admin" } },
        } } }
      local function from(address)
        local c = server:connect { tcp = true }
        c.sock:close()
        c.sock = assert(socket.tcp())
        c.sock:settimeout(wait.PATIENCE)
        assert(c.sock:bind(address, 0))
        assert(c.sock:connect("127.0.0.1", server.port))
        return c
      end
      local ops, honest, guessers = server:connect(), from(few), {}
      for i = 1, 150 do guessers[i] = from(many) end
      for i = 1, 150 do guessers[i]:send("auth", "somebody" .. i, "guess" .. i) end
      wait.until_true("they are under way", function() return ops:stats().counters.auths_failed > 0 end)
      local id = honest:send("auth", "app", "other")
      assert.is_true(expect.value(honest:receive(id)))
      local n = ops:stats().counters
      assert.truthy(n.auths_failed < 150, n.auths_failed)
      assert.equal(0, n.auths_refused)
    end)
  end
end)
