local Source = require "spec.support.source"
local Server = require "spec.support.server"
local client = require "rtcache.client"
local expect = require "spec.support.expect"
local figures = require "faults.figures"
local postgres = require "spec.support.postgres"
local process = require "spec.support.process"
local wait = require "spec.support.wait"

local ENDS = { TIMEOUT = true, LOAD_TIMEOUT = true, OVERLOADED = true, BACKEND_DOWN = true }

describe("loads that wait", function()
  local cluster, server, source
  local count, deadline = figures.pick(10000, 100000), figures.pick("3s", "10s")

  setup(function() cluster = postgres.start() end)
  teardown(function() cluster:stop() end)

  before_each(function()
    server, source = Source.postgres({
      options = { max_parked = count, max_output = "128mb", client_memory = "512mb", memory = "512mb" },
      scripts = { ["row.lua"] = [[
        return { load = function(key, ctx)
          ctx.db:exec("INSERT INTO loads (key) VALUES ($1)", key)
          return ctx.db:value("SELECT value FROM source WHERE key = $1", key)
        end }]] },
      loaders = { {
        pattern = "row:*", script = "row.lua", retries = 0, breaker_failures = 0, max_loads = 10000, max_queue = count,
        max_waiters = count, load_timeout = deadline, wait_timeout = deadline,
      } },
    }, cluster, { pool = 4, pipeline = 64, max_queue = count })
  end)
  after_each(function()
    if cluster.frozen then cluster:thaw() end
    source:close()
    server:stop()
  end)

  -- The answers' codes, by how often each came.
  local function send_and_count(key_of, meanwhile)
    local requests = {}
    for i = 1, count do requests[i] = client.encode_request(i, "get", key_of(i)) end
    local crowd = server:connect { timeout = 120 }
    assert(crowd:write(table.concat(requests)))
    if meanwhile then meanwhile() end
    local answers = {}
    for i = 1, count do
      local value, err = crowd:receive(i, 120)
      local kind = err and err.code or value == nil and "absent" or "value"
      answers[kind] = (answers[kind] or 0) + 1
    end
    return answers
  end

  it("for one absent key make one query", function()
    local answers = send_and_count(function() return "row:none" end)
    assert.same({ absent = count }, answers)
    local queries = source:loads "row:none"
    figures.print(("queries for %d gets of one absent key"):format(count), queries, "", "1")
    assert.equal(1, queries)
  end)

  it("for a database that does not answer all end by their deadline, and hits go on", function()
    local hits = server:connect()
    expect.value(hits:set("hit", "hit"))
    expect.absent(hits:get "row:none") -- a connection is there; those that are not cannot be made
    cluster:freeze()
    local before, began, slowest, ended = process.resident(server.pid), nil, 0, 0
    local waiting, seconds = 0, nil
    local errors = tonumber(expect.value(hits:stats()).counters.errors)
    local answers = send_and_count(function(i) return "row:" .. i end, function()
      began = wait.now() -- all of them are sent
      wait.until_true("all of them wait, or were turned away", function()
        local l = server:loader "row:*"
        waiting = tonumber(l.in_flight) + tonumber(l.queued)
        return waiting + tonumber(l.failed) + tonumber(l.refused) >= count
      end)
      local each = (process.resident(server.pid) - before) / waiting / 1024
      figures.print(("resident memory of each of %d loads that wait"):format(waiting), each, "KiB", "6")
      assert.truthy(waiting > count / 2, waiting .. " wait")
      if not Server.is_sanitized() then assert.truthy(each <= 6, each .. " KiB") end
      for _ = 1, 500 do
        local from = wait.now()
        assert.equal("hit", expect.value(hits:get "hit"))
        slowest = math.max(slowest, wait.now() - from)
      end
      wait.until_true("all of them are answered", function()
        return tonumber(expect.value(hits:stats()).counters.errors) >= errors + count
      end, 120)
      seconds = wait.now() - began
    end)
    for code, n in pairs(answers) do
      assert.truthy(ENDS[code], code)
      ended = ended + n
      figures.print("of these ended with " .. code, n, "", "all are answered")
    end
    assert.equal(count, ended)
    figures.print("time until all of them were answered", seconds, "s", deadline .. " (printed only)")
    figures.print("longest hit meanwhile", slowest * 1000, "ms", "none (printed only)")
  end)
end)
