-- The tool has a command for each method of the protocol and an option for each of its options. Which
-- there are is read from the client's table and from docs/protocol.md; which of the tool they are is
-- written here, and found in the help of the command.

local Server = require "spec.support.server"
local Source = require "spec.support.source"
local files = require "spec.support.files"
local process = require "spec.support.process"

local DONE, NIL, ERROR = 0, 1, 3

local COMMANDS = {
  ping = "ping", get = "get", get_many = "get", get_entry = "entry", peek = "peek", set = "set", put = "put",
  delete = "delete", invalidate = "invalidate", invalidate_many = "invalidate", invalidate_tag = "invalidate-tag",
  invalidate_match = "invalidate-match", expire = "expire", expire_many = "expire", expire_tag = "expire-tag",
  expire_match = "expire-match", refresh = "refresh", touch = "touch", stats = "stats", loaders = "loaders",
  lift_floors = "lift-floors", snapshot = "snapshot", reload = "reload",
}

-- Methods that are no command: what is in their place.
local WITHOUT = {
  hello = "a word between programs",
  auth = "--user, before any command",
  subscribe = "no command follows what the server tells",
  unsubscribe = "a connection's end",
}

local OPTIONS = {
  timeout_ms = "timeout", stale_wait_ms = "stale-wait", min_version = "min-version", partial = "partial",
  ttl_ms = "ttl", stale_ttl_ms = "stale-ttl", version = "value-version", tags = "tag", background = "background",
  deleted = "deleted",
}

-- The names of the options of each method: what stands behind the ";" of its arguments.
local function documented()
  local methods = {}
  local section = files.read("docs/protocol.md"):match "\n## Methods\n(.-)\n`get_entry` answers a map"
  for name, arguments in section:gmatch "\n| `([a-z_]+)` | ([^|]*)|" do
    local options = {}
    local text = (arguments:match ";(.*)" or ""):gsub("%b()", "")
    local like = text:match "as `([a-z_]+)`"
    for option in pairs(like and methods[like] or {}) do options[option] = true end
    for option in text:gsub("as `[a-z_]+`", ""):gmatch "`([a-z_]+)`" do options[option] = true end
    methods[name] = options
  end
  return methods
end

describe("the tool beside the protocol", function()
  local protocol = documented()

  local function help(command)
    local status, text = process.run { Server.tool, "help", command }
    assert.equal(DONE, status, command)
    return text
  end

  it("has a command for each method of the client and of docs/protocol.md", function()
    local client = {}
    require "rtcache.methods"(client, function() end)
    for name in pairs(client) do
      assert.truthy(protocol[name], name .. " is not in docs/protocol.md")
      assert.truthy(COMMANDS[name] or WITHOUT[name], "the tool has nothing for " .. name)
    end
    for name in pairs(protocol) do
      assert.truthy(client[name], name .. " is not a method of the client")
      if COMMANDS[name] then help(COMMANDS[name]) end
    end
  end)

  it("has an option for each option of a method, in the help of its command", function()
    local count = 0
    for name, options in pairs(protocol) do
      for option in pairs(COMMANDS[name] and options or {}) do
        local ours = assert(OPTIONS[option], ("no option of the tool is %s of %s"):format(option, name))
        assert.truthy(help(COMMANDS[name]):find("--" .. ours .. " ", 1, true),
          ("rtcache %s has no --%s"):format(COMMANDS[name], ours))
        count = count + 1
      end
    end
    assert.truthy(count >= 25, "only " .. count .. " options were found in docs/protocol.md")
  end)
end)

describe("the tool's options of the protocol", function()
  local server, source

  setup(function()
    server, source = Source.sqlite {
      loaders = {
        { pattern = "user:*", ttl = "60s", retries = 0, breaker_failures = 0 },
        { pattern = "slow:*", script = "slow.lua" },
      },
      scripts = {
        ["slow.lua"] = "return { load = function() rtcache.sleep(3600) return 1 end }",
      },
    }
    source:put("user:1", "Ann", { version = 3 })
    source:put("user:2", "Bob", { version = 3 })
  end)
  teardown(function()
    source:close()
    server:stop()
  end)

  local function run(...)
    local errors = server.folder .. "/errors"
    os.remove(errors)
    local status, text = process.run({ Server.tool, "--server", "unix:" .. server.socket_path, ... },
      { stderr = errors })
    return status, text, files.read(errors)
  end

  it("takes nothing older than --min-version", function()
    assert.equal(DONE, (run("get", "user:1", "--min-version", "3")))
    local status, _, complaint = run("get", "user:1", "--min-version", "4", "--timeout", "200ms")
    assert.equal(ERROR, status)
    assert.truthy(complaint:find("STALE_SOURCE", 1, true), complaint)
  end)

  it("refreshes and touches several keys, an answer a line in their order", function()
    local status, text = run("refresh", "user:1", "user:nobody", "user:2")
    assert.equal(NIL, status)
    local first, second, third = text:match "^([^\n]+)\n([^\n]+)\n([^\n]+)\n$"
    assert.truthy(first and first:find('"Ann"', 1, true), text)
    assert.truthy(second:find('"value":null', 1, true), text)
    assert.truthy(third:find('"Bob"', 1, true), text)
    status, text = run("touch", "user:1", "user:unseen", "user:2", "--ttl", "5min")
    assert.equal(NIL, status)
    assert.equal("true\nfalse\ntrue\n", text)
    assert.equal(DONE, (run("touch", "user:1", "user:2")))
  end)

  it("stores a value with the tags of --tag, and with none for --no-tags", function()
    assert.equal(DONE, (run("set", "user:3", "1", "--tag", "red", "--tag", "big")))
    assert.equal(DONE, (run("set", "user:4", "1", "--no-tags")))
    assert.truthy(select(2, run("peek", "user:3")):find('"tags":["red","big"]', 1, true))
    assert.equal(DONE, (run("invalidate-tag", "big")))
    assert.equal(NIL, (run("peek", "user:3")))
    assert.equal(DONE, (run("peek", "user:4")))
  end)

  it("waits for no load with --partial", function()
    run("get", "user:1")
    local status, text, complaint = run("get", "--partial", "user:1", "slow:1")
    assert.equal(NIL, status)
    assert.equal('"Ann"\nnull\n', text)
    assert.equal("rtcache: key 2 is not there yet: its load has begun\n", complaint)
    assert.equal(DONE, (run("get", "--partial", "user:1")))
  end)

  it("says with --deleted that the row is gone, so that its absence is an answer", function()
    local _, _, complaint = run("invalidate", "user:gone", "--value-version", "9")
    assert.equal("", complaint)
    assert.equal(NIL, (run("get", "user:gone")))
    assert.equal(NIL, (run("peek", "user:gone")))
    assert.equal("null\n", select(2, run("peek", "user:gone")))
    _, _, complaint = run("invalidate", "user:left", "--value-version", "9", "--deleted")
    assert.equal("", complaint)
    assert.equal(NIL, (run("get", "user:left")))
    assert.truthy(select(2, run("peek", "user:left")):find('"status":"negative"', 1, true))
  end)
end)
