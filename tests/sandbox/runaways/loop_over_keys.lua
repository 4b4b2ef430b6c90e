-- A walk over a table that grows while it is walked.
-- stopped: stopped after 20 ms of CPU | not enough memory: one load may use
return {
  load = function(key, ctx)
    local t = { 1 }
    while true do
      for k in pairs(t) do t[k] = nil; t[{}] = 1 end
    end
  end,
}
