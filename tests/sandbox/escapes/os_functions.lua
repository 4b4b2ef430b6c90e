-- What of `os` reaches the system.
-- harmless: held
return {
  load = function(key, ctx)
    for _, name in ipairs { "execute", "exit", "getenv", "remove", "rename", "tmpname", "setlocale" } do
      if os[name] ~= nil then return name end
    end
    return "held"
  end,
}
