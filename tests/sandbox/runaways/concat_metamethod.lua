-- A __concat that never ends.
-- stopped: stopped after 20 ms of CPU
return {
  load = function(key, ctx)
    return setmetatable({}, { __concat = function() while true do end end }) .. "x"
  end,
}
