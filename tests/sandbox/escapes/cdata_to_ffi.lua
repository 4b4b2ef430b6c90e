-- From a cdata to its ctype, and so to ffi.
-- harmless: held
return {
  load = function(key, ctx)
    for _, name in ipairs { "new", "cast", "typeof", "C", "x", "__index" } do
      if pcall(function() return (1LL)[name] end) then return name end
    end
    return getmetatable(1LL) == nil and tostring(1LL) == "1" and "held" or "escaped"
  end,
}
