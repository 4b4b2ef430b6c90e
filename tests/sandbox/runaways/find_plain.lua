-- A plain search in a long text, again and again.
-- stopped: stopped after 20 ms of CPU
return {
  load = function(key, ctx)
    local s = ("x"):rep(8e6)
    while true do s:find("y", 1, true) end
  end,
}
