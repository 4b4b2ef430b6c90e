-- unpack of what just goes.
-- stopped: stopped after 20 ms of CPU
return {
  load = function(key, ctx)
    local t = {}
    while true do select('#', unpack(t, 1, 7000)) end
  end,
}
