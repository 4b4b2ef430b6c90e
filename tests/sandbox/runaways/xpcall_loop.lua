-- A handler that never ends.
-- stopped: stopped after 20 ms of CPU
return {
  load = function(key, ctx)
    while true do xpcall(error, function() while true do end end) end
  end,
}
