-- An int64 literal called as a function pointer.
-- refused: is not callable
return {
  load = function(key, ctx)
    local v = 0xdeadbeefLL
    return v()
  end,
}
