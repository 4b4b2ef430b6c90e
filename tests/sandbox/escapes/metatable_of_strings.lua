-- The metatable of all strings, changed (Redis, CVE-2025-46818).
-- refused: attempt to index a nil value
return {
  load = function(key, ctx)
    getmetatable("").__index = function() return "mine" end
    return ("x").y
  end,
}
