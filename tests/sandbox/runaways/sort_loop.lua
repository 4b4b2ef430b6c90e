-- A comparator that never ends.
-- stopped: stopped after 20 ms of CPU
return {
  load = function(key, ctx)
    local t = {}
    for i = 1, 1000 do t[i] = i end
    table.sort(t, function() while true do end end)
  end,
}
