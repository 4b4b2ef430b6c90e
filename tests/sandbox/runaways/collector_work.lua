-- Garbage without end.
-- stopped: stopped after 20 ms of CPU
return {
  load = function(key, ctx)
    while true do local _ = { {}, {}, {} } end
  end,
}
