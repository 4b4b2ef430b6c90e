-- string.reverse of a long text, whose result is there already.
-- stopped: stopped after 20 ms of CPU
return {
  load = function(key, ctx)
    local s = ("x"):rep(8e6)
    local first = s:reverse()
    while true do first = s:reverse() end
  end,
}
