-- A loop whose iterator never ends.
-- stopped: stopped after 20 ms of CPU
return {
  load = function(key, ctx)
    for _ in function() return 1 end do end
  end,
}
