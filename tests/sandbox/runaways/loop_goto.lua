-- A loop by goto.
-- stopped: stopped after 20 ms of CPU
return {
  load = function(key, ctx)
    ::top:: goto top
  end,
}
