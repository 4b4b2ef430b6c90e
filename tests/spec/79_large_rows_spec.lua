--- One row that is far larger than a backend's max_result: it is refused, and no memory stays.

local Server = require "spec.support.server"
local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local files = require "spec.support.files"

local MB = 1024 * 1024

local function memory_kib(server, what)
  return tonumber((assert(files.read("/proc/" .. server.pid .. "/status")):match(what .. ":%s*(%d+) kB")))
end

-- What the server had at most and has now, beside what it had before, in KiB.
local function assert_small(server, before)
  if Server.is_sanitized() then return end
  assert.truthy(memory_kib(server, "VmHWM") - before < 60 * 1024, "it held the row")
  assert.truthy(memory_kib(server, "VmRSS") - before < 60 * 1024, "it holds it still")
end

describe("a row that is far too large", function()
  local server, source, cache
  after_each(function()
    if source then source:close() end
    if server then server:stop() end
    server, source = nil, nil
  end)

  local function start(driver, script)
    server, source = Source[driver] {
      options = { defaults = { retries = 0, breaker_failures = 0, load_timeout = "60s", wait_timeout = "60s" } },
      loaders = { { pattern = "big:*", script = "big.lua" }, { pattern = "all:*", script = "all.lua" } },
      scripts = {
        ["big.lua"] = script,
        ["all.lua"] = [[
          return {
            load = function(key, ctx)
              local codes, asks = {}, {}
              for i = 1, 8 do
                asks[i] = function()
                  local ok, err = pcall(ctx.db.rows, ctx.db,
                    "SELECT repeat('x', 3000000) AS x, pg_sleep(0.01) FROM generate_series(1, 1000)")
                  codes[i] = ok and "none" or err.code
                end
              end
              rtcache.all(asks)
              return codes
            end,
          }
        ]],
      },
    }
    cache = server:connect()
  end

  local function assert_refused(size)
    local value, err = cache:get("big:" .. size)
    expect.error("TOO_LARGE", "max_result", value, err)
  end

  -- Small rows are had before and after those of so many bytes. size_of: what the script says of one.
  local function bounds_rows(driver, script, bytes, size_of)
    start(driver, script)
    assert.equal(size_of(1000), expect.value(cache:get "big:1000"))
    local before = memory_kib(server, "VmRSS")
    for i = 1, 3 do assert_refused(bytes + i) end
    assert_small(server, before)
    assert.equal(size_of(1001), expect.value(cache:get "big:1001"))
  end

  it("is not read from PostgreSQL, and the connection is another one", function()
    bounds_rows("postgres", [[
      return { load = function(key, ctx) return #ctx.db:value("SELECT repeat('x', $1::int)", ctx.match[1]) end }
    ]], 200 * MB, function(n) return n end)
  end)

  it("is told of for each query of many at once", function()
    start("postgres", "return { load = function() end }")
    local codes = expect.value(cache:get "all:1")
    for i = 1, 8 do assert.equal("TOO_LARGE", codes[i]) end
  end)

  it("is not made by SQLite", function()
    bounds_rows("sqlite", [[
      return { load = function(key, ctx) return #ctx.db:value("SELECT hex(zeroblob($1))", tonumber(ctx.match[1])) end }
    ]], 100 * MB, function(n) return 2 * n end)
  end)
end)
