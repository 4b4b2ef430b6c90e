--- The methods of docs/protocol.md, as methods of the client.
--
-- Each sends its request and waits for the answer: `result, err`. Options are left out where the
-- caller gives none; nil in a map is an absent field.

local msgpack = require "rtcache.msgpack"

---@param Client table @the class that gets them; it has call(self, name, ...)
---@param decode_error fun(error: any): rtcache.Error
return function(Client, decode_error)
  -- get_entry's maps: nil where the server says nil.
  local function without_nulls(map)
    if type(map) ~= "table" or map == msgpack.null then return map end
    for k, v in pairs(map) do
      if v == msgpack.null then map[k] = nil end
    end
    if map.error then map.error = decode_error(map.error) end
    return map
  end

  local function method(name, arguments, result)
    Client[name] = function(self, ...)
      local value, err
      if select("#", ...) > arguments and select(arguments + 1, ...) == nil then
        value, err = self:call(name, unpack({ ... }, 1, arguments))
      else
        value, err = self:call(name, ...)
      end
      if result and value then value = result(value) end
      return value, err
    end
  end

  local function each_without_nulls(list)
    for i, item in ipairs(list) do list[i] = without_nulls(item) end
    return list
  end

  for name, arguments in pairs {
    ping = 0, hello = 0, auth = 2, get = 1, set = 2, invalidate = 1, invalidate_many = 1, expire = 1, touch = 1,
    stats = 0, loaders = 0, reload = 0, snapshot = 0, invalidate_tag = 1, invalidate_match = 1, expire_many = 1,
    expire_tag = 1, expire_match = 1, subscribe = 1, unsubscribe = 0, lift_floors = 1,
  } do
    method(name, arguments)
  end
  method("get_entry", 1, without_nulls)
  method("peek", 1, without_nulls)
  method("refresh", 1, without_nulls)
  method("put", 2, without_nulls)
  method("delete", 1, without_nulls)
  method("get_many", 1, each_without_nulls)
end
