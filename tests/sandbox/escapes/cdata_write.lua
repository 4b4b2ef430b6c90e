-- An int64 literal written to as an array.
-- refused: cannot be indexed
return {
  load = function(key, ctx)
    local v = 1LL
    v[0] = 5
    return v
  end,
}
