local Source = require "spec.support.source"
local expect = require "spec.support.expect"
local wait = require "spec.support.wait"

describe("a key that the source has not", function()
  local server, source, cache

  setup(function()
    server, source = Source.postgres {
      loaders = {
        { pattern = "user:*", ttl = "50ms", stale_ttl = "50ms", negative_ttl = "150ms" },
        { pattern = "long:*", ttl = "50ms", negative_ttl = "10min" },
        { pattern = "unbelieved:*", ttl = "60s", negative_ttl = "0s" },
      },
    }
    cache = server:connect()
  end)
  teardown(function()
    source:close()
    server:stop()
  end)

  it("is believed to be absent for negative_ttl", function()
    for _ = 1, 30 do expect.absent(cache:get "long:1") end
    assert.equal(1, source:loads "long:1")
    expect.status("negative", cache:get_entry "long:1")
  end)

  it("is asked for again after negative_ttl, and found when it has appeared", function()
    expect.absent(cache:get "user:1")
    source:put("user:1", "appeared")
    wait.until_true("the value", function() return cache:get "user:1" == "appeared" end)
  end)

  it("replaces a value when its row was deleted", function()
    source:put("user:2", "there")
    assert.equal("there", expect.value(cache:get "user:2"))
    source:remove "user:2"
    wait.until_true("the absence", function()
      local value, err = cache:get "user:2"
      assert.is_nil(err)
      return value == nil
    end)
    expect.status("negative", cache:get_entry "user:2")
    source:put("user:2", "back")
    wait.until_true("the value", function() return cache:get "user:2" == "back" end)
  end)

  it("is not remembered at all where negative_ttl is 0", function()
    for i = 1, 5 do
      expect.absent(cache:get "unbelieved:1")
      assert.equal(i, source:loads "unbelieved:1")
    end
    source:put("unbelieved:1", "now")
    assert.equal("now", expect.value(cache:get "unbelieved:1"))
  end)

  it("is there at once when it is set, or asked for after an invalidation", function()
    expect.absent(cache:get "long:2")
    expect.value(cache:set("long:2", "set"))
    assert.equal("set", expect.value(cache:get "long:2"))
    expect.absent(cache:get "long:3")
    source:put("long:3", "inserted")
    expect.absent(cache:get "long:3")
    assert.is_true(expect.value(cache:invalidate "long:3"))
    assert.equal("inserted", expect.value(cache:get "long:3"))
  end)

  it("costs one query however many ask at once", function()
    local clients, ids = {}, {}
    for c = 1, 10 do
      clients[c], ids[c] = server:connect(), {}
      for i = 1, 100 do ids[c][i] = clients[c]:send("get", "long:crowd") end
    end
    for c, connection in ipairs(clients) do
      for _, id in ipairs(ids[c]) do expect.absent(connection:receive(id)) end
    end
    assert.equal(1, source:loads "long:crowd")
  end)
end)
