-- A coroutine that an earlier load left behind in the middle of a wait.
-- refused: cannot resume a coroutine that waits
return {
  load = function(key, ctx)
    if key:find("1", 1, true) then
      kept = coroutine.create(function() rtcache.sleep(0.001) end)
      local ok, err = pcall(rtcache.all, {
        function() coroutine.resume(kept) end,
        function() error "and out" end,
      })
      return not ok and err and "left behind"
    end
    error(select(2, coroutine.resume(kept)), 0)
  end,
}
