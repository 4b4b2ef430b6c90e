-- string.rep of more than there is.
-- stopped: not enough memory for
return {
  load = function(key, ctx)
    return #("x"):rep(2 ^ 31)
  end,
}
