-- Yields out of metamethods and iterators, resumed in another order.
-- harmless: held
return {
  load = function(key, ctx)
    local t = setmetatable({}, { __index = function(_, k) return coroutine.yield(k) end,
      __add = function(a, b) return coroutine.yield "add" end })
    local co = coroutine.create(function() return t.x, t + 1, t.y end)
    local steps = {}
    for i = 1, 4 do steps[i] = tostring(select(2, coroutine.resume(co, i))) end
    return table.concat(steps, " ") == "x add y 2" and "held" or table.concat(steps, " ")
  end,
}
