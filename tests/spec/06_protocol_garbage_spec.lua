local Server = require "spec.support.server"
local expect = require "spec.support.expect"
local msgpack = require "rtcache.msgpack"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

describe("bytes that are no MessagePack-RPC", function()
  local server, witness

  setup(function()
    server = Server.start {
      options = { max_frame = "1mb", max_value = "512kb" },
      loaders = { { pattern = "user:*", script = "user.lua" } },
      scripts = { ["user.lua"] = "return { load = function(key) return key end }" },
    }
    witness = server:connect()
  end)
  teardown(function() server:stop() end)
  after_each(function()
    assert.equal("pong", expect.value(witness:ping()), "another connection must not notice")
  end)

  -- Sends bytes on a new connection; the error it is answered with, after which it must be closed.
  local function rejected(bytes, codes)
    local c = server:connect()
    c:write(bytes)
    local message = assert(c:read_message())
    assert.equal(1, message[1])
    local code = tostring(message[3]):match "^(%u[%u_]*) "
    assert.truthy((codes or { PROTOCOL = true, TOO_LARGE = true })[code], tostring(message[3]))
    local rest, err = c:read_message()
    assert.is_nil(rest)
    assert.equal("CLOSED", err.code)
    c:close()
    return message
  end

  local PROTOCOL, TOO_LARGE = { PROTOCOL = true }, { TOO_LARGE = true }

  it("are answered with an error, and that connection is closed", function()
    for _, bytes in ipairs {
      "\193", -- the byte that MessagePack never uses
      "GET / HTTP/1.1\r\n\r\n",
      "*1\r\n$4\r\nPING\r\n",
      "\22\3\1\2\0\1\0\1\252\3\3", -- the beginning of TLS
      "\0", "\192", "\195", "\255", "\203\0\0\0\0\0\0\0\0",
      "\165hello", "\128", "\129\161a\1", "\144", "\145\0", "\146\0\1", "\147\0\1\2",
      "\149\0\1\164ping\144\0", -- five elements
      "\148\3\1\164ping\144", -- no such type of message
      "\148\255\1\164ping\144",
      "\148\0\255\164ping\144", -- an id below 0
      "\148\0\207\0\0\0\1\0\0\0\0\164ping\144", -- an id above 2^32-1
      "\148\0\161a\164ping\144", -- an id that is a text
      "\148\0\1\42\144", -- a method that is a number
      "\148\0\1\192\144",
      "\148\0\1\164ping\128", -- params that are a map
      "\148\0\1\164ping\192",
      "\147\2\1\144", -- a notification whose method is a number
      "\147\2\164ping\1",
      "\148\0\1\163get\145\193", -- an argument that is no MessagePack
    } do
      rejected(bytes, PROTOCOL)
    end
  end)

  it("are answered with the request's id where it could be read, and 0 otherwise", function()
    assert.equal(7, rejected("\148\0\7\42\144", PROTOCOL)[2])
    assert.equal(4294967295, rejected("\148\0\206\255\255\255\255\164ping\193", PROTOCOL)[2])
    assert.equal(0, rejected("\193", PROTOCOL)[2])
    assert.equal(0, rejected("\148\0\161a\164ping\144", PROTOCOL)[2])
  end)

  it("may be a response, which no client has to send", function()
    rejected("\148\1\1\192\1", PROTOCOL)
  end)

  it("may come after good requests, which are answered first", function()
    local c = server:connect()
    c:write("\148\0\1\164ping\144" .. "\148\0\2\164ping\144" .. "\193")
    local answers, last = {}, nil
    for _ = 1, 3 do
      local message = assert(c:read_message())
      if message[3] == msgpack.null then answers[message[2]] = message[4] else last = message end
    end
    assert.same({ "pong", "pong" }, answers)
    assert.truthy(last[3]:match "^PROTOCOL ")
    assert.equal("CLOSED", select(2, c:read_message()).code)
  end)

  it("may nest too deep", function()
    rejected("\148\0\1\163get\145" .. ("\145"):rep(20) .. "\1")
    rejected(("\145"):rep(100000))
    rejected("\148\0\1\163set\146\161k" .. ("\129\161a"):rep(40) .. "\1")
  end)

  it("may be nested as deep as allowed", function()
    local c = server:connect()
    local value = "bottom"
    for _ = 1, 12 do value = { value } end
    assert.is_true(expect.value(c:set("deep", value)))
    assert.same(value, expect.value(c:get "deep"))
  end)

  it("may declare more than they bring, and take no memory for it", function()
    local bombs = {
      "\221\0\255\255\255", -- an array of 16 million
      "\221\255\255\255\255",
      "\223\255\255\255\255", -- a map of 4 billion
      "\219\255\255\255\255", -- a str of 4 GiB
      "\198\255\255\255\255", -- a bin
      "\201\255\255\255\255\1", -- an ext
      "\148\0\1\163get\221\0\255\255\255",
      "\148\0\1\163get\145\219\127\255\255\255",
      "\148\0\1\219\127\255\255\255",
      "\148\0\1\163set\146\161k" .. ("\221\15\255\255\255"):rep(10),
      "\148\0\1\163set\146\161k" .. ("\220\255\255"):rep(14),
    }
    local before = process.resident(server.pid)
    local connected = expect.value(witness:stats()).counters.connections_total
    local clients = {}
    for round = 1, 20 do
      for _, bomb in ipairs(bombs) do
        local c = server:connect()
        c:write(bomb)
        clients[#clients + 1] = c
      end
      assert.equal("pong", expect.value(witness:ping()), round)
    end
    wait.until_true("all are connected", function()
      return expect.value(witness:stats()).counters.connections_total == connected + #clients
    end)
    assert.equal("pong", expect.value(witness:ping()))
    -- 220 connections with their buffers are allowed 16 MiB, one bomb alone would take 256 MiB.
    if not Server.is_sanitized() then
      assert.truthy(process.resident(server.pid) - before < 16 * 1048576)
    end
    for _, c in ipairs(clients) do c:close() end
  end)

  it("may be larger than max_frame, which is said before all of it has come", function()
    rejected("\148\0\5\163set\146\161k\219\0\32\0\0" .. ("x"):rep(1000), TOO_LARGE)
    local message = rejected("\148\0\5\163set\146\161k\220\0\17" .. ("\218\255\255" .. ("x"):rep(65535)):rep(17),
      { TOO_LARGE = true, PROTOCOL = true })
    assert.truthy(message[3]:match "^TOO_LARGE ", message[3])
  end)

  it("may end in the middle: the server waits, and forgets when the client leaves", function()
    local whole = "\148\0\1\163get\145\166user:1"
    local waiting, closed = {}, expect.value(witness:stats()).counters.connections_closed
    for length = 1, #whole - 1 do
      waiting[length] = server:connect()
      waiting[length]:write(whole:sub(1, length))
    end
    assert.equal("pong", expect.value(witness:ping()))
    for length, c in ipairs(waiting) do
      assert.equal("TIMEOUT", select(2, c:read_message(0)).code, length)
      c:close()
    end
    wait.until_true("they are forgotten", function()
      return expect.value(witness:stats()).counters.connections_closed >= closed + #waiting
    end)
    assert.equal("user:1", expect.value(witness:get "user:1"))
  end)

  it("are still requests when they come byte by byte", function()
    local c = server:connect({ tcp = true })
    local bytes = "\148\0\1\163set\147\161k\217\5bytes\128" .. "\148\0\2\163get\145\161k"
    for i = 1, #bytes do
      c:write(bytes:sub(i, i))
      if i % 8 == 0 then assert.equal("pong", expect.value(witness:ping())) end
    end
    assert.is_true(expect.value(c:receive(1)))
    assert.equal("bytes", expect.value(c:receive(2)))
  end)

  it("are requests also with headers longer than needed", function()
    local c = server:connect()
    c:write("\221\0\0\0\4" .. "\211\0\0\0\0\0\0\0\0" .. "\207\0\0\0\0\0\0\0\9"
      .. "\219\0\0\0\4ping" .. "\220\0\0")
    assert.equal("pong", expect.value(c:receive(9)))
  end)

  it("are ignored as notifications of unknown methods", function()
    local c = server:connect()
    c:notify("nvim_error_event", 1, "what")
    c:notify(msgpack.bin "nvim_set_client_info", {})
    c:notify("get")
    c:notify("get", 1, 2, 3)
    assert.equal("pong", expect.value(c:ping()))
    assert.equal("TIMEOUT", select(2, c:read_message(0.05)).code)
  end)

  it("at random harm nobody", function()
    local seed = tonumber(os.getenv "SPEC_SEED") or os.time()
    math.randomseed(seed)
    for _ = 1, 150 do
      local c = server:connect()
      local bytes = {}
      for i = 1, math.random(1, 200) do bytes[i] = string.char(math.random(0, 255)) end
      local head = math.random() < 0.5 and "\148\0\1\163get" or ""
      c:write(head .. table.concat(bytes))
      c:close()
    end
    assert.equal("pong", expect.value(witness:ping()), "seed " .. seed)
    wait.until_true("the connections are gone", function()
      return process.descriptors(server.pid) < 100
    end)
  end)
end)
