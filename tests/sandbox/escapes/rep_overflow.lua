-- string.rep whose size wraps around.
-- refused: not enough memory
return {
  load = function(key, ctx)
    return #("abcd"):rep(2 ^ 30 + 1, ("s"):rep(1000))
  end,
}
