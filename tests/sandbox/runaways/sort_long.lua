-- A sort of a long table.
-- stopped: stopped after 20 ms of CPU
return {
  load = function(key, ctx)
    local t = {}
    for i = 1, 1e5 do t[i] = -i end
    table.sort(t)
    return 1
  end,
}
