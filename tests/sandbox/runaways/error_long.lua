-- An error whose text has a megabyte.
-- stopped: xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx
return {
  load = function(key, ctx)
    error(("x"):rep(1e6))
  end,
}
