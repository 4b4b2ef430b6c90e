-- Such a module in a loop of pcall.
-- stopped: stopped after 20 ms of CPU
return {
  load = function(key, ctx)
    while true do pcall(require, "spinning") end
  end,
}
