-- Every command line of rtcached: what it prints where, and the exit code that its help promises.

local Server = require "spec.support.server"
local files = require "spec.support.files"
local lfs = require "lfs"
local process = require "spec.support.process"

local WELL, NOT_STARTED, USAGE = 0, 1, 2

describe("the command line of the server", function()
  local folder, binary

  setup(function()
    binary = Server.binary:match "^/" and Server.binary or lfs.currentdir() .. "/" .. Server.binary
    folder = io.popen("mktemp -d"):read "*l"
    files.make_folder(folder .. "/scripts")
    files.make_folder(folder .. "/empty")
    files.write(folder .. "/rtcache.conf", ('listen = "unix:%s/s";\nscripts = "%s/scripts";\n'):format(folder, folder))
    files.write(folder .. "/wrong.conf", 'listen = "unix:/s";\nshards = 3;\n')
  end)

  teardown(function() files.remove(folder) end)

  -- Exit code, standard output and standard error, run in the folder.
  local function run(cwd, ...)
    local complaint = folder .. "/complaint"
    files.write(complaint, "")
    local status, text = process.run({ binary, ... }, { cwd = folder .. cwd, stderr = complaint })
    return status, text, files.read(complaint)
  end

  it("tells its version and its usage to standard output", function()
    for _, word in ipairs { "-V", "--version" } do
      local status, text, complaint = run("", word)
      assert.equal(WELL, status)
      assert.truthy(text:find "^rtcached %d+%.%d+%.%d+\n$", text)
      assert.equal("", complaint)
    end
    for _, word in ipairs { "-h", "--help" } do
      local status, text, complaint = run("", word)
      assert.equal(WELL, status)
      assert.truthy(text:find("usage: rtcached [-c FILE] [--check]", 1, true), text)
      assert.truthy(text:find("Exit codes: 0 stopped as asked, 1 it could not start", 1, true), text)
      assert.equal("", complaint)
    end
  end)

  it("refuses options and words that it does not know with exit code 2, and starts nothing", function()
    local wrong = { { "--nothing" }, { "-x" }, { "-c" }, { "rtcache.conf" }, { "-c", "rtcache.conf", "start" } }
    for _, words in ipairs(wrong) do
      local status, text, complaint = run("", unpack(words))
      assert.equal(USAGE, status, table.concat(words, " "))
      assert.equal("", text)
      assert.truthy(complaint:find("rtcached --help tells the usage", 1, true), complaint)
    end
    local _, _, complaint = run("", "--check", "this.conf")
    assert.truthy(complaint:find('"this.conf" was not expected', 1, true), complaint)
  end)

  it("checks the configuration that it is given, or finds where it is", function()
    local ways = { { "--check" }, { "-c", "rtcache.conf", "--check" }, { "--config=rtcache.conf", "--check" } }
    for _, words in ipairs(ways) do
      local status, text, complaint = run("", unpack(words))
      assert.equal(WELL, status, complaint)
      assert.equal("rtcache.conf: ok\n", text)
      assert.equal("", complaint)
    end
    local status, text, complaint = run("", "-c", "wrong.conf", "--check")
    assert.equal(NOT_STARTED, status)
    assert.equal("", text)
    assert.truthy(complaint:find("wrong.conf:2", 1, true), complaint)
  end)

  it("says why it does not start, with exit code 1", function()
    local status, text, complaint = run("", "-c", "wrong.conf")
    assert.equal(NOT_STARTED, status)
    assert.equal("", text)
    assert.truthy(complaint:find("wrong.conf:2", 1, true), complaint)
    status, text, complaint = run("", "-c", "nowhere.conf")
    assert.equal(NOT_STARTED, status)
    assert.equal("", text)
    assert.truthy(complaint:find("nowhere.conf", 1, true), complaint)
    if not files.read "/etc/rtcache/rtcache.conf" then
      status, text, complaint = run("/empty")
      assert.equal(NOT_STARTED, status)
      assert.equal("", text)
      assert.truthy(complaint:find("neither ./rtcache.conf nor /etc/rtcache/rtcache.conf is there", 1, true), complaint)
    end
  end)
end)
