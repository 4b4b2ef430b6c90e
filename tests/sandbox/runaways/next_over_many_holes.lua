-- next over a table with room for a million keys and none in it.
-- stopped: stopped after 20 ms of CPU
return {
  load = function(key, ctx)
    if key:find("1", 1, true) then
      holes = {}
      for i = 1, 2 ^ 16 do holes[i + 0.5] = i end
      return "made"
    end
    for k in pairs(holes) do holes[k] = nil end
    while true do next(holes) end
  end,
}
