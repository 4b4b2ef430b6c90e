-- JSON nested beyond any stack.
-- refused: rtcache.json.decode
return {
  load = function(key, ctx)
    return rtcache.json.decode(("["):rep(100000))
  end,
}
