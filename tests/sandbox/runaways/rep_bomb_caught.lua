-- string.rep of much, again and again.
-- stopped: stopped after 20 ms of CPU
return {
  load = function(key, ctx)
    while true do pcall(string.rep, ("x"):rep(1000), 8000) end
  end,
}
