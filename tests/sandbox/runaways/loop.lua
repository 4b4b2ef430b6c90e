-- A tight loop.
-- stopped: stopped after 20 ms of CPU
return {
  load = function(key, ctx)
    while true do end
  end,
}
