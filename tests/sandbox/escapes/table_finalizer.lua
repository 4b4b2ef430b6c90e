-- __gc of a table must not run (Redis, CVE-2024-46981 came through the collector).
-- harmless: held
return {
  load = function(key, ctx)
    ran = false
    for _ = 1, 1000 do setmetatable({ ("x"):rep(100) }, { __gc = function() ran = true end }) end
    for i = 1, 1000 do local _ = ("y"):rep(1000) .. i end
    return ran and "escaped" or "held"
  end,
}
