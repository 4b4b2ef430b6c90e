-- unpack of a huge range.
-- stopped: too many results to unpack
return {
  load = function(key, ctx)
    return unpack({}, 1, 1e8)
  end,
}
