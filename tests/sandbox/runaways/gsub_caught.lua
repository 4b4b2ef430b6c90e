-- A callback of gsub that never ends, caught.
-- stopped: stopped after 20 ms of CPU
return {
  load = function(key, ctx)
    while true do pcall(string.gsub, "a", "a", function() while true do end end) end
  end,
}
