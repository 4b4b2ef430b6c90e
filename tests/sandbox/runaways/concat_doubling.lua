-- A string doubled by `..`.
-- stopped: stopped after 20 ms of CPU | not enough memory: one load may use
return {
  load = function(key, ctx)
    local s = "x"
    while true do s = s .. s end
  end,
}
