-- JSON that is wrong at its end, again and again.
-- stopped: stopped after 20 ms of CPU
return {
  load = function(key, ctx)
    local s = "[" .. ("1,"):rep(200000)
    while true do pcall(rtcache.json.decode, s) end
  end,
}
