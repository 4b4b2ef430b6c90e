-- A table that is its own __index.
-- stopped: loop in gettable
return {
  load = function(key, ctx)
    local t = {}
    return setmetatable(t, { __index = setmetatable(t, t) }).x
  end,
}
