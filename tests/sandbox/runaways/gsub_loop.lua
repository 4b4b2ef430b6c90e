-- A callback of gsub that never ends.
-- stopped: stopped after 20 ms of CPU
return {
  load = function(key, ctx)
    return ("a"):gsub("a", function() while true do end end)
  end,
}
