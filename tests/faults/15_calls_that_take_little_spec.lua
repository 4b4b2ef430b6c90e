local Server = require "spec.support.server"
local expect = require "spec.support.expect"
local faulty = require "faults.faulty"
local requests = require "faults.requests"

-- Bytes that a call takes at most, and the how many-th takes none.
local WAYS = { { 1, 0 }, { 1, 2 }, { 2, 3 }, { 7, 5 }, { 0, 2 }, { 4096, 2 } }
local LARGE = 20000

describe("a server whose receiving and sending takes little at once", function()
  local server, control, row

  setup(function()
    local options = requests.options()
    options.binary = faulty.binary
    server = Server.prepare(options)
    requests.make_source(server.folder)
    control = faulty.control(server.folder)
    server.options.env = control:env()
    server:launch()
    row = 0
  end)
  teardown(function()
    control:close()
    server:stop()
  end)
  after_each(function()
    control:take_little(0, 0)
    server:close_clients()
  end)

  for _, way in ipairs(WAYS) do
    local most, each = way[1], way[2]
    local how = ("%d bytes at most, each %d-th time none"):format(most, each)

    it("answers requests of all kinds: " .. how, function()
      control:take_little(most, each)
      local beside = server:connect()
      for _, name in ipairs(requests.names) do
        row = row + 1
        local c = server:connect()
        local _, err = requests.kinds[name](c, row, beside)
        assert.is_nil(err, ("%s: %s"):format(name, tostring(err)))
      end
      assert.is_true(control:taken() > 100)
    end)

    it("brings every byte in its place, also of values that are shared: " .. how, function()
      control:take_little(most, each)
      local c = server:connect()
      for size = LARGE - 2, LARGE do
        local value = {}
        for i = 1, size do value[i] = string.char(i * 7 % 251) end
        value = table.concat(value)
        expect.value(c:set("set:large", value))
        local ids = { c:send("get", "set:large"), c:send "ping", c:send("get", "set:large") }
        assert.equal(value, expect.value(c:receive(ids[1])))
        assert.equal("pong", expect.value(c:receive(ids[2])))
        assert.equal(value, expect.value(c:receive(ids[3])))
      end
    end)
  end
end)
