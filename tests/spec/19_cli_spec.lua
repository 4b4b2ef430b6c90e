local Server = require "spec.support.server"
local Source = require "spec.support.source"
local process = require "spec.support.process"

-- Its exit codes.
local DONE, NIL, USAGE, ERROR, CONNECTION, TIMEOUT = 0, 1, 2, 3, 4, 5

describe("the rtcache tool", function()
  local server, source

  setup(function()
    server, source = Source.sqlite {
      options = { script_cpu = "10s" },
      loaders = {
        { pattern = "user:*", ttl = "60s", retries = 0, breaker_failures = 0 },
        { pattern = "slow:*", script = "slow.lua" },
      },
      scripts = {
        ["slow.lua"] = "return { load = function() rtcache.sleep(3600) return 1 end }",
      },
    }
    source:put("user:1", "Ann", { version = 3 })
    source:put("user:bad", "", { fail = "out of order" })
  end)
  teardown(function()
    source:close()
    server:stop()
  end)

  local function call(words, input)
    local errors = server.folder .. "/errors"
    os.remove(errors)
    local command = { Server.tool, "--server", "unix:" .. server.socket_path }
    for _, word in ipairs(words) do command[#command + 1] = word end
    local status, text = process.run(command, { stderr = errors, stdin = true, input = input })
    local f = io.open(errors)
    local complaint = f and f:read "*a" or ""
    if f then f:close() end
    return status, text, complaint
  end

  local function run(...) return call { ... } end

  it("prints a value as JSON, and null with exit code 1 where there is none", function()
    local status, text = run("get", "user:1")
    assert.equal(DONE, status)
    assert.equal('"Ann"\n', text)
    status, text = run("get", "user:nobody")
    assert.equal(NIL, status)
    assert.equal("null\n", text)
  end)

  it("prints a string as it is with --raw", function()
    local status, text = run("get", "user:1", "--raw")
    assert.equal(DONE, status)
    assert.equal("Ann", (text:gsub("\n$", "")))
  end)

  it("prints one value a line for several keys", function()
    local _, text = run("get", "user:1", "user:nobody", "user:1")
    assert.equal('"Ann"\nnull\n"Ann"\n', text)
  end)

  it("sets JSON of every kind and prints it again, large integers exactly", function()
    for _, json in ipairs {
      "1", "-1.5", "true", "null", '"text"', "[1,[2,3],{}]", "9223372036854775807",
      '{"$bin":"/wA="}', "9007199254740993",
    } do
      if json ~= "null" then
        local status, text, complaint = run("set", "cli:1", json)
        assert.equal(DONE, status, json .. ": " .. complaint)
        assert.equal("true\n", text)
        status, text = run("get", "cli:1")
        assert.equal(DONE, status)
        assert.equal(json .. "\n", text)
      end
    end
  end)

  it("sets text with --raw, and reads - from standard input", function()
    assert.equal(DONE, (run("set", "cli:2", "no JSON at all", "--raw")))
    assert.equal('"no JSON at all"\n', select(2, run("get", "cli:2")))
    assert.equal(DONE, (call({ "set", "cli:3", "-" }, '{"from": "stdin"}')))
    assert.equal('{"from":"stdin"}\n', select(2, run("get", "cli:3")))
  end)

  it("refuses a value that is no JSON, and says where", function()
    local status, text, complaint = run("set", "cli:4", "{broken")
    assert.equal(USAGE, status)
    assert.equal("", text)
    assert.truthy(complaint:find("line 1, column 7", 1, true), complaint)
  end)

  it("shows an entry with status, version and times", function()
    run("get", "user:1")
    local status, text = run("entry", "user:1")
    assert.equal(DONE, status)
    assert.truthy(text:find('"status":"hit"', 1, true), text)
    assert.truthy(text:find('"version":3', 1, true), text)
    assert.truthy(text:find('"value":"Ann"', 1, true), text)
  end)

  it("peeks, touches, invalidates and refreshes", function()
    assert.equal(NIL, (run("peek", "user:unseen")))
    assert.equal(NIL, (run("touch", "user:unseen")))
    assert.equal(NIL, (run("invalidate", "user:unseen")))
    assert.equal(DONE, (run("refresh", "user:1")))
    assert.equal(DONE, (run("peek", "user:1")))
    assert.equal(DONE, (run("touch", "user:1", "--ttl", "5min")))
    assert.equal(DONE, (run("invalidate", "user:1")))
    assert.equal(NIL, (run("peek", "user:1")))
    assert.equal(DONE, (run("refresh", "user:1", "--background")))
  end)

  it("says pong, lists loaders, counts and reloads", function()
    assert.equal('"pong"\n', select(2, run "ping"))
    local _, loaders = run "loaders"
    assert.truthy(loaders:find("user:*", 1, true))
    local _, stats = run "stats"
    assert.truthy(stats:find("counters", 1, true))
    local status, answer = run "reload"
    assert.equal(DONE, status)
    assert.truthy(answer:find("generation", 1, true))
  end)

  it("prints errors of the server to standard error, with exit code 3", function()
    local status, text, complaint = run("get", "user:bad")
    assert.equal(ERROR, status)
    assert.equal("", text)
    assert.truthy(complaint:find("LOAD_FAILED", 1, true), complaint)
    assert.truthy(complaint:find("out of order", 1, true), complaint)
  end)

  it("gives up at --timeout, with exit code 5", function()
    local status, _, complaint = run("get", "slow:1", "--timeout", "100ms")
    assert.equal(TIMEOUT, status, complaint)
  end)

  it("says that it cannot connect, with exit code 4", function()
    local status, text = process.run { Server.tool, "--server", "unix:/nowhere/rtcache.sock", "ping" }
    assert.equal(CONNECTION, status)
    assert.truthy(text:find("/nowhere/rtcache.sock", 1, true), text)
  end)

  it("explains itself, and a wrong word leads to the right one, with exit code 2", function()
    local status, text = run "--help"
    assert.equal(DONE, status)
    for _, name in ipairs { "get", "entry", "peek", "set", "invalidate", "refresh", "touch", "reload" } do
      assert.truthy(text:find(name, 1, true), name)
    end
    assert.equal(DONE, (run("help", "get")))
    local wrong, _, complaint = run("invaldate", "x")
    assert.equal(USAGE, wrong)
    assert.truthy(complaint:find("invalidate", 1, true), complaint)
    assert.equal(USAGE, (run "get"))
    assert.equal(USAGE, (run("get", "x", "--ttl", "5s")))
    assert.equal(DONE, (run "--version"))
  end)

  it("connects over TCP as well", function()
    local status, text = process.run { Server.tool, "-s", "127.0.0.1:" .. server.port, "ping" }
    assert.equal(DONE, status, text)
  end)
end)
