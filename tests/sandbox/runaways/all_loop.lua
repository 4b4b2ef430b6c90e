-- rtcache.all of functions that never end.
-- stopped: stopped after 20 ms of CPU
return {
  load = function(key, ctx)
    while true do pcall(rtcache.all, { function() while true do end end }) end
  end,
}
