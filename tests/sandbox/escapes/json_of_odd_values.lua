-- Values that JSON and MessagePack cannot hold.
-- harmless: held
return {
  load = function(key, ctx)
    local loop = {}
    loop[1] = loop
    for _, v in ipairs { loop, print, { [1.5] = 1 }, { [{}] = 1 }, 0 / 0, { 1, nil, 3 }, ctx.db } do
      pcall(rtcache.json.encode, v)
    end
    return "held"
  end,
}
