-- `rtcache warm`: a list of keys, loaded in its order and at a rate.

local Server = require "spec.support.server"
local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local files = require "spec.support.files"
local process = require "spec.support.process"

local DONE, USAGE, ERROR = 0, 2, 3
local BUSY = [[return { load = function(key) rtcache.sleep(0.01) return key end }]]
local TOGETHER = [[
return { load_many = function(keys)
  local found = {}
  for _, key in ipairs(keys) do found[key] = #keys end
  return found
end }]]

describe("warming a server", function()
  local server, source, cache

  before_each(function()
    server, source = Source.sqlite {
      loaders = {
        { pattern = "user:*", ttl = "1h", negative_ttl = "1h", retries = 0, breaker_failures = 0 },
        { pattern = "busy:*", script = "busy.lua", max_loads = 1, max_queue = 1, ttl = "1h" },
        { pattern = "many:*", script = "many.lua", ttl = "1h" },
      },
      scripts = { ["busy.lua"] = BUSY, ["many.lua"] = TOGETHER },
    }
    cache = server:connect()
  end)
  after_each(function()
    source:close()
    server:stop()
  end)

  local function warm(lines, ...)
    local errors = server.folder .. "/errors"
    os.remove(errors)
    local command = { Server.tool, "--server", "unix:" .. server.socket_path, "warm", "-", ... }
    local status, text = process.run(command, { stderr = errors, stdin = true, input = table.concat(lines, "\n") })
    return status, text, files.read(errors) or ""
  end

  local function counts(text)
    local found = {}
    for name, n in text:gmatch '"([%a_]+)":(%d+)' do found[name] = tonumber(n) end
    return { found.loaded, found.already_there, found.absent, found.failed }
  end

  it("loads them in their order, one after the other at a low rate", function()
    local lines = {}
    for i = 1, 8 do lines[i] = "user:" .. i * 5 % 9 end
    assert.equal(DONE, (warm(lines, "--rate", "20")))
    for i, key in ipairs(lines) do
      assert.equal(key, source.db:value("SELECT key FROM loads WHERE rowid = " .. i))
    end
  end)

  it("loads each once, and says what became of each", function()
    local lines = {}
    for i = 1, 100 do
      source:put("user:" .. i, "value " .. i)
      lines[i] = "user:" .. i * 37 % 101
    end
    lines[101], lines[102] = "user:none", "user:3"
    local status, text, complaint = warm(lines, "--rate", "10000")
    assert.equal(DONE, status, complaint)
    assert.same({ 100, 1, 1, 0 }, counts(text))
    assert.equal(101, (source.db:number "SELECT count(*) FROM loads"))
    assert.equal("value 3", expect.value(cache:peek "user:3").value)
    status, text = warm(lines, "--rate", "10000")
    assert.equal(DONE, status)
    assert.same({ 0, 101, 1, 0 }, counts(text))
    assert.equal(101, (source.db:number "SELECT count(*) FROM loads"))
  end)

  it("says which keys fail, and goes on", function()
    source:put("user:1", "Ann")
    source:put("user:bad", "", { fail = "out of order" })
    local status, text, complaint = warm { "user:bad", "nowhere", "user:1" }
    assert.equal(ERROR, status)
    assert.same({ 1, 0, 0, 2 }, counts(text))
    assert.truthy(complaint:find("line 1: LOAD_FAILED user:bad: ", 1, true), complaint)
    assert.truthy(complaint:find("line 2: NO_LOADER nowhere: ", 1, true), complaint)
  end)

  it("reads keys of any bytes as the tool prints them", function()
    local keys = { "user:a\nb", '"user:quoted"', "{user}:1", "user:\255\0z", "user:m\195\188nchen", " user:1" }
    for i, key in ipairs(keys) do expect.value(cache:set(key, i)) end
    local status, text, complaint = warm { '"user:a\\nb"', '"\\"user:quoted\\""', "{user}:1",
      '{"$bin":"dXNlcjr/AHo="}', "user:m\195\188nchen", " user:1" }
    assert.equal(DONE, status, complaint)
    assert.same({ 0, 6, 0, 0 }, counts(text))
  end)

  it("ends at a line that is no key, behind what stands before it", function()
    source:put("user:1", "Ann")
    local status, text, complaint = warm { "user:1", "user:1\r", "user:2" }
    assert.equal(USAGE, status)
    assert.same({ 1, 0, 0, 0 }, counts(text))
    assert.truthy(complaint:find("line 2: column 7: a control character (0x0d)", 1, true), complaint)
    status, text, complaint = warm { ("k"):rep(5000) }
    assert.equal(USAGE, status)
    assert.truthy(complaint:find("line 1: a key of 5000 bytes, and the server takes 4096", 1, true), complaint)
    assert.same({ 0, 0, 0, 0 }, counts(text))
  end)

  it("goes on more slowly where a loader has enough to do, and loses none", function()
    local lines = {}
    for i = 1, 60 do lines[i] = "busy:" .. i end
    local status, text, complaint = warm(lines, "--rate", "100")
    assert.equal(DONE, status, complaint)
    assert.same({ 60, 0, 0, 0 }, counts(text))
    assert.truthy(expect.value(cache:stats()).counters.loads_refused > 0)
  end)

  it("lets the server load together what is asked for together", function()
    local lines = {}
    for i = 1, 64 do lines[i] = "many:" .. i end
    assert.equal(DONE, (warm(lines, "--rate", "10000")))
    assert.is_true(expect.value(cache:get "many:1") > 1) -- 64, where they come in one turn
  end)

  it("stops where the user may not", function()
    local other = Server.start {
      options = { users = { { name = "ops", unix_user = "root", rights = { "admin" } } } },
    }
    local errors = other.folder .. "/errors"
    local status, text = process.run({ Server.tool, "--server", "127.0.0.1:" .. other.port, "warm", "-" },
      { stderr = errors, stdin = true, input = "user:1\nuser:2\n" })
    assert.equal(ERROR, status)
    assert.same({ 0, 0, 0, 0 }, counts(text))
    local complaint = files.read(errors)
    assert.truthy(complaint:find("line 1: UNAUTHENTICATED", 1, true), complaint)
    other:stop()
  end)
end)

describe("the keys of a snapshot", function()
  local KEPT = {
    options = { state = "state", snapshot_every = "0s" },
    loaders = { { pattern = "user:*", ttl = "1h" } },
  }
  local server, source, cache

  before_each(function()
    server, source = Source.sqlite(KEPT)
    cache = server:connect()
  end)
  after_each(function()
    source:close()
    server:stop()
  end)

  local function tool(of, input, ...)
    local errors = of.folder .. "/errors"
    os.remove(errors)
    local command = { Server.tool, "--server", "unix:" .. of.socket_path, ... }
    local status, text = process.run(command, { stderr = errors, stdin = input ~= nil, input = input })
    return status, text, files.read(errors) or ""
  end

  it("fill another server, the most wanted first", function()
    for i = 1, 50 do
      source:put("user:" .. i, "value " .. i)
      expect.value(cache:get("user:" .. i))
    end
    for _ = 1, 5 do expect.value(cache:get "user:33") end
    expect.absent(cache:get "user:none")
    local status, keys, complaint = tool(server, nil, "snapshot", "--keys")
    assert.equal(DONE, status, complaint)
    assert.equal("user:33", keys:match "^[^\n]+")
    local _, lines = keys:gsub("\n", "")
    assert.equal(50, lines)

    local other, others = Source.sqlite { loaders = KEPT.loaders }
    for i = 1, 50 do others:put("user:" .. i, "value " .. i) end
    local text
    status, text, complaint = tool(other, keys, "warm", "-", "--rate", "10000")
    assert.equal(DONE, status, complaint)
    assert.truthy(text:find('"loaded":50', 1, true), text)
    local there = other:connect()
    for i = 1, 50 do assert.equal("value " .. i, expect.status("hit", there:get_entry("user:" .. i)).value) end
    others:close()
    other:stop()
  end)

  it("stand in a file that the command names", function()
    expect.value(cache:set("user:1", "one"))
    local status, text = tool(server, nil, "snapshot")
    assert.equal(DONE, status)
    local file, entries = text:match '^{"file":"([^"]+)","entries":(%d+),"bytes":%d+,"ms":%d+}\n$'
    assert.equal(server.folder .. "/state/snapshot", file)
    assert.equal("1", entries)
  end)

  it("are none where the server has no folder for them", function()
    local other, others = Source.sqlite { loaders = KEPT.loaders }
    local status, text, complaint = tool(other, nil, "snapshot", "--keys")
    assert.same({ ERROR, "" }, { status, text })
    assert.truthy(complaint:find("rtcache: CONFIG ", 1, true), complaint)
    others:close()
    other:stop()
  end)

  it("come beside the numbers of the last restart, which are a group of their own", function()
    local status, text = tool(server, nil, "stats", "restart")
    assert.equal(DONE, status)
    assert.truthy(text:find('"life":1', 1, true), text)
    assert.truthy(text:find('"missing":{"P1":0,', 1, true), text)
  end)
end)
