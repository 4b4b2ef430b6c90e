local lfs = require "lfs"

local Server = require "spec.support.server"
local expect = require "spec.support.expect"
local faulty = require "faults.faulty"
local files = require "spec.support.files"
local process = require "spec.support.process"
local restart = require "spec.support.restart"
local wait = require "spec.support.wait"

local KEYS, VALUE = 2000, ("v"):rep(2000) -- a file of which the server writes and reads several pieces

local function prepare()
  local server = Server.prepare {
    binary = faulty.binary,
    options = { state = "state", snapshot_every = "0s", floor_ttl = "1min" },
  }
  local control = faulty.control(server.folder)
  server.options.env = control:env()
  server:launch()
  return server, control
end

local function set(cache, key, value) expect.value(cache:set(key, value, { ttl_ms = 3600000 })) end

local function fill(cache)
  for i = 1, KEYS do set(cache, "k:" .. i, VALUE) end
end

local function is_there(cache, key) return (cache:peek(key)) ~= nil end

local function count_there(cache)
  local there = 0
  for i = 1, KEYS do there = there + (is_there(cache, "k:" .. i) and 1 or 0) end
  return there
end

local function names(server)
  local all = {}
  for name in lfs.dir(server.folder .. "/state") do all[name] = true end
  return all
end

describe("a disk without room for the state", function()
  local server, control, cache

  before_each(function()
    server, control = prepare()
    cache = server:connect()
  end)
  after_each(function()
    control:leave_room()
    server:stop()
    control:close()
  end)

  it("while a snapshot is written: the one before stays, with the journal since then", function()
    fill(cache)
    expect.value(cache:call "snapshot")
    expect.value(cache:invalidate "k:1")
    for _, room in ipairs { 0, 1, 100000, 300000, 1000000 } do
      control:leave_room(room)
      expect.error("IO", "No space left", cache:call "snapshot")
      control:leave_room()
      assert.is_nil(names(server)["snapshot.rtcache-new"])
      assert.equal("pong", expect.value(cache:ping()))
    end
    set(cache, "k:2", "another")
    cache = restart.crash(server)
    assert.is_false(is_there(cache, "k:1"))
    assert.is_false(is_there(cache, "k:2")) -- set since: the journal says that, not what
    assert.equal(KEYS - 2, count_there(cache))
  end)

  it("for the journal: all is acknowledged, the snapshot is gone, and a crash means a cold start", function()
    local broken = 0
    for _, room in ipairs { 0, 1, 20, 40 } do -- up to a part of the first record's batch
      set(cache, "k:1", VALUE)
      set(cache, "k:2", VALUE)
      expect.value(cache:call "snapshot")
      assert.truthy(names(server).snapshot)
      control:leave_room(room)
      for _ = 1, 3 do
        expect.value(cache:invalidate "k:1")
        set(cache, "k:2", "another")
      end
      broken = broken + 1
      wait.until_true("the journal broke", function()
        return select(2, server:log():gsub("journal%.broken", "")) == broken
      end)
      assert.is_nil(names(server).snapshot)
      assert.equal("another", expect.value(cache:peek "k:2").value)
      control:leave_room()
      cache = restart.crash(server)
      assert.is_false(is_there(cache, "k:1"))
      assert.is_false(is_there(cache, "k:2"))
      assert.equal(0, restart.numbers(cache).proven)
    end
  end)

  it("for the journal, and room again: the next snapshot begins a new one, which holds", function()
    set(cache, "k:1", VALUE)
    control:leave_room(0)
    expect.value(cache:invalidate "k:1")
    control:leave_room()
    set(cache, "k:1", VALUE)
    set(cache, "k:2", VALUE)
    expect.value(cache:call "snapshot")
    expect.value(cache:invalidate "k:1")
    cache = restart.crash(server)
    assert.is_false(is_there(cache, "k:1"))
    assert.is_true(is_there(cache, "k:2"))
  end)
end)

describe("a signal", function()
  local server, control, cache

  before_each(function()
    server, control = prepare()
    cache = server:connect()
    fill(cache)
  end)
  after_each(function()
    control:leave_room()
    server:stop()
    control:close()
  end)

  local function end_held()
    wait.until_true("somebody waits for the disk", function() return control:holds() end)
    server:signal "TERM"
    control:leave_room()
    assert.equal(0, server.process:wait(wait.PATIENCE))
    server.process:finish()
  end

  local function stop_twice()
    server:close_clients()
    control:hold_disk(500000)
    server:signal "TERM"
    end_held()
    server:launch()
    cache = server:connect()
  end

  it("while the last snapshot is written ends the server; the snapshot before and the journal are right", function()
    expect.value(cache:call "snapshot")
    expect.value(cache:invalidate "k:1")
    stop_twice()
    assert.truthy(server:log():find("snapshot.failed", 1, true))
    assert.is_nil(names(server)["snapshot.rtcache-new"])
    assert.is_false(is_there(cache, "k:1"))
    assert.equal(KEYS - 1, count_there(cache))
  end)

  it("while the first snapshot is written leaves a cold start", function()
    stop_twice()
    assert.equal(0, count_there(cache))
    assert.equal(0, restart.numbers(cache).proven)
  end)

  it("while a snapshot is read gives it back: the next start is warm", function()
    expect.value(cache:invalidate "k:1")
    server:close_clients()
    server:signal "TERM"
    assert.equal(0, server.process:wait(wait.PATIENCE))
    server.process:finish()
    for _, room in ipairs { 500000, 1000000 } do
      control:hold_disk(room)
      server.process = process.spawn(server:command(), { stderr = server.log_path, env = server.options.env })
      end_held()
      assert.truthy(files.read(restart.snapshot(server)))
    end
    server:launch()
    cache = server:connect()
    assert.equal(KEYS - 1, restart.numbers(cache).proven)
    assert.is_false(is_there(cache, "k:1"))
    assert.equal(KEYS - 1, count_there(cache))
  end)
end)
