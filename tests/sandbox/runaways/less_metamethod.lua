-- An __lt that never ends, below table.sort.
-- stopped: stopped after 20 ms of CPU
return {
  load = function(key, ctx)
    local mt = { __lt = function() while true do end end }
    local t = {}
    for i = 1, 10 do t[i] = setmetatable({}, mt) end
    table.sort(t)
  end,
}
