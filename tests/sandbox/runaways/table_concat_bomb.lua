-- table.concat of much.
-- stopped: not enough memory: one load may use
return {
  load = function(key, ctx)
    local t = {}
    for i = 1, 1000 do t[i] = ("x"):rep(100000) end
    return #table.concat(t)
  end,
}
