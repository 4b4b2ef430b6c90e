local client = require "rtcache.client"
local msgpack = require "rtcache.msgpack"

-- The client that every other spec leans on; no server is started.
describe("the client's MessagePack", function()
  local function there_and_back(v)
    local bytes = msgpack.encode(v)
    local back, after = msgpack.decode(bytes, 1, true)
    assert.equal(#bytes + 1, after)
    return back
  end

  it("keeps numbers of every size", function()
    for _, v in ipairs {
      0, 1, 127, 128, 255, 256, 65535, 65536, 4294967295, 4294967296, 2 ^ 53, -1, -32, -33, -128, -129,
      -32768, -32769, -2147483648, -2147483649, -2 ^ 53, 1.5, -0.1, 1e300, math.huge, -math.huge,
      9007199254740993LL, 9223372036854775807LL, -9223372036854775807LL - 1, 18446744073709551615ULL,
    } do
      assert.equal(v, there_and_back(v))
    end
  end)

  it("writes the shortest form", function()
    for v, bytes in pairs {
      [0] = "\0", [127] = "\127", [128] = "\204\128", [256] = "\205\1\0", [-32] = "\224", [-33] = "\208\223",
      [-129] = "\209\255\127", [4294967296] = "\207\0\0\0\1\0\0\0\0",
    } do
      assert.equal(bytes, msgpack.encode(v))
    end
    assert.equal("\161a", msgpack.encode "a")
    assert.equal("\217\32" .. ("a"):rep(32), msgpack.encode(("a"):rep(32)))
    assert.equal("\196\1a", msgpack.encode(msgpack.bin "a"))
    assert.equal("\144", msgpack.encode {})
    assert.equal("\128", msgpack.encode(msgpack.map {}))
    assert.equal("\203\63\240\0\0\0\0\0\0", msgpack.encode(msgpack.float(1)))
  end)

  it("keeps texts, tables and nil", function()
    for _, size in ipairs { 0, 31, 32, 255, 256, 65535, 65536 } do
      assert.equal(("x"):rep(size), there_and_back(("x"):rep(size)))
      assert.same(msgpack.bin(("x"):rep(size)), there_and_back(msgpack.bin(("x"):rep(size))))
    end
    local deep = { 1, { a = { b = { true, false, msgpack.null, "x" } } } }
    assert.same(deep, there_and_back(deep))
    local long = {}
    for i = 1, 70000 do long[i] = i % 7 end
    assert.same(long, there_and_back(long))
  end)

  it("waits for bytes that are still to come", function()
    local bytes = msgpack.encode { 1, "abc", { a = 5, b = 1e9, c = 1.5, d = {} }, ("z"):rep(300), -70000 }
    for i = 0, #bytes - 1 do assert.is_nil(select(2, msgpack.decode(bytes:sub(1, i)))) end
  end)

  it("refuses what is no MessagePack, and what cannot be packed", function()
    assert.has_error(function() msgpack.decode "\193" end, "byte 0xc1 is no MessagePack")
    assert.has_error(function() msgpack.encode(print) end, "cannot pack a function")
    local late = { 1 }
    late[3] = 3
    for _, hole in ipairs { { 1, nil, 3 }, late, msgpack.array { 1, nil, 3 }, { [2] = 2 } } do
      local ok, err = pcall(msgpack.encode, { list = hole })
      assert.is_false(ok)
      assert.truthy(err:find("the array has no element %d"), err)
    end
    assert.equal("\131", msgpack.encode({ 1, 2, x = 3 }):sub(1, 1))
    assert.equal("\147\1\192\3", msgpack.encode(msgpack.array { 1, nil, 3, n = 3 }))
    assert.has_error(function() msgpack.encode(msgpack.array { x = 1 }) end, "an array has keys beside 1..n")
    local cycle = {}
    cycle[1] = cycle
    assert.has_error(function() msgpack.encode(cycle) end, "nested too deeply to pack")
  end)
end)

describe("the client", function()
  it("packs requests with nils at their end", function()
    assert.equal("\148\0\7\163set\147\161k\192\192", client.encode_request(7, "set", "k", nil, nil))
  end)

  it("says that nobody listens", function()
    local c, err = client.connect { path = "/nowhere/rtcache.sock" }
    assert.is_nil(c)
    assert.equal("IO", err.code)
  end)
end)
