-- `rawset` and `rawget` around the protection of the runtime's objects.
-- harmless: held
return {
  load = function(key, ctx)
    for _, v in ipairs { "", 1LL, ctx.db, rtcache.null, print } do
      if pcall(rawset, v, "x", 1) or pcall(rawget, v, "x") then return type(v) end
    end
    return "held"
  end,
}
