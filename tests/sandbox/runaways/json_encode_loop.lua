-- JSON encoded without end.
-- stopped: stopped after 20 ms of CPU
return {
  load = function(key, ctx)
    local t = {}
    for i = 1, 10000 do t[i] = i end
    while true do rtcache.json.encode(t) end
  end,
}
