-- Libraries of Redis with overflows of their own (CVE-2018-11218, CVE-2018-11219, CVE-2022-24834).
-- harmless: held
return {
  load = function(key, ctx)
    for _, name in ipairs { "cjson", "cmsgpack", "struct", "redis", "server" } do
      if _G[name] ~= nil then return name end
    end
    return "held"
  end,
}
