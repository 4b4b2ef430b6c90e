-- A result whose metamethods would run while it is packed.
-- harmless: held
return {
  load = function(key, ctx)
    local trap = setmetatable({}, {
      __index = function() error "ran" end, __len = function() error "ran" end,
      __pairs = function() error "ran" end, __tostring = function() error "ran" end,
      __call = function() error "ran" end,
    })
    return rtcache.json.encode { trap } == "[[]]" and "held" or "escaped"
  end,
}
