-- os.date of a long format.
-- stopped: stopped after 20 ms of CPU
return {
  load = function(key, ctx)
    local f = ("%c"):rep(1000)
    while true do os.date(f) end
  end,
}
