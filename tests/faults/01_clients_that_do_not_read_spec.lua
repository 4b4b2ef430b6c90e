local client = require "rtcache.client"
local Server = require "spec.support.server"
local expect = require "spec.support.expect"
local process = require "spec.support.process"
local socket = require "socket"
local wait = require "spec.support.wait"

local MEBIBYTE = 1048576
local HASH = "$argon2id$v=19$m=8192,t=1,p=1$dMoaTKxrUTzGwdGXZgwEuw$LasVO8KoMTADkX1NpsRNndVnt/i1l1inqZQiq6N7UOM"

local SCRIPT = [[
return { load = function(key)
  if key:match "late" then rtcache.sleep(0.2) return ("l"):rep(400000) end
  rtcache.sleep(600)
  return 1
end }]]

local function start(options)
  local o = { max_output = "1mb", max_value = "512kb", max_parked = 100, max_batch = 100 }
  for name, v in pairs(options or {}) do o[name] = v end
  return Server.start {
    options = o,
    loaders = { { pattern = "slow:*", script = "slow.lua", wait_timeout = "10min", load_timeout = "10min" } },
    scripts = { ["slow.lua"] = SCRIPT },
  }
end

-- Many requests in one write: small ones fill the socket of one who does not read too soon.
local function send_all(c, count, request)
  local ids, parts = {}, {}
  for n = 1, count do
    ids[n], c.next_id = c.next_id, c.next_id + 1
    parts[n] = client.encode_request(ids[n], request(n))
  end
  assert(c:write(table.concat(parts)))
  return ids
end

local function get_big() return "get", "big" end

describe("clients that ask and do not read", function()
  local server, witness, before
  local function begin(options)
    server = start(options)
    witness = server:connect()
    expect.value(witness:set("big", ("x"):rep(100000)))
    before = process.resident(server.pid)
  end
  after_each(function() server:stop() end)

  local function counter(name) return expect.value(witness:stats()).counters[name] end
  -- bytes: that all of them may take, with what the kernel and the allocator keep.
  local function holds_at_most(bytes)
    if Server.is_sanitized() then return end
    local held = process.resident(server.pid) - before
    assert.truthy(held < bytes, held / MEBIBYTE .. " MiB")
  end

  it("are asked to read first, however much they ask for, and then get every answer", function()
    begin()
    local lazy, ids = {}, {}
    for i = 1, 20 do
      lazy[i] = server:connect()
      ids[i] = send_all(lazy[i], 600, function(n)
        if n % 7 == 0 then return "ping" end
        return "get", "big"
      end)
    end
    assert.equal("pong", expect.value(witness:ping()))
    wait.until_true("each of them is paused", function() return counter "paused" >= 20 end)
    holds_at_most(60 * MEBIBYTE) -- they asked for 1.2 GB
    for i, c in ipairs(lazy) do
      for n, id in ipairs(ids[i]) do
        local value = expect.value(c:receive(id))
        assert.truthy(n % 7 == 0 and value == "pong" or #value == 100000)
      end
      assert.equal("pong", expect.value(c:ping()))
    end
    assert.equal(0, counter "connections_cut")
    assert.equal(0, counter "connections_unread")
  end)

  it("are closed after output_timeout, and the memory comes back", function()
    begin { output_timeout = "300ms" }
    expect.value(witness:set("small", ("x"):rep(4000))) -- each answer is a copy
    local lazy = {}
    local function come_and_go()
      for _ = 1, 20 do
        lazy[#lazy + 1] = server:connect { timeout = 1 }
        send_all(lazy[#lazy], 500, function() return "get", "small" end)
      end
      local reads = server:connect() -- slowly, but it does
      local ids = send_all(reads, 30, get_big)
      wait.until_true("each of them is closed", function()
        if #ids > 0 then expect.value(reads:receive(table.remove(ids, 1))) end
        return counter "connections_unread" == #lazy
      end)
      for _, id in ipairs(ids) do expect.value(reads:receive(id)) end
      reads:close()
      wait.until_true("all are gone", function() return expect.value(witness:stats()).server.connections <= 1 end)
    end
    come_and_go()
    before = process.resident(server.pid)
    for _ = 1, 2 do come_and_go() end
    holds_at_most(10 * MEBIBYTE) -- each time so much that nobody reads
    assert.equal(100000, #expect.value(witness:get "big"))
  end)

  it("are nobody yet, and get a few KiB", function()
    begin {
      auth_timeout = "10min",
      users = {
        { name = "app", password_hash = HASH, rights = { "read" } },
        { name = "ops", unix_user = "root", rights = { "read", "write", "admin" } },
      },
    }
    local hello = server:connect({ tcp = true })
    local size = #require("rtcache.msgpack").encode(expect.value(hello:hello()))
    local nobodies, sent = {}, {}
    for i = 1, 20 do
      nobodies[i] = server:connect { tcp = true }
      sent[i] = send_all(nobodies[i], 3000, function() return "hello" end)
    end
    wait.until_true("each of them is paused", function() return counter "paused" >= 20 end)
    assert.truthy(size * 3000 * 20 > 15 * MEBIBYTE)
    holds_at_most(4 * MEBIBYTE)
    for i, c in ipairs(nobodies) do
      for _, id in ipairs(sent[i]) do assert.truthy(expect.value(c:receive(id)).methods) end
    end
  end)

  it("count what their get_manys gather as unread, and go on when it is answered", function()
    begin { max_output = "4mb" }
    local c = server:connect()
    local keys = { "slow:late" }
    for i = 2, 25 do keys[i] = "big" end
    local ids = send_all(c, 40, function() return "get_many", keys end)
    wait.until_true("it is paused", function() return counter "paused" >= 1 end)
    holds_at_most(24 * MEBIBYTE) -- 100 MB were asked for
    for _, id in ipairs(ids) do
      local items = expect.value(c:receive(id))
      assert.equal(25, #items)
      assert.equal(400000, #items[1].value)
      assert.equal(100000, #items[25].value)
    end
    for i = 26, 50 do keys[i] = "big" end
    expect.error("TOO_LARGE", "max_output", c:get_many(keys))
    assert.equal("pong", expect.value(c:ping()))
  end)

  it("may park max_parked requests, and hear OVERLOADED for the next", function()
    begin()
    local c = server:connect()
    for i = 1, 100 do c:send("get", "slow:" .. i) end
    expect.error("OVERLOADED", {}, c:get "slow:101")
    assert.equal("pong", expect.value(c:ping()))
    local other = server:connect()
    expect.error("TIMEOUT", {}, other:get("slow:1", { timeout_ms = 20 }))
    c:close()
  end)

  it("leave at any moment, in the middle of all this", function()
    begin()
    for i = 1, 60 do
      local c = server:connect { tcp = i % 2 == 0 }
      send_all(c, 10 * i, function(n)
        if n % 5 == 0 then return "get_many", { "big", "slow:1" } end
        return "get", "big"
      end)
      if i % 3 == 0 then c.sock:shutdown "send" end
      if i % 4 == 0 then socket.select(nil, nil, 0) end
      c:close()
    end
    wait.until_true("all are gone", function() return expect.value(witness:stats()).server.connections <= 1 end)
    assert.equal(100000, #expect.value(witness:get "big"))
  end)
end)
