-- Sleeps of no time without end.
-- stopped: stopped after 20 ms of CPU
return {
  load = function(key, ctx)
    while true do rtcache.sleep(0) end
  end,
}
