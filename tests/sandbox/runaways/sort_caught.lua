-- A comparator that never ends, caught.
-- stopped: stopped after 20 ms of CPU
return {
  load = function(key, ctx)
    local t = {}
    for i = 1, 100 do t[i] = i end
    while true do pcall(table.sort, t, function() while true do end end) end
  end,
}
