-- An __index that asks itself.
-- stopped: stack overflow
return {
  load = function(key, ctx)
    return setmetatable({}, { __index = function(t, k) return t[k] .. "x" end }).x
  end,
}
