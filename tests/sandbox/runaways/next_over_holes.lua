-- next over a table of a hundred thousand holes.
-- stopped: stopped after 20 ms of CPU
return {
  load = function(key, ctx)
    local t = {}
    for i = 1, 5000 do t['k' .. i] = i end
    for i = 1, 5000 do t['k' .. i] = nil end
    while true do next(t) end
  end,
}
