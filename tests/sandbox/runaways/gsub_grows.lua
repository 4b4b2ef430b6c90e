-- gsub that makes a text ever longer.
-- stopped: stopped after 20 ms of CPU | not enough memory: one load may use
return {
  load = function(key, ctx)
    local s = "a"
    while true do s = s:gsub("a", "aa") end
  end,
}
