local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local wait = require "spec.support.wait"

describe("a load that fails", function()
  local server, source, cache

  setup(function()
    local plain = { ttl = "50ms", negative_ttl = "1s", breaker_failures = 0 }
    local function loader(pattern, fields)
      local l = { pattern = pattern, retries = 0, backoff_base = "20ms", backoff_cap = "20ms" }
      for name, v in pairs(plain) do l[name] = v end
      for name, v in pairs(fields) do l[name] = v end
      return l
    end
    server, source = Source.sqlite {
      loaders = {
        loader("plain:*", {}),
        loader("kept:*", { stale_ttl = "50ms", stale_if_error = "10min" }),
        loader("stale:*", { stale_ttl = "10min", stale_if_error = "10min" }),
        loader("rest:*", { backoff_base = "10min", backoff_cap = "10min" }),
        loader("kept rest:*", {
          stale_if_error = "10min", backoff_base = "10min", backoff_cap = "10min",
        }),
        loader("again:*", { retries = 2, retry_base = "1ms", retry_cap = "2ms" }),
        loader("odd:*", { script = "odd.lua" }),
      },
      scripts = {
        ["odd.lua"] = [[
          return {
            load = function(key, ctx)
              local what = ctx.match[1]
              if what == "throws" then error("thrown on purpose") end
              if what == "table" then error({ code = "LOAD_FAILED", message = "a table of error" }) end
              if what == "nil err" then return nil, "given back" end
              if what == "fault" then local none; return none.field end
              return key
            end,
          }
        ]],
      },
    }
    cache = server:connect()
  end)
  teardown(function()
    source:close()
    server:stop()
  end)

  local function await_expired(key)
    wait.until_true(key .. " is past its time", function()
      local entry = cache:peek(key)
      return not entry or entry.status ~= "hit"
    end)
  end

  it("is an error of the request, and the message says what the script said", function()
    source:put("plain:1", "", { fail = "the shop is closed" })
    expect.error("LOAD_FAILED", { "plain:1", "the shop is closed" }, cache:get "plain:1")
  end)

  it("may be thrown, returned, or a fault of the script", function()
    expect.error("LOAD_FAILED", { "odd.lua:4", "thrown on purpose" }, cache:get "odd:throws")
    expect.error("LOAD_FAILED", "a table of error", cache:get "odd:table")
    expect.error("LOAD_FAILED", "given back", cache:get "odd:nil err")
    expect.error("SCRIPT_ERROR", { "odd.lua:7", "nil" }, cache:get "odd:fault")
    assert.equal("odd:works", expect.value(cache:get "odd:works"))
  end)

  it("is not an absence, and an absence is no failure", function()
    expect.absent(cache:get "plain:absent")
    source:put("plain:2", "", { fail = "no" })
    expect.error("LOAD_FAILED", "no", cache:get "plain:2")
    expect.absent(cache:peek "plain:2")
  end)

  it("works again when the source does", function()
    source:put("plain:3", "", { fail = "no" })
    expect.error("LOAD_FAILED", "no", cache:get "plain:3")
    source:put("plain:3", "yes")
    wait.until_true("the value", function() return cache:get "plain:3" == "yes" end)
  end)

  it("replaces nothing: within stale_if_error the old value is served, and marked", function()
    source:put("kept:1", "good")
    expect.value(cache:get "kept:1")
    source:put("kept:1", "", { fail = "out of order" })
    local entry = wait.until_true("a marked answer", function()
      local e = expect.value(cache:get_entry "kept:1")
      assert.equal("good", e.value)
      return e.status == "stale_error" and e
    end)
    assert.equal("LOAD_FAILED", entry.error.code)
    assert.truthy(entry.error.message:find("out of order", 1, true))
    assert.equal("good", expect.value(cache:get "kept:1"))
    wait.until_true("the entry is past its stale_ttl", function()
      return expect.value(cache:get_entry "kept:1").ttl_ms < -100
    end)
    for _ = 1, 20 do
      assert.equal("good", expect.status("stale_error", cache:get_entry "kept:1").value)
    end
    source:put("kept:1", "better")
    wait.until_true("the new value", function() return cache:get "kept:1" == "better" end)
  end)

  it("marks answers within stale_ttl too, once a load has failed", function()
    source:put("stale:1", "good")
    expect.value(cache:get "stale:1")
    await_expired "stale:1"
    source:put("stale:1", "", { fail = "out of order" })
    wait.until_true("a marked answer", function()
      return expect.value(cache:get_entry "stale:1").status == "stale_error"
    end)
  end)

  it("is an error again where nothing may be served stale", function()
    source:put("plain:4", "good")
    expect.value(cache:get "plain:4")
    source:put("plain:4", "", { fail = "no" })
    await_expired "plain:4"
    expect.error("LOAD_FAILED", "no", cache:get "plain:4")
  end)

  it("leaves the source alone while its key is in backoff, and says when to ask again", function()
    source:put("rest:1", "", { fail = "leave me alone" })
    expect.error("LOAD_FAILED", "leave me alone", cache:get "rest:1")
    source:put("rest:1", "calm again")
    for _ = 1, 50 do
      local err = expect.error("LOAD_FAILED", "leave me alone", cache:get "rest:1")
      assert.truthy(err.retry_after_ms and err.retry_after_ms > 0 and err.retry_after_ms <= 600000,
        tostring(err))
    end
    assert.equal(1, source:loads "rest:1")
    local maps = server:connect()
    maps:hello { errors = "map" }
    local err = expect.error("LOAD_FAILED", "leave me alone", maps:get "rest:1")
    assert.truthy(err.retry_after_ms > 0)
  end)

  it("does not hold up other keys of its loader by its backoff", function()
    source:put("rest:2", "", { fail = "no" })
    source:put("rest:3", "fine")
    expect.error("LOAD_FAILED", "no", cache:get "rest:2")
    assert.equal("fine", expect.value(cache:get "rest:3"))
  end)

  it("serves the kept value during a backoff and leaves the source alone", function()
    source:put("kept rest:1", "good")
    expect.value(cache:get "kept rest:1")
    await_expired "kept rest:1"
    source:put("kept rest:1", "", { fail = "no" })
    for _ = 1, 50 do
      assert.equal("good", expect.status("stale_error", cache:get_entry "kept rest:1").value)
    end
    assert.equal(2, source:loads "kept rest:1")
  end)

  it("is over for a key in backoff that is set by hand, and goes on for one that is refreshed", function()
    source:put("rest:4", "", { fail = "no" })
    expect.error("LOAD_FAILED", "no", cache:get "rest:4")
    source:put("rest:4", "loaded")
    expect.error("LOAD_FAILED", "no", cache:refresh "rest:4")
    assert.equal(1, source:loads "rest:4")
    expect.value(cache:set("rest:4", "by hand", { ttl_ms = 60000 }))
    assert.equal("by hand", expect.value(cache:get "rest:4"))
    -- What was set is gone, and the source is asked at once.
    expect.value(cache:set("rest:4", "by hand", { ttl_ms = 1 }))
    wait.until_true("its time is over", function() return cache:peek "rest:4" == nil end)
    assert.equal("loaded", expect.value(cache:get "rest:4"))
  end)

  it("is tried again within the load, as often as `retries` says", function()
    source:put("again:1", "", { fail = "no" })
    expect.error("LOAD_FAILED", "no", cache:get "again:1")
    assert.equal(3, source:loads "again:1")
  end)

  it("keeps an old value against a failure, and gives it up for an absence", function()
    source:put("kept:2", "good")
    expect.value(cache:get "kept:2")
    await_expired "kept:2"
    source:remove "kept:2"
    wait.until_true("the absence", function()
      local value, err = cache:get "kept:2"
      assert.is_nil(err)
      return value == nil
    end)
    expect.status("negative", cache:peek "kept:2")
  end)

  it("counts among the loader's failures", function()
    local before = server:loader("plain:*").failed
    source:put("plain:5", "", { fail = "no" })
    expect.error("LOAD_FAILED", "no", cache:get "plain:5")
    wait.until_true("it is counted", function() return server:loader("plain:*").failed > before end)
  end)
end)
