-- A query while the script is read, outside of any load.
-- harmless: held
early = select(2, pcall(function() return rtcache.backend("main"):value "SELECT 1" end))
return {
  load = function(key, ctx)
    return early:find("cannot be called while the script is read", 1, true) and "held" or early
  end,
}
