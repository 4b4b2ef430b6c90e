-- A callback of gsub that yields.
-- stopped: attempt to yield across C-call boundary
return {
  load = function(key, ctx)
    return coroutine.wrap(function() return ("a"):gsub("a", coroutine.yield) end)()
  end,
}
