-- Values of all sizes without a database.
return {
  load = function(key, ctx) return { key = key, pad = ("p"):rep(100 * (tonumber(ctx.match[1]) or 1)) } end,
  load_many = function(keys, ctx)
    local values = {}
    for i, key in ipairs(keys) do
      if #keys > 3 and ctx.match[i][1] == "7" then error(rtcache.poison(key)) end
      values[key] = { key = key }
    end
    return values
  end,
  save = function(_, value) return value, { version = 1, tags = {} } end,
  remove = function() return true end,
}
