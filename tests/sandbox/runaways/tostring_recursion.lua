-- A __tostring that asks itself through C.
-- stopped: nested too deep
return {
  load = function(key, ctx)
    return tostring(setmetatable({}, { __tostring = function(t) return ("%s"):format(t) end }))
  end,
}
