-- Integers beyond 2^53 without end.
-- stopped: stopped after 20 ms of CPU
return {
  load = function(key, ctx)
    local n = 1LL
    while true do n = n + 1LL end
  end,
}
