-- One table that grows.
-- stopped: stopped after 20 ms of CPU | not enough memory: one load may use
return {
  load = function(key, ctx)
    local t, i = {}, 0
    while true do i = i + 1; t[i] = i end
  end,
}
