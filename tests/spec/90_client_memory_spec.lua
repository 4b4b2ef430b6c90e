-- What all connections together hold is bounded by client_memory: what it counts, who has to go when it
-- is short, and that what a client held is given back when it leaves.

local Server = require "spec.support.server"
local client = require "rtcache.client"
local expect = require "spec.support.expect"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

local KIB, MIB = 1024, 1048576

-- Cheap hash (8 MiB, one pass) of "other".
local OTHER = "$argon2id$v=19$m=8192,t=1,p=1$dMoaTKxrUTzGwdGXZgwEuw$LasVO8KoMTADkX1NpsRNndVnt/i1l1inqZQiq6N7UOM"

local SMALL = {
  client_memory = "4mb", max_frame = "1mb", max_output = "1mb", max_value = "512kb", io_threads = 1, loader_threads = 1,
  frame_grace = "10min",
}

local SCRIPT = [[return {
  load = function(key)
    if key:find "sleeps" then rtcache.sleep(600) end
    return ("v"):rep(1000)
  end,
  save = function() rtcache.sleep(600) end,
}]]

-- The start of a `set` of so many bytes, of which the last one never comes.
local function begun_frame(size)
  local declared = size + 1
  local function byte(shift) return string.char(bit.band(bit.rshift(declared, shift), 255)) end
  return "\148\0\1\163set\146\161k\198" .. byte(24) .. byte(16) .. byte(8) .. byte(0) .. ("x"):rep(size)
end

describe("client_memory", function()
  local server, cache, before

  local function start(options, fields)
    local o = {
      options = {}, scripts = { ["any.lua"] = SCRIPT },
      loaders = { {
        pattern = "*:*", script = "any.lua", wait_timeout = "10min", load_timeout = "10min", write_timeout = "1min",
      } },
    }
    for _, more in ipairs { SMALL, options or {} } do
      for name, v in pairs(more) do o.options[name] = v end
    end
    for name, v in pairs(fields or {}) do o[name] = v end
    server = Server.start(o)
    cache = server:connect()
    before = cache:stats().client_memory
    return o
  end
  after_each(function()
    if server then server:stop_at_once() server = nil end
  end)

  local function memory()
    local m = {}
    for kind, n in pairs(expect.value(cache:stats()).client_memory) do m[kind] = tonumber(n) end
    return m
  end
  local function counter(name) return tonumber(expect.value(cache:stats()).counters[name]) end
  local function tcp() return server:connect { tcp = true } end

  -- Waits until a kind holds as much; all are told where it does not.
  local function await(kind, least, most)
    wait.until_true(("%s is between %d and %d"):format(kind, least, most), function()
      local m = memory()
      return m[kind] >= least and m[kind] <= most
    end)
  end
  local function await_given_back()
    wait.until_true("nothing but the first connection is held", function()
      return memory().held <= tonumber(before.held)
    end)
  end

  describe("counts", function()
    it("each kind while it is held, and nothing any more when the client has left", function()
      start()
      assert.truthy(tonumber(before.connections) > 0)
      assert.equal(4 * MIB, tonumber(before.limit))
      for _, way in ipairs {
        { "connections", tonumber(before.connections) * 2, tonumber(before.connections) * 2, function() end },
        { "input", 200000, 400000, function(c) c:write(begun_frame(200000)) end },
        { "requests", 100 * 100, 100 * 1000, function(c) for i = 1, 100 do c:send("get", "sleeps:" .. i) end end },
        { "gathered", 100, 100 * KIB, function(c) c:send("get_many", { "a:1", "sleeps:2" }) end },
        { "subscriptions", 100 * 100, 100 * 1000, function(c)
          local keys = {}
          for i = 1, 100 do keys[i] = ("k"):rep(50) .. i end
          expect.value(c:subscribe { keys = keys })
        end },
      } do
        local kind, least, most, ask = unpack(way)
        local c = tcp()
        ask(c)
        await(kind, least, most)
        c:close()
        await_given_back()
      end
    end)

    it("values of put until they are written, or their deadline passes before their turn, whoever waits", function()
      start()
      local c = tcp()
      c:send("put", "sleeps:1", ("v"):rep(300000), { timeout_ms = 600000 })
      for _ = 1, 2 do c:send("put", "sleeps:1", ("v"):rep(300000), { timeout_ms = 500 }) end
      c:close() -- each of the three goes on, the first in its script
      await("writes", 900000, 910000)
      wait.until_true("it is gone", function() return memory().connections <= tonumber(before.connections) end)
      await("writes", 300000, 310000)
    end)

    it("what waits in the output", function()
      start { max_output = "1200kb", client_memory = "5mb" }
      local lazy = server:connect()
      expect.value(cache:set("k", ("v"):rep(4000)))
      local requests = {}
      for i = 1, 4000 do requests[i] = client.encode_request(i, "get", "k") end
      lazy.sock:settimeout(0)
      lazy.sock:send(table.concat(requests))
      wait.until_true("it has to read first", function() return counter "paused" >= 1 end)
      await("output", 100000, 2 * MIB)
      lazy:close()
      await_given_back()
    end)

    it("attempts of auth, also of a client that leaves before its turn", function()
      start({ auth_delay = "1min", auth_delay_cap = "1min", users = {
        { name = "app", password_hash = OTHER, rights = { "read" } },
        { name = "ops", unix_user = "root", rights = { "read", "write", "admin" } },
      } })
      local first = tcp()
      expect.error("AUTH_FAILED", {}, first:auth("app", "wrong"))
      first:close()
      local guesses = {}
      for i = 1, 10 do
        guesses[i] = tcp()
        guesses[i]:send("auth", "app", "guess" .. i)
      end
      await("auths", 10 * KIB, 100 * KIB)
      wait.until_true("all are held back", function() return counter "auths_held" >= 10 end)
      for _, c in ipairs(guesses) do c:close() end
      await_given_back()
      assert.equal(10, counter "auths_left")
      -- Their places are free, and the delay is still there.
      local again = tcp()
      again:send("auth", "app", "other")
      wait.until_true("it is held back", function() return counter "auths_held" > 10 end)
    end)
  end)

  describe("that is short", function()
    it("costs the largest its connection, and not the small ones theirs", function()
      start()
      local small, large = {}, {}
      for i = 1, 20 do
        small[i] = tcp()
        small[i]:write(begun_frame(2000))
      end
      await("input", 40000, 200000)
      for i = 1, 8 do
        large[i] = tcp()
        large[i].sock:settimeout(0)
        large[i].sock:send(begun_frame(600000))
      end
      wait.until_true("some are closed", function() return counter "connections_shed" >= 1 end)
      wait.until_true("there is room again", function()
        local m = memory()
        return m.held < m.limit * 7 / 8
      end)
      assert.truthy(memory().held <= memory().limit)
      for _, c in ipairs(large) do c:close() end
      for round = 1, 3 do -- and once more: by what waits for loads, of clients that leave then
        local shed = counter "connections_shed"
        for i = 1, 8 do
          large[i] = tcp()
          local requests = {}
          for n = 1, 9000 do
            local key = ("sleeps:%d:%d:%d"):format(round, i, n)
            requests[n] = client.encode_request(n, "get", key, { timeout_ms = 600000 })
          end
          large[i].sock:settimeout(0)
          large[i].sock:send(table.concat(requests))
        end
        wait.until_true("some are closed", function() return counter "connections_shed" > shed end)
        for _, c in ipairs(large) do c:close() end
        wait.until_true("all of it is given back", function() return memory().requests == 0 end)
        assert.truthy(memory().held <= memory().limit)
      end
      for _, c in ipairs(small) do
        c.next_id = 2
        expect.value(c:write "x") -- the last byte of its `set`
        assert.equal(true, expect.value(c:receive(1)))
        assert.equal("pong", expect.value(c:ping()))
      end
      assert.truthy(server:log():find("conn.shed id=%d+ holds=%d+ all=%d+ client_memory=4194304"))
      assert.truthy(counter "held_back" >= 1)
    end)

    it("refuses what is large, by name, and takes what is small", function()
      start { max_parked = 100, max_batch = 100 }
      local writers = {}
      for i = 1, 20 do
        writers[i] = tcp()
        for n = 1, 3 do
          writers[i]:send("put", ("sleeps:%d:%d"):format(i, n), ("v"):rep(100000), { timeout_ms = 600000 })
        end
      end
      wait.until_true("some are refused", function()
        return counter "held_refused" + counter "connections_shed" >= 1
      end)
      local m = memory()
      assert.truthy(m.writes > 2 * MIB and m.held <= m.limit, m.writes)
      assert.equal("pong", expect.value(tcp():ping()))
      expect.value(cache:set("small", 1))
      assert.equal(1, expect.value(cache:get "small"))
    end)

    it("lets a client whose reading is paused go on once there is room", function()
      start()
      local holders = {}
      for i = 1, 3 do -- 1 MiB of buffer each
        holders[i] = tcp()
        holders[i]:write(begun_frame(600000))
      end
      await("input", 3 * 600000, 4 * MIB)
      local patient = tcp()
      local text = ("v"):rep(400000)
      patient:send("set", "patient", text)
      patient:close()
      for _, c in ipairs(holders) do c:close() end
      wait.until_true("it is stored", function() return cache:peek "patient" ~= nil end)
      await_given_back()
    end)

    it("is another limit after a reload", function()
      local o = start()
      o.options.client_memory = "8mb"
      server:write_conf(o)
      expect.value(cache:reload())
      assert.equal(8 * MIB, memory().limit)
      local large = {}
      for i = 1, 5 do
        large[i] = tcp()
        large[i]:write(begun_frame(600000))
      end
      await("input", 5 * 600000, 8 * MIB)
      assert.equal(0, counter "connections_shed")
      o.options.client_memory = "4mb"
      server:write_conf(o)
      expect.value(cache:reload())
      wait.until_true("some are closed", function() return counter "connections_shed" >= 1 end)
      wait.until_true("it is kept", function() return memory().held <= 4 * MIB end)
    end)
  end)

  describe("of a client that has left", function()
    -- How it leaves: its whole socket, or its half while it still reads.
    for _, how in ipairs { "tcp", "unix" } do
      it("while its connection is not read, comes back, over " .. how, function()
        start { max_parked = 3000, max_batch = 3000 }
        local function connect() return server:connect { tcp = how == "tcp" } end
        expect.value(cache:set("big", ("v"):rep(300000)))
        local keys = { "big", "sleeps:1" }
        for _, ask in ipairs {
          function(c) c:send("get_many", keys, { timeout_ms = 600000 }) end,
          function(c) for _ = 1, 3 do c:send("get_many", keys, { timeout_ms = 600000 }) end end,
          function(c) for i = 1, 2000 do c:send("get", "sleeps:" .. i, { timeout_ms = 600000 }) end end,
          function(c) c:write(require("rtcache.msgpack").encode { 2, "get", { "sleeps:1" } }) end,
        } do
          local c = connect()
          local requests = memory().requests
          ask(c)
          wait.until_true("it waits", function() return memory().requests > requests end)
          c:close()
          await_given_back()
        end
      end)
    end

    it("is kept for one that has only closed its half, which gets its answer whole", function()
      start(nil, { scripts = { ["any.lua"] = [[return { load = function(key)
        rtcache.sleep(1.5)
        return key
      end }]] } })
      for _, how in ipairs { "tcp", "unix" } do
        local c = server:connect { tcp = how == "tcp" }
        c:send("get", "a:" .. how)
        c:send("get_many", { "b:" .. how, "c:" .. how })
        assert(c.sock:shutdown "send")
        local answers = {}
        c.sock:settimeout(wait.PATIENCE)
        local bytes, at = assert(c.sock:receive "*a"), 1
        while at <= #bytes do
          local message
          message, at = require("rtcache.msgpack").decode(bytes, at)
          answers[#answers + 1] = message
        end
        assert.equal(2, #answers)
        table.sort(answers, function(x, y) return x[2] < y[2] end)
        assert.equal("a:" .. how, answers[1][4])
        assert.equal("c:" .. how, answers[2][4][2].value)
      end
    end)
  end)

  describe("that cannot hold beside another limit is refused", function()
    local function refused(options, text)
      it(text, function()
        local o = { options = { io_threads = 1 } }
        for name, v in pairs(options) do o.options[name] = v end
        server = nil
        local prepared = Server.prepare(o)
        local status, said = process.run(prepared:command "--check")
        assert.equal(1, status)
        assert.truthy(said:find(text, 1, true), said)
        assert.truthy(said:find(prepared.conf .. ":", 1, true), said)
        assert.falsy(pcall(prepared.launch, prepared))
        assert.truthy(prepared:log():find(text, 1, true))
        prepared:remove()
        start()
        server:write_conf { options = options }
        local _, err = cache:reload()
        assert.truthy(err and err.message:find(text, 1, true), err and err.message)
        assert.truthy(err.message:find "rtcache.conf:%d+: ")
      end)
    end
    refused({ client_memory = "100mb" },
      '"client_memory" (100mb) cannot hold twice a "max_frame" (16mb) and a "max_output" (64mb)')
    refused({ max_output = "1mb" }, '"max_output" (1mb) cannot hold a "max_value" (1mb) and 64kb beside it')
    refused({ max_frame = "2kb", max_value = "1kb", max_key = 100 },
      '"max_frame_before_auth" (4kb) is above "max_frame" (2kb)')
  end)
end)
