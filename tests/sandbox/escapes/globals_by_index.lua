-- An __index on _G sees every name that the runtime would look up there.
-- harmless: held
return {
  load = function(key, ctx)
    local seen = {}
    setmetatable(_G, { __index = function(_, name) seen[#seen + 1] = name end })
    rtcache.all { function() return rtcache.json.decode "[1]" end }
    table.sort { 2, 1 }
    setmetatable(_G, nil)
    return #seen == 0 and "held" or "asked for " .. table.concat(seen, " ")
  end,
}
