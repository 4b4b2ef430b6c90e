-- The functions of rtcache replaced for others.
-- harmless: held
return {
  load = function(key, ctx)
    for name in pairs(rtcache) do rtcache[name] = nil end
    print = nil
    return next(rtcache) == nil and "held"
  end,
}
