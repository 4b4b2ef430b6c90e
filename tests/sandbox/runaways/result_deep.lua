-- A result nested too deep.
-- stopped: nested too deep
return {
  load = function(key, ctx)
    local t = {}
    for _ = 1, 1000 do t = { t } end
    return t
  end,
}
