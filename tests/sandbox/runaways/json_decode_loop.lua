-- JSON decoded without end.
-- stopped: stopped after 20 ms of CPU
return {
  load = function(key, ctx)
    local s = "[" .. ("1,"):rep(20000) .. "1]"
    while true do rtcache.json.decode(s) end
  end,
}
