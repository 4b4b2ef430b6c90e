-- select over thousands of values.
-- stopped: stopped after 20 ms of CPU
return {
  load = function(key, ctx)
    local function f(...) for i = 1, select('#', ...) do local _ = select(i, ...) end end
    local t = {}
    while true do f(unpack(t, 1, 7000)) end
  end,
}
