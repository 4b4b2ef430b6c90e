-- Errors with long texts, thrown and caught.
-- stopped: stopped after 20 ms of CPU
return {
  load = function(key, ctx)
    local s = ("x"):rep(1e6)
    while true do pcall(error, s .. "y") end
  end,
}
