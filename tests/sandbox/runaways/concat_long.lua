-- `..` of long texts, whose result is there already.
-- stopped: stopped after 20 ms of CPU
return {
  load = function(key, ctx)
    local s = ("x"):rep(8e6)
    local first = s .. "y"
    while true do first = s .. "y" end
  end,
}
