-- An error handler runs above the failing frames, where `debug` looks at their locals.
-- harmless: held
return {
  load = function(key, ctx)
    local seen
    local ok = xpcall(function() error "inside" end, function(...)
      seen = { n = select("#", ...), debug = debug, where = coroutine.running() }
      return ...
    end)
    return (not ok and seen.n == 1 and seen.debug == nil and seen.where == nil) and "held" or "escaped"
  end,
}
