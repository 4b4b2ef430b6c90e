-- Tables that are made and kept.
-- stopped: stopped after 20 ms of CPU | not enough memory: one load may use
return {
  load = function(key, ctx)
    local t = {}
    while true do t[#t + 1] = { {}, {} } end
  end,
}
