-- An int64 literal is a cdata: its fields and elements.
-- refused: cannot be indexed
return {
  load = function(key, ctx)
    local v = 1LL
    return v[1000]
  end,
}
