-- A string doubled by `..`, and from the start when that fails.
-- stopped: stopped after 20 ms of CPU
return {
  load = function(key, ctx)
    while true do
      pcall(function() local s = "x" while true do s = s .. s end end)
    end
  end,
}
