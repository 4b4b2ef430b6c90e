-- Lines to the log without end.
-- stopped: stopped after 20 ms of CPU
return {
  load = function(key, ctx)
    while true do print(("x"):rep(100)) end
  end,
}
