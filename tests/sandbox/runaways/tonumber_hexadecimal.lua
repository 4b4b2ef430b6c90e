-- tonumber of megabytes of hexadecimal digits.
-- stopped: stopped after 20 ms of CPU
return {
  load = function(key, ctx)
    local s = "0x" .. ("f"):rep(8e6)
    while true do tonumber(s) end
  end,
}
