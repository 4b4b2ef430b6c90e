-- table.concat of the same big table, whose result is there already.
-- stopped: stopped after 20 ms of CPU
return {
  load = function(key, ctx)
    local t = {}
    for i = 1, 100 do t[i] = ("x"):rep(10000) end
    local first = table.concat(t)
    while true do first = table.concat(t) end
  end,
}
