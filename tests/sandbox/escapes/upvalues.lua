-- ffi through the upvalues of the functions of the runtime.
-- harmless: held
return {
  load = function(key, ctx)
    for _, name in ipairs { "getupvalue", "upvaluejoin", "getinfo", "sethook", "getlocal" } do
      if _G.debug ~= nil or _G[name] ~= nil then return name end
    end
    return "held"
  end,
}
