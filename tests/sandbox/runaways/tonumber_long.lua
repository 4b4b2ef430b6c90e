-- tonumber of a text of megabytes.
-- stopped: stopped after 20 ms of CPU
return {
  load = function(key, ctx)
    local s = ("1"):rep(8e6)
    while true do tonumber(s, 10) end
  end,
}
