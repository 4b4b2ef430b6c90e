-- A result past max_value.
-- stopped: the packed value passes
return {
  load = function(key, ctx)
    return { ("x"):rep(2e6) }
  end,
}
