-- Comparing long texts that begin alike.
-- stopped: stopped after 20 ms of CPU
return {
  load = function(key, ctx)
    local s = ("x"):rep(8e6)
    local a, b = s .. "a", s .. "b"
    while true do local _ = a < b end
  end,
}
