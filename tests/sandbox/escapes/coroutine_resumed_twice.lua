-- A coroutine that waits for a backend, resumed by another branch.
-- refused: cannot resume a coroutine that waits
return {
  load = function(key, ctx)
    local co = coroutine.create(function() return ctx.db:value "SELECT 7" end)
    local results = rtcache.all {
      function() return { coroutine.resume(co) } end,
      function() return { coroutine.resume(co) } end,
    }
    error(results[2][2], 0)
  end,
}
