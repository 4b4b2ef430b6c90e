-- The metatables that tell arrays and maps apart are shared by all scripts.
-- harmless: held
return {
  load = function(key, ctx)
    for _, v in ipairs { rtcache.array {}, rtcache.map {}, rtcache.bin "x", rtcache.json.decode "{}" } do
      if getmetatable(v) ~= nil then return "a metatable" end
    end
    return "held"
  end,
}
