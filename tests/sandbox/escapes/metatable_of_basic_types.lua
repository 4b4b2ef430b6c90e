-- Metatables of numbers, booleans, nil, functions and coroutines (Redis, CVE-2025-46818).
-- harmless: held
return {
  load = function(key, ctx)
    for _, v in ipairs { "", 0, true, print, coroutine.create(print), 1LL, rtcache.null, ctx.db } do
      if getmetatable(v) ~= nil then return "a metatable of a " .. type(v) end
      if pcall(setmetatable, v, { __index = {} }) then return "a " .. type(v) .. " takes a metatable" end
    end
    return pcall(setmetatable, nil, {}) and "nil takes one" or "held"
  end,
}
